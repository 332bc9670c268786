//! Removing models, and cleaning up.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;

use inhouse_models::{PullRequest, StoreErrorKind};

use super::fixture::{Fixture, expect_error, listing, sample, write};
use super::hub::{Hub, REPO};

#[test]
fn the_last_model_of_a_repository_takes_all_of_it() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    let size = fixture.pull_sample().unwrap().size;
    let removed = fixture
        .store()
        .remove("Tiny-onnx", &fixture.events)
        .unwrap();
    assert_eq!(removed.name, "tiny-onnx");
    assert!(removed.freed >= size);
    assert!(listing(&fixture.path("hub")).is_empty());
    assert!(fixture.store().list().unwrap().is_empty());
    assert!(!fixture.path("home/models/tiny-onnx").exists());
}

#[test]
fn what_others_use_stays() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    let installed = fixture.pull_sample().unwrap();
    // Another tool has another snapshot with the same weights.
    let other = fixture
        .cache()
        .join("snapshots")
        .join("f".repeat(40))
        .join("w");
    fs::create_dir_all(other.parent().unwrap()).unwrap();
    symlink(format!("../../blobs/{}", hub.weights().id()), &other).unwrap();
    // And the README of the same snapshot.
    write(
        &fixture.cache().join("blobs").join("e".repeat(40)),
        "# Tiny\n",
    );
    let readme = fixture
        .cache()
        .join("snapshots")
        .join(installed.revision.unwrap())
        .join("README.md");
    symlink(format!("../../blobs/{}", "e".repeat(40)), &readme).unwrap();

    fixture
        .store()
        .remove("tiny-onnx", &fixture.events)
        .unwrap();
    assert_eq!(fs::read(&other).unwrap(), hub.weights().bytes);
    assert_eq!(fs::read(&readme).unwrap(), b"# Tiny\n");
    assert_eq!(
        fs::read_dir(fixture.cache().join("blobs")).unwrap().count(),
        2
    );
    assert!(fixture.cache().join("refs/main").exists());
}

#[test]
fn two_names_of_one_folder_go_one_by_one() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    fixture.pull_sample().unwrap();
    let request = PullRequest {
        what: sample(),
        name: Some("second".to_owned()),
        again: false,
    };
    let second = fixture.store().pull_as(&request, &fixture.events).unwrap();
    fixture
        .store()
        .remove("tiny-onnx", &fixture.events)
        .unwrap();
    assert_eq!(fixture.store().list().unwrap(), [second]);
    fixture.store().remove("second", &fixture.events).unwrap();
    assert!(listing(&fixture.path("hub")).is_empty());
}

#[test]
fn another_folder_of_the_repository_stays() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    fixture.pull_sample().unwrap();
    let what = format!("hf:{REPO}/gpu");
    let request = PullRequest {
        what,
        name: Some("gpu".to_owned()),
        again: false,
    };
    let gpu = fixture.store().pull_as(&request, &fixture.events).unwrap();
    fixture
        .store()
        .remove("tiny-onnx", &fixture.events)
        .unwrap();
    assert_eq!(fixture.store().list().unwrap(), [gpu]);
}

#[test]
fn a_record_that_cannot_be_read_is_shown_and_can_be_removed() {
    let fixture = Fixture::new();
    for text in [
        "{",
        r#"{"format":2}"#,
        r#"{"format":1,"name":"x","files":[]}"#,
    ] {
        write(&fixture.path("home/models/broken/inhouse.json"), text);
        let list = fixture.store().list().unwrap();
        assert_eq!(list.len(), 1);
        assert!(format!("{:?}", list[0].state).contains("Damaged"));
        expect_error(
            fixture.store().resolve("broken"),
            StoreErrorKind::Damaged,
            &["inhouse.json"],
        );
        fixture.store().remove("broken", &fixture.events).unwrap();
        assert!(fixture.store().list().unwrap().is_empty());
    }
}

#[test]
fn what_is_not_here_cannot_be_removed() {
    let fixture = Fixture::new();
    let error = fixture.store().remove("nosuch", &fixture.events);
    expect_error(error, StoreErrorKind::UnknownModel, &["nosuch"]);
    let error = fixture.store().remove("../home", &fixture.events);
    expect_error(
        error,
        StoreErrorKind::BadSource,
        &["cannot be a model's name"],
    );
}

#[test]
fn remains_of_pulls_are_cleaned() {
    let fixture = Fixture::new();
    let left = fixture.path("home/models/.staging/gone/download/model.gguf.incomplete");
    write(&left, [0; 1000]);
    assert_eq!(fixture.store().clean(false).unwrap(), 0);
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(8 * 24 * 3600);
    for path in left.ancestors().take(3) {
        fs::File::open(path).unwrap().set_modified(old).unwrap();
    }
    assert_eq!(fixture.store().clean(false).unwrap(), 1000);
    assert!(!left.exists());

    write(&left, [0; 500]);
    assert_eq!(fixture.store().clean(true).unwrap(), 500);
}

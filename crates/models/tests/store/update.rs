//! Updates: what changed, and nothing else.

use std::fs;

use inhouse_models::{Installed, PullRequest, StoreErrorKind, Updated};

use super::fixture::{Fixture, expect_error, listing};
use super::hub::{Hub, REPO};

fn replaced(updated: Updated) -> Installed {
    match updated {
        Updated::Replaced { now, .. } => now,
        Updated::UpToDate(_) => panic!("nothing was replaced"),
    }
}

#[test]
fn what_is_up_to_date_stays() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    let installed = fixture.pull_sample().unwrap();
    let asked = hub.hub.requests().len();
    let updated = fixture
        .store()
        .update("tiny-onnx", &fixture.events)
        .unwrap();
    assert_eq!(updated, Updated::UpToDate(installed));
    assert_eq!(hub.hub.requests().len(), asked + 1);
}

#[test]
fn only_what_changed_is_fetched_and_the_old_goes() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    let old = fixture.pull_sample().unwrap();
    let before = listing(&fixture.path("hub")).len();
    hub.change(
        "cpu/int4/tokenizer.json",
        b"{ \"new\": 1 }",
        &"c0ffee00".repeat(5),
    );
    let transfers = hub.transfers().len();

    let now = replaced(
        fixture
            .store()
            .update("tiny-onnx", &fixture.events)
            .unwrap(),
    );
    assert_eq!(hub.transfers().len(), transfers);
    assert_eq!(hub.hub.requests_for("tokenizer.json").len(), 2);
    assert_eq!(hub.hub.requests_for("genai_config.json").len(), 1);
    assert_eq!(now.revision, Some("c0ffee00".repeat(5)));
    assert_eq!(
        fs::read(now.folder.join("tokenizer.json")).unwrap(),
        b"{ \"new\": 1 }"
    );
    assert_eq!(fixture.store().resolve("tiny-onnx").unwrap(), now.folder);
    assert!(!old.folder.exists());
    assert_eq!(listing(&fixture.path("hub")).len(), before);
    let commit = fs::read_to_string(fixture.cache().join("refs/main")).unwrap();
    assert_eq!(commit, "c0ffee00".repeat(5));
}

#[test]
fn an_update_that_fails_leaves_the_old() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    let old = fixture.pull_sample().unwrap();
    hub.change("cpu/int4/model.onnx", b"new", &"c0ffee00".repeat(5));
    let id = hub.file("cpu/int4/model.onnx").id();
    hub.trick(&id, |_| Some(super::server::Response::new(500, "")));
    let error = fixture.store().update("tiny-onnx", &fixture.events);
    expect_error(error, StoreErrorKind::Server, &["500"]);
    assert_eq!(fixture.store().list().unwrap(), [old]);
}

#[test]
fn another_source_takes_a_name_only_when_told_and_the_old_files_go() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    fixture.pull_sample().unwrap();
    let request = PullRequest {
        what: format!("hf:{REPO}/gpu"),
        name: None,
        again: true,
    };
    let now = fixture.store().pull_as(&request, &fixture.events).unwrap();
    assert!(now.folder.ends_with("gpu"));
    let left = listing(&fixture.path("hub"));
    assert!(
        !left.iter().any(|line| line.contains("cpu/int4")),
        "{left:?}"
    );
    // The configuration is the same file in both folders.
    assert_eq!(
        left.iter()
            .filter(|line| line.contains("/blobs/") && !line.contains("->"))
            .count(),
        2
    );
}

#[test]
fn a_kill_while_the_new_takes_the_place_of_the_old_loses_neither() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    let installed = fixture.pull_sample().unwrap();
    let staging = fixture.path("home/models/.staging/tiny-onnx");
    fs::create_dir_all(&staging).unwrap();
    fs::rename(fixture.path("home/models/tiny-onnx"), staging.join("old")).unwrap();
    let asked = hub.hub.requests().len();
    assert_eq!(fixture.pull_sample().unwrap(), installed);
    assert_eq!(hub.hub.requests().len(), asked);
}

#[test]
fn a_commit_stays_what_it_is() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    let commit = hub.state().commit.clone();
    fixture.pull(&format!("hf:{REPO}/gpu@{commit}")).unwrap();
    let asked = hub.hub.requests().len();
    let updated = fixture
        .store()
        .update("tiny-onnx", &fixture.events)
        .unwrap();
    assert!(matches!(updated, Updated::UpToDate(_)));
    assert_eq!(hub.hub.requests().len(), asked);
}

#[test]
fn a_damaged_model_is_mended_by_a_pull_and_by_an_update() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    let installed = fixture.pull_sample().unwrap();
    for mend in ["pull", "update"] {
        fs::remove_file(installed.folder.join("model.onnx")).unwrap();
        let error = fixture.store().resolve("tiny-onnx");
        expect_error(
            error,
            StoreErrorKind::Damaged,
            &["model.onnx is missing", "inhouse pull"],
        );
        match mend {
            "pull" => drop(fixture.pull("tiny-onnx").unwrap()),
            _ => drop(
                fixture
                    .store()
                    .update("tiny-onnx", &fixture.events)
                    .unwrap(),
            ),
        }
        assert_eq!(
            fixture.store().list().unwrap(),
            std::slice::from_ref(&installed)
        );
    }
}

#[test]
fn what_is_not_here_cannot_be_updated() {
    let fixture = Fixture::new();
    let error = fixture.store().update("phi-4-mini", &fixture.events);
    expect_error(
        error,
        StoreErrorKind::UnknownModel,
        &["inhouse pull phi-4-mini"],
    );
}

//! Without the network: what is here is used, and nothing is asked.

use std::fs;

use inhouse_models::StoreErrorKind;

use super::fixture::{Fixture, expect_error, sample};
use super::hub::{Hub, REPO};

#[test]
fn what_is_in_the_cache_is_used() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    let online = fixture.pull_sample().unwrap();
    let asked = hub.hub.requests().len();

    // The record is lost, and the cache is as another tool could have left it.
    fs::remove_dir_all(fixture.path("home")).unwrap();
    let fixture = fixture.offline();
    let mut offline = fixture.pull_sample().unwrap();
    assert_eq!(hub.hub.requests().len(), asked);
    assert_eq!(offline.folder, online.folder);
    offline.files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut files = online.files.clone();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert_eq!(offline.files, files);
    assert_eq!(fixture.store().resolve("tiny-onnx").unwrap(), online.folder);
}

#[test]
fn what_is_not_here_is_named_with_the_way_to_get_it() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub).offline();
    let again = format!("inhouse pull {}", sample());
    expect_error(
        fixture.pull_sample(),
        StoreErrorKind::Offline,
        &["tiny-onnx", &again, "--offline"],
    );
    for source in ["smollm2-135m", "https://127.0.0.1:1/x.gguf"] {
        expect_error(
            fixture.pull(source),
            StoreErrorKind::Offline,
            &["inhouse pull"],
        );
    }
    assert!(hub.hub.requests().is_empty());
}

#[test]
fn half_a_model_is_not_used() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    fixture.pull_sample().unwrap();
    fs::remove_dir_all(fixture.path("home")).unwrap();
    fs::remove_file(fixture.cache().join("blobs").join(hub.weights().id())).unwrap();
    let fixture = fixture.offline();
    expect_error(
        fixture.pull_sample(),
        StoreErrorKind::Offline,
        &["model.onnx.data is missing"],
    );
}

#[test]
fn the_python_librarys_listing_tells_what_is_missing() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    fixture.pull_sample().unwrap();
    fs::remove_dir_all(fixture.path("home")).unwrap();
    // What `huggingface_hub` 2 keeps; of a download that ended before this file there is no other trace.
    let commit = hub.state().commit.clone();
    let mut files = serde_json::Map::new();
    for file in &hub.state().files {
        let (id, size) = (file.id(), file.bytes.len());
        let entry = if file.large {
            serde_json::json!({ "size": size, "blob_id": "0".repeat(40), "lfs_sha256": id, "lfs_size": size })
        } else {
            serde_json::json!({ "size": size, "blob_id": id })
        };
        files.insert(file.path.clone(), entry);
    }
    let listing = serde_json::json!({ "format_version": 1, "files": files });
    super::fixture::write(
        &fixture.cache().join(format!("trees/{commit}.json")),
        listing.to_string(),
    );
    let fixture = fixture.offline();
    fixture.pull_sample().unwrap();
    fixture
        .store()
        .remove("tiny-onnx", &fixture.events)
        .unwrap();
    expect_error(
        fixture.pull(&format!("hf:{REPO}/gpu")),
        StoreErrorKind::Offline,
        &["gpu"],
    );
}

#[test]
fn an_update_is_refused() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    fixture.pull_sample().unwrap();
    let fixture = fixture.offline();
    let error = fixture.store().update("tiny-onnx", &fixture.events);
    expect_error(error, StoreErrorKind::Offline, &["cannot be compared"]);
}

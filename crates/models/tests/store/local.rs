//! Models that are on this machine already.

use std::fs;

use inhouse_models::{StoreErrorKind, Updated};

use super::fixture::{Fixture, expect_error, listing, write};

fn folder(fixture: &Fixture, name: &str) -> String {
    let folder = fixture.path(name);
    write(
        &folder.join("genai_config.json"),
        r#"{ "model": { "decoder": { "filename": "m.onnx" } } }"#,
    );
    write(&folder.join("m.onnx"), "onnx");
    folder.display().to_string()
}

#[test]
fn a_folder_is_used_where_it_is_and_never_removed() {
    let fixture = Fixture::new();
    let path = folder(&fixture, "My Model");
    let installed = fixture.pull(&path).unwrap();
    assert_eq!(installed.name, "my-model");
    assert_eq!(installed.folder, fs::canonicalize(&path).unwrap());
    assert_eq!(installed.files.len(), 2);
    assert_eq!(listing(&fixture.path("home/models/my-model")).len(), 1);
    let updated = fixture.store().update("my-model", &fixture.events).unwrap();
    assert!(matches!(updated, Updated::UpToDate(_)));
    fixture.store().remove("my-model", &fixture.events).unwrap();
    assert_eq!(listing(&fixture.path("My Model")).len(), 2);
    assert!(fixture.store().list().unwrap().is_empty());
}

#[test]
fn what_is_no_model_folder_is_refused() {
    let fixture = Fixture::new();
    let path = folder(&fixture, "model");
    fs::remove_file(fixture.path("model/m.onnx")).unwrap();
    expect_error(
        fixture.pull(&path),
        StoreErrorKind::Damaged,
        &["m.onnx is missing"],
    );
    for (config, text) in [
        ("{", "cannot be read"),
        (r#"{"model":{"decoder":{"filename":"../x"}}}"#, "../x"),
    ] {
        write(&fixture.path("model/genai_config.json"), config);
        let error = fixture.pull(&path).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    }
    fs::remove_file(fixture.path("model/genai_config.json")).unwrap();
    expect_error(
        fixture.pull(&path),
        StoreErrorKind::Damaged,
        &["genai_config.json is missing"],
    );
    expect_error(
        fixture.pull("./no/such/place"),
        StoreErrorKind::Io,
        &["cannot find ./no/such/place"],
    );
}

#[test]
fn a_gguf_is_converted_and_followed() {
    let fixture = Fixture::new();
    let file = fixture.path("Tiny.Q4_0.gguf");
    write(&file, "GGUF one");
    let installed = fixture.pull(file.to_str().unwrap()).unwrap();
    assert_eq!(installed.name, "tiny.q4_0");
    assert_eq!(
        fs::read(installed.folder.join("model.onnx")).unwrap(),
        b"GGUF one"
    );
    assert!(installed.files.iter().all(|file| file.sha256.is_some()));
    assert_eq!(fixture.events.count("Converting { done: 2, total: 2"), 1);
    let update = || {
        fixture
            .store()
            .update("tiny.q4_0", &fixture.events)
            .unwrap()
    };
    assert!(matches!(update(), Updated::UpToDate(_)));
    write(&file, "GGUF two");
    assert!(matches!(update(), Updated::Replaced { .. }));
    assert_eq!(
        fs::read(installed.folder.join("model.onnx")).unwrap(),
        b"GGUF two"
    );
    assert!(listing(&fixture.path("home/models/.staging")).is_empty());
}

#[test]
fn a_file_that_cannot_be_converted_says_why() {
    let fixture = Fixture::new();
    let file = fixture.path("x.gguf");
    write(&file, "no");
    expect_error(
        fixture.pull(file.to_str().unwrap()),
        StoreErrorKind::Convert,
        &["x was fetched", "not a GGUF"],
    );
    assert!(fixture.store().list().unwrap().is_empty());
}

#[test]
fn a_name_belongs_to_one_source() {
    let fixture = Fixture::new();
    let first = folder(&fixture, "a/model");
    let second = folder(&fixture, "b/model");
    fixture.pull(&first).unwrap();
    expect_error(
        fixture.pull(&second),
        StoreErrorKind::Conflict,
        &["a/model", "b/model", "--name"],
    );
    let mut request = inhouse_models::PullRequest {
        what: second.clone(),
        name: Some("Other".to_owned()),
        again: false,
    };
    let other = fixture.store().pull_as(&request, &fixture.events).unwrap();
    assert_eq!(other.name, "other");
    request.name = None;
    request.again = true;
    let replaced = fixture.store().pull_as(&request, &fixture.events).unwrap();
    assert_eq!(
        replaced.source.to_string(),
        fs::canonicalize(second).unwrap().display().to_string()
    );
}

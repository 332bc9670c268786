//! Plain addresses: a `.gguf`, or a `.zip` of a model folder.

use std::fs;
use std::io::Write;
use std::sync::{Arc, Mutex};

use inhouse_models::{StoreErrorKind, Updated};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::fixture::{Fixture, expect_error, write};
use super::hub::{noise, sha256};
use super::server::{Request, Response, Server};

/// A server with one file, which may change.
struct Site {
    server: Server,
    file: Arc<Mutex<(Vec<u8>, String)>>,
}

impl Site {
    fn of(bytes: Vec<u8>) -> Self {
        let file = Arc::new(Mutex::new((bytes, "v1".to_owned())));
        let shared = Arc::clone(&file);
        let server = Server::start(move |request| {
            let (bytes, etag) = &*shared.lock().unwrap();
            if request.header("if-none-match") == Some(&format!("\"{etag}\"")) {
                return Response::new(304, "");
            }
            Response::file(bytes, etag, request)
        });
        Self { server, file }
    }

    fn change(&self, bytes: Vec<u8>) {
        *self.file.lock().unwrap() = (bytes, "v2".to_owned());
    }

    fn url(&self, name: &str) -> String {
        format!("{}/files/{name}", self.server.url())
    }

    /// The ranges that were asked for, but for the first question, which is only for the size.
    fn ranges(&self) -> Vec<Option<usize>> {
        self.server
            .requests()
            .iter()
            .skip(1)
            .map(Request::range_start)
            .collect()
    }
}

fn gguf(seed: u64) -> Vec<u8> {
    [b"GGUF".as_slice(), &noise(seed, 200_000)].concat()
}

/// A zip file of these members.
pub(super) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn a_gguf_is_fetched_converted_and_followed() {
    let site = Site::of(gguf(1));
    let fixture = Fixture::new();
    let installed = fixture.pull(&site.url("Tiny.gguf")).unwrap();
    assert_eq!(installed.name, "tiny");
    assert_eq!(
        fixture
            .events
            .count("FileStarted { file: \"Tiny.gguf\", size: Some(200004)"),
        1
    );
    assert_eq!(installed.revision.as_deref(), Some("v1"));
    assert!(fs::read(installed.folder.join("model.onnx")).unwrap() == gguf(1));
    let update = || fixture.store().update("tiny", &fixture.events).unwrap();
    assert!(matches!(update(), Updated::UpToDate(_)));
    site.change(gguf(2));
    assert!(matches!(update(), Updated::Replaced { .. }));
    assert!(fs::read(installed.folder.join("model.onnx")).unwrap() == gguf(2));
}

#[test]
fn a_zip_of_a_folder_is_unpacked() {
    let config: &[u8] = br#"{ "model": { "decoder": { "filename": "m.onnx" } } }"#;
    for prefix in ["", "tiny/"] {
        let names = ["genai_config.json", "m.onnx", "sub/x"].map(|name| format!("{prefix}{name}"));
        let site = Site::of(zip(&[
            (&names[0], config),
            (&names[1], b"onnx"),
            (&names[2], b"x"),
        ]));
        let installed = Fixture::new().pull(&site.url("tiny.zip")).unwrap();
        let found: Vec<_> = installed
            .files
            .iter()
            .map(|file| file.path.as_str())
            .collect();
        assert_eq!(found, ["genai_config.json", "m.onnx", "sub/x"]);
    }
}

#[test]
fn zips_that_are_not_what_they_should_be() {
    for (bytes, kind, text) in [
        (
            b"no zip".to_vec(),
            StoreErrorKind::Corrupt,
            "not a whole archive",
        ),
        (zip(&[]), StoreErrorKind::NotFound, "holds no"),
        (
            zip(&[("x", b"x")]),
            StoreErrorKind::Damaged,
            "genai_config.json is missing",
        ),
        (
            zip(&[("genai_config.json", b"{}"), ("../../evil", b"x")]),
            StoreErrorKind::Unsafe,
            "evil",
        ),
        (
            zip(&[("genai_config.json", b"{}"), ("/evil", b"x")]),
            StoreErrorKind::Unsafe,
            "evil",
        ),
    ] {
        let site = Site::of(bytes);
        let fixture = Fixture::new();
        expect_error(fixture.pull(&site.url("tiny.zip")), kind, &[text]);
        assert!(!fixture.path("evil").exists() && !fixture.path("home/evil").exists());
    }
}

#[test]
fn the_hash_in_an_address_is_checked() {
    let site = Site::of(gguf(1));
    let fixture = Fixture::new();
    let wrong = "0".repeat(64);
    let error = fixture.pull(&format!("{}#sha256={wrong}", site.url("x.gguf")));
    expect_error(error, StoreErrorKind::Corrupt, &[&wrong, &sha256(&gguf(1))]);
    let right = format!("{}#sha256={}", site.url("x.gguf"), sha256(&gguf(1)));
    fixture.pull(&right).unwrap();
}

#[test]
fn a_rest_is_continued_only_when_its_version_is_known() {
    let rest = "home/models/.staging/x/download/model.gguf.incomplete";
    let etag = format!("{rest}.etag");
    for (version, asked) in [
        (Some("v1"), Some(1000)),
        (Some("v0"), Some(1000)),
        (None, None),
    ] {
        let site = Site::of(gguf(1));
        let fixture = Fixture::new();
        // Of another version the rest is of no use, and the server says so.
        let left = gguf(if version == Some("v1") { 1 } else { 3 });
        write(&fixture.path(rest), &left[..1000]);
        if let Some(version) = version {
            write(&fixture.path(&etag), version);
        }
        let installed = fixture.pull(&site.url("x.gguf")).unwrap();
        assert!(fs::read(installed.folder.join("model.onnx")).unwrap() == gguf(1));
        assert_eq!(site.ranges(), [asked]);
    }
}

#[test]
fn a_file_that_could_not_be_used_is_not_fetched_again() {
    let bytes = noise(5, 100_000);
    let site = Site::of(bytes);
    let fixture = Fixture::new();
    for _ in 0..2 {
        expect_error(
            fixture.pull(&site.url("x.gguf")),
            StoreErrorKind::Convert,
            &["not a GGUF"],
        );
    }
    // The second time it is asked for what comes after its end.
    assert_eq!(site.ranges(), [None, None, Some(100_000)]);
}

#[test]
fn what_an_address_answers_is_said() {
    for (status, kind, text) in [
        (404, StoreErrorKind::NotFound, "is not there"),
        (403, StoreErrorKind::Login, "login"),
        (500, StoreErrorKind::Server, "failed (500)"),
    ] {
        let server = Server::start(move |_| Response::new(status, ""));
        let error = Fixture::new().pull(&format!("{}/x.gguf?key=secret", server.url()));
        expect_error(error, kind, &[text, "/x.gguf"]);
    }
}

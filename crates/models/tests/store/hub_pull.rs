//! Pulling from a hub that behaves.

use std::fs;

use inhouse_models::{Source, State, StoreErrorKind};

use super::fixture::{Fixture, expect_error, sample};
use super::hub::{FOLDER, Hub, REPO};

#[test]
fn a_folder_is_pulled_and_found_again() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    let installed = fixture.pull_sample().unwrap();

    assert_eq!(installed.name, "tiny-onnx");
    assert_eq!(installed.source.to_string(), sample());
    assert_eq!(installed.revision, Some(hub.state().commit.clone()));
    assert_eq!(installed.licence.as_deref(), Some("mit"));
    assert_eq!(installed.pulled_at, "2026-01-02T03:04:05Z");
    assert_eq!(installed.state, State::Ready);
    let names: Vec<_> = installed
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    let expected = [
        "genai_config.json",
        "model.onnx",
        "model.onnx.data",
        "tokenizer.json",
        "sub folder/a+b.txt",
    ];
    assert_eq!(names, expected);
    for file in &installed.files {
        let on_hub = hub.file(&format!("{FOLDER}/{}", file.path));
        assert_eq!(
            fs::read(installed.folder.join(&file.path)).unwrap(),
            on_hub.bytes
        );
        assert_eq!(file.sha256, on_hub.large.then(|| on_hub.id()));
    }

    let store = fixture.store();
    assert_eq!(store.resolve("Tiny-ONNX").unwrap(), installed.folder);
    assert_eq!(
        store.resolve(installed.folder.to_str().unwrap()).unwrap(),
        installed.folder
    );
    assert_eq!(store.list().unwrap(), std::slice::from_ref(&installed));
    assert_eq!(store.show("tiny-onnx").unwrap().installed, Some(installed));
}

#[test]
fn only_the_models_files_are_fetched_and_only_once() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    fixture.pull_sample().unwrap();
    let asked = hub.hub.requests().len();
    for request in hub.hub.requests() {
        assert!(!request.target.contains("README") && !request.target.contains("gpu"));
    }
    fixture.pull_sample().unwrap();
    fixture.pull("tiny-onnx").unwrap();
    assert_eq!(hub.hub.requests().len(), asked);
}

#[test]
fn the_listing_comes_in_pages() {
    let hub = Hub::start();
    hub.state().page = 2;
    let installed = Fixture::of(&hub).pull_sample().unwrap();
    assert_eq!(installed.files.len(), 5);
    assert_eq!(
        hub.hub
            .requests()
            .iter()
            .filter(|r| r.target.contains("cursor"))
            .count(),
        2
    );
}

#[test]
fn a_mirrors_pages_are_asked_of_the_mirror() {
    let hub = Hub::start();
    hub.state().token = Some("hf_secret".to_owned());
    hub.state().page = 2;
    hub.state().links_to = "http://127.0.0.1:9".to_owned();
    let installed = Fixture::of(&hub)
        .with_token("hf_secret")
        .pull_sample()
        .unwrap();
    assert_eq!(installed.files.len(), 5);
}

#[test]
fn progress_adds_up() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    let total = std::sync::atomic::AtomicU64::new(0);
    let plan = std::sync::atomic::AtomicU64::new(0);
    let sink = |event: &inhouse_models::Event<'_>| match event {
        inhouse_models::Event::Plan {
            bytes, present: 0, ..
        } => {
            plan.store(*bytes, std::sync::atomic::Ordering::SeqCst);
        }
        inhouse_models::Event::Bytes { count, .. } => {
            total.fetch_add(*count, std::sync::atomic::Ordering::SeqCst);
        }
        _ => {}
    };
    let installed = fixture.store().pull(&sample(), &sink).unwrap();
    assert_eq!(plan.into_inner(), installed.size);
    assert_eq!(total.into_inner(), installed.size);
}

#[test]
fn the_token_stays_with_the_hub() {
    for by_name in [false, true] {
        let hub = Hub::start();
        hub.state().token = Some("hf_secret".to_owned());
        if by_name {
            hub.redirect_by_name();
        }
        Fixture::of(&hub)
            .with_token("hf_secret")
            .pull_sample()
            .unwrap();
        for request in hub.hub.requests() {
            assert_eq!(request.header("authorization"), Some("Bearer hf_secret"));
        }
        assert_eq!(hub.transfers().len(), 2);
        for request in hub.transfers() {
            assert_eq!(request.header("authorization"), None);
        }
    }
}

#[test]
fn the_token_is_never_printed() {
    let fixture = Fixture::new().with_token("hf_secret");
    assert!(!format!("{:?}", fixture.options).contains("secret"));
}

#[test]
fn a_redirect_within_the_hub_keeps_the_token() {
    let hub = Hub::start();
    hub.state().token = Some("hf_secret".to_owned());
    let mut renamed = false;
    hub.trick("cpu/int4/tokenizer.json", move |request| {
        let target = request.target.clone();
        // Once, as a hub does for a repository that was renamed.
        (!std::mem::replace(&mut renamed, true))
            .then(|| super::server::Response::new(307, "").with("Location", target))
    });
    Fixture::of(&hub)
        .with_token("hf_secret")
        .pull_sample()
        .unwrap();
    assert_eq!(hub.hub.requests_for("tokenizer.json").len(), 2);
}

#[test]
fn revisions_are_followed() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    let commit = hub.state().commit.clone();
    let by_branch = fixture
        .pull(&format!("hf:{REPO}/{FOLDER}@refs/pr/1"))
        .unwrap();
    assert_eq!(by_branch.revision, Some(commit.clone()));
    let of_ref = fs::read_to_string(fixture.cache().join("refs/refs/pr/1")).unwrap();
    assert_eq!(of_ref, commit);
    let error = fixture.pull(&format!("hf:{REPO}/gpu@nosuch"));
    expect_error(error, StoreErrorKind::Conflict, &["--name"]);
}

#[test]
fn a_folder_that_is_not_there_is_answered_with_those_that_are() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    let nosuch = fixture.pull(&format!("hf:{REPO}/cpu/int8"));
    let texts = [
        "cpu/int8",
        "hf:tester/Tiny-onnx/cpu/int4",
        "hf:tester/Tiny-onnx/gpu",
    ];
    expect_error(nosuch, StoreErrorKind::NotFound, &texts);
    let several = fixture.pull(&format!("hf:{REPO}"));
    expect_error(
        several,
        StoreErrorKind::NotFound,
        &["several", texts[1], texts[2]],
    );
    // A folder above the only model in it will do.
    assert!(
        fixture
            .pull(&format!("hf:{REPO}/cpu"))
            .unwrap()
            .folder
            .ends_with("cpu/int4")
    );
}

#[test]
fn a_gguf_in_a_repository_is_converted() {
    let hub = Hub::start();
    let bytes = [b"GGUF".as_slice(), &super::hub::noise(9, 10_000)].concat();
    hub.change("gpu/model.onnx", &bytes, &"c0ffee00".repeat(5));
    hub.state()
        .files
        .iter_mut()
        .find(|file| file.path == "gpu/model.onnx")
        .unwrap()
        .path = "gguf/Tiny.Q4_0.gguf".to_owned();
    let fixture = Fixture::of(&hub);
    let installed = fixture
        .pull(&format!("hf:{REPO}/gguf/Tiny.Q4_0.gguf"))
        .unwrap();
    assert_eq!(installed.name, "tiny.q4_0");
    assert_eq!(installed.folder, fixture.path("home/models/tiny.q4_0"));
    assert_eq!(
        fs::read(installed.folder.join("model.onnx")).unwrap(),
        bytes
    );
    let from = installed.converted_from.unwrap();
    assert_eq!(
        (from.size, from.sha256),
        (bytes.len() as u64, Some(super::hub::sha256(&bytes)))
    );
    assert!(matches!(installed.source, Source::Hub { .. }));
    fixture
        .store()
        .remove("tiny.q4_0", &fixture.events)
        .unwrap();
    assert!(super::fixture::listing(&fixture.path("hub")).is_empty());
}

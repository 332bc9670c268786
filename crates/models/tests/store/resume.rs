//! Going on with what an earlier pull left.

use std::fs;
use std::path::PathBuf;

use inhouse_models::{Cancel, Event, StoreErrorKind};

use super::fixture::{Fixture, expect_error, listing, sample, write};
use super::hub::Hub;
use super::server::{Request, Response};

fn partial(hub: &Hub, fixture: &Fixture) -> PathBuf {
    fixture
        .cache()
        .join("blobs")
        .join(format!("{}.incomplete", hub.weights().id()))
}

/// Pulls with these bytes left of the weights, and returns the ranges that were asked for.
#[track_caller]
fn pull_with_left(hub: &Hub, fixture: &Fixture, left: &[u8]) -> Vec<Option<usize>> {
    write(&partial(hub, fixture), left);
    let installed = fixture.pull_sample().unwrap();
    let weights = hub.weights();
    assert!(fs::read(installed.folder.join("model.onnx.data")).unwrap() == weights.bytes);
    assert!(!partial(hub, fixture).exists());
    let requests = hub
        .transfers()
        .into_iter()
        .filter(|request| request.target.contains(&weights.id()));
    requests.map(|request| request.range_start()).collect()
}

#[test]
fn what_is_left_is_used() {
    for count in [1, 100_000, 299_999] {
        let hub = Hub::start();
        let left = hub.weights().bytes[..count].to_vec();
        let ranges = pull_with_left(&hub, &Fixture::of(&hub), &left);
        assert_eq!(ranges, [Some(count)]);
    }
}

#[test]
fn a_file_that_only_lacks_its_place_is_not_fetched_again() {
    let hub = Hub::start();
    let left = hub.weights().bytes;
    assert_eq!(pull_with_left(&hub, &Fixture::of(&hub), &left), []);
}

#[test]
fn damaged_remains_are_dropped() {
    let hub = Hub::start();
    let mut left = hub.weights().bytes[..100_000].to_vec();
    left[5] ^= 1;
    let fixture = Fixture::of(&hub);
    assert_eq!(pull_with_left(&hub, &fixture, &left), [Some(100_000), None]);
    assert_eq!(fixture.events.count("FileRestarted"), 1);

    let hub = Hub::start();
    let too_long = vec![0; 300_001];
    assert_eq!(pull_with_left(&hub, &Fixture::of(&hub), &too_long), [None]);
}

#[test]
fn a_server_without_ranges_starts_again() {
    let hub = Hub::start();
    let weights = hub.weights();
    hub.trick(&weights.id(), move |_| {
        Some(Response::new(200, weights.bytes.clone()))
    });
    let fixture = Fixture::of(&hub);
    let left = hub.weights().bytes[..100_000].to_vec();
    assert_eq!(pull_with_left(&hub, &fixture, &left), [Some(100_000)]);
    assert_eq!(fixture.events.count("sends it from the beginning"), 1);
}

#[test]
fn a_server_that_sends_another_range_is_not_believed() {
    let hub = Hub::start();
    let weights = hub.weights();
    hub.trick(&weights.id(), move |request| {
        let mut shifted = Response::file(&weights.bytes, "elsewhere-1", request);
        request.range_start()?;
        shifted.headers.retain(|(name, _)| name != "Content-Range");
        Some(shifted.with("Content-Range", "bytes 0-299999/300000"))
    });
    let left = hub.weights().bytes[..100_000].to_vec();
    let ranges = pull_with_left(&hub, &Fixture::of(&hub), &left);
    assert_eq!(ranges, [Some(100_000), None]);
}

#[test]
fn a_version_that_changes_on_the_way_starts_again() {
    // Servers that heed If-Range, and servers that do not.
    for heeds in [true, false] {
        let hub = Hub::start();
        let weights = hub.weights();
        let mut first = true;
        hub.trick(&weights.id(), move |request| {
            if std::mem::take(&mut first) {
                let answer = Response::file(&weights.bytes, "version-1", request);
                return Some(Response {
                    cut_after: Some(1000),
                    ..answer
                });
            }
            if heeds {
                return Some(Response::file(&weights.bytes, "version-2", request));
            }
            let start = request.range_start().unwrap_or(0);
            let answer = Response::new(if start > 0 { 206 } else { 200 }, &weights.bytes[start..]);
            let answer = answer.with("ETag", "\"version-2\"");
            Some(answer.with("Content-Range", format!("bytes {start}-299999/300000")))
        });
        let fixture = Fixture::of(&hub);
        let installed = fixture.pull_sample().unwrap();
        assert!(fs::read(installed.folder.join("model.onnx.data")).unwrap() == hub.weights().bytes);
        assert_eq!(fixture.events.count("FileRestarted"), 1, "{heeds}");
        assert_eq!(conditions(&hub)[1].as_deref(), Some("\"version-1\""));
    }
}

fn conditions(hub: &Hub) -> Vec<Option<String>> {
    let id = hub.weights().id();
    let requests = hub
        .transfers()
        .into_iter()
        .filter(|request| request.target.contains(&id));
    requests
        .map(|request: Request| request.header("if-range").map(str::to_owned))
        .collect()
}

#[test]
fn a_file_that_changes_on_the_hub_is_an_error() {
    let hub = Hub::start();
    let other = "ab".repeat(32);
    hub.trick("cpu/int4/model.onnx.data", move |request| {
        request.target.contains("resolve").then(|| {
            Response::new(302, "")
                .with("Location", "/x")
                .with("X-Linked-ETag", format!("\"{other}\""))
        })
    });
    hub.trick("/x", |_| Some(Response::new(200, "")));
    let error = Fixture::of(&hub).pull_sample();
    let texts = ["changed on the hub", &hub.weights().id(), &"ab".repeat(32)];
    expect_error(error, StoreErrorKind::Server, &texts);
}

#[test]
fn a_cancelled_pull_is_continued() {
    let hub = Hub::start();
    let weights = hub.weights();
    hub.trick(&weights.id(), move |request| {
        let answer = Response::file(&weights.bytes, "elsewhere-1", request);
        Some(Response {
            pace: Some((20_000, std::time::Duration::from_millis(2))),
            ..answer
        })
    });
    let fixture = Fixture::of(&hub);
    let mut options = fixture.options.clone();
    let cancel = Cancel::new();
    options.cancel = cancel.clone();
    let store = inhouse_models::Store::open(options).unwrap();
    let sink = |event: &Event<'_>| {
        if matches!(event, Event::Bytes { file, .. } if file.ends_with(".data")) {
            cancel.cancel();
        }
    };
    expect_error(
        store.pull(&sample(), &sink),
        StoreErrorKind::Cancelled,
        &["kept"],
    );
    assert!(store.list().unwrap().is_empty());
    let here = fs::metadata(partial(&hub, &fixture)).unwrap().len();
    assert!(here > 0 && here < 300_000);

    let installed = fixture.pull_sample().unwrap();
    assert!(fs::read(installed.folder.join("model.onnx.data")).unwrap() == hub.weights().bytes);
    let id = hub.weights().id();
    let last = hub
        .transfers()
        .into_iter()
        .rfind(|request| request.target.contains(&id))
        .unwrap();
    assert_eq!(last.range_start(), Some(usize::try_from(here).unwrap()));
    assert!(
        !listing(&fixture.path("home"))
            .iter()
            .any(|line| line.contains(".staging"))
    );
}

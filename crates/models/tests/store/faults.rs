//! A hub that is slow, cuts connections, is busy, or sends the wrong bytes.

use std::fs;
use std::time::Duration;

use inhouse_models::StoreErrorKind;

use super::fixture::{Fixture, expect_error, listing};
use super::hub::Hub;
use super::server::{Request, Response};

/// Answers the first `times` requests for the weights with `answer`, and then as usual.
fn trick_weights(
    hub: &Hub,
    times: usize,
    answer: impl Fn(&Request, Response) -> Response + Send + 'static,
) {
    let weights = hub.weights();
    let mut left = times;
    hub.trick(&weights.id(), move |request| {
        left = left.checked_sub(1)?;
        Some(answer(
            request,
            Response::file(&weights.bytes, "elsewhere-1", request),
        ))
    });
}

/// Pulls, and compares the weights with the hub's.
fn pull_whole(hub: &Hub, fixture: &Fixture) {
    let installed = fixture.pull_sample().unwrap();
    let bytes = fs::read(installed.folder.join("model.onnx.data")).unwrap();
    assert!(bytes == hub.weights().bytes);
}

fn ranges(hub: &Hub) -> Vec<Option<usize>> {
    hub.elsewhere
        .requests_for(&format!("{}?signature=secret", hub.weights().id()))
        .iter()
        .map(Request::range_start)
        .collect()
}

#[test]
fn a_cut_connection_goes_on_where_it_ended() {
    let hub = Hub::start();
    trick_weights(&hub, 3, |_, answer| Response {
        cut_after: Some(70_000),
        ..answer
    });
    let fixture = Fixture::of(&hub);
    pull_whole(&hub, &fixture);
    assert_eq!(
        ranges(&hub),
        [None, Some(70_000), Some(140_000), Some(210_000)]
    );
    assert_eq!(fixture.events.count("Retrying"), 3);
}

#[test]
fn a_connection_that_is_always_cut_is_given_up_and_what_came_is_kept() {
    let hub = Hub::start();
    trick_weights(&hub, 100, |_, answer| Response {
        cut_after: Some(10),
        ..answer
    });
    let fixture = Fixture::of(&hub);
    expect_error(
        fixture.pull_sample(),
        StoreErrorKind::Network,
        &["cut", "tried 4 times", "kept"],
    );
    let partial = fixture
        .cache()
        .join("blobs")
        .join(format!("{}.incomplete", hub.weights().id()));
    assert_eq!(fs::read(partial).unwrap(), hub.weights().bytes[..40]);
    // 1 + 2 + 4 seconds.
    assert_eq!(fixture.slept(), Duration::from_secs(7));
}

#[test]
fn a_slow_connection_is_waited_for() {
    let hub = Hub::start();
    // Longer than a stall in all, but never still for as long.
    trick_weights(&hub, 1, |_, answer| Response {
        pace: Some((10_000, Duration::from_millis(40))),
        ..answer
    });
    let mut fixture = Fixture::of(&hub);
    fixture.options.retry.stall = Duration::from_secs(1);
    pull_whole(&hub, &fixture);
    assert_eq!(ranges(&hub), [None]);
}

#[test]
fn a_connection_that_stands_still_is_given_up() {
    let hub = Hub::start();
    trick_weights(&hub, 1, |_, answer| Response {
        stall_after: Some(50_000),
        ..answer
    });
    let mut fixture = Fixture::of(&hub);
    fixture.options.retry.stall = Duration::from_secs(1);
    pull_whole(&hub, &fixture);
    assert_eq!(ranges(&hub), [None, Some(50_000)]);
    assert_eq!(fixture.events.count("no answer for 1s"), 1);
}

#[test]
fn a_busy_server_is_left_alone_for_as_long_as_it_says() {
    // 90 seconds after the machine's clock.
    for wait in ["90", "Fri, 02 Jan 2026 03:05:35 GMT"] {
        let hub = Hub::start();
        trick_weights(&hub, 1, move |_, _| {
            Response::new(429, "").with("Retry-After", wait)
        });
        let fixture = Fixture::of(&hub);
        pull_whole(&hub, &fixture);
        assert_eq!(fixture.slept(), Duration::from_secs(90), "{wait}");
    }
}

#[test]
fn a_server_that_asks_for_too_long_a_wait_gets_the_longest() {
    let hub = Hub::start();
    let mut first = true;
    hub.trick("revision/main", move |_| {
        std::mem::take(&mut first).then(|| Response::new(429, "").with("Retry-After", "86400"))
    });
    let fixture = Fixture::of(&hub);
    pull_whole(&hub, &fixture);
    assert_eq!(fixture.slept(), fixture.options.retry.longest_wait);
}

#[test]
fn a_server_that_fails_is_asked_again() {
    let hub = Hub::start();
    let mut left = 2;
    hub.trick(
        "tree/5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e/cpu/int4",
        move |_| {
            left = usize::checked_sub(left, 1)?;
            Some(Response::new(503, ""))
        },
    );
    trick_weights(&hub, 2, |_, _| Response::new(500, ""));
    pull_whole(&hub, &Fixture::of(&hub));

    let hub = Hub::start();
    trick_weights(&hub, 100, |_, _| Response::new(502, ""));
    let error = Fixture::of(&hub).pull_sample();
    expect_error(
        error,
        StoreErrorKind::Server,
        &["model.onnx.data", "502", "tried 4 times"],
    );
}

#[test]
fn a_machine_that_is_not_there_is_an_error_that_says_so() {
    let fixture = Fixture::new();
    expect_error(
        fixture.pull_sample(),
        StoreErrorKind::Network,
        &["127.0.0.1:9", "tried 4 times"],
    );
}

#[test]
fn a_signature_that_ran_out_is_asked_for_again() {
    let hub = Hub::start();
    trick_weights(&hub, 2, |_, _| Response::new(403, "expired"));
    let fixture = Fixture::of(&hub);
    pull_whole(&hub, &fixture);
    let asked = hub.hub.requests_for("cpu/int4/model.onnx.data");
    assert_eq!(asked.len(), 3);

    let hub = Hub::start();
    trick_weights(&hub, 100, |_, _| Response::new(404, ""));
    let error = Fixture::of(&hub).pull_sample();
    expect_error(
        error,
        StoreErrorKind::Server,
        &[&hub.elsewhere.url(), "refused (404)", "tried 4 times"],
    );
}

#[test]
fn wrong_bytes_are_removed_and_both_hashes_named() {
    let hub = Hub::start();
    let wrong = super::hub::noise(7, hub.weights().bytes.len());
    let found = super::hub::sha256(&wrong);
    trick_weights(&hub, 100, move |request, _| {
        Response::file(&wrong, "elsewhere-1", request)
    });
    let fixture = Fixture::of(&hub);
    let id = hub.weights().id();
    expect_error(
        fixture.pull_sample(),
        StoreErrorKind::Corrupt,
        &["model.onnx.data", &id, &found],
    );
    let left = listing(&fixture.cache());
    assert!(!left.iter().any(|line| line.contains(&id)), "{left:?}");
    assert!(fixture.store().list().unwrap().is_empty());
}

#[test]
fn a_small_file_is_checked_too() {
    let hub = Hub::start();
    hub.trick(
        "resolve/5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e/cpu/int4/tokenizer.json",
        |request| Some(Response::file(b"[]\n", "no-hash", request)),
    );
    let error = Fixture::of(&hub).pull_sample();
    expect_error(
        error,
        StoreErrorKind::Corrupt,
        &["tokenizer.json", "git blob sha1"],
    );
}

#[test]
fn another_size_than_listed_is_refused() {
    for size in [299_999, 300_001] {
        let hub = Hub::start();
        let other = super::hub::noise(2, size);
        trick_weights(&hub, 100, move |request, _| {
            Response::file(&other, "elsewhere-1", request)
        });
        let error = Fixture::of(&hub).pull_sample();
        expect_error(
            error,
            StoreErrorKind::Server,
            &["300000 bytes", &size.to_string()],
        );
    }
}

#[test]
fn redirects_end_somewhere() {
    let hub = Hub::start();
    hub.trick("revision/main", |request| {
        Some(Response::new(302, "").with("Location", request.target.clone()))
    });
    let error = Fixture::of(&hub).pull_sample();
    expect_error(error, StoreErrorKind::Server, &["redirects in a row"]);
    hub.trick("revision/main", |_| {
        Some(Response::new(302, "").with("Location", "ftp://x/y"))
    });
    let error = Fixture::of(&hub).pull_sample();
    expect_error(error, StoreErrorKind::Server, &["redirects to nowhere"]);
}

//! Several pulls at once.

use std::collections::HashMap;
use std::time::Duration;

use super::fixture::{Fixture, sample};
use super::hub::Hub;
use super::server::Response;

#[test]
fn two_pulls_of_one_model_fetch_it_once() {
    let hub = Hub::start();
    let weights = hub.weights();
    hub.trick(&weights.id(), move |request| {
        let answer = Response::file(&weights.bytes, "elsewhere-1", request);
        Some(Response {
            pace: Some((30_000, Duration::from_millis(5))),
            ..answer
        })
    });
    let fixture = Fixture::of(&hub);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            // A store each, as three processes would have.
            scope.spawn(|| fixture.store().pull(&sample(), &fixture.events).unwrap());
        }
    });
    let mut counts = HashMap::new();
    for request in hub.transfers().iter().chain(&hub.hub.requests()) {
        *counts.entry(request.target.clone()).or_insert(0) += 1;
    }
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
}

#[test]
fn two_names_of_one_repository_share_its_files() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    std::thread::scope(|scope| {
        for name in ["one", "two"] {
            let fixture = &fixture;
            scope.spawn(move || {
                let request = inhouse_models::PullRequest {
                    what: sample(),
                    name: Some(name.to_owned()),
                    again: false,
                };
                fixture.store().pull_as(&request, &fixture.events).unwrap();
            });
        }
    });
    assert_eq!(hub.transfers().len(), 2);
    let names: Vec<_> = fixture
        .store()
        .list()
        .unwrap()
        .into_iter()
        .map(|model| model.name)
        .collect();
    assert_eq!(names, ["one", "two"]);
}

#[test]
fn a_file_that_fails_ends_the_others() {
    let hub = Hub::start();
    let weights = hub.weights();
    hub.trick(&weights.id(), move |request| {
        let answer = Response::file(&weights.bytes, "elsewhere-1", request);
        // Two minutes, if nobody ended it.
        Some(Response {
            pace: Some((1000, Duration::from_millis(400))),
            ..answer
        })
    });
    hub.trick("cpu/int4/tokenizer.json", |request| {
        request
            .target
            .contains("resolve")
            .then(|| Response::new(404, ""))
    });
    let error = Fixture::of(&hub).pull_sample();
    super::fixture::expect_error(
        error,
        inhouse_models::StoreErrorKind::NotFound,
        &["tokenizer.json"],
    );
}

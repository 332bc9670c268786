//! Disks that are full, or become so.

use std::fs;
use std::sync::atomic::Ordering;

use inhouse_models::StoreErrorKind;

use super::fixture::{Fixture, expect_error, listing};
use super::hub::Hub;

#[test]
fn room_is_asked_for_before_the_first_byte() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    fixture.machine.free.store(200_000, Ordering::SeqCst);
    let place = fixture.path("hub").display().to_string();
    let texts = ["305 kB needed", "200 kB free", &place, "free 105 kB"];
    expect_error(fixture.pull_sample(), StoreErrorKind::NoSpace, &texts);
    assert!(hub.transfers().is_empty());
    assert!(listing(&fixture.path("hub")).is_empty());
}

#[test]
fn what_is_here_needs_no_room() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    let weights = hub.weights();
    let partial = fixture
        .cache()
        .join("blobs")
        .join(format!("{}.incomplete", weights.id()));
    super::fixture::write(&partial, &weights.bytes[..200_000]);
    fixture.machine.free.store(110_000, Ordering::SeqCst);
    fixture.pull_sample().unwrap();
}

#[test]
fn a_conversion_needs_room_too() {
    let fixture = Fixture::new();
    let file = fixture.path("x.gguf");
    super::fixture::write(&file, [b"GGUF".as_slice(), &[0; 1000]].concat());
    fixture.machine.free.store(1000, Ordering::SeqCst);
    expect_error(
        fixture.pull(file.to_str().unwrap()),
        StoreErrorKind::NoSpace,
        &["needed", "1.00 kB free"],
    );
}

#[test]
fn a_disk_that_becomes_full_is_an_error_and_what_came_is_used() {
    let hub = Hub::start();
    let mut fixture = Fixture::of(&hub);
    fixture.options.parallel = 1;
    // The weights are first, for they are the largest.
    fixture.machine.room.store(120_000, Ordering::SeqCst);
    expect_error(
        fixture.pull_sample(),
        StoreErrorKind::NoSpace,
        &["disk is full", "kept"],
    );
    let partial = fixture
        .cache()
        .join("blobs")
        .join(format!("{}.incomplete", hub.weights().id()));
    assert_eq!(fs::metadata(&partial).unwrap().len(), 120_000);

    fixture.machine.room.store(u64::MAX / 4, Ordering::SeqCst);
    let installed = fixture.pull_sample().unwrap();
    assert!(fs::read(installed.folder.join("model.onnx.data")).unwrap() == hub.weights().bytes);
    let ranges: Vec<_> = hub
        .transfers()
        .iter()
        .map(|request| request.range_start())
        .collect();
    assert!(ranges.contains(&Some(120_000)), "{ranges:?}");
}

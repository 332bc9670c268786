//! The hub's cache as its Python library writes it: `data/hub-cache.txt` was recorded from `snapshot_download` of the
//! same folder of the same repository, served by this test's hub, with `huggingface_hub` 0.36. Version 2.4 adds
//! `CACHEDIR.TAG` and `trees/<commit>.json`; both find what this store writes with `local_files_only`.
#![cfg(unix)]

use super::fixture::{Fixture, listing};
use super::hub::Hub;

#[test]
fn the_cache_is_as_the_python_library_writes_it() {
    let hub = Hub::start();
    let fixture = Fixture::of(&hub);
    fixture.pull_sample().unwrap();
    let recorded: Vec<_> = include_str!("../data/hub-cache.txt").lines().collect();
    assert_eq!(listing(&fixture.path("hub")), recorded);
}

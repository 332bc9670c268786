//! Libraries that cannot be loaded. What can be is tried where there is one to load.

use std::{fs, path::Path, sync::Arc};

use ort::LoadDynamicError;

#[cfg(target_os = "linux")]
use super::elf;
use super::{Os, Search, open, refusal};

fn search(folder: &Path) -> Search {
    Search {
        configured: None,
        dylib_path: None,
        runtimes: Some(folder.join("runtimes")),
        wanted: Vec::new(),
        python: vec![folder.join("python")],
        node_of_project: Vec::new(),
        node: Vec::new(),
        system: Vec::new(),
        current_dir: folder.to_path_buf(),
        others: None,
        is_official: Arc::new(|_| false),
        os: Os::HERE,
    }
}

/// What is said when this search loads.
fn said_of(search: &Search) -> String {
    match open(search) {
        Ok((candidate, _)) => panic!("{candidate:?} was opened"),
        Err(error) => error.to_string(),
    }
}

fn check_named(name: &str, content: Option<&[u8]>, expected: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    if let Some(content) = content {
        fs::write(&path, content).expect("written");
    }
    let mut search = search(folder.path());
    search.dylib_path = Some(path);
    let said = said_of(&search);
    assert!(said.starts_with("ORT_DYLIB_PATH names "), "{said}");
    assert!(said.contains(expected), "{said}");
}

#[test]
fn a_named_file_that_does_not_work_is_an_error() {
    check_named("libonnxruntime.so.1.31.1", None, "which does not exist");
    check_named(
        "libonnxruntime.so.1.31.1",
        Some(b"just text"),
        "which is not a library of this system",
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_named_file_that_only_looks_right_is_an_error() {
    check_named(
        "libonnxruntime.so.1.21.0",
        Some(b"\x7fELF"),
        "which is ONNX Runtime 1.21.0, and 1.22 or newer is needed; `inhouse runtime install` fetches one",
    );
    check_named(
        "libonnxruntime.so.1.31.1",
        Some(&elf::sample(5000, 4096)),
        "which is cut off",
    );
}

/// Errors of opening are made here, not had: a process that has a library opens no other.
#[test]
fn what_is_wrong_with_a_library_follows_on_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("libonnxruntime.so.1.31.1");
    fs::write(&path, "\x7fELF and nothing more").expect("written");
    let error = ort::util::preload_dylib(&path).expect_err("it is none");
    let dlopen = refusal(LoadDynamicError::Dlopen {
        error,
        path: path.clone(),
    });
    assert!(dlopen.starts_with("cannot be loaded: "), "{dlopen}");
    if Os::HERE == Os::Linux {
        assert!(!dlopen.contains("libonnxruntime"), "{dlopen}");
    }
    let version_str = "1.9.0".to_owned();
    let old = refusal(LoadDynamicError::BadVersion {
        version_str,
        path: path.clone(),
    });
    assert!(
        old.starts_with("is ONNX Runtime 1.9.0, and 1.22 or newer is needed"),
        "{old}"
    );
    let other = refusal(LoadDynamicError::MissingApi { path });
    assert!(other.starts_with("is not ONNX Runtime"), "{other}");
}

#[test]
fn where_nothing_is_found_the_error_says_where_was_looked_and_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = said_of(&search(folder.path()));
    for part in [
        "runtimes",
        "Python packages",
        "inhouse runtime install",
        "ORT_DYLIB_PATH",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("Node packages"), "{said}");
}

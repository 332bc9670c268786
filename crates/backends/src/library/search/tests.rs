//! Made-up folders with files that are named and begin like libraries.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Search, others};
use crate::library::{
    folders::{Os, node_of_project},
    place::Verdict,
    trust,
};
use crate::provider::ExecutionProvider;

/// A machine: `home` is inhouse's folder, `work/inner` the current one, a stranger's.
struct Machine {
    root: tempfile::TempDir,
    search: Search,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let at = |name: &str| root.path().join(name);
        let work = at("work/inner");
        fs::create_dir_all(&work).expect("made");
        let search = Search {
            configured: None,
            dylib_path: None,
            runtimes: Some(at("home/runtimes")),
            wanted: Vec::new(),
            python: vec![
                at("usr/lib/python3.11/site-packages"),
                at("work/inner/.venv"),
            ],
            node_of_project: node_of_project(&work),
            node: vec![at("usr/lib/node_modules")],
            system: vec![at("usr/lib")],
            others: Some(work.clone()),
            current_dir: work,
            is_official: Arc::new(|_| false),
            os: Os::Linux,
        };
        Self { root, search }
    }

    /// Puts a file there; its content is its own name, so that no two have the same hash.
    fn put(&self, name: &str) -> PathBuf {
        let path = self.root.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, format!("\x7fELF {name}")).expect("written");
        path
    }

    fn officials(&mut self, files: &[&Path]) {
        let hashes: Vec<String> = files
            .iter()
            .map(|path| trust::sha256(path).expect("read"))
            .collect();
        self.search.is_official = Arc::new(move |hash| hashes.iter().any(|known| known == hash));
    }

    /// What is found: place, path below the root, version, and what is thought of it.
    fn found(&self) -> Vec<String> {
        let root = self.root.path().canonicalize().expect("the root");
        let line = |candidate: super::Candidate| {
            let path = candidate.path.strip_prefix(&root);
            let path = path.unwrap_or(&candidate.path).display().to_string();
            let version = candidate.version.map_or("?".to_owned(), |v| v.to_string());
            let verdict = match candidate.verdict {
                Verdict::Usable => "usable",
                Verdict::TooOld(_) => "too old",
                Verdict::Untrusted { .. } => "untrusted",
                Verdict::Missing => "missing",
                Verdict::Broken(_) => "broken",
            };
            format!("{} | {path} | {version} | {verdict}", candidate.place)
        };
        self.search.find().into_iter().map(line).collect()
    }

    /// What is thought of each, alone.
    fn verdicts(&self) -> Vec<String> {
        let last = |line: &String| line.rsplit(" | ").next().unwrap_or_default().to_owned();
        self.found().iter().map(last).collect()
    }
}

const NODE: &str = "onnxruntime-node/bin/napi-v6/linux";

fn processor() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "x64"
    }
}

#[test]
fn places_come_in_their_order() {
    let mut machine = Machine::new();
    for name in [
        "usr/lib/libonnxruntime.so.1.24.0",
        "usr/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.23.2",
        "home/runtimes/cpu/libonnxruntime.so.1.31.1",
        "home/runtimes/cuda/libonnxruntime.so.1.30.0",
        "opt/libonnxruntime.so.1.22.0",
        "elsewhere/lib/libonnxruntime.so.1.25.1",
    ] {
        machine.put(name);
    }
    let node = format!(
        "usr/lib/node_modules/{NODE}/{}/libonnxruntime.so.1",
        processor()
    );
    machine.put(&node);
    let root = machine.root.path().to_path_buf();
    machine.search.dylib_path = Some(root.join("opt/libonnxruntime.so.1.22.0"));
    machine.search.configured = Some("../../elsewhere".into());
    let node = format!("a Node package | {node} | ? | usable");
    assert_eq!(
        machine.found(),
        [
            "runtimeLibrary or --ort-library | elsewhere/lib/libonnxruntime.so.1.25.1 | 1.25.1 | usable",
            "ORT_DYLIB_PATH | opt/libonnxruntime.so.1.22.0 | 1.22.0 | usable",
            "inhouse's runtimes (cuda) | home/runtimes/cuda/libonnxruntime.so.1.30.0 | 1.30.0 | usable",
            "inhouse's runtimes (cpu) | home/runtimes/cpu/libonnxruntime.so.1.31.1 | 1.31.1 | usable",
            "a Python package | usr/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.23.2 \
             | 1.23.2 | usable",
            &node,
            "the system | usr/lib/libonnxruntime.so.1.24.0 | 1.24.0 | usable",
        ]
    );
    let named = machine.search.named().expect("named");
    assert!(named.path.ends_with("libonnxruntime.so.1.25.1"));
}

/// Where the first library lies, of two of our own, a Python's with CUDA and one with OpenVINO.
fn check_wanted(wanted: &[ExecutionProvider], expected: &str) {
    let mut machine = Machine::new();
    for name in [
        "home/runtimes/cpu/libonnxruntime.so.1.31.1",
        "home/runtimes/cuda/libonnxruntime.so.1.30.0",
        "home/runtimes/cuda/libonnxruntime_providers_cuda.so",
        "usr/lib/libonnxruntime.so.1.24.0",
        "usr/lib/libonnxruntime_providers_cuda.so",
        "usr/lib/libonnxruntime_providers_openvino.so",
    ] {
        machine.put(name);
    }
    machine.search.wanted = wanted.to_vec();
    let found = machine.found();
    assert!(
        found[0].contains(&format!(" | {expected}")),
        "{wanted:?}: {found:?}"
    );
    assert_eq!(found.len(), 3, "{found:?}");
    // What was named is not given up for it.
    machine.search.dylib_path = Some(machine.put("opt/libonnxruntime.so.1.23.0"));
    assert!(machine.found()[0].starts_with("ORT_DYLIB_PATH"));
}

#[test]
fn a_library_that_has_what_is_wanted_goes_first() {
    use ExecutionProvider::{Cpu, Cuda, DirectMl, OpenVino, WebGpu};
    check_wanted(&[], "home/runtimes/cuda/");
    check_wanted(&[Cpu], "home/runtimes/cpu/");
    check_wanted(&[Cuda], "home/runtimes/cuda/");
    check_wanted(&[Cuda, Cpu], "home/runtimes/cuda/");
    check_wanted(&[WebGpu, Cpu], "home/runtimes/cpu/");
    check_wanted(&[WebGpu, Cuda], "home/runtimes/cuda/");
    check_wanted(&[OpenVino, Cuda], "usr/lib/");
    check_wanted(&[DirectMl], "home/runtimes/cpu/");
}

#[test]
fn a_folder_gives_its_newest_first_and_each_file_once() {
    let machine = Machine::new();
    machine.put("usr/lib/libonnxruntime.so.1.9.0");
    let newest = machine.put("usr/lib/libonnxruntime.so.1.31.1");
    machine.put("usr/lib/libonnxruntime.so.1.22.1");
    machine.put("usr/lib/libonnxruntime_providers_shared.so");
    #[cfg(unix)]
    for name in ["usr/lib/libonnxruntime.so", "usr/lib/libonnxruntime.so.1"] {
        std::os::unix::fs::symlink(&newest, machine.root.path().join(name)).expect("linked");
    }
    assert!(newest.exists());
    assert_eq!(
        machine.found(),
        [
            "the system | usr/lib/libonnxruntime.so.1.31.1 | 1.31.1 | usable",
            "the system | usr/lib/libonnxruntime.so.1.22.1 | 1.22.1 | usable",
            "the system | usr/lib/libonnxruntime.so.1.9.0 | 1.9.0 | too old",
        ]
    );
}

#[test]
fn what_the_current_folder_brings_is_run_only_if_official() {
    let mut machine = Machine::new();
    let node = |file: &str| format!("work/node_modules/{NODE}/{}/{file}", processor());
    let library = machine.put(&node("libonnxruntime.so.1"));
    let venv = machine.put("work/inner/.venv/onnxruntime/capi/libonnxruntime.so.1.31.1");
    assert_eq!(machine.verdicts(), ["untrusted", "untrusted"]);

    machine.officials(&[&library, &venv]);
    assert_eq!(machine.verdicts(), ["usable", "usable"]);

    // Python's own module lies beside it, and no loader asks for that.
    machine.put("work/inner/.venv/onnxruntime/capi/onnxruntime_pybind11_state.so");
    assert_eq!(machine.verdicts(), ["usable", "usable"]);
    // This one it would ask for.
    let planted = machine.put(&node("glibc-hwcaps/x86-64-v3/libstdc++.so.6"));
    assert_eq!(machine.verdicts(), ["usable", "untrusted"]);
    machine.officials(&[&library, &venv, &planted]);
    assert_eq!(machine.verdicts(), ["usable", "usable"]);

    // What the user names is the user's word.
    machine.officials(&[]);
    machine.search.dylib_path = Some(library);
    assert_eq!(machine.verdicts(), ["usable", "untrusted"]);
}

#[test]
fn named_files_that_cannot_be_used_are_listed_with_the_reason() {
    let check = |name: &str, reason: &str| {
        let mut machine = Machine::new();
        machine.put("opt/libonnxruntime.so.1.21.0");
        machine.put("opt/libonnxruntime_providers_cuda.so");
        fs::create_dir_all(machine.root.path().join("opt/empty")).expect("made");
        fs::write(
            machine.root.path().join("opt/libonnxruntime.so.1.31.1"),
            "text",
        )
        .expect("written");
        machine.search.configured = Some(machine.root.path().join(name));
        let found = machine.search.named().expect("it is listed");
        let verdict = found.verdict.to_string();
        assert!(verdict.contains(reason), "{name}: {verdict}");
    };
    check("opt/none.so", "does not exist");
    check(
        "opt/libonnxruntime_providers_cuda.so",
        "is a companion of ONNX Runtime's library",
    );
    check("opt/empty", "is a folder without ONNX Runtime's library");
    check(
        "opt/libonnxruntime.so.1.31.1",
        "is not a library of this system",
    );
    check(
        "opt/libonnxruntime.so.1.21.0",
        "is ONNX Runtime 1.21.0, and 1.22 or newer is needed; `inhouse runtime install` fetches one",
    );
}

#[test]
fn the_users_own_home_is_nobody_elses() {
    let root = tempfile::tempdir().expect("a folder");
    let root = root.path().canonicalize().expect("the folder");
    let home = root.join("home/me");
    fs::create_dir_all(home.join("cloned")).expect("made");
    let is_others = |current: &Path| others(current, Some(&home)).is_some();
    assert!(is_others(&home.join("cloned")));
    assert!(!is_others(&home));
    assert!(!is_others(&root));
    assert!(others(Path::new("/"), None).is_none());
    assert!(others(&root, None).is_some());
}

#[test]
fn variables_add_folders_but_never_relative_ones() {
    let root = tempfile::tempdir().expect("a folder");
    let at = |name: &str| root.path().join(name);
    for folder in [
        "venv/lib/python3.9",
        "venv/lib/python3.11",
        "own/bin",
        "own/lib/python3.12",
    ] {
        fs::create_dir_all(at(folder)).expect("made");
    }
    fs::write(at("own/bin/python3"), "").expect("written");
    let path = std::env::join_paths(["relative".into(), PathBuf::new(), at("own/bin")]);
    let path = path.expect("joined");
    let env = |name: &str| match name {
        "VIRTUAL_ENV" => Some(at("venv").into_os_string()),
        "CONDA_PREFIX" => Some("relative".into()),
        "PATH" | "LD_LIBRARY_PATH" | "NODE_PATH" => Some(path.clone()),
        "ORT_DYLIB_PATH" => Some("".into()),
        _ => None,
    };
    let search = Search::from_env(&env, &at("home"), &at("work"));
    assert_eq!(search.dylib_path, None);
    assert_eq!(search.runtimes, Some(at("home/runtimes")));
    for folders in [
        &search.python,
        &search.node,
        &search.system,
        &search.node_of_project,
    ] {
        assert!(folders.iter().all(|path| path.is_absolute()), "{folders:?}");
    }
    if Os::HERE == Os::Linux {
        assert_eq!(search.python[0], at("venv/lib/python3.11/site-packages"));
        assert!(
            search
                .python
                .contains(&at("own/lib/python3.12/dist-packages"))
        );
        assert!(search.system.contains(&at("own/bin")));
    }
}

#[test]
fn each_system_names_its_libraries_its_own_way() {
    for (os, name, expected) in [
        (Os::Linux, "libonnxruntime.so", true),
        (Os::Linux, "libonnxruntime.so.1", true),
        (Os::Linux, "libonnxruntime.so.1.31.1", true),
        (Os::Linux, "libonnxruntime.so.1.31.1.dbg", false),
        (Os::Linux, "libonnxruntime_providers_cuda.so", false),
        (Os::Linux, "onnxruntime.dll", false),
        (Os::MacOs, "libonnxruntime.dylib", true),
        (Os::MacOs, "libonnxruntime.1.30.0.dylib", true),
        (Os::MacOs, "libonnxruntime_extensions.dylib", false),
        (Os::Windows, "onnxruntime.dll", true),
        (Os::Windows, "ONNXRuntime.DLL", true),
        (Os::Windows, "onnxruntime_providers_shared.dll", false),
    ] {
        assert_eq!(os.is_library(name), expected, "{name}");
    }
}

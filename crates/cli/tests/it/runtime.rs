//! ONNX Runtime's libraries: one really fetched, once for a target folder, and what is said where that cannot be.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use inhouse_models::{Flavour, Platform, RuntimeCatalog};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{User, keys, zoo};

/// A home with the cpu runtime in it, for whoever needs ONNX Runtime: it is fetched by the program itself, once for a
/// target folder. It is the home of the default model's tests too.
pub(crate) fn runtime_home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| installed("home", "cpu"))
}

/// A home with the WebGPU plugin too, apart from the others': what they see of a machine has none.
fn webgpu_home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| installed("webgpu-home", "webgpu"))
}

fn installed(home: &str, flavour: &str) -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(home);
    // In the environment that the tests have, as pip needs what is set up there.
    let output = assert_cmd::cargo::cargo_bin_cmd!("inhouse")
        .args(["runtime", "install", flavour, "--json"])
        .env("INHOUSE_HOME", &home)
        .env_remove("INHOUSE_OFFLINE")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    home
}

/// What this user's runtimes are, in the real home.
fn listed(user: &User, home: &Path) -> Value {
    let home = home.to_str().unwrap();
    user.json(&["runtime", "list", "--json", "--home", home])
}

#[test]
fn the_cpu_runtime_is_installed_as_it_is_pinned() {
    let home = runtime_home();
    let user = User::new();
    let listing = listed(&user, home);
    assert_eq!(
        keys(&listing),
        ["folder", "platform", "installed", "available"]
    );
    let runtime = &listing["installed"][0];
    assert_eq!(
        keys(runtime),
        [
            "flavour",
            "package",
            "version",
            "installed_at",
            "folder",
            "library",
            "files",
            "size",
            "state"
        ]
    );
    assert_eq!(
        (&runtime["flavour"], &runtime["state"]),
        (&json!("cpu"), &json!("ready"))
    );
    let catalog = RuntimeCatalog::builtin();
    let platform = Platform::here();
    let mut packages = catalog.packages_of(Flavour::Cpu, &platform);
    let package = packages
        .find(|package| runtime["package"] == package.package)
        .unwrap();
    let folder = home.join("runtimes/cpu");
    let library = folder.join(package.library());
    assert_eq!(runtime["library"], json!(library));
    let files = runtime["files"].as_array().unwrap();
    assert_eq!(files.len(), package.files.len());
    for (file, pinned) in files.iter().zip(&package.files) {
        assert_eq!(file["sha256"], pinned.sha256);
        let path = folder.join(file["path"].as_str().unwrap());
        assert_eq!(fs::metadata(path).unwrap().len(), pinned.size);
    }

    // It is here, so nothing is fetched.
    let again = user.json(&[
        "runtime",
        "install",
        "--json",
        "--home",
        home.to_str().unwrap(),
    ]);
    assert_eq!(
        (&again[0]["change"], &again[0]["flavour"]),
        (&json!("none"), &json!("cpu"))
    );
}

/// The plugin lists a device only for a physical card with a driver, so what is right depends on the machine.
#[test]
fn the_webgpu_plugin_computes_on_a_card_or_says_what_is_missing() {
    let home = webgpu_home().to_str().unwrap();
    let user = User::new();
    let listing = listed(&user, webgpu_home());
    let flavours: Vec<_> = listing["installed"].as_array().unwrap().iter().collect();
    let named = |name: &str| {
        flavours
            .iter()
            .any(|here| here["flavour"] == name && here["state"] == "ready")
    };
    assert!(named("cpu") && named("webgpu"), "{listing}");

    let doctor = user.json(&["doctor", "--json", "--home", home]);
    let providers = doctor["onnxruntime"]["providers"].as_array().unwrap();
    let webgpu = providers
        .iter()
        .find(|provider| provider["name"] == "webgpu")
        .unwrap();
    let folder = zoo("llama-fp32");
    let folder = folder.to_str().unwrap();
    let verify = [
        "verify",
        folder,
        "--backend",
        "onnxruntime",
        "--ep",
        "webgpu",
        "--home",
        home,
    ];
    let shown = user.run(&verify);
    if webgpu["works"] == true {
        assert!(shown.contains("on webgpu"), "{shown}");
        return;
    }
    let problem = webgpu["problem"].as_str().unwrap();
    assert!(
        problem.contains("graphics card") || problem.contains("adapter"),
        "{problem}"
    );
    assert!(
        webgpu["advice"]
            .as_str()
            .is_some_and(|advice| !advice.is_empty()),
        "{webgpu}"
    );
    assert!(shown.starts_with("status: 1\n"), "{shown}");
    assert!(
        shown.contains("webgpu cannot be used: ") && shown.contains(problem),
        "{shown}"
    );
}

#[test]
fn a_changed_library_is_told() {
    let from = runtime_home().join("runtimes/cpu");
    let user = User::new();
    let to = user.path("home/runtimes/cpu");
    fs::create_dir_all(&to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    let listing = user.json(&["runtime", "list", "--json"]);
    assert_eq!(listing["installed"][0]["state"], "ready");

    let library = listing["installed"][0]["library"].as_str().unwrap();
    let mut bytes = fs::read(library).unwrap();
    bytes[1000] ^= 1;
    fs::write(library, bytes).unwrap();
    let shown = user.run(&["runtime", "list"]);
    assert!(
        shown.contains("damaged: ") && shown.contains(" was changed"),
        "{shown}"
    );
    let mended = user.run(&["runtime", "install", "cpu"]);
    assert!(
        mended.contains("error: the cpu runtime is damaged, and the network"),
        "{mended}"
    );

    let removed = user.run(&["runtime", "remove", "cpu"]);
    assert!(removed.contains("\ncpu is removed, "), "{removed}");
    assert!(!to.exists());
}

#[test]
fn nothing_here_says_what_there_is() {
    let user = User::new();
    let shown = user.run(&["runtime", "list"]);
    assert!(
        shown.starts_with("status: 0\n----- stdout\nno runtimes are here yet\n\nto install"),
        "{shown}"
    );
    let listing = user.json(&["runtime", "list", "--json"]);
    assert_eq!(listing["installed"], json!([]));
    assert_eq!(listing["available"][0]["flavour"], "cpu");

    let offline = user.run(&["runtime", "install"]);
    for part in [
        "status: 1",
        "`inhouse runtime install cpu` once without --offline",
        "ORT_DYLIB_PATH",
    ] {
        assert!(offline.contains(part), "{offline}");
    }
    assert_snapshot!(user.run(&["runtime", "remove", "cpu"]), @r#"
    status: 1
    ----- stdout
    ----- stderr
    error: there is no runtime "cpu" here; here: none
    "#);
}

#[test]
fn flavours_are_known_and_for_this_platform() {
    let user = User::new();
    let unknown = user.run(&["runtime", "install", "rocm"]);
    let known = "[possible values: cpu, cuda, directml, webgpu]";
    assert!(
        unknown.starts_with("status: 2") && unknown.contains(known),
        "{unknown}"
    );
    if !cfg!(windows) {
        let shown = user.run(&["runtime", "install", "directml"]);
        let expected = format!(
            "error: there is no directml runtime for {}; for it there are: cpu",
            Platform::here()
        );
        assert!(
            shown.starts_with("status: 1") && shown.contains(&expected),
            "{shown}"
        );
    }
}

use std::fs;
use std::path::PathBuf;

use crate::load;

/// A working directory, and a user's own folder of settings.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let machine = Self { folder };
        for name in ["cwd/config", "settings/inhouse", "other/inhouse"] {
            fs::create_dir_all(machine.at(name)).unwrap();
        }
        machine
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).unwrap();
    }

    /// What is wrong with the configuration that is found.
    fn said(&self, asked_for: Option<&str>, more: &[(&str, &str)]) -> String {
        let settings = self.at("settings").display().to_string();
        let env: std::collections::BTreeMap<String, String> =
            [("XDG_CONFIG_HOME", settings.as_str())]
                .iter()
                .chain(more)
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
        let asked_for = asked_for.map(std::path::Path::new);
        match load(asked_for, &self.at("cwd"), &env) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }
}

const IN_FOLDER: &str = "cwd/router.config.json";
const AT_HOME: &str = "settings/inhouse/router.config.json";

fn onnx(rest: &str) -> String {
    format!(r#"{{"providers": {{"onnx": {{{rest}}}}}}}"#)
}

const LIBRARY: &str = r#""runtimeLibrary": "/opt/ort/libonnxruntime.so""#;

#[track_caller]
fn check(said: &str, expected: &str) {
    match expected {
        "" => assert_eq!(said, ""),
        _ => assert!(said.contains(expected), "{said}"),
    }
}

const REFUSED: &str = "says what may be run in this process; this file was found in the folder";

#[test]
fn a_file_of_the_folder_names_no_library_unless_it_was_asked_for() {
    let machine = Machine::new();
    machine.write(IN_FOLDER, &onnx(LIBRARY));
    check(
        &machine.said(None, &[]),
        "router.config.json:1:43: providers.onnx.runtimeLibrary says",
    );
    check(&machine.said(None, &[]), REFUSED);
    check(&machine.said(Some("router.config.json"), &[]), "");
    check(
        &machine.said(None, &[("INHOUSE_CONFIG", "router.config.json")]),
        "",
    );
    // The folder cannot ask for its own file, nor say that it is the user's.
    machine.write("cwd/.env", "INHOUSE_CONFIG=router.config.json\n");
    check(&machine.said(None, &[]), REFUSED);
    let other = machine.at("other").join("inhouse/router.config.json");
    machine.write("cwd/.env", &format!("INHOUSE_CONFIG={}\n", other.display()));
    fs::rename(machine.at(IN_FOLDER), other).unwrap();
    check(&machine.said(None, &[]), REFUSED);
    machine.write(
        "cwd/.env",
        &format!(
            "HOME={0}\nXDG_CONFIG_HOME={0}\n",
            machine.at("other").display()
        ),
    );
    check(&machine.said(None, &[]), "");
}

#[test]
fn the_users_own_file_names_a_library_wherever_it_lies() {
    let machine = Machine::new();
    machine.write(AT_HOME, &onnx(LIBRARY));
    check(&machine.said(None, &[]), "");
    machine.write(AT_HOME, &onnx(r#""runtimeLibrary": "lib/ort.so""#));
    check(&machine.said(None, &[]), "runtimeLibrary must be absolute");
    machine.write(AT_HOME, &onnx(r#""runtimeLibrary": "${ORT}""#));
    check(&machine.said(None, &[("ORT", "/opt/ort")]), "");
    machine.write("cwd/.env", "ORT=/evil\n");
    check(&machine.said(None, &[("ORT", "/opt/ort")]), "");
    check(
        &machine.said(None, &[]),
        "runtimeLibrary takes what may be run in this process from the folder's .env",
    );
}

#[test]
fn options_that_may_be_files_are_held_to_the_same() {
    let option = |name: &str, value: &str, expected: &str| {
        let machine = Machine::new();
        let options = format!(r#""executionProviderOptions": {{"qnn": {{"{name}": {value}}}}}"#);
        machine.write(IN_FOLDER, &onnx(&options));
        check(&machine.said(None, &[]), expected);
        machine.write(AT_HOME, &onnx(&options));
        fs::remove_file(machine.at(IN_FOLDER)).unwrap();
        check(&machine.said(None, &[]), "");
    };
    for (name, value) in [
        ("device_id", "0"),
        ("device_id", r#""1""#),
        ("htp_performance_mode", r#""sustained_high_performance""#),
        ("vtcm", "8.5"),
        ("vtcm", r#""-8.5""#),
        ("on", "true"),
    ] {
        option(name, value, "");
    }
    for (name, value) in [
        ("backend_path", r#""QnnHtp""#),
        ("x", r#""QnnHtp.dll""#),
        ("x", r#""./a""#),
        ("x", r#""C:\\a""#),
        ("trt_extra_plugin_lib_paths", r#""a""#),
    ] {
        option(name, value, REFUSED);
    }
}

//! Packed weights: what doctor says of them, and how they go.

use std::fs;
use std::path::{Path, PathBuf};

use inhouse_engine::pack::{Fingerprint, PackFolder, PackWriter};
use insta::assert_snapshot;
use serde_json::json;

use crate::support::{User, keys, zoo};

/// A user with the model `mine` in a folder of its own.
fn user_with_model() -> (User, PathBuf) {
    let user = User::new();
    let own = user.path("own");
    fs::create_dir(&own).unwrap();
    for entry in fs::read_dir(zoo("llama-fp32")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), own.join(entry.file_name())).unwrap();
    }
    user.json(&["pull", "./own", "--name", "mine", "--json"]);
    (user, own)
}

/// Packs a few bytes for the model in `model`, as loading it does with its weights.
fn pack(user: &User, folder: &str, model: &Path) -> PathBuf {
    let path = PackFolder::new(user.path(folder)).path_of(model).unwrap();
    let files = ["genai_config.json", "model.onnx"].map(|name| model.join(name));
    let source = Fingerprint::of(model, files).unwrap();
    let mut writer = PackWriter::create(&path, &source, 10_000).unwrap();
    writer.begin("head", "rows", 3).unwrap();
    writer.write(&[1, 2, 3]).unwrap();
    writer.finish().unwrap();
    path
}

/// What doctor says: state and problem of each pack.
fn states(user: &User) -> Vec<(String, String)> {
    let report = user.json(&["doctor", "--json"]);
    let packs = report["packed"]["packs"].as_array().unwrap().iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    packs
        .map(|pack| (text(&pack["state"]), text(&pack["problem"])))
        .collect()
}

#[test]
fn doctor_tells_the_state_of_each() {
    let (user, own) = user_with_model();
    assert_eq!(states(&user), []);
    let path = pack(&user, "home/packed", &own);
    let report = user.json(&["doctor", "--json"]);
    assert_eq!(
        keys(&report["packed"]),
        ["path", "free_bytes", "used", "packs"]
    );
    assert_eq!(
        report["packed"]["packs"],
        json!([{
            "model": "mine",
            "folder": own.canonicalize().unwrap(),
            "file": path,
            "bytes": path.metadata().unwrap().len(),
            "state": "ready",
            "problem": null,
        }])
    );
    let check = |state: &str, problem: &str| {
        assert_eq!(states(&user), [(state.to_owned(), problem.to_owned())]);
        let shown = user.run(&["doctor"]);
        let row = shown
            .lines()
            .find(|line| line.contains(" kB  ") && line.contains(state));
        assert!(row.is_some_and(|row| row.contains(problem)), "{shown}");
    };
    check("ready", "");

    let sound = fs::read(&path).unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = sound.clone();
        bytes[at] = byte;
        fs::write(&path, bytes).unwrap();
    };
    with(4096, 9);
    check("damaged", "\"head\" is damaged");
    with(0, b'G');
    check("damaged", "the file is not one");
    with(8, 200);
    check("other version", "format 200");
    fs::write(&path, &sound[..4200]).unwrap();
    check(
        "damaged",
        &format!("it is cut short: 4200 of {} bytes", sound.len()),
    );
    fs::write(&path, &sound).unwrap();
    check("ready", "");

    let config = fs::read_to_string(own.join("genai_config.json")).unwrap();
    let size = config.len();
    fs::write(own.join("genai_config.json"), config + " ").unwrap();
    let change = format!("genai_config.json has {} bytes and had {size}", size + 1);
    check("stale", &change);
    fs::rename(&own, user.path("moved")).unwrap();
    check("source gone", "");
    fs::rename(&path, user.path("home/packed/a-0.pack.1-1.tmp")).unwrap();
    check("unfinished", "");
}

#[test]
fn a_model_goes_with_its_packed_weights() {
    let (user, own) = user_with_model();
    let path = pack(&user, "home/packed", &own);
    let bytes = path.metadata().unwrap().len();
    // Another name for the same folder: its weights stay packed.
    user.json(&["pull", "./own", "--name", "again", "--json"]);
    let removed = user.json(&["rm", "again", "--json"]);
    assert_eq!(removed[0]["packed_bytes"], 0);
    assert!(path.exists());
    let removed = user.json(&["rm", "mine", "--json"]);
    assert_eq!(keys(&removed[0]), ["name", "freed_bytes", "packed_bytes"]);
    assert_eq!(removed[0]["packed_bytes"], bytes);
    assert!(removed[0]["freed_bytes"].as_u64().unwrap() > bytes);
    assert!(!path.exists() && own.exists());
}

#[test]
fn packed_weights_go_alone() {
    let (user, own) = user_with_model();
    let path = pack(&user, "home/packed", &own);
    let run = |args: &[&str]| user.run(args);
    assert_snapshot!(run(&["rm", "--packed", "nothing"]), @r#"
    status: 1
    ----- stdout
    ----- stderr
    error: there is no model and there are no packed weights "nothing"; inhouse doctor shows what is here
    "#);
    let removed = "status: 0\n----- stdout\npacked weights of ";
    for name in [
        "mine",
        "MINE",
        "./own",
        path.file_stem().unwrap().to_str().unwrap(),
    ] {
        pack(&user, "home/packed", &own);
        let said = run(&["rm", "--packed", name]);
        assert!(
            said.starts_with(&format!("{removed}{name} are removed, 4.")),
            "{said}"
        );
        assert!(!path.exists(), "{name}");
    }
    assert_snapshot!(run(&["rm", "--packed", "mine"]), @r"
    status: 0
    ----- stdout
    mine has no packed weights
    ----- stderr
    ");
    assert_snapshot!(run(&["rm", "--packed"]), @r"
    status: 0
    ----- stdout
    0 packs removed, 0 B are free
    ----- stderr
    ");
    assert!(run(&["rm"]).starts_with("status: 2\n"));
    assert_eq!(
        user.json(&["list", "--json"])["installed"][0]["state"],
        "ready"
    );
}

#[test]
fn all_packed_weights_go_those_without_a_model_too() {
    let (user, own) = user_with_model();
    let path = pack(&user, "home/packed", &own);
    fs::copy(&path, user.path("home/packed/orphan-0.pack")).unwrap();
    fs::write(user.path("home/packed/a-0.pack.1-1.tmp"), [0; 5]).unwrap();
    fs::write(user.path("home/packed/notes.txt"), "mine").unwrap();
    let removed = user.json(&["rm", "--packed", "--json"]);
    assert_eq!(removed.as_array().unwrap().len(), 2);
    let left = fs::read_dir(user.path("home/packed")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["notes.txt"]);
}

#[test]
fn another_folder_or_none() {
    let (user, own) = user_with_model();
    let path = pack(&user, "elsewhere", &own);
    let doctor = |value: &str| {
        let mut command = user.command(&["doctor"]);
        user.shown(&command.env("INHOUSE_PACKED", value).output().unwrap())
    };
    assert!(
        doctor("elsewhere").contains("  ready  "),
        "{}",
        doctor("elsewhere")
    );
    let off = doctor("off");
    assert!(
        off.contains("made anew at every load: INHOUSE_PACKED is off"),
        "{off}"
    );
    assert_eq!(states(&user), []);
    let mut rm = user.command(&["rm", "mine", "--json"]);
    assert!(
        rm.env("INHOUSE_PACKED", "elsewhere")
            .output()
            .unwrap()
            .status
            .success()
    );
    assert!(!path.exists());
}

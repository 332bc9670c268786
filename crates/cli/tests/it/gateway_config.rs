//! The configuration: made, checked, shown, brought up to date.

use insta::assert_snapshot;

use crate::support::{User, keys};

/// The two files of the old router's documents.
const OLD: [&str; 2] = ["old-modelid.json", "old-modelpath.json"];

fn old(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/testdata");
    std::fs::read_to_string(format!("{folder}/{name}")).unwrap()
}

#[test]
fn init_writes_a_valid_file_and_overwrites_none() {
    let user = User::new();
    assert_snapshot!(user.run(&["config", "init"]), @r"
    status: 0
    ----- stdout
    router.config.json is written
    ----- stderr
    ");
    let written = user.read("router.config.json");
    assert!(written.contains("//"), "it is commented");
    let shown = user.run(&["config", "validate"]);
    assert!(
        shown.starts_with("status: 0\n----- stdout\nrouter.config.json is valid\n"),
        "{shown}"
    );
    user.write("router.config.json", "{}");
    assert_snapshot!(user.run(&["config", "init"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: router.config.json is there already, and is not overwritten; --config FILE writes another one
    ");
    assert_eq!(user.read("router.config.json"), "{}");
    let shown = user.run(&["config", "init", "--config", "other.json"]);
    assert!(shown.contains("other.json is written"), "{shown}");
    assert_eq!(user.read("other.json"), written);
}

#[test]
fn every_problem_has_its_place_and_the_near_name() {
    let user = User::new();
    user.write(
        "router.config.json",
        "{\n  \"routing\": { \"mod\": \"manual\" },\n  \"cache\": { \"ttl\": true },\n  \"providers\": { \"up\": { \"type\": \"openia\" } }\n}\n",
    );
    assert_snapshot!(user.run(&["config", "validate"]), @r#"
    status: 1
    ----- stdout
    ----- stderr
    router.config.json:2:16: routing.mod is not known; did you mean routing.mode?
    router.config.json:3:21: cache.ttl must be a whole number, not true
    router.config.json:4:34: providers.up.type must be anthropic, openai, openrouter, gemini, huggingface, ollama, litellm, onnx, onnx-local or custom, not "openia"; did you mean "openai"?
    "#);
    let output = user
        .command(&["config", "validate", "--json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(keys(&told), ["file", "valid", "problems", "warnings"]);
    assert_eq!(told["problems"][0]["key"], "routing.mod");
    assert_eq!(told["problems"][0]["place"], serde_json::json!([2, 16]));
    // Every other command says the same and does nothing.
    assert_eq!(user.run(&["usage"]), user.run(&["config", "validate"]));
}

#[test]
fn files_that_are_named_must_be_there() {
    let user = User::new();
    assert_snapshot!(user.run(&["config", "validate", "--config", "none.json"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: [USER]/none.json: cannot read the configuration that --config names
      because No such file or directory (os error 2)
    ");
    let mut command = user.command(&["config", "validate"]);
    let output = command.env("INHOUSE_CONFIG", "none.json").output().unwrap();
    assert_snapshot!(user.shown(&output), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: [USER]/none.json: cannot read the configuration that INHOUSE_CONFIG names
      because No such file or directory (os error 2)
    ");
    assert_snapshot!(user.run(&["config", "validate"]), @r"
    status: 0
    ----- stdout
    the environment alone is valid
    ----- stderr
    ");
}

#[test]
fn files_of_the_old_router_are_valid() {
    for name in OLD {
        let user = User::new();
        user.write("old.json", &old(name));
        let shown = user.run(&["config", "validate", "old.json"]);
        assert!(
            shown.starts_with("status: 0\n----- stdout\nold.json is valid\n"),
            "{shown}"
        );
        assert!(
            shown.contains("warning: old.json:"),
            "providers without keys are told of: {shown}"
        );
    }
}

#[test]
fn show_hides_keys_and_names_the_file() {
    let user = User::new();
    user.write(
        "my.json",
        r#"{"providers": {"anthropic": {"apiKey": "${KEY}", "headers": {"x-team": "blue"}}}}"#,
    );
    let mut command = user.command(&["config", "show", "--config", "my.json"]);
    let shown = user.shown(&command.env("KEY", "sk-secret").output().unwrap());
    assert!(
        shown.starts_with("status: 0\n----- stdout\n// from my.json\n{\n"),
        "{shown}"
    );
    assert!(shown.contains(r#""apiKey": "***""#), "{shown}");
    assert!(!shown.contains("sk-secret") && !shown.contains("blue"));
    let mut command = user.command(&["config", "show", "my.json", "--json"]);
    let output = command.env("KEY", "sk-secret").output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(keys(&told), ["file", "config"]);
    assert!(told["file"].as_str().unwrap().ends_with("my.json"));
    assert_eq!(told["config"]["providers"]["anthropic"]["apiKey"], "***");
}

#[test]
fn the_schema_is_json() {
    let schema = User::new().json(&["config", "schema"]);
    assert_eq!(schema["title"], "router.config.json");
    assert!(schema["properties"]["fallbackChain"].is_object());
}

#[test]
fn migrate_prints_or_replaces_and_keeps_the_old_one() {
    let user = User::new();
    let old = old(OLD[0]);
    user.write("old.json", &old);
    let shown = user.run(&["config", "migrate", "old.json"]);
    assert!(shown.starts_with("status: 0\n"), "{shown}");
    assert!(shown.contains(r#""version": "1""#) && shown.contains(r#""onnx-local": {"#));
    assert_eq!(user.read("old.json"), old, "printing changes nothing");

    assert_snapshot!(user.run(&["config", "migrate", "old.json", "--write"]), @r"
    status: 0
    ----- stdout
    old.json is written; the old one is old.json.old
    ----- stderr
    ");
    assert_eq!(user.read("old.json.old"), old);
    let new = user.read("old.json");
    assert!(shown.contains(&new), "what is printed is what is written");
    assert_snapshot!(user.run(&["config", "migrate", "old.json", "--write"]), @r"
    status: 0
    ----- stdout
    old.json has the form of today already
    ----- stderr
    ");
    user.write("old.json", &old);
    assert_snapshot!(user.run(&["config", "migrate", "old.json", "--write"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: old.json.old is there already; move it away, for the old file is kept under that name
    ");
    user.write("bad.json", "{ \"a\": 1, }, }");
    assert_snapshot!(user.run(&["config", "migrate", "bad.json"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    bad.json:1:12: ',' is where the end of the file should be
    ");
}

/// Nobody may read the keys of a file who could not before.
#[cfg(unix)]
#[test]
fn a_migrated_file_has_the_permissions_of_the_old_one() {
    use std::os::unix::fs::PermissionsExt;
    let user = User::new();
    user.write("old.json", &old(OLD[0]));
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(user.path("old.json"), private).unwrap();
    user.run(&["config", "migrate", "old.json", "--write"]);
    for file in ["old.json", "old.json.old"] {
        let mode = user.path(file).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

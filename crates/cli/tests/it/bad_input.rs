//! What is missing or broken is named, with status 1.

use std::fs;

use insta::assert_snapshot;

use crate::support::{User, testdata, zoo};

/// A copy of a zoo folder that a test may damage.
fn copy(user: &User, name: &str) -> std::path::PathBuf {
    let to = user.path(name);
    fs::create_dir(&to).unwrap();
    for entry in fs::read_dir(zoo(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    to
}

#[test]
fn models_that_are_not_there() {
    let user = User::new();
    assert_snapshot!(user.run(&["chat", "hi", "-m", "gpt-9"]), @"");
    assert_snapshot!(user.run(&["chat", "hi", "-m", "phi-4-mini"]), @"");
    assert_snapshot!(user.run(&["chat", "hi", "-m", "./nowhere"]), @"");
    assert_snapshot!(user.run(&["chat", "hi"]), @"");
    assert_snapshot!(user.run(&["show", "gpt-9"]), @"");
    assert_snapshot!(user.run(&["rm", "gpt-9"]), @"");
}

#[test]
fn folders_that_are_no_model() {
    let user = User::new();
    fs::create_dir(user.path("empty")).unwrap();
    assert_snapshot!(user.run(&["chat", "hi", "-m", "empty"]), @"");

    let folder = copy(&user, "llama-fp32");
    let config = fs::read_to_string(folder.join("genai_config.json")).unwrap();
    let bad = |change: &dyn Fn()| {
        change();
        user.run(&["chat", "hi", "-m", "llama-fp32"])
    };
    assert_snapshot!(bad(&|| fs::write(folder.join("genai_config.json"), "{").unwrap()), @"");
    let outside = config.replace("\"model.onnx\"", "\"../model.onnx\"");
    assert_snapshot!(bad(&|| fs::write(folder.join("genai_config.json"), &outside).unwrap()), @"");
    fs::write(folder.join("genai_config.json"), &config).unwrap();
    assert_snapshot!(bad(&|| fs::write(folder.join("tokenizer.json"), "[]").unwrap()), @"");
    assert_snapshot!(bad(&|| fs::write(folder.join("model.onnx.data"), "short").unwrap()), @"");
    assert_snapshot!(bad(&|| fs::write(folder.join("model.onnx"), "no protobuf").unwrap()), @"");
    assert_snapshot!(bad(&|| fs::remove_file(folder.join("model.onnx")).unwrap()), @"");
}

#[test]
fn files_that_are_not_what_they_should_be() {
    let user = User::new();
    fs::write(user.path("a.json"), "{\"perplexity\": {}}").unwrap();
    fs::write(user.path("a.gguf"), "GGUF but no more").unwrap();
    let model = zoo("llama-fp32");
    let model = model.to_str().unwrap();
    assert_snapshot!(user.run(&["perplexity", "-m", model, "missing.txt"]), @"");
    assert_snapshot!(user.run(&["perplexity", "-m", model, "--ids", "a.json"]), @"");
    assert_snapshot!(user.run(&["verify", model, "--expected", "a.json"]), @"");
    assert_snapshot!(user.run(&["verify", "."]), @"");
    assert_snapshot!(user.run(&["convert", "--from", "a.gguf", "out"]), @"");
    assert_snapshot!(user.run(&["convert", "--from", "missing.gguf", "out"]), @"");
    assert!(!user.path("out").exists());
}

#[test]
fn a_context_that_is_too_small_is_said_with_both_numbers() {
    let user = User::new();
    let model = zoo("llama-fp32");
    let long = testdata("smollm2/eval.txt");
    let text = fs::read_to_string(long).unwrap().repeat(8);
    let args = ["chat", "-m", model.to_str().unwrap()];
    let output = user.command(&args).write_stdin(text).output().unwrap();
    let shown = user.shown(&output);
    assert!(shown.starts_with("status: 1\n"), "{shown}");
    assert!(
        shown.contains("tokens are needed and the model's context holds"),
        "{shown}"
    );
}

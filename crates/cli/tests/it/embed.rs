//! `inhouse embed`, with the ONNX Runtime that the program fetches itself.

use std::fs;

use assert_cmd::Command;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::runtime::runtime_home;
use crate::support::{User, keys, testdata};

/// A user, and the flags that name an encoder and a home with ONNX Runtime in it.
fn embed(user: &User, model: &str, args: &[&str]) -> Command {
    let model = testdata("onnxruntime").join(model);
    let home = runtime_home().to_str().unwrap();
    let given = ["embed", "-m", model.to_str().unwrap(), "--home", home];
    user.command(&[&given, args].concat())
}

fn shown(user: &User, command: &mut Command) -> String {
    user.shown(&command.output().unwrap())
}

/// The vectors on stdout, one on each line.
fn vectors(command: &mut Command) -> Vec<Vec<f64>> {
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let vector = |line| serde_json::from_str(line).unwrap();
    text.lines().map(vector).collect()
}

fn recorded(model: &str) -> Value {
    let file = testdata("onnxruntime").join(model).join("expected.json");
    let file: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    file["cases"].clone()
}

#[track_caller]
fn assert_close(ours: &[f64], theirs: &Value) {
    let theirs: Vec<f64> = serde_json::from_value(theirs.clone()).unwrap();
    assert_eq!(ours.len(), theirs.len());
    let apart = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs());
    let worst = apart.fold(0.0, f64::max);
    assert!(worst < 1e-4, "they differ by {worst}");
}

const LONG: &str = "It was a cold night; rain falls on the street and a small dog reads the words of one \
    large model. It was a cold night; rain falls on the street and a small dog reads the words of one large model. ";

#[test]
fn a_vector_is_printed_for_each_text() {
    let user = User::new();
    let cases = recorded("bert-mean");
    let texts: Vec<&str> = (0..4)
        .map(|at| cases[at]["text"].as_str().unwrap())
        .collect();
    let made = vectors(&mut embed(&user, "bert-mean", &texts));
    assert_eq!(made.len(), 4);
    for (at, vector) in made.iter().enumerate() {
        assert_close(vector, &cases[at]["embedding"]);
    }
}

#[test]
fn lines_are_texts_and_come_from_a_file_or_a_pipe() {
    let user = User::new();
    let cases = recorded("bert-cls");
    let lines = format!("{}\r\n\nthe cat", cases[0]["text"].as_str().unwrap());
    user.write("lines.txt", &lines);
    let of_file = vectors(&mut embed(&user, "bert-cls", &["--file", "lines.txt"]));
    let mut piped = embed(&user, "bert-cls", &["--file", "-"]);
    assert_eq!(vectors(piped.write_stdin(lines)), of_file);
    assert_eq!(of_file.len(), 3);
    assert_close(&of_file[0], &cases[0]["embedding"]);
    assert_close(&of_file[1], &cases[2]["embedding"]); // that of an empty text
    let mut nothing = embed(&user, "bert-cls", &["--file", "-"]);
    assert_eq!(vectors(nothing.write_stdin("")), [[0.0; 0]; 0]);
}

#[test]
fn json_has_the_vectors_and_what_made_them() {
    let user = User::new();
    let mut command = embed(
        &user,
        "bert-mean",
        &["the cat", LONG, "--truncate", "--json"],
    );
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "cut to the 40 tokens that the model takes: text 2\n");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names = [
        "model",
        "backend",
        "computed_by",
        "execution_providers",
        "notes",
        "dimensions",
        "embeddings",
        "truncated",
        "usage",
    ];
    assert_eq!(keys(&report), names);
    assert_eq!(report["model"], "bert-mean");
    assert_eq!(report["backend"], "onnxruntime");
    assert_eq!(report["execution_providers"], json!(["cpu"]));
    assert_eq!(report["notes"], json!([]));
    assert_eq!(report["dimensions"], 32);
    assert_eq!(report["truncated"], json!([1]));
    assert_eq!(
        report["usage"],
        json!({"prompt_tokens": 44, "total_tokens": 44})
    );
    let embeddings = report["embeddings"].as_array().unwrap();
    assert_eq!(embeddings.len(), 2);
    let cut: Vec<f64> = serde_json::from_value(embeddings[1].clone()).unwrap();
    assert_close(&cut, &recorded("bert-mean")[4]["embedding"]);
    let computed_by = report["computed_by"].as_str().unwrap();
    assert!(computed_by.starts_with("ONNX Runtime 1.") && computed_by.ends_with(" on cpu"));
}

#[test]
fn what_cannot_be_done_is_said() {
    let user = User::new();
    let check = |args: &[&str]| shown(&user, &mut embed(&user, "bert-mean", args));
    assert_snapshot!(check(&["a", LONG]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: text 2 of 2 has 48 tokens and the model takes 40; shorten it, split it, or let it be cut with --truncate
    ");
    assert_snapshot!(check(&["a", "--prompt", "query"]), @r#"
    status: 1
    ----- stdout
    ----- stderr
    error: the model has no prompt "query"; it has none
    "#);
    assert_snapshot!(check(&["--file", "none.txt"]), @r#"
    status: 1
    ----- stdout
    ----- stderr
    error: cannot read none.txt
      because No such file or directory (os error 2)
    "#);
    fs::write(user.path("bytes.txt"), b"the cat\n\xff\n").unwrap();
    assert_snapshot!(check(&["--file", "bytes.txt"]), @r#"
    status: 1
    ----- stdout
    ----- stderr
    error: line 2 of bytes.txt
      because stream did not contain valid UTF-8
    "#);
    let decoder = testdata("zoo/llama-fp32");
    let home = runtime_home().to_str().unwrap();
    let args = [
        "embed",
        "a",
        "-m",
        decoder.to_str().unwrap(),
        "--home",
        home,
    ];
    assert_snapshot!(user.run(&args), @r#"
    status: 1
    ----- stdout
    ----- stderr
    error: the graph has an input "past_key_values.0.key", and there is nothing to put into it; encoders take input_ids, attention_mask, token_type_ids, position_ids
    "#);
}

#[test]
fn a_text_that_is_too_long_is_found_among_many() {
    let user = User::new();
    let mut lines = "the cat\n".repeat(1030);
    lines.push_str(LONG);
    user.write("lines.txt", &lines);
    let output = embed(&user, "bert-mean", &["--file", "lines.txt"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_snapshot!(said, @r"
    error: in the texts 1025 to 1031
      because text 7 of 7 has 48 tokens and the model takes 40; shorten it, split it, or let it be cut with --truncate
    ");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn texts_are_asked_for_and_not_read_from_nowhere() {
    let user = User::new();
    for args in [&[][..], &["a", "--file", "lines.txt"]] {
        let output = embed(&user, "bert-mean", args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn without_onnx_runtime_it_is_said_how_to_get_it() {
    let user = User::new();
    let model = testdata("onnxruntime/bert-mean");
    let mut command = user.command(&["embed", "a", "-m", model.to_str().unwrap()]);
    // No packages of Python's or Node's are found from here, nor a library of the system's.
    command
        .env("PATH", "")
        .env("ORT_DYLIB_PATH", user.path("none"));
    let said = shown(&user, &mut command);
    assert!(said.starts_with("status: 1\n"), "{said}");
    assert!(said.contains("ORT_DYLIB_PATH names [USER]/none"), "{said}");
}

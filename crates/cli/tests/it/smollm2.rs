//! The default model, from the first command on: pulled once into the target folder, then answering offline.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use assert_cmd::Command;
use inhouse_engine::{Cancel, LoadOptions, Model, Session, Want};
use inhouse_kernels::Kernels;
use inhouse_text::Tokenizer;
use serde_json::Value;

use crate::runtime::runtime_home;
use crate::support::testdata;

/// Recorded by transformers in f32 on the same weights: see testdata/smollm2.
const RECORDED_NLL: f64 = 2.6557;

/// The home that holds the model. It outlives the tests, so that the model is fetched once for a target folder; the
/// store's own lock makes processes that come at the same time wait for each other.
fn home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("home");
        let output = program(&home, &["pull", "smollm2-135m", "--json"])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let pulled: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(pulled["state"], "ready", "{pulled}");
        home
    })
}

/// The program in the environment that the tests have, as pip needs what is set up there.
fn program(home: &Path, args: &[&str]) -> Command {
    let mut command = assert_cmd::cargo::cargo_bin_cmd!("inhouse");
    command
        .args(args)
        .env("INHOUSE_HOME", home)
        .env_remove("INHOUSE_OFFLINE")
        .env_remove("INHOUSE_ISA");
    command
}

/// The program without a network: told so, and with a proxy that is not there for all who do not listen.
fn offline(args: &[&str]) -> Command {
    let mut command = program(home(), args);
    for name in [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ] {
        command.env(name, "http://127.0.0.1:9");
    }
    command.arg("--offline");
    command
}

fn json(mut command: Command) -> Value {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_capital_of_france_is_paris() {
    let output = offline(&["chat", "What is the capital of France?"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && said.contains("Paris"),
        "{said} {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn perplexity_is_the_recorded_one() {
    let ids = testdata("smollm2/reference.json");
    let measured = json(offline(&[
        "perplexity",
        "--ids",
        ids.to_str().unwrap(),
        "--json",
    ]));
    assert_eq!(measured["tokens"], 1599);
    let nll = measured["mean_nll"].as_f64().unwrap();
    assert!(
        (nll - RECORDED_NLL).abs() < 0.02,
        "{nll} and {RECORDED_NLL}"
    );
}

#[test]
fn what_is_here_is_not_fetched_again() {
    let pulled = json(offline(&["pull", "smollm2-135m", "--json"]));
    assert_eq!(pulled["name"], "smollm2-135m");
    let listing = json(offline(&["list", "--json"]));
    assert_eq!(listing["installed"][0]["name"], "smollm2-135m");
    assert_eq!(listing["installed"][0]["state"], "ready");
}

#[test]
fn a_system_prompt_and_a_conversation_s_length_fit() {
    let prompt = "Answer with one word: is ice cold?";
    let answer = json(offline(&[
        "chat",
        prompt,
        "--system",
        "You are brief.",
        "--max-tokens",
        "16",
        "--json",
    ]));
    assert!(
        !answer["text"].as_str().unwrap().trim().is_empty(),
        "{answer}"
    );
    assert_eq!(answer["model"], "smollm2-135m");
}

/// Along the answers that transformers gave, our best token is theirs wherever their two best were not close.
#[test]
fn recorded_answers_are_followed() {
    const CERTAIN: f64 = 0.5;
    let text = std::fs::read(testdata("smollm2/reference.json")).unwrap();
    let recorded: Value = serde_json::from_slice(&text).unwrap();
    let model = Model::load(&home().join("models/smollm2-135m"), &LoadOptions::default()).unwrap();
    let (mut certain, mut agreed) = (0, 0);
    for answer in recorded["greedy"].as_array().unwrap() {
        let prompt = ids(&answer["input_ids"]);
        let greedy = ids(&answer["greedy_ids"]);
        let all = [prompt.as_slice(), &greedy].concat();
        let logits = model
            .sequence()
            .extend(&all, Want::All, &Cancel::new())
            .unwrap();
        let gaps = answer["top1_minus_top2"].as_array().unwrap();
        for (step, (&id, gap)) in greedy.iter().zip(gaps).enumerate() {
            if gap.as_f64().unwrap() > CERTAIN {
                certain += 1;
                let best = Kernels::best().argmax(logits.row(prompt.len() - 1 + step));
                agreed += usize::from(best == id as usize);
            }
        }
    }
    assert!(certain > 200, "only {certain} positions are certain");
    assert!(agreed * 100 >= certain * 98, "{agreed} of {certain} agree");
}

/// The tokenizer that the conversion made gives the recorded ids, and the template the recorded prompts.
#[test]
fn recorded_prompts_and_their_ids_come_out() {
    let text = std::fs::read(testdata("smollm2/reference.json")).unwrap();
    let recorded: Value = serde_json::from_slice(&text).unwrap();
    let folder = home().join("models/smollm2-135m");
    let tokenizer = Tokenizer::from_folder(&folder).unwrap();
    for answer in recorded["greedy"].as_array().unwrap() {
        let prompt = answer["prompt"].as_str().unwrap();
        assert_eq!(
            tokenizer.encode_raw(prompt).unwrap(),
            ids(&answer["input_ids"]),
            "{prompt}"
        );
    }
    let eval = std::fs::read_to_string(testdata("smollm2/eval.txt")).unwrap();
    let expected = ids(&recorded["perplexity"]["input_ids"]);
    let found = tokenizer.encode_raw(&eval).unwrap();
    assert_eq!(found[..expected.len()], expected);
}

fn ids(list: &Value) -> Vec<u32> {
    let list = list.as_array().unwrap().iter();
    list.map(|id| u32::try_from(id.as_u64().unwrap()).unwrap())
        .collect()
}

// === on ONNX Runtime, which is in the same home ===

#[test]
fn perplexity_on_onnx_runtime_is_the_recorded_one() {
    runtime_home();
    let ids = testdata("smollm2/reference.json");
    let args = [
        "perplexity",
        "--backend",
        "onnxruntime",
        "--ids",
        ids.to_str().unwrap(),
        "--json",
    ];
    let measured = json(offline(&args));
    assert_eq!(measured["backend"], "onnxruntime");
    assert_eq!(measured["tokens"], 1599);
    let nll = measured["mean_nll"].as_f64().unwrap();
    assert!(
        (nll - RECORDED_NLL).abs() < 0.02,
        "{nll} and {RECORDED_NLL}"
    );
}

#[test]
fn both_backends_say_paris() {
    runtime_home();
    let args = [
        "compare",
        "smollm2-135m",
        "--prompt",
        "The capital of France is",
        "--new",
        "6",
        "--max-rms",
        "0.01",
    ];
    let compared = offline(&args).output().unwrap();
    let shown = String::from_utf8(compared.stdout).unwrap();
    assert!(compared.status.success(), "{shown}");
    assert!(
        shown.contains("6 of 6") && shown.contains("passed"),
        "{shown}"
    );
    let question = "What is the capital of France?";
    let answer = json(offline(&[
        "chat",
        question,
        "--backend",
        "onnxruntime",
        "--max-tokens",
        "12",
        "--json",
    ]));
    assert_eq!(answer["backend"], "onnxruntime");
    assert!(
        answer["text"].as_str().unwrap().contains("Paris"),
        "{answer}"
    );
}

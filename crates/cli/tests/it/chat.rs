//! One answer from models with random weights: what is printed where, and what makes it the same again.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{User, keys, zoo, zoo_folders};

/// Prompt, model and length as arguments, with `more` behind them.
fn chat(user: &User, more: &[&str]) -> Value {
    let folder = zoo("phi4mini-int4");
    let mut args = vec![
        "chat",
        "hello there",
        "--json",
        "--max-tokens",
        "12",
        "-m",
        folder.to_str().unwrap(),
    ];
    args.extend(more);
    user.json(&args)
}

fn text(answer: &Value) -> &str {
    answer["text"].as_str().unwrap()
}

#[test]
fn json_has_text_reason_usage_and_timings() {
    let answer = chat(&User::new(), &[]);
    assert_eq!(
        keys(&answer),
        [
            "model",
            "backend",
            "computed_by",
            "execution_providers",
            "notes",
            "text",
            "finish_reason",
            "stop",
            "seed",
            "usage",
            "timings"
        ]
    );
    assert_eq!(answer["model"], "phi4mini-int4");
    assert!(["stop", "length"].contains(&answer["finish_reason"].as_str().unwrap()));
    let usage = &answer["usage"];
    assert_eq!(
        keys(usage),
        [
            "prompt_tokens",
            "cached_tokens",
            "completion_tokens",
            "total_tokens"
        ]
    );
    assert_eq!(usage["cached_tokens"], 0);
    let count = |key: &str| usage[key].as_u64().unwrap();
    assert!(count("prompt_tokens") > 2 && (1..=12).contains(&count("completion_tokens")));
    assert_eq!(
        count("total_tokens"),
        count("prompt_tokens") + count("completion_tokens")
    );
    let timings = &answer["timings"];
    assert_eq!(
        keys(timings),
        [
            "load_s",
            "ttft_s",
            "prefill_s",
            "decode_s",
            "prefill_tok_s",
            "decode_tok_s"
        ]
    );
    assert!(timings["ttft_s"].as_f64().unwrap() > 0.0);
}

#[test]
fn the_text_alone_is_on_stdout() {
    let user = User::new();
    let folder = zoo("phi4mini-int4");
    let args = [
        "chat",
        "hello there",
        "--max-tokens",
        "12",
        "-m",
        folder.to_str().unwrap(),
    ];
    let output = user.command(&args).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        said.trim_end_matches('\n'),
        text(&chat(&user, &[])).trim_end_matches('\n')
    );
    assert!(said.ends_with('\n'));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "",
        "no statistics where nobody looks"
    );

    let with_statistics = user.command(&args).arg("--stats").output().unwrap();
    assert_eq!(String::from_utf8(with_statistics.stdout).unwrap(), said);
    let statistics = String::from_utf8(with_statistics.stderr).unwrap();
    assert!(
        statistics.contains("computed by")
            && statistics.contains("tokens/s")
            && statistics.starts_with("[phi4mini-int4: "),
        "{statistics}"
    );
}

#[test]
fn a_seed_repeats_an_answer_and_another_one_does_not() {
    let user = User::new();
    let drawn = |seed: &str| {
        chat(
            &user,
            &["--temperature", "1.5", "--top-k", "0", "--seed", seed],
        )
    };
    let first = drawn("1");
    assert_eq!(first["seed"], 1);
    assert_eq!(text(&first), text(&drawn("1")));
    let others: BTreeSet<String> = ["2", "3", "4"]
        .iter()
        .map(|seed| text(&drawn(seed)).to_owned())
        .collect();
    assert!(
        others.iter().any(|other| other != text(&first)),
        "four seeds, one answer: {others:?}"
    );
}

#[test]
fn without_sampling_the_answer_is_always_the_same() {
    let user = User::new();
    let first = chat(&user, &[]);
    assert_eq!(first["seed"], Value::Null);
    for flags in [
        &["--temperature", "0"][..],
        &["--top-k", "1"],
        &["--threads", "1"],
        &["--temperature", "0", "--top-p", "0.5"],
    ] {
        assert_eq!(text(&chat(&user, flags)), text(&first), "{flags:?}");
    }
}

#[test]
fn a_stop_string_ends_the_answer_and_is_not_printed() {
    let user = User::new();
    let whole = text(&chat(&user, &[])).to_owned();
    let middle = whole
        .chars()
        .nth(whole.chars().count() / 2)
        .unwrap()
        .to_string();
    let answer = chat(&user, &["--stop", "never said", "--stop", &middle]);
    assert_eq!(answer["finish_reason"], "stop");
    assert_eq!(answer["stop"], middle.as_str());
    assert_eq!(text(&answer), whole.split(&middle).next().unwrap());
}

#[test]
fn what_is_piped_in_is_the_prompt_or_follows_it() {
    let user = User::new();
    let folder = zoo("llama-fp32");
    let ask = |prompt: &[&str], piped: &str| {
        let mut args = vec![
            "chat",
            "--json",
            "--max-tokens",
            "8",
            "-m",
            folder.to_str().unwrap(),
        ];
        args.extend(prompt);
        let output = user.command(&args).write_stdin(piped).output().unwrap();
        assert!(output.status.success(), "{}", user.shown(&output));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        (
            text(&answer).to_owned(),
            answer["usage"]["prompt_tokens"].clone(),
        )
    };
    assert_eq!(ask(&["say: one two"], ""), ask(&[], "say: one two"));
    assert_eq!(ask(&["say:"], "one two"), ask(&["say:\n\none two"], ""));
}

#[test]
fn raw_takes_no_template() {
    let user = User::new();
    let prompt_tokens = |answer: Value| answer["usage"]["prompt_tokens"].as_u64().unwrap();
    let raw = prompt_tokens(chat(&user, &["--raw"]));
    let templated = prompt_tokens(chat(&user, &[]));
    let instructed = prompt_tokens(chat(&user, &["--system", "be brief"]));
    assert!(
        raw < templated && templated < instructed,
        "{raw} {templated} {instructed}"
    );
}

#[test]
fn every_family_answers() {
    let user = User::new();
    for folder in zoo_folders() {
        for kv in ["f16", "f32"] {
            let folder = folder.to_str().unwrap();
            let answer = user.json(&[
                "chat",
                "hi",
                "--json",
                "--max-tokens",
                "3",
                "--kv",
                kv,
                "-m",
                folder,
            ]);
            assert!(
                answer["usage"]["completion_tokens"].as_u64().unwrap() >= 1,
                "{folder}: {answer}"
            );
        }
    }
}

#[test]
fn a_portable_processor_is_enough() {
    let user = User::new();
    let folder = zoo("qwen2-mixed");
    let args = [
        "chat",
        "hi",
        "--max-tokens",
        "3",
        "--stats",
        "-m",
        folder.to_str().unwrap(),
    ];
    let output = user
        .command(&args)
        .env("INHOUSE_ISA", "portable")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", user.shown(&output));
}

//! Requests through the router, to an upstream on loopback.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Answering, User, keys};

/// A user with one provider besides the engine, which is said to be in this zone. `more` is added to the chain.
fn user_with(up: &Answering, zone: &str, more: &str) -> User {
    let user = User::new();
    user.write(
        "router.config.json",
        &format!(
            r#"{{"defaultProvider": "litellm", "fallbackChain": ["litellm"{more}],
                "providers": {{"litellm": {{"baseUrl": "{}/v1", "zone": "{zone}",
                    "models": {{"default": "m1"}}, "maxRetries": 0}}}},
                "prices": {{"litellm": {{"m1": {{"input": 1, "output": 2}}}}}}}}"#,
            up.url()
        ),
    );
    user
}

#[test]
fn an_answer_is_streamed_and_its_statistics_are_on_stderr() {
    let up = Answering::start();
    let user = user_with(&up, "cloud", "");
    assert_snapshot!(user.online(&["chat", "hello", "--provider", "litellm"]), @r"
    status: 0
    ----- stdout
    Hello there
    ----- stderr
    ");
    let asked = up.upstream.requests()[0].json();
    assert_eq!(asked["model"], "m1");
    assert_eq!(asked["stream"], true);
    let with_statistics = [
        "chat",
        "hello",
        "--provider",
        "litellm",
        "--stats",
        "--temperature",
        "0.7",
        "--top-p",
        "0.9",
        "--seed",
        "7",
        "--max-tokens",
        "9",
        "--stop",
        "END",
        "--system",
        "Be brief.",
        "-m",
        "m2",
    ];
    let shown = user.online(&with_statistics);
    let shown = shown.split_once(" at ").unwrap().0;
    assert_snapshot!(shown, @r"
    status: 0
    ----- stdout
    Hello there
    ----- stderr
    [litellm m2, cloud: 9 tokens read, 2 written
    ");
    let asked = up.upstream.requests()[1].json();
    assert_eq!(asked["model"], "m2");
    assert_eq!(asked["temperature"], 0.7);
    assert_eq!(asked["top_p"], 0.9);
    assert_eq!(asked["seed"], 7);
    assert_eq!(asked["stop"], json!(["END"]));
    assert_eq!(
        asked["messages"][0],
        json!({"role": "system", "content": "Be brief."})
    );
}

#[test]
fn json_tells_who_where_and_what_it_cost() {
    let up = Answering::start();
    let user = user_with(&up, "cloud", "");
    let answer = user.online_json(&["chat", "hello", "--privacy", "low", "--json"]);
    assert_eq!(
        keys(&answer),
        [
            "text",
            "provider",
            "model",
            "zone",
            "ceiling",
            "reason",
            "finish_reason",
            "cost",
            "usage",
            "latency_s",
            "ttft_s",
            "tokens_per_second",
            "attempts",
            "cached",
            "request_id",
            "execution_providers",
            "notes"
        ]
    );
    assert_eq!(answer["text"], "Hello there");
    assert_eq!(answer["provider"], "litellm");
    assert_eq!(answer["model"], "m1");
    assert_eq!(answer["zone"], "cloud");
    assert_eq!(answer["finish_reason"], "stop");
    assert_eq!(answer["cost"], "0.000013");
    assert_eq!(
        answer["usage"],
        json!({"input": 9, "output": 2, "cache_read": 0, "cache_write": 0, "reasoning": 0, "total": 11})
    );
    assert_eq!(answer["attempts"], 1);
}

/// The upstream's address is this machine's, but a proxy may stand there: only a zone that is claimed counts.
#[test]
fn what_is_private_reaches_no_cloud() {
    let up = Answering::start();
    let user = user_with(&up, "cloud", "");
    let config = user.read("router.config.json");
    let without_engine = r#""providers": {"onnx": {"enabled": false}, "#;
    user.write(
        "router.config.json",
        &config.replacen(r#""providers": {"#, without_engine, 1),
    );
    assert_snapshot!(user.online(&["chat", "hello", "--privacy", "high"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: nobody can answer this request under its ceiling device (privacy is high): litellm: it is in zone cloud, and the request may go no farther than device
    ");
    assert_snapshot!(user.online(&["chat", "hello", "--provider", "litellm", "--privacy", "high"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: litellm was asked for and cannot answer: it is in zone cloud, and the request may go no farther than device
    ");
    assert_snapshot!(user.online(&["chat", "hello", "--provider", "litellm", "--local-only"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: litellm is not asked: --local-only allows nobody but onnx-local, the engine in this program
    ");
    // --offline and its variable reach as far.
    assert_snapshot!(user.run(&["chat", "hello", "--provider", "litellm"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: litellm is not asked: --offline allows nobody but onnx-local, the engine in this program
    ");
    assert_eq!(up.upstream.n_connections(), 0);
}

#[test]
fn a_provider_on_this_device_may_have_what_is_private() {
    let up = Answering::start();
    let user = user_with(&up, "device", "");
    let answer = user.online_json(&["chat", "hello", "--privacy", "high", "--json"]);
    assert_eq!(answer["zone"], "device");
    assert_eq!(answer["ceiling"], "device");
    assert_eq!(answer["cost"], "0");
}

#[test]
fn what_the_provider_says_of_a_failure_is_shown() {
    let up = Answering::start();
    up.upstream.always(inhouse_testing::Answer::error(
        400,
        &json!({"error": {"message": "max_tokens is\n too large", "type": "invalid_request_error"}}),
    ));
    let user = user_with(&up, "cloud", "");
    assert_snapshot!(user.online(&["chat", "hello", "--provider", "litellm"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: no provider answered: litellm rejected the request (status 400)
      litellm said: max_tokens is too large
    ");
}

#[test]
fn an_answer_that_breaks_off_is_a_failure_after_its_beginning() {
    let up = Answering::start();
    let beginning = up.streamed().cut_after(200);
    up.upstream.always(beginning);
    let user = user_with(&up, "cloud", "");
    assert_snapshot!(user.online(&["chat", "hello", "--provider", "litellm"]), @r"
    status: 1
    ----- stdout
    Hello
    ----- stderr
    error: the answer broke off: litellm stopped in the middle of its answer
      because error decoding response body
      because error reading a body from connection
      because unexpected EOF during chunk size line
    ");
}

#[test]
fn the_engine_answers_through_the_router() {
    let user = User::new();
    let folder = crate::support::zoo("phi4mini-int4");
    user.write(
        "local.json",
        &json!({"providers": {"onnx": {"modelPath": folder}}}).to_string(),
    );
    let args = [
        "chat",
        "hello there",
        "--provider",
        "onnx",
        "--config",
        "local.json",
        "--max-tokens",
        "5",
        "--json",
    ];
    let answer = user.json(&args); // and offline
    assert_eq!(answer["provider"], "onnx-local");
    assert_eq!(answer["zone"], "device");
    assert_eq!(answer["cost"], "0");
    assert_eq!(answer["execution_providers"], json!(["cpu"]));
    assert!(!answer["text"].as_str().unwrap().is_empty());
}

/// A configuration that happens to be there sends no prompt anywhere.
#[test]
fn without_flags_the_engine_answers_alone() {
    let up = Answering::start();
    let user = user_with(&up, "cloud", "");
    let folder = crate::support::zoo("phi4mini-int4");
    let engine = ["chat", "hello there", "-m", folder.to_str().unwrap()];
    let mut alone = engine.to_vec();
    alone.extend(["--max-tokens", "5", "--json"]);
    let answer = user.online_json(&alone);
    assert!(answer.get("provider").is_none(), "{answer}");
    assert_eq!(up.upstream.n_connections(), 0);

    let named = ["chat", "hello", "--config", "router.config.json", "--json"];
    assert_eq!(user.online_json(&named)["provider"], "litellm");
}

#[test]
fn flags_of_the_engine_alone_are_wrong_usage() {
    let user = User::new();
    assert_snapshot!(
        user.run(&["chat", "x", "--local-only", "--raw", "--min-p", "0.1", "--repetition-penalty", "1.1"]),
        @r"
    status: 2
    ----- stdout
    ----- stderr
    error: --raw and --min-p and --repetition-penalty cannot go through the router; leave out --provider, --privacy, --local-only and --config, and the engine answers alone
    "
    );
    let shown = user.run(&[
        "chat",
        "x",
        "--local-only",
        "--seed",
        "18446744073709551615",
    ]);
    assert!(shown.starts_with("status: 2\n"), "{shown}");
}

#[test]
fn explain_shows_everyone_and_sends_nothing() {
    let up = Answering::start();
    let user = user_with(&up, "cloud", ", \"onnx\", \"anthropic\"");
    user.write(
        "request.json",
        r#"{"model": "auto", "messages": [{"role": "user", "content": "Hello"}], "maxTokens": 100}"#,
    );
    let explain = ["route", "explain", "--file", "request.json"];
    assert_snapshot!(user.online(&explain), @r"
    status: 0
    ----- stdout
    ceiling     cloud: the configuration allows no more
    decided by  mode manual
    complexity  low, guessed
    reasoning   not needed, guessed
    prompt      about 6 tokens

       provider    model         zone         cost  why
    1  litellm     m1            cloud   $0.000206  mode manual
    2  onnx-local  smollm2-135m  device      $0.00  if those before it fail
    ----- stderr
    warning: router.config.json:1:69: fallbackChain[2] names anthropic, which is skipped: it is not in providers, and ANTHROPIC_API_KEY is not set
    ");
    let mut private = explain.to_vec();
    private.extend(["--privacy", "high"]);
    assert_snapshot!(user.online(&private), @r"
    status: 0
    ----- stdout
    ceiling     device: privacy is high
    decided by  mode manual
    complexity  low, guessed
    reasoning   not needed, guessed
    prompt      about 6 tokens

       provider    model         zone     cost  why
    1  onnx-local  smollm2-135m  device  $0.00  mode manual
    -  litellm     m1            -           -  it is in zone cloud, and the request may go no farther than device
    ----- stderr
    warning: router.config.json:1:69: fallbackChain[2] names anthropic, which is skipped: it is not in providers, and ANTHROPIC_API_KEY is not set
    ");
    let mut named = explain.to_vec();
    named.extend(["--provider", "litellm", "--json"]);
    let told = user.online_json(&named);
    assert_eq!(
        keys(&told),
        [
            "ceiling",
            "ceiling_because",
            "reason",
            "prompt_tokens",
            "complexity",
            "reasoning",
            "masked",
            "candidates"
        ]
    );
    assert_eq!(told["candidates"].as_array().unwrap().len(), 1);
    assert_eq!(
        keys(&told["candidates"][0]),
        [
            "place",
            "provider",
            "model",
            "zone",
            "estimated_cost",
            "why"
        ]
    );
    let mut piped = user.command(&["route", "explain", "--file", "-", "--json"]);
    piped
        .env_remove("INHOUSE_OFFLINE")
        .write_stdin(user.read("request.json"));
    let piped: Value = serde_json::from_slice(&piped.output().unwrap().stdout).unwrap();
    assert_eq!(piped["candidates"][0]["provider"], "litellm");

    user.write("request.json", r#"{"model": "auto", "mesages": []}"#);
    assert_snapshot!(user.online(&explain), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: request.json is not a request
      because messages is missing
    ");
    assert_eq!(up.upstream.n_connections(), 0);
}

#[test]
fn usage_and_receipts_tell_of_a_chat() {
    let up = Answering::start();
    let user = user_with(&up, "cloud", "");
    user.online(&["chat", "hello", "--provider", "litellm"]);
    up.upstream
        .always(inhouse_testing::Answer::error(400, &json!({})));
    user.online(&["chat", "hello", "--provider", "litellm"]);
    assert_snapshot!(user.run(&["usage"]), @r"
    status: 0
    ----- stdout
    provider  attempts  failed  cached  prompt  answer       cost  saved
    litellm          2       1       0       9       2  $0.000013  $0.00
    total            2       1       0       9       2  $0.000013  $0.00
    ----- stderr
    ");
    let usage = user.json(&["usage", "--by", "model", "--json"]);
    assert_eq!(usage["rows"][0]["name"], "m1");
    assert_eq!(usage["total"]["cost"], "0.000013");
    let nothing = user.run(&["usage", "--until", "2020-01-01"]);
    assert!(nothing.contains("nothing was asked"), "{nothing}");

    let receipts = user.json(&["receipts", "--json"]);
    assert_eq!(receipts[0]["seq"], 2);
    let first = &receipts[1];
    assert_eq!(first["ceiling"], "cloud");
    assert_eq!(first["used"], "cloud");
    assert_eq!(first["recipients"][0]["provider"], "litellm");
    assert!(first["recipients"][0]["bytes"].as_u64().unwrap() > 10);
    assert_eq!(
        user.json(&["receipts", "--limit", "1", "--json"])
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let table = user.run(&["receipts"]);
    assert!(table.contains("litellm (cloud, "), "{table}");
}

#[test]
fn a_receipt_that_was_changed_is_found() {
    let up = Answering::start();
    let user = user_with(&up, "cloud", "");
    for _ in 0..3 {
        user.online(&["chat", "hello", "--provider", "litellm"]);
    }
    let verified = user.json(&["receipts", "verify", "--json"]);
    assert_eq!(verified["receipts"], 3);
    let head = verified["head"].as_str().unwrap();
    assert!(head.starts_with("3:"));
    let shown = user.run(&["receipts", "verify", "--against", head]);
    assert_eq!(
        shown,
        format!("status: 0\n----- stdout\n3 receipts, as written\nhead {head}\n----- stderr\n")
    );
    let forged = format!("2:{}", "0".repeat(64));
    assert_snapshot!(user.run(&["receipts", "verify", "--against", &forged]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: the chain of receipts is not as it was written
      because receipt 2 is not the one whose hash was kept
    ");

    let second = &user.json(&["receipts", "--json"])[1]["request"];
    let changed = second
        .as_str()
        .unwrap()
        .replace(|c: char| c.is_ascii_digit(), "x");
    user.replace_bytes(
        ".local/state/inhouse/ledger.db",
        second.as_str().unwrap(),
        &changed,
    );
    assert_snapshot!(user.run(&["receipts", "verify"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: the chain of receipts is not as it was written
      because receipt 2 does not have the hash that its content gives
    ");
    let mut json = user.command(&["receipts", "verify", "--json"]);
    let output = json.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(keys(&told), ["valid", "broken_at", "why"]);
    assert_eq!(told["broken_at"], 2);
}

#[test]
fn providers_are_listed_and_tested() {
    let up = Answering::start();
    let user = user_with(&up, "cloud", "");
    let listed = user.online(&["providers"]).replace(&up.url(), "[UP]");
    let listed = squeezed(&listed);
    assert_snapshot!(listed, @r"
    status: 0
    ----- stdout
    provider type zone address models
    litellm litellm cloud [UP]/v1 m1 ready
    anthropic anthropic - - - not configured: ANTHROPIC_API_KEY or a configuration does
    openai openai - - - not configured: OPENAI_API_KEY or a configuration does
    openrouter openrouter - - - not configured: OPENROUTER_API_KEY or a configuration does
    gemini gemini - - - not configured: GEMINI_API_KEY or a configuration does
    huggingface huggingface - - - not configured: HF_TOKEN or a configuration does
    ollama ollama - - - not configured: OLLAMA_HOST or a configuration does
    onnx-local onnx-local device this program - ready
    ----- stderr
    ");
    let told = user.online_json(&["providers", "--json"]);
    assert_eq!(
        keys(&told[0]),
        [
            "name", "type", "ready", "why_not", "zone", "address", "models"
        ]
    );
    assert_eq!(up.upstream.n_connections(), 0, "listing asks nobody");

    let tested = user.online_json(&["providers", "test", "--json"]);
    assert_eq!(
        keys(&tested[0]),
        [
            "name",
            "ok",
            "why_not",
            "zone",
            "latency_s",
            "models",
            "key_was_checked"
        ]
    );
    assert_eq!(tested[0]["ok"], true);
    assert_eq!(tested[0]["models"], json!(["m1", "m2"]));
    assert!(
        up.upstream.requests()[0].body.is_empty(),
        "no prompt is sent"
    );
    let shown = user.online(&["providers", "test", "litellm"]);
    assert!(
        shown.starts_with("status: 0\n") && shown.contains("2 models"),
        "{shown}"
    );

    up.upstream.always(inhouse_testing::Answer::error(
        401,
        &json!({"error": {"message": "who are you?"}}),
    ));
    let shown = user.online(&["providers", "test"]);
    assert!(
        shown.starts_with("status: 1\n")
            && shown.contains("failed")
            && shown.contains("it said: who are you?"),
        "{shown}"
    );
    let n_connections = up.upstream.n_connections();
    let check = |args: &[&str], status: &str, said: &str| {
        let shown = user.online(args);
        assert!(shown.starts_with(status) && shown.contains(said), "{shown}");
    };
    check(
        &["providers", "test", "--local-only"],
        "status: 1\n",
        "nothing may leave this device",
    );
    check(
        &["providers", "test", "nobody"],
        "status: 2\n",
        "there is no provider nobody",
    );
    check(
        &["providers", "test", "openai"],
        "status: 1\n",
        "openai is not configured",
    );
    check(
        &["providers", "test", "onnx"],
        "status: 1\n",
        "onnx-local is in this program",
    );
    assert_eq!(up.upstream.n_connections(), n_connections);
}

#[test]
fn what_costs_more_than_an_alert_is_warned_of() {
    let up = Answering::start();
    let user = user_with(&up, "cloud", "");
    let config = user.read("router.config.json");
    let alert = |level: &str| {
        let monitoring = format!(
            r#"{{"monitoring": {{"logLevel": "{level}", "alerts": {{"costThreshold": 0.000001}}}}, "#
        );
        user.write("router.config.json", &config.replacen('{', &monitoring, 1));
        user.online(&["chat", "hello", "--provider", "litellm"])
    };
    let shown = alert("warn");
    assert!(
        shown.contains(
            "warning: a request cost $0.000013, more than monitoring.alerts.costThreshold"
        ),
        "{shown}"
    );
    assert!(!alert("error").contains("warning"), "below its level");
}

/// Without the blanks of columns, whose widths depend on a port.
fn squeezed(text: &str) -> String {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(|line| words(line) + "\n").collect()
}

/// A provider of one's own has the prices that the configuration gives it, by its name.
#[test]
fn prices_hold_for_a_provider_of_any_name() {
    let up = Answering::start();
    let user = User::new();
    user.write(
        "router.config.json",
        &format!(
            r#"{{"providers": {{"mine": {{"type": "custom", "baseUrl": "{}/v1", "models": {{"default": "m1"}}}}}},
                "prices": {{"mine": {{"m1": {{"input": 1, "output": 2}}}}}}}}"#,
            up.url()
        ),
    );
    let answer = user.online_json(&["chat", "hello", "--provider", "mine", "--json"]);
    assert_eq!(answer["cost"], "0.000013");
}

//! Prices, and a ledger that nothing was written to yet.

use insta::assert_snapshot;

use crate::support::{User, keys};

#[test]
fn nothing_is_recorded_and_nothing_is_made() {
    let user = User::new();
    assert_snapshot!(user.run(&["usage"]), @r"
    status: 0
    ----- stdout
    nothing was asked in this time
    ----- stderr
    ");
    assert_snapshot!(user.run(&["receipts"]), @r"
    status: 0
    ----- stdout
    no request has left a receipt yet
    ----- stderr
    ");
    assert_snapshot!(user.run(&["receipts", "verify"]), @r"
    status: 0
    ----- stdout
    0 receipts, as written
    ----- stderr
    ");
    assert_eq!(
        keys(&user.json(&["usage", "--json"])),
        ["by", "rows", "total"]
    );
    assert!(!user.path(".local").exists(), "looking makes no file");
}

#[test]
fn spans_and_heads_that_make_no_sense_are_wrong_usage() {
    let user = User::new();
    let check = |args: &[&str], said: &str| {
        let shown = user.run(args);
        assert!(
            shown.starts_with("status: 2\n") && shown.contains(said),
            "{args:?}: {shown}"
        );
    };
    check(
        &["usage", "--since", "2026-11-22", "--until", "2026-11-21"],
        "--since 2026-11-22 is after --until 2026-11-21",
    );
    check(&["usage", "--since", "yesterday"], "--since <DATE>");
    check(&["usage", "--by", "planet"], "provider, agent, model, day");
    check(&["receipts", "verify", "--against", "7"], "not the head");
    check(&["prices", "update"], "--from <FILE>");
}

#[test]
fn prices_come_from_the_program_until_a_file_replaces_them() {
    let user = User::new();
    let shown = user.run(&["prices"]);
    assert!(
        shown.starts_with("status: 0\n----- stdout\nprices   genai-prices "),
        "{shown}"
    );
    assert_snapshot!(user.run(&["prices", "show", "claude-haiku-4-5"]), @r"
    status: 0
    ----- stdout
    provider   model             input  output  cache read  cache write  for an hour
    anthropic  claude-haiku-4-5  $1.00   $5.00       $0.10        $1.25        $2.00
    gemini     claude-haiku-4-5  $1.00   $5.00       $0.10        $1.25        $2.00
    ----- stderr
    ");
    assert_snapshot!(user.run(&["prices", "show", "no-such-model"]), @r"
    status: 1
    ----- stdout
    ----- stderr
    error: no list has a price of no-such-model; prices in the configuration can name one
    ");

    user.write("bad.json", "{}");
    let shown = user.run(&["prices", "update", "--from", "bad.json"]);
    assert!(
        shown.starts_with("status: 1\n") && shown.contains("cannot use bad.json"),
        "{shown}"
    );
    user.write(
        "new.json",
        r#"{"source": {"package": "mine", "version": "2", "licence": "MIT", "copyright": "me"},
            "providers": [{"id": "anthropic", "models": [{"id": "claude-haiku-4-5",
                "match": {"starts": "claude-haiku-4-5"}, "prices": [{"input": "7", "output": "9"}]}]}]}"#,
    );
    assert_snapshot!(user.run(&["prices", "update", "--from", "new.json"]), @r"
    status: 0
    ----- stdout
    prices of mine 2 are used from now on: [USER]/.local/state/inhouse/prices.json
    ----- stderr
    ");
    assert_snapshot!(user.run(&["prices"]), @r"
    status: 0
    ----- stdout
    prices   mine 2
    licence  MIT, me
    from     [USER]/.local/state/inhouse/prices.json; without that file the shipped ones hold
    ----- stderr
    ");
    let told = user.json(&["prices", "show", "claude-haiku-4-5", "--json"]);
    assert_eq!(told["prices"][0]["rates"]["input"], "7");
}

#[test]
fn prices_of_the_configuration_come_first() {
    let user = User::new();
    user.write(
        "router.config.json",
        r#"{"prices": {"anthropic": {"claude-haiku-4-5": {"input": 0.5}}}}"#,
    );
    let told = user.json(&["prices", "show", "claude-haiku-4-5", "--json"]);
    let first = &told["prices"][0];
    assert_eq!(
        keys(first),
        ["provider", "model", "configured", "rates", "long_prompts"]
    );
    assert_eq!(first["configured"], true);
    assert_eq!(first["rates"]["input"], "0.5");
    assert_eq!(told["prices"][1]["rates"]["input"], "1");
}

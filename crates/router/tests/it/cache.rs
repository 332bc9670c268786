//! Answers that are kept.

use inhouse_policy::Zone;
use inhouse_router::Caller;

use crate::support::{Act, Scripted, ask, world};

const CACHED: &str =
    r#"{ "defaultProvider": "anthropic", "cache": { "enabled": true, "ttl": 60 } }"#;

fn claude() -> Scripted {
    Scripted::cloud("anthropic", "one two")
        .with_model("claude-sonnet-4-5")
        .first([Act::Say("one two"), Act::Say("three four")])
}

#[tokio::test(start_paused = true)]
async fn the_same_request_is_answered_from_before_and_streams_are_replayed() {
    let world = world(CACHED, [claude()]);
    let first = world.router.chat(ask("x")).await.unwrap();
    let again = world
        .router
        .stream(ask("x"))
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    assert_eq!(first.reply, again.reply);
    assert!(!first.metadata.cached && again.metadata.cached);
    assert_eq!(again.metadata.cost.unwrap().to_string(), "$0.00");
    assert_eq!(world.provider("anthropic").n_calls(), 1);
    let report = world.report(inhouse_ledger::By::Provider);
    assert!(
        report.total.saved.amount() > rust_decimal::Decimal::ZERO,
        "{report:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn time_and_difference_end_it() {
    let world = world(CACHED, [claude()]);
    world.who(ask("x")).await;
    world.who(ask("y")).await;
    assert_eq!(world.provider("anthropic").n_calls(), 2);
    tokio::time::advance(std::time::Duration::from_secs(61)).await;
    world.who(ask("x")).await;
    assert_eq!(world.provider("anthropic").n_calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn keys_and_zones_do_not_share_answers() {
    let world = world(CACHED, [claude()]);
    let caller = |key: Option<&str>, zone| Caller {
        key: key.map(str::to_owned),
        key_ceiling: zone,
        header_ceiling: None,
    };
    let callers = [
        caller(None, None),
        caller(Some("one"), None),
        caller(Some("two"), None),
        caller(Some("two"), Some(Zone::Cloud)),
    ];
    let mut asked = Vec::new();
    for caller in &callers {
        world.router.chat_for(ask("x"), caller).await.unwrap();
        asked.push(world.provider("anthropic").n_calls());
    }
    assert_eq!(asked, [1, 2, 3, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_broken_answer_is_not_kept() {
    let broken = Scripted::cloud("anthropic", "whole").first([Act::CutOff("half ")]);
    let world = world(CACHED, [broken]);
    assert!(world.router.chat(ask("x")).await.is_err());
    assert_eq!(
        world.router.chat(ask("x")).await.unwrap().reply.text(),
        "whole"
    );
}

//! Budgets and receipts, over many requests at once.

use std::sync::Arc;

use futures_util::future::join_all;
use inhouse_chat::{Money, Usage};
use inhouse_ledger::By;
use inhouse_policy::Zone;
use inhouse_router::RouteError;

use crate::support::{Act, Scripted, Setup, ask, private, world};

const CAPPED: &str = r#"{ "defaultProvider": "anthropic", "providers": { "anthropic": { "maxRetries": 0 } },
    "budgets": [ { "per": "all", "window": "day", "limit": 0.5, "hardStop": true } ] }"#;

fn claude() -> Scripted {
    let slow = Act::SayAfter(std::time::Duration::from_millis(20), "one two");
    Scripted::new("anthropic", Zone::Cloud, slow)
        .with_model("claude-sonnet-4-5")
        .with_usage(Usage {
            input: 1_000,
            output: 500,
            ..Usage::default()
        })
}

fn capped(text: &str) -> inhouse_chat::ChatRequest {
    let mut request = ask(text);
    request.max_tokens = Some(500);
    request
}

/// What the provider itself charged: its calls times what each takes.
fn charged(calls: usize) -> Money {
    let each: rust_decimal::Decimal = "0.0105".parse().unwrap(); // 1,000 x $3 + 500 x $15 a million
    Money::dollars(each * rust_decimal::Decimal::from(calls))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn point_4_two_hundred_at_once_do_not_exceed_a_cap() {
    let world = Arc::new(world(CAPPED, [claude()]));
    let mut spent_before = 0;
    // In several waves, so that requests are refused for what others reserved and later let in by what was given back.
    for _ in 0..5 {
        let asked = (0..200).map(|n| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                let mut request = ask(&format!("request {n}"));
                request.max_tokens = Some(1_000);
                world
                    .router
                    .chat(request)
                    .await
                    .map(|answer| answer.metadata.cost)
            })
        });
        let answers = join_all(asked).await;
        let refused = answers
            .iter()
            .filter(|one| matches!(one, Ok(Err(RouteError::Budget(_)))))
            .count();
        let answered = answers
            .iter()
            .filter(|one| matches!(one, Ok(Ok(Some(_)))))
            .count();
        assert_eq!(refused + answered, 200);
        spent_before += answered;
        assert!(charged(spent_before) <= Money::dollars("0.5".parse().unwrap()));
    }
    let calls = world.provider("anthropic").n_calls();
    assert_eq!(calls, spent_before);
    assert!(calls >= 40, "{calls} calls: the cap is used");
    let report = world.report(By::Provider);
    assert_eq!(report.total.cost, charged(calls));
}

#[tokio::test(start_paused = true)]
async fn a_used_up_budget_leaves_the_free_provider() {
    let config = r#"{ "defaultProvider": "anthropic", "fallbackChain": ["onnx"],
        "budgets": [ { "per": "all", "window": "day", "limit": 0.015, "hardStop": true } ] }"#;
    let world = world(config, [claude(), Scripted::device("here")]);
    let mut request = ask("x");
    request.max_tokens = Some(500);
    assert_eq!(world.who(request.clone()).await, "anthropic");
    assert_eq!(world.who(request).await, "onnx-local");
}

#[tokio::test(start_paused = true)]
async fn a_receipt_says_who_received_what() {
    let world = Setup::new(
        r#"{ "defaultProvider": "anthropic", "fallbackChain": ["openai", "onnx"], "providers": { "anthropic": { "maxRetries": 0 } } }"#,
        [
            claude().first([Act::Fail(inhouse_chat::Failure::Internal)]),
            Scripted::cloud("openai", "x").with_model("gpt-4o-mini"),
            Scripted::device("here"),
        ],
    )
    .build();
    world.router.chat(ask("12345")).await.unwrap();
    world.router.chat(private("1234567")).await.unwrap();
    assert_eq!(world.ledger.verify().unwrap(), 2);
    let receipts = world.ledger.receipts(10).unwrap();
    let line = |n: usize| {
        let receipt = &receipts[n].receipt;
        let to: Vec<_> = receipt
            .recipients
            .iter()
            .map(|to| format!("{} {} {}", to.provider, to.zone, to.bytes))
            .collect();
        format!("{} {:?} {to:?}", receipt.ceiling, receipt.used)
    };
    assert_eq!(
        line(1),
        r#"cloud Some(Cloud) ["anthropic cloud 5", "openai cloud 5"]"#
    );
    assert_eq!(line(0), r#"device Some(Device) ["onnx-local device 7"]"#);
    assert_eq!(receipts[0].receipt.cost, Some(Money::ZERO));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_price_is_unknown_and_not_nothing() {
    let config = r#"{ "defaultProvider": "x", "providers": { "x": { "type": "custom" } } }"#;
    let world = world(config, [Scripted::cloud("x", "a")]);
    let answer = world.router.chat(ask("hello")).await.unwrap();
    assert_eq!(answer.metadata.cost, None);
    let report = world.report(By::Model);
    assert_eq!(report.rows[0].unknown_cost, 1);
    assert_eq!(world.ledger.receipts(1).unwrap()[0].receipt.cost, None);
}

#[tokio::test(start_paused = true)]
async fn alerts_of_the_old_files_are_budgets_that_warn_or_stop() {
    let config = |hard_stop: bool| {
        let config = format!(
            r#"{{ "defaultProvider": "anthropic", "routing": {{ "costOptimization": {{
                "budgetAlerts": {{ "daily": 0.015, "monthly": 9 }}, "alertThreshold": 0.5, "hardStop": {hard_stop} }} }} }}"#
        );
        world(config.leak(), [claude()])
    };
    let warns = config(false);
    let first = warns.router.chat(ask("x")).await.unwrap().metadata.notes;
    let id = "routing.costOptimization.budgetAlerts.daily";
    assert_eq!(
        first,
        [format!("budget {id:?}: $0.0105 of $0.015 is spent")]
    );
    assert_eq!(warns.who(ask("y")).await, "anthropic");
    let stops = config(true);
    assert_eq!(stops.who(capped("x")).await, "anthropic");
    let refused = stops.who(capped("y")).await;
    assert!(
        refused.starts_with(&format!("error: the budget {id:?} allows $0.015")),
        "{refused}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_has_a_budget_with_all_its_attempts() {
    let config = r#"{ "defaultProvider": "anthropic", "budgets": [ { "window": "request", "limit": 0.009 } ] }"#;
    let world = world(config, [claude()]);
    assert_eq!(world.who(capped("x")).await, "anthropic");
    let mut long = capped("y");
    long.max_tokens = Some(5_000);
    let refused = world.who(long).await;
    assert!(
        refused.starts_with("error: the budget \"budgets[0]\""),
        "{refused}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_to_be_measured_is_not_recorded() {
    let report = |monitoring: &str| {
        let config = format!(r#"{{ "defaultProvider": "anthropic", "monitoring": {monitoring} }}"#);
        async move {
            let world = world(config.leak(), [claude()]);
            world.router.chat(ask("x")).await.unwrap();
            (
                world.report(By::Provider).total,
                world.ledger.verify().unwrap(),
            )
        }
    };
    let (all, _) = report("{}").await;
    assert_eq!((all.attempts, all.output, all.unknown_cost), (1, 500, 0));
    let (none, receipts) = report(r#"{ "enabled": false }"#).await;
    assert_eq!(
        (none.attempts, receipts),
        (0, 1),
        "receipts do not depend on it"
    );
    let (some, _) = report(r#"{ "metrics": { "trackCost": false, "trackTokens": false } }"#).await;
    assert_eq!((some.attempts, some.output, some.unknown_cost), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_price_of_the_users_own_holds_for_its_provider() {
    let config = r#"{ "defaultProvider": "mine", "providers": { "mine": { "type": "custom" } },
        "prices": { "mine": { "a-model": { "input": 1, "output": 2 } } } }"#;
    let usage = Usage {
        input: 1_000_000,
        output: 500_000,
        ..Usage::default()
    };
    let world = world(
        config,
        [Scripted::cloud("mine", "x")
            .with_model("a-model")
            .with_usage(usage)],
    );
    let answer = world.router.chat(ask("x")).await.unwrap();
    assert_eq!(answer.metadata.cost.unwrap().to_string(), "$2.00");
}

#[tokio::test(start_paused = true)]
async fn a_local_answer_saves_what_the_cheapest_would_have_cost() {
    let config = r#"{ "defaultProvider": "onnx", "fallbackChain": ["anthropic", "openai"] }"#;
    let usage = Usage {
        input: 1_000_000,
        output: 0,
        ..Usage::default()
    };
    let local = Scripted::device("here").with_usage(usage);
    let mini = Scripted::cloud("openai", "x").with_model("gpt-4o-mini");
    let world = world(config, [local, claude(), mini]);
    assert_eq!(world.who(ask("x")).await, "onnx-local");
    // gpt-4o-mini takes $0.15 a million of input (OpenAI's price list), Claude Sonnet 4.5 $3.
    assert_eq!(world.report(By::Provider).total.saved.to_string(), "$0.15");
}

//! What users of other gateways complain about most, as far as it is the router's; protocols are tested in `wire`.

use futures_util::StreamExt;
use inhouse_chat::{Delta, Event, Failure, Usage};
use inhouse_ledger::By;
use inhouse_policy::{Detect, DetectError, Findings, Zone};

use crate::support::{Act, Scripted, Setup, ask, world};

const ONE: &str = r#"{ "defaultProvider": "anthropic", "fallbackChain": ["openai"],
    "providers": { "anthropic": { "maxRetries": 0 } } }"#;

fn claude(act: Act) -> Scripted {
    Scripted::new("anthropic", Zone::Cloud, act)
        .with_model("claude-sonnet-4-5")
        .with_usage(Usage {
            input: 1_000,
            output: 200,
            cache_read: 5_000,
            cache_write_5m: 300,
            ..Usage::default()
        })
}

#[tokio::test(start_paused = true)]
async fn point_3_a_stream_costs_what_the_same_answer_costs_whole() {
    let world = world(ONE, [claude(Act::Say("one two three"))]);
    let whole = world.router.chat(ask("x")).await.unwrap().metadata;
    let streamed = world
        .router
        .stream(ask("x"))
        .await
        .unwrap()
        .collect()
        .await
        .unwrap()
        .metadata;
    assert_eq!(whole.cost, streamed.cost);
    // $3 and $15 a million, reads at a tenth, writes at five quarters: Anthropic's price list.
    assert_eq!(whole.cost.unwrap().to_string(), "$0.008625");
}

#[tokio::test(start_paused = true)]
async fn point_3_a_cancelled_stream_is_billed() {
    let world = world(ONE, [claude(Act::Stall("one two three "))]);
    let mut stream = world.router.stream(ask("x")).await.unwrap();
    while let Some(Ok(event)) = stream.next().await {
        if matches!(event, Event::BlockDelta { .. }) {
            break;
        }
    }
    drop(stream);
    let report = world.report(By::Provider);
    assert!(
        report.rows[0].cost.amount() > rust_decimal::Decimal::ZERO,
        "{report:?}"
    );
    assert_eq!(report.rows[0].unknown_cost, 0);
}

#[tokio::test(start_paused = true)]
async fn point_6_a_guard_that_fails_closes() {
    struct Broken;
    impl Detect for Broken {
        fn inspect(&self, _: &inhouse_chat::ChatRequest) -> Result<Findings, DetectError> {
            Err(DetectError::Broken)
        }
    }
    let mut setup = Setup::new(
        r#"{ "defaultProvider": "anthropic", "fallbackChain": ["onnx"] }"#,
        [claude(Act::Say("x")), Scripted::device("here")],
    );
    setup.detector = Some(std::sync::Arc::new(Broken));
    let world = setup.build();
    assert_eq!(world.who(ask("hello")).await, "onnx-local");
    assert_eq!(world.provider("anthropic").bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn point_6_personal_data_does_not_leave_by_fallback() {
    let local = Scripted::new("onnx-local", Zone::Device, Act::Fail(Failure::Engine));
    let world = world(
        r#"{ "defaultProvider": "onnx", "fallbackChain": ["anthropic"] }"#,
        [local, claude(Act::Say("x"))],
    );
    let answered = world.who(ask("my card is 4111 1111 1111 1111")).await;
    assert!(answered.starts_with("error:"), "{answered}");
    assert_eq!(world.provider("anthropic").bytes(), 0);
}

/// Names of models, conversations and answers come from callers: a stranger every time leaves nothing that adds up.
#[tokio::test(start_paused = true)]
async fn point_7_memory_does_not_grow_with_what_callers_make_up() {
    let config =
        r#"{ "defaultProvider": "anthropic", "cache": { "enabled": true, "maxSize": 100 } }"#;
    let world = world(config, [claude(Act::Say("one two three"))]);
    let mut after = Vec::new();
    for round in 0..2 {
        for n in 0..12_000 {
            let mut request = ask(&format!("{round} {n}"));
            request.model = format!("stranger-{round}-{n}").into();
            world.router.chat(request).await.unwrap();
        }
        world.provider("anthropic").forget();
        world.ledger.flush().unwrap();
        after.push(world.router.n_remembered());
    }
    assert!(after[1] <= after[0].max(20_000), "{after:?}");
    assert!(
        after.iter().all(|&n| n <= 4_096 + 4_096 + 10_000 + 100),
        "{after:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn point_8_an_early_error_of_a_stream_falls_back() {
    let world = world(
        ONE,
        [
            claude(Act::FailEarly(Failure::Overloaded)),
            Scripted::cloud("openai", "from b"),
        ],
    );
    let answer = world
        .router
        .stream(ask("x"))
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    assert_eq!(
        (answer.metadata.provider.as_str(), &*answer.reply.text()),
        ("openai", "from b")
    );
}

#[tokio::test(start_paused = true)]
async fn point_8_a_late_error_ends_the_stream_and_no_second_answer_follows() {
    let late = claude(Act::FailLate("half an ", Failure::Overloaded));
    let world = world(ONE, [late, Scripted::cloud("openai", "from b")]);
    let mut stream = world.router.stream(ask("x")).await.unwrap();
    let mut words = String::new();
    let error = loop {
        match stream.next().await.unwrap() {
            Ok(Event::BlockDelta {
                delta: Delta::Text(text),
                ..
            }) => words.push_str(text.as_str()),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(words, "half an ");
    assert_eq!(
        error.to_string(),
        "the answer broke off: anthropic is overloaded"
    );
    assert!(stream.next().await.is_none());
    assert_eq!(world.provider("openai").n_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn point_8_a_stream_that_just_stops_is_an_error() {
    let world = world(ONE, [claude(Act::CutOff("half an "))]);
    let error = world
        .router
        .stream(ask("x"))
        .await
        .unwrap()
        .collect()
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the answer broke off: anthropic stopped in the middle of its answer"
    );
}

#[tokio::test(start_paused = true)]
async fn masked_data_is_restored_in_the_answer() {
    let world = world(
        r#"{ "defaultProvider": "anthropic", "privacy": { "detector": { "action": "mask" } } }"#,
        [claude(Act::Echo)],
    );
    let answer = world
        .router
        .chat(ask("write to jane.doe@example.org today"))
        .await
        .unwrap();
    assert_eq!(answer.reply.text(), "write to jane.doe@example.org today");
    let sent = crate::support::words(&world.provider("anthropic").seen()[0].messages[0]);
    assert!(
        !sent.contains("jane") && sent.contains("[EMAIL_1]"),
        "{sent}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_blocked_reaches_nobody() {
    let world = world(
        r#"{ "defaultProvider": "anthropic", "fallbackChain": ["onnx"], "privacy": { "detector": { "action": "block" } } }"#,
        [claude(Act::Echo), Scripted::device("here")],
    );
    let answered = world.who(ask("write to jane.doe@example.org")).await;
    assert_eq!(
        answered,
        "error: refused: the request contains 1 email; privacy.detector says block"
    );
    assert_eq!(
        world.provider("anthropic").bytes() + world.provider("onnx-local").bytes(),
        0
    );
    let receipts = world.ledger.receipts(9).unwrap();
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].receipt.recipients, []);
}

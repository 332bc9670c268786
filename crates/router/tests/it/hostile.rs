//! Providers that lie and callers who leave things lying about.

use std::time::Duration;

use futures_util::StreamExt;
use inhouse_chat::{Failure, Money, Usage};
use inhouse_ledger::By;
use inhouse_policy::Zone;

use crate::support::{Act, Scripted, ask, world};

#[tokio::test(start_paused = true)]
async fn nobody_else_is_asked_what_everybody_would_reject_also_with_hedges() {
    let config = r#"{ "defaultProvider": "a", "fallbackChain": ["b", "c"],
        "routing": { "performance": { "hedgeAfter": 1000 } },
        "providers": { "a": { "type": "custom" }, "b": { "type": "custom" }, "c": { "type": "custom" } } }"#;
    for failure in [Failure::BadRequest, Failure::Declined] {
        let a = Scripted::new("a", Zone::Cloud, Act::Fail(failure));
        let others = ["b", "c"].map(|name| Scripted::cloud(name, "answered"));
        let [b, c] = others;
        let world = world(config, [a, b, c]);
        assert!(world.who(ask("x")).await.starts_with("error"));
        assert_eq!(world.provider("b").bytes() + world.provider("c").bytes(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_be_written_is_reserved_also_where_the_configuration_says_it() {
    // 4,096 tokens for $15 a million fit in; 64,000 do not.
    let config = r#"{ "defaultProvider": "anthropic", "providers": { "anthropic": { "maxTokens": 64000 } },
        "budgets": [ { "per": "all", "window": "day", "limit": 0.1, "hardStop": true } ] }"#;
    let claude = Scripted::cloud("anthropic", "x")
        .with_model("claude-sonnet-4-5")
        .with_usage(Usage {
            input: 10,
            output: 64_000,
            ..Usage::default()
        });
    let world = world(config, [claude]);
    let who = world.who(ask("x")).await;
    assert_eq!(world.provider("anthropic").n_calls(), 0, "{who}");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_answered_closes_the_circuit_before_it_is_read_to_the_end() {
    let config = r#"{ "defaultProvider": "a", "fallbackChain": ["b"],
        "providers": { "a": { "type": "custom", "maxRetries": 0 }, "b": { "type": "custom" } },
        "routing": { "performance": { "circuitBreaker": { "enabled": true, "threshold": 1, "resetTimeout": 1000 } } } }"#;
    let a = Scripted::cloud("a", "well again")
        .first([Act::Fail(Failure::Internal), Act::Stall("half an ")]);
    let world = world(config, [a, Scripted::cloud("b", "b")]);
    assert_eq!(world.who(ask("x")).await, "b");
    tokio::time::advance(Duration::from_millis(1_001)).await;
    let mut unread = world.router.stream(ask("y")).await.unwrap();
    assert!(unread.next().await.is_some());
    assert_eq!(unread.metadata().provider.as_str(), "a");
    assert_eq!(world.who(ask("z")).await, "a");
    drop(unread);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_lies_about_tokens_is_not_left_alone_for_ever() {
    let config = r#"{ "defaultProvider": "a", "fallbackChain": ["b"],
        "providers": { "a": { "type": "custom", "rateLimit": { "tokensPerMinute": 10000 } }, "b": { "type": "custom" } } }"#;
    let lie = Usage {
        input: u64::MAX,
        output: u64::MAX,
        ..Usage::default()
    };
    let a = Scripted::cloud("a", "a").with_usage(lie);
    let world = world(config, [a, Scripted::cloud("b", "b")]);
    assert_eq!(world.who(ask("x")).await, "a");
    tokio::time::advance(Duration::from_secs(24 * 3600)).await;
    assert_eq!(world.who(ask("x")).await, "a");
}

#[tokio::test(start_paused = true)]
async fn nobody_charges_less_than_nothing() {
    let config = r#"{ "defaultProvider": "a", "providers": { "a": { "type": "custom" } } }"#;
    let gift = Usage {
        input: 10,
        output: 10,
        charged: Some(Money::dollars("-100".parse().unwrap())),
        ..Usage::default()
    };
    let world = world(config, [Scripted::cloud("a", "a").with_usage(gift)]);
    let answer = world.router.chat(ask("x")).await.unwrap();
    assert_eq!(answer.metadata.cost, None);
    assert_eq!(world.report(By::Provider).total.cost, Money::ZERO);
}

#[tokio::test(start_paused = true)]
async fn circuits_of_made_up_models_have_an_end() {
    let config = r#"{ "defaultProvider": "a", "providers": { "a": { "type": "custom", "maxRetries": 0 } },
        "routing": { "performance": { "circuitBreaker": { "enabled": true, "threshold": 5 } } } }"#;
    let world = world(
        config,
        [Scripted::new(
            "a",
            Zone::Cloud,
            Act::Fail(Failure::Internal),
        )],
    );
    for n in 0..10_000 {
        let mut request = ask("x");
        request.model = format!("stranger-{n}").into();
        assert!(world.router.chat(request).await.is_err());
    }
    assert!(
        world.router.n_remembered() <= 2 * 4_096,
        "{}",
        world.router.n_remembered()
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_rule_changes_is_another_request_to_the_cache() {
    let config = r#"{ "defaultProvider": "a", "cache": { "enabled": true },
        "providers": { "a": { "type": "custom" } },
        "routing": { "mode": "rule-based", "rules": [
            { "condition": { "agentType": ["short"] }, "action": { "provider": "a", "maxTokens": 5 } },
            { "condition": { "agentType": ["long"] }, "action": { "provider": "a", "maxTokens": 5000 } } ] } }"#;
    let world = world(config, [Scripted::cloud("a", "a")]);
    for agent in ["short", "long"] {
        let mut request = ask("x");
        request.metadata.agent_type = Some(agent.to_owned());
        world.router.chat(request).await.unwrap();
    }
    assert_eq!(world.provider("a").n_calls(), 2);
}

#[tokio::test]
async fn a_name_of_any_length_is_not_kept() {
    let world = world(
        r#"{ "defaultProvider": "anthropic" }"#,
        [Scripted::cloud("anthropic", "x")],
    );
    let mut request = ask("x");
    request.metadata.agent_type = Some("a".repeat(10_000));
    let refused = world.who(request).await;
    assert_eq!(
        refused,
        "error: metadata.agentType has 10000 bytes, and no name may have more than 512"
    );
}

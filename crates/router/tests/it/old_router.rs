//! What the old router did wrong, line by line. What concerns files, protocols and downloads is tested beside those.

use std::time::Duration;

use futures_util::StreamExt;
use inhouse_chat::{Complexity, Event, Failure, Privacy, Usage};
use inhouse_policy::Zone;

use crate::support::{Act, Scripted, Setup, ask, private, words, world};

const CHAIN: &str = r#"{
  "defaultProvider": "anthropic", "fallbackChain": ["anthropic", "onnx", "openrouter"],
  "providers": { "anthropic": { "maxRetries": 0 }, "openrouter": { "maxRetries": 0 }, "onnx-local": { "type": "onnx", "maxRetries": 0 } },
  "routing": { "rules": [ { "condition": { "privacy": "high", "localOnly": true },
    "action": { "provider": "onnx-local" }, "reason": "Privacy-sensitive tasks use local ONNX inference" } ] } }"#;

fn chain(local: Act) -> [Scripted; 3] {
    [
        Scripted::cloud("anthropic", "from anthropic"),
        Scripted::new("onnx-local", Zone::Device, local),
        Scripted::cloud("openrouter", "from openrouter"),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_failed_local_request_is_not_sent_to_the_cloud() {
    let world = world(CHAIN, chain(Act::Fail(Failure::Engine)));
    let answered = world.who(private("my diary")).await;
    assert!(
        answered.starts_with("error: no provider answered: onnx-local"),
        "{answered}"
    );
    assert_eq!(world.provider("onnx-local").n_calls(), 1);
    assert_eq!(world.provider("anthropic").bytes(), 0);
    assert_eq!(world.provider("openrouter").bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_named_provider_is_used_or_refused_never_replaced() {
    let world = world(CHAIN, chain(Act::Fail(Failure::Engine)).into_iter().take(1));
    let mut request = ask("hello");
    request.metadata.provider = Some("onnx".into());
    let answered = world.who(request).await;
    assert_eq!(
        answered,
        "error: onnx-local was asked for and cannot answer: it is not configured, or has no key"
    );
    assert_eq!(world.provider("anthropic").n_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_named_provider_that_fails_is_not_replaced() {
    let world = world(CHAIN, chain(Act::Fail(Failure::Engine)));
    let mut request = ask("hello");
    request.metadata.provider = Some("onnx".into());
    let answered = world.who(request).await;
    assert!(
        answered.starts_with("error: no provider answered: onnx-local"),
        "{answered}"
    );
    assert_eq!(world.provider("anthropic").n_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_privacy_rule_matches_private_requests_only() {
    let world = world(CHAIN, chain(Act::Say("here")));
    assert_eq!(world.who(ask("hello")).await, "anthropic");
    assert_eq!(world.who(private("hello")).await, "onnx-local");
}

#[tokio::test(start_paused = true)]
async fn an_agent_rule_does_not_match_without_an_agent_type() {
    let world = world(
        r#"{ "defaultProvider": "anthropic", "routing": { "rules": [
            { "condition": { "agentType": ["coder"] }, "action": { "provider": "openrouter" } } ] } }"#,
        chain(Act::Say("here")),
    );
    assert_eq!(world.who(ask("hello")).await, "anthropic");
    let mut request = ask("hello");
    request.metadata.agent_type = Some("coder".into());
    assert_eq!(world.who(request).await, "openrouter");
}

#[tokio::test(start_paused = true)]
async fn a_rules_model_temperature_and_max_tokens_are_applied() {
    let world = world(
        r#"{ "defaultProvider": "anthropic", "routing": { "rules": [ { "condition": { "agentType": ["coder"] },
            "action": { "provider": "openrouter", "model": "x/y", "temperature": 0.25, "maxTokens": 99 } } ] } }"#,
        chain(Act::Say("here")),
    );
    let mut request = ask("hello");
    request.metadata.agent_type = Some("coder".into());
    assert_eq!(world.who(request).await, "openrouter");
    let openrouter = world.provider("openrouter");
    let sent = &openrouter.seen()[0];
    assert_eq!(openrouter.models(), ["x/y"]);
    assert_eq!(sent.sampling.temperature.map(|t| t.get()), Some(0.25));
    assert_eq!(sent.max_tokens, Some(99));
}

#[tokio::test(start_paused = true)]
async fn privacy_never_chooses_a_cloud_model() {
    // 48 cases, as in the old router: every mode, privacy, complexity and first provider.
    let modes = [
        "manual",
        "rule-based",
        "cost-optimized",
        "performance-optimized",
        "quality-optimized",
    ];
    let mut cases = 0;
    for mode in modes {
        for default in ["anthropic", "openrouter", "onnx-local"] {
            for complexity in [
                None,
                Some(Complexity::Low),
                Some(Complexity::Medium),
                Some(Complexity::High),
            ] {
                let config = format!(
                    r#"{{ "defaultProvider": "{default}", "fallbackChain": ["anthropic", "openrouter", "onnx"],
                        "routing": {{ "mode": "{mode}" }} }}"#
                );
                let world = world(config.leak(), chain(Act::Say("here")));
                let mut request = ask("hello");
                request.metadata.privacy = Some(Privacy::High);
                request.metadata.complexity = complexity;
                assert_eq!(
                    world.who(request).await,
                    "onnx-local",
                    "{mode} {default} {complexity:?}"
                );
                assert_eq!(
                    world.provider("anthropic").bytes() + world.provider("openrouter").bytes(),
                    0
                );
                cases += 1;
            }
        }
    }
    assert!(cases >= 48);
}

#[tokio::test(start_paused = true)]
async fn quality_optimized_takes_the_best() {
    let providers = [
        Scripted::cloud("openai", "a").with_model("gpt-4o-mini"),
        Scripted::cloud("anthropic", "b").with_model("claude-sonnet-4-5"),
    ];
    let world = world(
        r#"{ "defaultProvider": "openai", "routing": { "mode": "quality-optimized" } }"#,
        providers,
    );
    assert_eq!(world.who(ask("hello")).await, "anthropic");
}

#[tokio::test(start_paused = true)]
async fn performance_optimized_can_pick_the_local_model() {
    let providers = [
        Scripted::new(
            "anthropic",
            Zone::Cloud,
            Act::SayAfter(Duration::from_secs(3), "slow"),
        ),
        Scripted::new(
            "onnx-local",
            Zone::Device,
            Act::SayAfter(Duration::from_millis(50), "fast"),
        ),
    ];
    let world = world(
        r#"{ "defaultProvider": "anthropic",
             "routing": { "mode": "performance-optimized", "performance": { "exploration": 1.0 } } }"#,
        providers,
    );
    for _ in 0..10 {
        world.who(ask("hello")).await;
    }
    let measured = world
        .router
        .explain(ask("hello"), &Default::default())
        .unwrap();
    let local = measured
        .candidates
        .iter()
        .find(|one| one.provider.as_str() == "onnx-local")
        .unwrap();
    assert!(local.why.contains("about 5"), "{}", local.why);
    assert!(world.provider("onnx-local").n_calls() > 0);
}

#[tokio::test(start_paused = true)]
async fn cost_optimized_picks_the_free_one() {
    let config = r#"{ "defaultProvider": "anthropic", "routing": { "mode": "cost-optimized" } }"#;
    let world = world(config, chain(Act::Say("here")));
    assert_eq!(world.who(ask("hello")).await, "onnx-local");
}

#[tokio::test(start_paused = true)]
async fn fallback_minds_whether_an_error_is_worth_it() {
    let world = world(
        CHAIN,
        chain(Act::Say("here")).map(|one| one.first([Act::Fail(Failure::BadRequest)])),
    );
    let answered = world.who(ask("hello")).await;
    assert_eq!(
        answered,
        "error: no provider answered: anthropic rejected the request"
    );
    assert_eq!(world.provider("onnx-local").n_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_provider_is_not_tried_again_under_its_other_name() {
    let world = world(
        r#"{ "defaultProvider": "onnx", "fallbackChain": ["onnx", "onnx-local", "anthropic"],
             "providers": { "onnx-local": { "type": "onnx", "maxRetries": 0 } } }"#,
        chain(Act::Fail(Failure::Engine)),
    );
    assert_eq!(world.who(ask("hello")).await, "anthropic");
    assert_eq!(world.provider("onnx-local").n_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn fallbacks_are_counted() {
    let mut providers = chain(Act::Say("here")).into_iter();
    let first = providers
        .next()
        .unwrap()
        .first([Act::Fail(Failure::Internal)]);
    let world = world(CHAIN, std::iter::once(first).chain(providers));
    let answer = world.router.chat(ask("hello")).await.unwrap();
    assert_eq!(answer.metadata.attempts, 2);
    let report = world.report(inhouse_ledger::By::Provider);
    let attempts: u64 = report.rows.iter().map(|row| row.attempts).sum();
    assert_eq!(attempts, 2);
}

#[tokio::test(start_paused = true)]
async fn fallback_exists_for_streams() {
    let mut providers = chain(Act::Say("here")).into_iter();
    let first = providers
        .next()
        .unwrap()
        .first([Act::FailEarly(Failure::Overloaded)]);
    let world = world(CHAIN, std::iter::once(first).chain(providers));
    let mut stream = world.router.stream(ask("hello")).await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    assert!(matches!(first, Event::Start { .. }));
    assert_eq!(stream.metadata().provider.as_str(), "onnx-local");
    let rest: Vec<_> = stream.map(Result::unwrap).collect().await;
    assert!(matches!(rest.last(), Some(Event::End { .. })));
}

#[tokio::test(start_paused = true)]
async fn cache_tokens_have_their_prices() {
    let cost = |usage: Usage| async move {
        let provider = Scripted::cloud("anthropic", "a")
            .with_model("claude-sonnet-4-5")
            .with_usage(usage);
        let world = world(r#"{ "defaultProvider": "anthropic" }"#, [provider]);
        let answer = world.router.chat(ask("hello")).await.unwrap();
        answer.metadata.cost.unwrap().to_string()
    };
    let read = Usage {
        cache_read: 1_000_000,
        ..Usage::default()
    };
    let written = Usage {
        cache_write_5m: 100_000,
        ..Usage::default()
    };
    let hour = Usage {
        cache_write_1h: 100_000,
        ..Usage::default()
    };
    let plain = Usage {
        input: 100_000,
        ..Usage::default()
    };
    // Anthropic's published prices of Claude Sonnet 4.5: $3 input, 0.1 x read, 1.25 x and 2 x written.
    assert_eq!(cost(plain).await, "$0.30");
    assert_eq!(cost(written).await, "$0.375");
    assert_eq!(cost(hour).await, "$0.60");
    assert!(cost(read).await.starts_with("$0."));
}

#[tokio::test(start_paused = true)]
async fn breaker_budget_rate_limit_cache_and_alerts_are_used() {
    let config = r#"{ "defaultProvider": "anthropic", "fallbackChain": ["onnx"],
        "providers": { "anthropic": { "maxRetries": 0, "rateLimit": { "requestsPerMinute": 2 } } },
        "cache": { "enabled": true },
        "routing": { "performance": { "circuitBreaker": { "threshold": 1, "resetTimeout": 60000 } },
                     "costOptimization": { "budgetAlerts": { "daily": 0.000001 } } } }"#;
    let cloud = Scripted::cloud("anthropic", "a").with_model("claude-sonnet-4-5");
    let world = world(config, [cloud, Scripted::device("here")]);
    let first = world.router.chat(ask("one")).await.unwrap().metadata;
    assert!(
        first.notes[0].starts_with("budget \"routing.costOptimization.budgetAlerts.daily\""),
        "{:?}",
        first.notes
    );
    assert!(world.router.chat(ask("one")).await.unwrap().metadata.cached);
    assert_eq!(world.who(ask("two")).await, "anthropic");
    assert_eq!(
        world.who(ask("three")).await,
        "onnx-local",
        "two requests a minute"
    );

    let failing = Scripted::cloud("anthropic", "a").first([Act::Fail(Failure::Internal)]);
    let world = Setup::new(config, [failing, Scripted::device("here")]).build();
    assert_eq!(world.who(ask("one")).await, "onnx-local");
    assert_eq!(world.who(ask("two")).await, "onnx-local");
    assert_eq!(
        world.provider("anthropic").n_calls(),
        1,
        "the circuit is open"
    );
}

#[tokio::test(start_paused = true)]
async fn neither_keys_nor_prompts_are_printed() {
    let world = world(CHAIN, chain(Act::Fail(Failure::Engine)));
    let error = world.router.chat(private("my diary")).await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("diary"));
    let answer = world.router.chat(ask("my diary")).await.unwrap();
    assert!(!format!("{answer:?}").contains("from anthropic"));
    assert_eq!(
        words(&world.provider("anthropic").seen()[0].messages[0]),
        "my diary"
    );
}

//! What each mode chooses, and what `explain` says of it.

use std::time::Duration;

use inhouse_chat::Tool;
use inhouse_policy::Zone;
use inhouse_router::Caller;

use crate::support::{Act, Scripted, World, ask, world};

fn three() -> [Scripted; 3] {
    [
        Scripted::cloud("anthropic", "a").with_model("claude-sonnet-4-5"),
        Scripted::cloud("openai", "o").with_model("gpt-4o-mini"),
        Scripted::cloud("openrouter", "r").with_model("some/unpriced-model"),
    ]
}

fn order(world: &World) -> Vec<String> {
    let explained = world
        .router
        .explain(ask("hello"), &Caller::default())
        .unwrap();
    let mut asked: Vec<_> = explained
        .candidates
        .iter()
        .filter(|one| one.place.is_some())
        .collect();
    asked.sort_by_key(|one| one.place);
    asked.iter().map(|one| one.provider.to_string()).collect()
}

#[tokio::test]
async fn cost_goes_by_price_and_unknown_is_not_cheap() {
    let config = r#"{ "defaultProvider": "anthropic", "routing": { "mode": "cost-optimized" } }"#;
    assert_eq!(
        order(&world(config, three())),
        ["openai", "anthropic", "openrouter"]
    );
}

#[tokio::test]
async fn below_the_threshold_the_default_stays() {
    let config = r#"{ "defaultProvider": "anthropic",
        "routing": { "mode": "cost-optimized", "costOptimization": { "costThreshold": 0.5 } } }"#;
    assert_eq!(
        order(&world(config, three())),
        ["anthropic", "openai", "openrouter"]
    );
    let config = r#"{ "defaultProvider": "anthropic",
        "routing": { "mode": "cost-optimized", "costOptimization": { "preferCheaper": false } } }"#;
    assert_eq!(
        order(&world(config, three())),
        ["anthropic", "openai", "openrouter"]
    );
}

#[tokio::test]
async fn too_dear_is_said_with_the_figures() {
    let config = r#"{ "defaultProvider": "anthropic", "fallbackChain": ["openai", "openrouter"],
        "routing": { "costOptimization": { "maxCostPerRequest": 0.001 } } }"#;
    let world = world(config, three());
    let explained = world
        .router
        .explain(ask("hello"), &Caller::default())
        .unwrap();
    let why: Vec<_> = explained
        .candidates
        .iter()
        .map(|one| one.why.as_str())
        .collect();
    assert!(why[0].starts_with("mode manual"), "{why:?}");
    assert!(why[1].contains("and $0.001 is allowed"), "{why:?}");
    assert!(why[2].starts_with("its price is unknown"), "{why:?}");
}

#[tokio::test]
async fn quality_takes_the_cheapest_that_is_good_enough() {
    let config = r#"{ "defaultProvider": "anthropic",
        "routing": { "mode": "quality-optimized", "qualityOptimization": { "minimumQuality": 60 } } }"#;
    assert_eq!(order(&world(config, three())), ["anthropic"]);
    let config = r#"{ "defaultProvider": "anthropic",
        "routing": { "mode": "quality-optimized", "qualityOptimization": { "minimumQuality": 20 } } }"#;
    assert_eq!(order(&world(config, three())), ["openai", "anthropic"]);
}

#[tokio::test(start_paused = true)]
async fn performance_goes_by_what_was_measured() {
    let config = r#"{ "defaultProvider": "slow",
        "providers": { "slow": { "type": "custom" }, "fast": { "type": "custom" } },
        "routing": { "mode": "performance-optimized", "performance": { "exploration": 0.0 } } }"#;
    let after = |ms, text| Act::SayAfter(Duration::from_millis(ms), text);
    let providers = [
        Scripted::new("slow", Zone::Cloud, after(2_000, "s")),
        Scripted::new("fast", Zone::Cloud, after(100, "f")),
    ];
    let world = world(config, providers);
    for named in ["slow", "fast"] {
        let mut request = ask("x");
        request.metadata.provider = Some(named.into());
        assert_eq!(world.who(request).await, named);
    }
    for _ in 0..5 {
        assert_eq!(world.who(ask("x")).await, "fast");
    }
}

#[tokio::test]
async fn names_of_models_map_between_providers() {
    let config = r#"{ "defaultProvider": "openrouter", "fallbackChain": ["anthropic", "openai"] }"#;
    let world = world(config, three());
    let mut request = ask("hello");
    request.model = "claude-sonnet-4-5".into();
    let explained = world.router.explain(request, &Caller::default()).unwrap();
    let models: Vec<_> = explained
        .candidates
        .iter()
        .map(|one| one.model.as_ref().unwrap().as_str())
        .collect();
    assert_eq!(
        models,
        [
            "anthropic/claude-sonnet-4.5",
            "claude-sonnet-4-5",
            "gpt-4o-mini"
        ]
    );
}

#[tokio::test]
async fn a_model_without_tools_is_passed_over_or_made_up_for() {
    let with_tools = || {
        let mut request = ask("what time is it?");
        request
            .tools
            .push(Tool::new("now", serde_json::json!({"type": "object"})));
        request
    };
    let call = "<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>";
    let world_with = |strategy: &str| {
        let config = format!(
            r#"{{ "defaultProvider": "onnx", "toolCalling": {{ "fallbackStrategy": "{strategy}" }} }}"#
        );
        world(config.leak(), [Scripted::device(call)])
    };
    let world = world_with("fail");
    let refused = world.who(with_tools()).await;
    assert!(
        refused.contains("onnx-local: onnx-local-default does not take tools"),
        "{refused}"
    );

    let world = world_with("disable-tools");
    let answer = world.router.chat(with_tools()).await.unwrap();
    assert_eq!(answer.reply.text(), call);
    assert!(world.provider("onnx-local").seen()[0].tools.is_empty());
    assert_eq!(
        answer.metadata.notes,
        ["the model takes no tools: it was asked without"]
    );

    let world = world_with("use-text");
    let answer = world.router.chat(with_tools()).await.unwrap();
    assert_eq!(answer.reply.stop, inhouse_chat::StopReason::ToolUse);
    assert_eq!(answer.reply.content.len(), 1);
}

#[tokio::test]
async fn the_ceiling_is_explained() {
    let world = world(
        r#"{ "defaultProvider": "anthropic", "fallbackChain": ["onnx"] }"#,
        three(),
    );
    let explained = world
        .router
        .explain(crate::support::private("x"), &Caller::default())
        .unwrap();
    assert_eq!(explained.ceiling, Zone::Device);
    assert_eq!(
        explained.ceiling_because,
        ["privacy is high", "localOnly is set"]
    );
    assert_eq!(
        explained.candidates[0].why,
        "it is in zone cloud, and the request may go no farther than device"
    );
    assert_eq!(
        explained.candidates[1].why,
        "it is not configured, or has no key"
    );
    let header = Caller {
        header_ceiling: Some(Zone::Lan),
        ..Caller::default()
    };
    let explained = world.router.explain(ask("x"), &header).unwrap();
    assert_eq!(
        (explained.ceiling, &*explained.ceiling_because[0]),
        (Zone::Lan, "a header asks for it")
    );
}

#[tokio::test]
async fn a_rules_ceiling_holds_for_its_fallbacks() {
    let config = r#"{ "defaultProvider": "anthropic", "fallbackChain": ["anthropic"], "routing": { "rules": [
        { "condition": { "agentType": ["medical"] }, "action": { "provider": "onnx", "ceiling": "device" } } ] } }"#;
    let failing = Scripted::new(
        "onnx-local",
        Zone::Device,
        Act::Fail(inhouse_chat::Failure::Engine),
    );
    let world = world(config, three().into_iter().chain([failing]));
    let mut request = ask("x");
    request.metadata.agent_type = Some("medical".into());
    assert!(world.who(request).await.starts_with("error"));
    assert_eq!(world.provider("anthropic").bytes(), 0);
}

#[tokio::test]
async fn tools_are_translated_unless_the_configuration_says_not_to() {
    let asked = |config: &'static str| {
        let mut request = ask("what time is it?");
        request.dialect = inhouse_chat::Dialect::Anthropic;
        request
            .tools
            .push(Tool::new("now", serde_json::json!({"type": "object"})));
        let world = world(config, three());
        let explained = world.router.explain(request, &Caller::default()).unwrap();
        let why = explained
            .candidates
            .iter()
            .map(|one| format!("{}: {}", one.provider, one.why));
        why.collect::<Vec<_>>().join("\n")
    };
    let translated = asked(r#"{ "defaultProvider": "openai", "fallbackChain": ["anthropic"] }"#);
    assert!(
        translated.starts_with("openai: mode manual"),
        "{translated}"
    );
    let not = asked(
        r#"{ "defaultProvider": "openai", "fallbackChain": ["anthropic"], "toolCalling": { "translationEnabled": false } }"#,
    );
    assert!(not.starts_with("anthropic: mode manual"), "{not}");
    assert!(not.contains("openai: it takes tools in the format of openai, and toolCalling.translationEnabled is false"), "{not}");
    let mapped = asked(
        r#"{ "defaultProvider": "openai", "toolCalling": { "translationEnabled": false, "formatMapping": { "openai": "anthropic" } } }"#,
    );
    assert!(mapped.starts_with("openai: mode manual"), "{mapped}");
}

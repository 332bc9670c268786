//! The promise: whatever fails, whatever is configured, no byte of a request goes beyond its ceiling.

use std::time::Duration;

use futures_util::StreamExt;
use inhouse_chat::{ChatRequest, Complexity, Failure, Phase, Privacy};
use inhouse_policy::Zone;
use inhouse_router::Caller;
use proptest::prelude::*;

use crate::support::{Act, Scripted, World, ask, world};

const FAILURES: [Failure; 8] = [
    Failure::Unreachable,
    Failure::TimedOut(Phase::FirstToken),
    Failure::RateLimited,
    Failure::Overloaded,
    Failure::Key,
    Failure::TooLong,
    Failure::Engine,
    Failure::BadRequest,
];

fn act() -> impl Strategy<Value = Act> {
    let failure = proptest::sample::select(FAILURES.as_slice());
    prop_oneof![
        Just(Act::Say("an answer")),
        (0u64..5_000).prop_map(|ms| Act::SayAfter(Duration::from_millis(ms), "late")),
        failure.clone().prop_map(Act::Fail),
        failure.clone().prop_map(Act::FailEarly),
        failure
            .clone()
            .prop_map(|kind| Act::FailLate("half ", kind)),
        failure.prop_map(|kind| Act::FailWithRetryAfter(kind, Duration::from_secs(1))),
        Just(Act::CutOff("half ")),
        Just(Act::Hang),
        Just(Act::Stall("half ")),
    ]
}

/// Six providers, two of them on this device, each with a script of its own.
fn providers() -> impl Strategy<Value = Vec<(&'static str, Zone, Vec<Act>)>> {
    let script = || proptest::collection::vec(act(), 0..4);
    (script(), script(), script(), script(), script(), script()).prop_map(|(a, b, c, d, e, f)| {
        vec![
            ("onnx-local", Zone::Device, a),
            ("here", Zone::Device, b),
            ("lan", Zone::Lan, c),
            ("quiet", Zone::CloudNoRetention, d),
            ("anthropic", Zone::Cloud, e),
            ("openai", Zone::Cloud, f),
        ]
    })
}

const NAMES: [&str; 7] = [
    "onnx-local",
    "onnx",
    "here",
    "lan",
    "quiet",
    "anthropic",
    "openai",
];

fn config() -> impl Strategy<Value = String> {
    let name = || proptest::sample::select(NAMES.as_slice());
    let mode = proptest::sample::select(
        [
            "manual",
            "rule-based",
            "cost-optimized",
            "performance-optimized",
            "quality-optimized",
        ]
        .as_slice(),
    );
    let detector = proptest::sample::select(["route-local", "mask", "block", "allow"].as_slice());
    let chain = proptest::collection::vec(name(), 0..8);
    let hedge = proptest::option::of(1u64..2_000);
    (mode, name(), chain, name(), hedge, any::<bool>(), detector).prop_map(
        |(mode, default, chain, ruled, hedge, cache, detector)| {
            serde_json::json!({
                "defaultProvider": default, "fallbackChain": chain,
                "providers": {
                    "here": {"type": "custom", "baseUrl": "https://example.org/v1"}, "lan": {"type": "custom", "baseUrl": "https://example.org/v1"}, "quiet": {"type": "custom", "baseUrl": "https://example.org/v1"},
                    "anthropic": {"maxRetries": 3}, "openai": {"maxRetries": 1},
                },
                "routing": {
                    "mode": mode,
                    "rules": [
                        {"condition": {"agentType": ["coder"]}, "action": {"provider": ruled, "model": "m"}},
                        {"condition": {"requiresTools": false}, "action": {"provider": ruled}},
                    ],
                    "performance": {"hedgeAfter": hedge, "timeout": 30_000, "exploration": 0.5,
                                    "circuitBreaker": {"threshold": 2, "resetTimeout": 1_000}},
                },
                "cache": {"enabled": cache},
                "privacy": {"detector": {"action": detector}},
            })
            .to_string()
        },
    )
}

/// How a request says that it is private, and how far it may go then.
fn request() -> impl Strategy<Value = (ChatRequest, Caller, Zone)> {
    let ceiling = proptest::sample::select(Zone::ALL.as_slice());
    (
        ceiling,
        0u8..4,
        any::<bool>(),
        proptest::option::of(proptest::sample::select(NAMES.as_slice())),
        any::<bool>(),
    )
        .prop_map(|(zone, how, coder, named, stream)| {
            let mut request = ask("a secret of some length");
            let mut caller = Caller::default();
            let ceiling = match (zone, how) {
                (Zone::Device, 0) => {
                    request.metadata.privacy = Some(Privacy::High);
                    zone
                }
                (Zone::Device, 1) => {
                    request.metadata.local_only = Some(true);
                    zone
                }
                (Zone::CloudNoRetention, 0 | 1) => {
                    request.metadata.privacy = Some(Privacy::Medium);
                    zone
                }
                (zone, 2) => {
                    caller.key_ceiling = Some(zone);
                    zone
                }
                (zone, _) => {
                    caller.header_ceiling = Some(zone);
                    zone
                }
            };
            request.metadata.agent_type = coder.then(|| "coder".into());
            request.metadata.complexity = coder.then_some(Complexity::High);
            request.metadata.provider = named.map(Into::into);
            request.stream = stream;
            (request, caller, ceiling)
        })
}

/// How long the caller listens: to the end, for some events, or not even until it has begun.
#[derive(Clone, Copy, Debug)]
enum Patience {
    ToTheEnd,
    Events(usize),
    Millis(u64),
}

fn patience() -> impl Strategy<Value = Patience> {
    prop_oneof![
        Just(Patience::ToTheEnd),
        (0usize..5).prop_map(Patience::Events),
        (0u64..3_000).prop_map(Patience::Millis),
    ]
}

async fn listen(world: &World, request: ChatRequest, caller: &Caller, patience: Patience) {
    let asked = world.router.stream_for(request, caller);
    match patience {
        Patience::ToTheEnd => {
            if let Ok(stream) = asked.await {
                let _ = stream.collect().await;
            }
        }
        Patience::Events(n) => {
            if let Ok(stream) = asked.await {
                let _: Vec<_> = stream.take(n).collect().await;
            }
        }
        Patience::Millis(ms) => {
            let _ = tokio::time::timeout(Duration::from_millis(ms), async {
                if let Ok(stream) = asked.await {
                    let _ = stream.collect().await;
                }
            })
            .await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Any failures, timeouts, cancels, retries, hedges and configurations.
    #[test]
    fn no_byte_goes_beyond_the_ceiling(
        config in config(),
        providers in providers(),
        requests in proptest::collection::vec((request(), patience()), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let scripted = providers.iter().map(|(name, zone, acts)| {
                Scripted::new(name, *zone, Act::Say("an answer")).first(acts.clone())
            });
            let world = world(config.leak(), scripted);
            for ((request, caller, ceiling), patience) in requests {
                let before: Vec<_> = world.providers.iter().map(|one| one.bytes()).collect();
                // The engine on this machine has no limits of time; every caller has.
                let day = Duration::from_secs(86_400);
                let _ = tokio::time::timeout(day, listen(&world, request, &caller, patience)).await;
                for ((one, before), (name, zone, _)) in world.providers.iter().zip(before).zip(&providers) {
                    let sent = one.bytes() - before;
                    prop_assert!(sent == 0 || *zone <= ceiling, "{sent} bytes to {name} in {zone} under {ceiling}");
                    prop_assert_eq!(one.under_way(), 0, "{} is still asked", name);
                }
            }
            // The receipts tell the same.
            world.ledger.flush().unwrap();
            for entry in world.ledger.receipts(100).unwrap() {
                for to in &entry.receipt.recipients {
                    prop_assert!(to.zone <= entry.receipt.ceiling);
                }
            }
            Ok(())
        })?;
    }
}

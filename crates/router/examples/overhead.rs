//! What routing costs: CPU microseconds a request, from the call to its receipt, over a provider that answers at once.
//!
//! `cargo run --release -p inhouse-router --example overhead` prints one line for each setup: a hundred rules of which
//! the last matches, with and without the detector, with a prompt of 150 bytes and one of 60 kB, and with a budget.

#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream;
use inhouse_chat::{
    Block, ChatRequest, Delta, Event, Extra, Message, ModelName, ProviderError, ProviderName,
    StopReason, Usage,
};
use inhouse_ledger::{Ledger, PriceList};
use inhouse_policy::{Detect, Detector, Zone};
use inhouse_router::{Answering, Call, Parts, Provider, Router, SystemClock};

/// Answers at once.
struct Instant(ProviderName);

impl Provider for Instant {
    fn name(&self) -> &ProviderName {
        &self.0
    }

    fn zone(&self, _: &ModelName) -> Zone {
        Zone::Cloud
    }

    fn chat(&self, call: Call) -> BoxFuture<'_, Result<Answering, ProviderError>> {
        call.meter.add(150);
        Box::pin(async { Ok(Answering::new(Box::pin(stream::iter(events().map(Ok))))) })
    }
}

fn events() -> impl Iterator<Item = Event> {
    let usage = Usage {
        input: 40,
        output: 8,
        ..Usage::default()
    };
    let delta = |text: &str| Event::BlockDelta {
        index: 0,
        delta: Delta::Text(text.into()),
    };
    [
        Event::Start {
            id: "1".into(),
            model: "claude-sonnet-4-5".into(),
            usage: Usage::default(),
        },
        Event::BlockStart {
            index: 0,
            block: Block::text(""),
        },
        delta("Paris "),
        delta("is the capital."),
        Event::BlockEnd { index: 0 },
        Event::End {
            stop: StopReason::EndTurn,
            usage,
            extra: Extra::default(),
        },
    ]
    .into_iter()
}

fn router(detector: bool, budget: bool, folder: &std::path::Path) -> Router {
    let rules: Vec<_> = (0..100)
        .map(|n| {
            serde_json::json!({
                "condition": {"agentType": [format!("agent-{n}")], "requiresTools": false},
                "action": {"provider": "anthropic", "model": "claude-sonnet-4-5"},
            })
        })
        .collect();
    let budgets = if budget {
        serde_json::json!([{"per": "all", "window": "day", "limit": 1_000_000}])
    } else {
        serde_json::json!([])
    };
    let config = serde_json::json!({
        "defaultProvider": "anthropic", "routing": {"rules": rules}, "budgets": budgets,
        "privacy": {"detector": {"enabled": detector}},
    });
    let env = [("ANTHROPIC_API_KEY", "a-key")];
    let loaded =
        inhouse_config::parse(&config.to_string(), "overhead.json", &env).expect("a configuration");
    let ledger = folder.join(format!("{detector}-{budget}.db"));
    Router::new(Parts {
        config: loaded.config,
        providers: vec![Arc::new(Instant("anthropic".into()))],
        ledger: Arc::new(Ledger::open(ledger).expect("a ledger")),
        prices: PriceList::shipped(),
        detector: Some(Arc::new(Detector::default()) as Arc<dyn Detect>),
        farthest: Zone::Cloud,
        clock: Arc::new(SystemClock),
        seed: Some(1),
    })
}

fn request(bytes: usize) -> ChatRequest {
    let text =
        "What is the capital of France, and how many people live there? ".repeat(bytes / 63 + 1);
    let mut request = ChatRequest::new("claude-sonnet-4-5", [Message::user(&text[..bytes])]);
    request.metadata.agent_type = Some("agent-99".into());
    request.metadata.session = Some("session".into());
    request
}

/// CPU time of this process, all threads: the ledger's writer counts too.
fn cpu() -> Duration {
    let clock = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<_> = clock
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks: u64 =
        fields[11].parse::<u64>().unwrap_or(0) + fields[12].parse::<u64>().unwrap_or(0);
    Duration::from_millis(ticks * 10)
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    for (name, detector, budget, bytes, n) in [
        ("100 rules, 150 B", false, false, 150, 100_000),
        ("with the detector", true, false, 150, 100_000),
        ("with the detector, 60 kB", true, false, 60_000, 20_000),
        (
            "with the detector and a budget of the day",
            true,
            true,
            150,
            50_000,
        ),
    ] {
        let router = router(detector, budget, folder.path());
        let request = request(bytes);
        let ask = |n: u32| {
            runtime.block_on(async {
                for _ in 0..n {
                    router.chat(request.clone()).await.expect("an answer");
                }
            });
        };
        ask(1_000);
        let before = cpu();
        ask(n);
        router.ledger().flush().expect("a flush");
        let each = (cpu() - before).as_secs_f64() * 1e6 / f64::from(n);
        println!("{each:6.1} us  {name}");
    }
}

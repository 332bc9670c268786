//! Retrying, falling back, waiting and giving up.

use std::time::Duration;

use futures_util::StreamExt;
use inhouse_chat::Failure;
use inhouse_policy::Zone;
use tokio::time::Instant;

use crate::support::{Act, Scripted, ask, world};

const TWO: &str = r#"{ "defaultProvider": "a", "fallbackChain": ["b"],
    "providers": { "a": { "type": "custom", "maxRetries": 2, "timeouts": { "firstToken": 1000, "idle": 500, "total": 60000 } },
                   "b": { "type": "custom" } } }"#;

fn two(first: impl IntoIterator<Item = Act>) -> [Scripted; 2] {
    [
        Scripted::cloud("a", "from a").first(first),
        Scripted::cloud("b", "from b"),
    ]
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again_and_then_by_another() {
    let failures = [Act::Fail(Failure::Overloaded), Act::Fail(Failure::Internal)];
    let world = world(TWO, two(failures.clone()));
    assert_eq!(world.who(ask("x")).await, "a");
    assert_eq!(world.provider("a").n_calls(), 3);
    let world = crate::support::world(
        TWO,
        two(failures
            .into_iter()
            .chain([Act::Fail(Failure::Unreachable)])),
    );
    assert_eq!(world.who(ask("x")).await, "b");
    assert_eq!(world.provider("a").n_calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_kept_to() {
    let wait = Duration::from_secs(7);
    let world = world(
        TWO,
        two([Act::FailWithRetryAfter(Failure::RateLimited, wait)]),
    );
    let started = Instant::now();
    assert_eq!(world.who(ask("x")).await, "a");
    assert_eq!(started.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_too_long_a_wait_is_left_alone() {
    let wait = Duration::from_secs(3600);
    let world = world(
        TWO,
        two([Act::FailWithRetryAfter(Failure::RateLimited, wait)]),
    );
    assert_eq!(world.who(ask("x")).await, "b");
}

#[tokio::test(start_paused = true)]
async fn a_rejected_key_is_followed_by_the_next_and_then_by_another_provider() {
    let mut a = Scripted::cloud("a", "from a").first([Act::Fail(Failure::Key)]);
    a.n_keys = 2;
    let two_keys = world(TWO, [a, Scripted::cloud("b", "from b")]);
    assert_eq!(two_keys.who(ask("x")).await, "a");
    let one_key = world(TWO, two([Act::Fail(Failure::Key)]));
    assert_eq!(one_key.who(ask("x")).await, "b");
    assert_eq!(one_key.provider("a").n_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_upstream_is_given_up_after_its_time() {
    let world = world(TWO, two([Act::Hang, Act::Hang, Act::Hang]));
    assert_eq!(world.who(ask("x")).await, "b");
    assert_eq!(world.provider("a").under_way(), 0, "its calls were dropped");
}

#[tokio::test(start_paused = true)]
async fn nothing_for_too_long_in_the_middle_is_an_error_of_the_stream() {
    let world = world(TWO, two([Act::Stall("half an ")]));
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
        "the answer broke off: a took too long between pieces of its answer"
    );
    assert_eq!(world.provider("b").n_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_has_a_time_altogether() {
    let config = r#"{ "defaultProvider": "a", "providers": { "a": { "type": "custom" } },
        "routing": { "performance": { "timeout": 3000 } } }"#;
    let world = world(config, [Scripted::new("a", Zone::Cloud, Act::Hang)]);
    assert_eq!(
        world.who(ask("x")).await,
        "error: no answer within 3s (routing.performance.timeout)"
    );
    assert_eq!(world.provider("a").under_way(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_the_requests_time() {
    let config = r#"{ "defaultProvider": "a", "providers": { "a": { "type": "custom" } },
        "routing": { "performance": { "timeout": 3000 } } }"#;
    let world = world(
        config,
        [Scripted::new("a", Zone::Cloud, Act::Stall("half an "))],
    );
    let started = Instant::now();
    let stream = world.router.stream(ask("x")).await.unwrap();
    let error = stream.collect().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the answer broke off: a took too long altogether"
    );
    assert_eq!(started.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn no_more_are_under_way_than_allowed() {
    let config = r#"{ "defaultProvider": "a", "providers": { "a": { "type": "custom" } },
        "routing": { "performance": { "concurrentRequests": 3 } } }"#;
    let slow = Act::SayAfter(Duration::from_secs(1), "x");
    let world = world(config, [Scripted::new("a", Zone::Cloud, slow)]);
    let asked: Vec<_> = (0..20).map(|n| world.who(ask(&n.to_string()))).collect();
    let answered = futures_util::future::join_all(asked).await;
    assert!(answered.iter().all(|who| who == "a"));
    assert_eq!(
        world
            .provider("a")
            .most_under_way
            .load(std::sync::atomic::Ordering::SeqCst),
        3
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_in_line_waits_for_its_rate() {
    let config = r#"{ "defaultProvider": "a", "retries": { "maxDelay": 60000 },
        "providers": { "a": { "type": "custom", "rateLimit": { "requestsPerMinute": 2 } } } }"#;
    let world = world(config, [Scripted::cloud("a", "x")]);
    let started = Instant::now();
    for n in 0..3 {
        assert_eq!(world.who(ask(&n.to_string())).await, "a");
    }
    assert_eq!(started.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_hedge_answers_when_the_first_is_slow_and_the_loser_is_stopped() {
    let config = r#"{ "defaultProvider": "a", "fallbackChain": ["here", "b"],
        "providers": { "a": { "type": "custom" }, "b": { "type": "custom" }, "here": { "type": "custom" } },
        "routing": { "performance": { "hedgeAfter": 200 } } }"#;
    let providers = [
        Scripted::new("a", Zone::Cloud, Act::Hang),
        Scripted::new("here", Zone::Device, Act::Say("from here")),
        Scripted::cloud("b", "from b"),
    ];
    let world = world(config, providers);
    let started = Instant::now();
    assert_eq!(
        world.who(ask("x")).await,
        "b",
        "the hedge is of the same zone"
    );
    assert_eq!(started.elapsed(), Duration::from_millis(200));
    assert_eq!(world.provider("a").under_way(), 0);
    assert_eq!(world.provider("here").n_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_stream_stops_its_upstream() {
    let world = world(TWO, two([Act::Stall("half an ")]));
    let mut stream = world.router.stream(ask("x")).await.unwrap();
    let _ = stream.next().await;
    assert_eq!(world.provider("a").under_way(), 1);
    drop(stream);
    assert_eq!(world.provider("a").under_way(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_reads_late_does_not_make_the_provider_slow() {
    let slow = Act::SayAfter(Duration::from_secs(2), "x");
    let world = world(
        TWO.replace("1000", "9000").leak(),
        [Scripted::new("a", Zone::Cloud, slow)],
    );
    let stream = world.router.stream(ask("x")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let metadata = stream.collect().await.unwrap().metadata;
    assert_eq!(metadata.time_to_first_token, Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn one_probe_closes_a_circuit() {
    let config = r#"{ "defaultProvider": "a", "fallbackChain": ["b"],
        "providers": { "a": { "type": "custom", "maxRetries": 0 }, "b": { "type": "custom" } },
        "routing": { "performance": { "circuitBreaker": { "threshold": 2, "resetTimeout": 5000 } } } }"#;
    let failures = [Act::Fail(Failure::Internal), Act::Fail(Failure::Internal)];
    let world = world(config, two(failures));
    for _ in 0..4 {
        assert_eq!(world.who(ask("x")).await, "b");
    }
    assert_eq!(world.provider("a").n_calls(), 2);
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(world.who(ask("x")).await, "a");
}

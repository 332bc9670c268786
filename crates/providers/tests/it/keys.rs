//! Several keys, in turn.

use std::time::Duration;

use inhouse_chat::Failure;
use inhouse_router::Provider;
use inhouse_testing::{Answer, Upstream};
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn a_rejected_key_rests() {
    let upstream = Upstream::start().await;
    upstream.always_by(|request| match request.header("authorization") {
        Some("Bearer k-bad") => Answer::error(401, &json!({})),
        Some("Bearer k-busy") => Answer::error(429, &json!({})).header("retry-after", "30"),
        _ => completion("ok"),
    });
    let clock = Stopped::new();
    let said = json!({
        "type": "custom", "baseUrl": upstream.base_url(),
        "apiKey": "k-good", "apiKeys": ["k-bad", "k-busy"],
    });
    let remote = try_remote(&network().with_clock(clock.clone()), said).unwrap();
    assert_eq!(remote.n_keys(), 3);

    let outcome = async || ask(&remote, request()).await.err().map(|error| error.kind);
    assert_eq!(outcome().await, None);
    assert_eq!(outcome().await, Some(Failure::Key));
    assert_eq!(outcome().await, Some(Failure::RateLimited));
    for _ in 0..5 {
        assert_eq!(outcome().await, None); // the two rest
    }
    clock.pass(Duration::from_secs(30));
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(outcome().await);
    }
    assert!(
        outcomes.contains(&Some(Failure::RateLimited)),
        "{outcomes:?}"
    );
    assert!(!outcomes.contains(&Some(Failure::Key)), "{outcomes:?}");
}

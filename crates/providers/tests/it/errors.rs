//! Error answers, by status.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use inhouse_chat::{Failure, Phase};
use inhouse_providers::Lookup;
use inhouse_testing::{Answer, Upstream, nobody};
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn every_status_has_its_meaning() {
    let check = async |status: u16, failure: Failure| {
        // Upstreams quote what they were sent.
        let body = json!({"error": {"message": format!("about {PROMPT:?} with {KEY}")}});
        for request in [request(), streamed()] {
            let upstream = Upstream::start().await;
            upstream.answer(Answer::error(status, &body).split_every(5));
            let error = refused(&remote("custom", &upstream), request).await;
            assert_eq!((error.kind, error.status), (failure, Some(status)));
            assert_eq!(error.body, body.to_string());
            let shown = shown(&error);
            assert!(!shown.contains(PROMPT) && !shown.contains(KEY), "{shown}");
        }
    };
    check(400, Failure::BadRequest).await;
    check(401, Failure::Key).await;
    check(402, Failure::Payment).await;
    check(403, Failure::Forbidden).await;
    check(404, Failure::NoSuchModel).await;
    check(413, Failure::TooLong).await;
    check(422, Failure::BadRequest).await;
    check(429, Failure::RateLimited).await;
    check(500, Failure::Internal).await;
    check(502, Failure::Internal).await;
    check(503, Failure::Overloaded).await;
    check(529, Failure::Overloaded).await;
}

#[tokio::test]
async fn the_time_to_wait_is_taken_from_the_headers() {
    let check = async |name: &str, value: &str, seconds: f64| {
        let upstream = Upstream::start().await;
        upstream.answer(Answer::error(429, &json!({})).header(name, value));
        let network = network().with_clock(Stopped::new());
        let said = json!({"type": "custom", "baseUrl": upstream.base_url()});
        let error = refused(&try_remote(&network, said).unwrap(), request()).await;
        assert_eq!(error.retry_after, Some(Duration::from_secs_f64(seconds)));
    };
    check("Retry-After", "7", 7.0).await;
    check("retry-after-ms", "1500", 1.5).await;
    check("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT", 30.0).await;
    check("X-RateLimit-Reset", "784111779000", 2.0).await;
}

#[tokio::test]
async fn a_long_error_is_kept_to_a_limit() {
    let upstream = Upstream::start().await;
    upstream.answer(Answer::new(500, "x".repeat(200_000)).split_every(30_000));
    let error = refused(&remote("custom", &upstream), request()).await;
    assert_eq!(error.body.len(), 64 * 1024);
}

#[tokio::test]
async fn an_error_that_breaks_off_is_still_one() {
    let upstream = Upstream::start().await;
    upstream.answer(Answer::error(503, &json!({"error": "busy"})).cut_after(4));
    let error = refused(&remote("custom", &upstream), request()).await;
    assert_eq!((error.kind, error.status), (Failure::Overloaded, Some(503)));
}

#[tokio::test]
async fn redirects_are_refused() {
    let elsewhere = Upstream::start().await;
    elsewhere.always(completion("caught"));
    for status in [301, 302, 303, 307, 308] {
        let upstream = Upstream::start().await;
        let to = format!("{}/{KEY}", elsewhere.base_url());
        upstream.answer(Answer::redirect(status, &to));
        let error = refused(&remote("custom", &upstream), request()).await;
        assert_eq!((error.kind, error.status), (Failure::Garbled, Some(status)));
        let shown = shown(&error);
        assert!(shown.contains(&format!("redirect ({status})")), "{shown}");
        assert!(!shown.contains(KEY), "{shown}");
    }
    assert_eq!(elsewhere.n_connections(), 0);
}

#[tokio::test]
async fn who_is_not_there_is_sent_nothing() {
    let said = json!({"type": "custom", "baseUrl": format!("http://{}", nobody().await)});
    let remote = try_remote(&network(), said).unwrap();
    let call = call(&remote, "m", request());
    let meter = call.meter.clone();
    let error = inhouse_router::Provider::chat(&remote, call)
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind, Failure::Unreachable, "{}", shown(&error));
    assert_eq!(meter.bytes(), 0);
}

#[tokio::test]
async fn who_hangs_up_is_unreachable() {
    let upstream = Upstream::start().await;
    upstream.always(Answer::close());
    let error = refused(&remote("custom", &upstream), request()).await;
    assert_eq!(error.kind, Failure::Unreachable, "{}", shown(&error));
    assert!(!shown(&error).contains(&upstream.base_url()));
}

/// Looks for ever.
struct Lost;

impl Lookup for Lost {
    fn lookup(&self, _name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        std::future::pending().boxed()
    }
}

#[tokio::test]
async fn connecting_has_its_own_limit() {
    let said =
        json!({"type": "custom", "baseUrl": "http://lost.example", "timeouts": {"connect": 20}});
    let network = network().with_lookup(Lost);
    let error = refused(&try_remote(&network, said).unwrap(), request()).await;
    assert_eq!(
        error.kind,
        Failure::TimedOut(Phase::Connect),
        "{}",
        shown(&error)
    );
}

#[tokio::test]
async fn nothing_shows_keys() {
    let upstream = Upstream::start().await;
    let said = json!({"type": "custom", "baseUrl": upstream.base_url(), "headers": {"x-token": "sk-header"}});
    let remote = try_remote(&network(), said).unwrap();
    let shown = format!("{remote:?} {}", remote.address());
    assert!(!shown.contains("sk-"), "{shown}");
}

//! Connections: used again, and closed when nobody listens any more.

use std::time::Duration;

use futures_util::StreamExt;
use inhouse_testing::{Answer, Upstream};
use tokio::time::timeout;

use crate::support::*;

/// Long enough for anything on loopback; a test that waits so long has failed.
const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn one_connection_serves_all_calls() {
    let upstream = Upstream::start().await;
    let remote = remote("openai", &upstream);
    let sse = Answer::sse(recorded("openai_chat", ".sse")).split_every(100);
    for _ in 0..3 {
        upstream.answers([completion("a"), sse.clone(), Answer::new(500, "b")]);
        reply(ask(&remote, request()).await.unwrap()).await;
        reply(ask(&remote, streamed()).await.unwrap()).await;
        refused(&remote, request()).await;
    }
    assert_eq!((upstream.n_requests(), upstream.n_connections()), (9, 1));
}

#[tokio::test]
async fn a_stream_that_is_dropped_after_its_end_leaves_its_connection() {
    let upstream = Upstream::start().await;
    let remote = remote("anthropic", &upstream);
    let recording = recorded("anthropic", ".sse");
    // The end of the body comes on its own, after the last event.
    let sse = Answer::sse([&recording[..], b": bye\n\n"].concat())
        .split_at(&[recording.len()])
        .pausing(Duration::from_millis(50));
    upstream.always(sse);
    for n in 1..=2 {
        let mut events = ask(&remote, streamed()).await.unwrap().events;
        while !matches!(
            events.next().await,
            Some(Ok(inhouse_chat::Event::End { .. }))
        ) {}
        drop(events);
        tokio::select! {
            () = upstream.answered(n) => {}
            () = upstream.left(1) => panic!("the connection was closed"),
        }
    }
}

#[tokio::test]
async fn a_dropped_stream_stops_the_upstream() {
    let upstream = Upstream::start().await;
    let recording = recorded("anthropic", ".sse");
    let half = recording.len() / 2;
    upstream.answer(Answer::sse(recording).silent_after(half));
    let remote = remote("anthropic", &upstream);
    let mut events = ask(&remote, streamed()).await.unwrap().events;
    assert!(events.next().await.is_some());
    assert_eq!(upstream.n_left(), 0);
    drop(events);
    timeout(LONG, upstream.left(1)).await.unwrap();
}

#[tokio::test]
async fn a_dropped_call_stops_the_upstream() {
    let upstream = Upstream::start().await;
    upstream.always(Answer::silence());
    let remote = remote("anthropic", &upstream);
    tokio::select! {
        _ = ask(&remote, request()) => panic!("silence answered"),
        () = upstream.received(1) => {}
    }
    timeout(LONG, upstream.left(1)).await.unwrap();
}

#[tokio::test]
async fn a_slow_reader_slows_the_upstream() {
    let upstream = Upstream::start().await;
    // Far more than sockets hold, so that it can only be sent whole to who reads it.
    let event = format!(": {}\n\n", "x".repeat(65_536));
    upstream.answer(Answer::sse(event.repeat(1024)).split_every(65_536));
    let remote = remote("custom", &upstream);
    let answering = ask(&remote, streamed()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(answering);
    timeout(LONG, upstream.left(1)).await.unwrap();
}

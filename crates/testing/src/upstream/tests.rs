use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

async fn connect(upstream: &Upstream) -> TcpStream {
    TcpStream::connect(upstream.address()).await.unwrap()
}

/// Sends `request` and gives all that comes back until the upstream closes.
async fn exchange(upstream: &Upstream, request: &str) -> String {
    let mut stream = connect(upstream).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // A connection that is dropped with bytes unread is reset: what came before counts.
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

const POST: &str = "POST /v1/chat HTTP/1.1\r\nX-Key: k\r\nContent-Length: 4\r\n\r\nbody";

#[tokio::test]
async fn answers_go_out_as_scripted() {
    let check = async |answer: Answer, expected: &str| {
        let upstream = Upstream::start().await;
        upstream.answer(answer);
        let got = exchange(&upstream, POST).await;
        assert_eq!(got.replace("HTTP/1.1 ", ""), expected);
    };
    check(
        Answer::new(200, "one").until_close(),
        "200 Scripted\r\nconnection: close\r\n\r\none",
    )
    .await;
    check(
        Answer::sse("data: a\n\n").split_at(&[3]).cut_after(5),
        "200 Scripted\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n\
         3\r\ndat\r\n2\r\na:\r\n",
    )
    .await;
    check(Answer::close(), "").await;
}

#[tokio::test]
async fn requests_are_remembered_and_counted() {
    let upstream = Upstream::start().await;
    upstream.always(Answer::new(200, "").until_close());
    exchange(&upstream, POST).await;
    let chunked =
        "POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n";
    exchange(&upstream, chunked).await;

    let requests = upstream.requests();
    assert_eq!(requests[0].method, "POST");
    assert_eq!(requests[0].target, "/v1/chat");
    assert_eq!(requests[0].header("x-key"), Some("k"));
    assert_eq!(requests[0].body, "body");
    assert_eq!(requests[1].body, "abcde");
    assert_eq!(requests[1].connection, 1);
    assert_eq!(upstream.n_connections(), 2);
    assert_eq!(upstream.n_bytes(), POST.len() + chunked.len());
}

#[tokio::test]
async fn one_connection_takes_several_requests_in_turn() {
    let upstream = Upstream::start().await;
    upstream.answers([Answer::text("1"), Answer::close()]);
    let both = exchange(&upstream, &POST.repeat(2)).await;
    assert!(both.ends_with("\r\n\r\n1"), "{both}");
    assert_eq!((upstream.n_requests(), upstream.n_connections()), (2, 1));
    upstream.answered(2).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_is_noticed() {
    for answer in [
        Answer::silence(),
        Answer::text("ab").silent_after(1),
        Answer::text("ab").after(Duration::from_secs(3600)),
        Answer::text("ab")
            .split_every(1)
            .pausing(Duration::from_secs(3600)),
    ] {
        let upstream = Upstream::start().await;
        upstream.answer(answer);
        let mut stream = connect(&upstream).await;
        stream.write_all(POST.as_bytes()).await.unwrap();
        upstream.received(1).await;
        assert_eq!(upstream.n_left(), 0);
        drop(stream);
        upstream.left(1).await;
    }
}

#[tokio::test]
async fn nobody_listens_where_nobody_is() {
    assert!(TcpStream::connect(nobody().await).await.is_err());
}

#[tokio::test]
async fn it_ends_when_dropped() {
    let upstream = Upstream::start().await;
    upstream.always(Answer::silence());
    let mut stream = connect(&upstream).await;
    stream.write_all(POST.as_bytes()).await.unwrap();
    upstream.received(1).await;
    drop(upstream);
    assert_eq!(stream.read_to_end(&mut Vec::new()).await.unwrap_or(0), 0);
}

//! One connection: requests in, scripted answers out, until one of both closes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::sleep;

use crate::answer::{Answer, Ending, Framing, Way};
use crate::http::{self, Reader};
use crate::upstream::State;

/// What is to be done with a connection after an answer.
enum Next {
    /// Wait for another request.
    Keep,
    /// Close it, as scripted.
    Close,
    /// The caller went away before the answer was whole.
    Left,
}

pub(crate) async fn serve(stream: TcpStream, state: Arc<State>) {
    let connection = state.connections.fetch_add(1, Ordering::SeqCst);
    if state.closes_at_once() {
        return;
    }
    // A piece of an answer is to arrive when it is sent, not when there is more of it.
    let _ = stream.set_nodelay(true);
    let (from, mut to) = stream.into_split();
    let counter = Arc::clone(&state);
    let mut reader = Reader::new(from, move |n| {
        counter.bytes.fetch_add(n, Ordering::SeqCst);
    });
    while let Some(request) = reader.request(connection).await {
        let last = request.header("connection") == Some("close");
        let answer = state.receive(request);
        let next = tokio::select! {
            next = send(&mut to, &answer) => next,
            () = reader.gone() => Next::Left,
        };
        if !matches!(next, Next::Left) {
            state.answered.send_modify(|n| *n += 1);
        }
        match next {
            Next::Keep if !last => {}
            Next::Keep | Next::Close => break,
            Next::Left => {
                state.left.send_modify(|n| *n += 1);
                break;
            }
        }
    }
}

async fn send(to: &mut OwnedWriteHalf, answer: &Answer) -> Next {
    match answer.way {
        Way::Answer => {}
        Way::Silence => std::future::pending().await,
        Way::Close => return Next::Close,
    }
    match write(to, answer).await {
        Err(_) => Next::Left,
        Ok(()) => match answer.ending {
            Ending::Silence => std::future::pending().await,
            Ending::Cut => Next::Close,
            Ending::Whole if answer.framing == Framing::UntilClose => Next::Close,
            Ending::Whole => Next::Keep,
        },
    }
}

async fn write(to: &mut OwnedWriteHalf, answer: &Answer) -> std::io::Result<()> {
    sleep(answer.wait_first).await;
    to.write_all(&http::head(answer)).await?;
    for (index, piece) in answer.pieces.iter().enumerate() {
        if index > 0 && !answer.pause.is_zero() {
            sleep(answer.pause).await;
        }
        to.write_all(&http::piece(answer.framing, piece)).await?;
    }
    if answer.framing == Framing::Chunked && answer.ending == Ending::Whole {
        to.write_all(b"0\r\n\r\n").await?;
    }
    to.flush().await
}

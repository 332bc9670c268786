//! Answers off the network: whole ones, and streams.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use inhouse_chat::{Dialect, Event, Failure, ProviderError, ProviderName};
use inhouse_router::EventStream;
use inhouse_wire::{StreamError, StreamReader};
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

use crate::clock::Clock;
use crate::refusal;

/// The longest whole answer that is read: pictures and sound in base64 included.
const LIMIT: usize = 64 * 1024 * 1024;

/// The longest stream that is read: every piece comes with a frame around it, many times its own length.
const STREAM_LIMIT: usize = 4 * LIMIT;

/// For how long the rest of a body is awaited, after its last event, so that the connection can be used again.
const REST: Duration = Duration::from_secs(1);

/// Who answers, for errors.
#[derive(Clone, Copy)]
pub(crate) struct From<'a> {
    pub(crate) provider: &'a ProviderName,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) dialect: Dialect,
}

/// An answer is longer than any that makes sense.
#[derive(Debug, thiserror::Error)]
#[error("the answer is longer than {0} bytes")]
struct TooMuch(usize);

/// The events of an answer with success.
pub(crate) async fn read(
    response: Response,
    from: From<'_>,
    stream: bool,
) -> Result<EventStream, ProviderError> {
    if comes_as_stream(&response, from.dialect).unwrap_or(stream) {
        return Ok(Reading::start(response, from).boxed());
    }
    let events = whole(response, from).await?;
    Ok(stream::iter(events.into_iter().map(Ok)).boxed())
}

/// Whether an answer is a stream, where it says so: some stream to whoever asked for one piece, and the reverse.
fn comes_as_stream(response: &Response, dialect: Dialect) -> Option<bool> {
    let content_type = response.headers().get(CONTENT_TYPE)?.as_bytes();
    let is = |name: &str| content_type.starts_with(name.as_bytes());
    match dialect {
        Dialect::Ollama => None, // lines of JSON go by the name of JSON too
        _ if is("text/event-stream") => Some(true),
        _ if is("application/json") => Some(false),
        _ => None,
    }
}

async fn whole(mut response: Response, from: From<'_>) -> Result<Vec<Event>, ProviderError> {
    let failed = |kind| ProviderError::new(from.provider, kind);
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(piece)) if body.len() + piece.len() > LIMIT => {
                return Err(failed(Failure::Garbled).because(TooMuch(LIMIT)));
            }
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Ok(None) => break,
            Err(cause) => return Err(failed(Failure::CutOff).because(cause.without_url())),
        }
    }
    let value: Value = serde_json::from_slice(&body)
        // The cause would be a place in the answer, not a part of it.
        .map_err(|cause| failed(Failure::Garbled).because(cause))?;
    if let Some(status) = failure_inside(&value) {
        let headers = response.headers();
        return Err(refusal::of_body(
            status,
            headers,
            body.freeze(),
            from.provider,
            from.clock,
        ));
    }
    let reply = inhouse_wire::decode_reply(from.dialect, value);
    let reply = reply.map_err(|cause| failed(Failure::Garbled).because(cause))?;
    Ok(reply.events())
}

/// The status of an error that came with success, as OpenRouter sends it when whom it asked has failed.
fn failure_inside(body: &Value) -> Option<u16> {
    let error = body.get("error").filter(|error| !error.is_null())?;
    let answered = ["choices", "candidates", "content", "output", "message"];
    if answered
        .iter()
        .any(|name| body.get(name).is_some_and(|value| !value.is_null()))
    {
        return None;
    }
    let code = error.get("code").and_then(Value::as_u64);
    Some(
        code.and_then(|code| u16::try_from(code).ok())
            .filter(|code| *code >= 400)
            .unwrap_or(500),
    )
}

type Pieces = Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>;

/// A stream as it is read: pieces of the body in, events out. It holds what one piece gave, and asks for the next piece
/// when that is used up, so a slow reader slows the upstream down. Dropping it closes the connection.
struct Reading {
    provider: ProviderName,
    pieces: Option<Pieces>,
    reader: Box<dyn StreamReader>,
    n_bytes: usize,
    limit: usize,
    ready: VecDeque<Event>,
    failed: Option<ProviderError>,
    ended: bool,
}

impl Reading {
    fn start(response: Response, from: From<'_>) -> Self {
        Self {
            provider: from.provider.clone(),
            pieces: Some(Box::pin(response.bytes_stream())),
            reader: inhouse_wire::stream_reader(from.dialect),
            n_bytes: 0,
            limit: STREAM_LIMIT,
            ready: VecDeque::new(),
            failed: None,
            ended: false,
        }
    }

    /// Takes a piece of the body, or its end. What was read before an error is given before it.
    fn read(&mut self, piece: Option<reqwest::Result<Bytes>>) {
        let mut events = Vec::new();
        if let Some(Ok(bytes)) = &piece {
            self.n_bytes = self.n_bytes.saturating_add(bytes.len());
        }
        let read = match piece {
            Some(Ok(_)) if self.n_bytes > self.limit => {
                let error = ProviderError::new(&self.provider, Failure::Garbled);
                self.fail(error.because(TooMuch(self.limit)));
                Ok(())
            }
            Some(Ok(bytes)) => self.reader.push(&bytes, &mut events),
            Some(Err(cause)) => {
                let error = ProviderError::new(&self.provider, Failure::CutOff);
                self.fail(error.because(cause.without_url()));
                Ok(())
            }
            None => {
                self.pieces = None;
                self.reader.finish(&mut events)
            }
        };
        self.ended |= events
            .iter()
            .any(|event| matches!(event, Event::End { .. }));
        self.ready.extend(events);
        if let Err(error) = read {
            let error = self.error(error);
            self.fail(error);
        }
    }

    /// What goes wrong after the end is nobody's loss.
    fn fail(&mut self, error: ProviderError) {
        self.pieces = None;
        if !self.ended {
            self.failed = Some(error);
        }
    }

    fn error(&self, error: StreamError) -> ProviderError {
        let mut failed = ProviderError::new(&self.provider, error.failure());
        match error {
            StreamError::Upstream {
                retry_after, body, ..
            } => {
                failed.retry_after = retry_after;
                failed.body = body;
                failed
            }
            other => failed.because(other),
        }
    }
}

impl Stream for Reading {
    type Item = Result<Event, ProviderError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if let Some(error) = self.failed.take() {
                return Poll::Ready(Some(Err(error)));
            }
            let Some(pieces) = &mut self.pieces else {
                return Poll::Ready(None);
            };
            let piece = ready!(pieces.as_mut().poll_next(context));
            self.read(piece);
        }
    }
}

/// After the last event there are a few bytes left that say nothing. Read, they leave the connection for the next
/// request; dropped, they close it.
impl Drop for Reading {
    fn drop(&mut self) {
        let Some(mut pieces) = self.pieces.take().filter(|_| self.ended) else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(REST, async move {
                while let Some(Ok(_)) = pieces.next().await {}
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream of nothing but signs of life would go on for ever, and with it whoever waits for its first word.
    #[tokio::test]
    async fn a_stream_without_end_is_left() {
        let ping = || Ok(Bytes::from_static(b": still here\n\n"));
        let reading = Reading {
            provider: "p".into(),
            pieces: Some(stream::repeat_with(ping).boxed()),
            reader: inhouse_wire::stream_reader(Dialect::OpenAiChat),
            n_bytes: 0,
            limit: 1_000,
            ready: VecDeque::new(),
            failed: None,
            ended: false,
        };
        let events: Vec<_> = reading.take(2_000).collect().await;
        let error = events.into_iter().find_map(Result::err).expect("an error");
        assert_eq!(error.kind, Failure::Garbled);
        assert_eq!(
            error.cause.expect("a cause").to_string(),
            "the answer is longer than 1000 bytes"
        );
    }
}

//! Streams: bytes of a provider to events, events to bytes for a client.

use bytes::Bytes;
use inhouse_chat::{Event, Failure};

use crate::ndjson::Lines;
use crate::sse::{Frame, Sse};
use crate::{Note, StreamError, WireError};

/// Reads a provider's stream. Any split of its bytes gives the same events.
pub trait StreamReader: Send {
    /// Takes bytes and appends the events that they complete. Events that came before an error are appended too; after
    /// an error the reader gives the same error again.
    fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), StreamError>;

    /// The bytes are over. Appends what was held back, the end included;
    /// [`CutOff`](StreamError::CutOff) where the end never came.
    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), StreamError>;
}

/// Writes a stream for a client.
pub trait StreamWriter: Send {
    /// The bytes for an event; empty where the protocol has none.
    fn push(&mut self, event: &Event) -> Bytes;

    /// The bytes that end the stream with an error. `message` is shown to the client.
    fn error(&mut self, failure: Failure, message: &str) -> Bytes;

    /// What the protocol could not hold so far.
    fn notes(&self) -> &[Note];
}

/// What an answer's protocol wants to know that the answer does not tell.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AnswerOptions {
    /// When it was made, in seconds since 1970, for protocols that say so.
    pub created: u64,
    /// Whether a stream tells its usage where the protocol leaves that to the client (OpenAI's
    /// `stream_options.include_usage`).
    pub include_usage: bool,
}

/// A dialect's state machine over the frames of server-sent events.
pub(crate) trait SseDialect: Send {
    fn frame(&mut self, frame: Frame, events: &mut Vec<Event>) -> Result<(), StreamError>;

    /// After the last frame. [`CutOff`](StreamError::CutOff) where the end never came.
    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), StreamError>;
}

/// A dialect's state machine over lines of JSON.
pub(crate) trait LineDialect: Send {
    fn line(&mut self, line: &[u8], events: &mut Vec<Event>) -> Result<(), StreamError>;

    /// After the last line. [`CutOff`](StreamError::CutOff) where the end never came.
    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), StreamError>;
}

/// The reader of a dialect that streams server-sent events.
#[derive(Debug, Default)]
pub(crate) struct SseReader<D> {
    sse: Sse,
    dialect: D,
    failed: Option<StreamError>,
}

/// The reader of a dialect that streams lines of JSON.
#[derive(Debug, Default)]
pub(crate) struct LineReader<D> {
    lines: Lines,
    dialect: D,
    failed: Option<StreamError>,
}

impl<D: SseDialect> StreamReader for SseReader<D> {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), StreamError> {
        let Self { sse, dialect, .. } = self;
        attempt(&mut self.failed, || {
            sse.push(bytes, |frame| dialect.frame(frame, events))
        })
    }

    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), StreamError> {
        let Self { sse, dialect, .. } = self;
        attempt(&mut self.failed, || {
            if let Some(frame) = sse.finish() {
                dialect.frame(frame, events).map_err(cut)?;
            }
            dialect.finish(events)
        })
    }
}

impl<D: LineDialect> StreamReader for LineReader<D> {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), StreamError> {
        let Self { lines, dialect, .. } = self;
        attempt(&mut self.failed, || {
            lines.push(bytes, |line| dialect.line(&line, events))
        })
    }

    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), StreamError> {
        let Self { lines, dialect, .. } = self;
        attempt(&mut self.failed, || {
            if let Some(line) = lines.finish() {
                dialect.line(&line, events).map_err(cut)?;
            }
            dialect.finish(events)
        })
    }
}

fn attempt(
    failed: &mut Option<StreamError>,
    step: impl FnOnce() -> Result<(), StreamError>,
) -> Result<(), StreamError> {
    if let Some(error) = failed {
        return Err(error.clone());
    }
    step().inspect_err(|error| *failed = Some(error.clone()))
}

/// Half an event at the very end is no other protocol, it is half an event.
fn cut(error: StreamError) -> StreamError {
    match error {
        StreamError::Wire(WireError::NotJson { .. }) => StreamError::CutOff,
        other => other,
    }
}

//! Protocols of providers to and from what is said: Anthropic, OpenAI, Gemini, Ollama, and our own.
//!
//! Nothing here connects, waits or logs: bodies and bytes go in, [`inhouse_chat`]'s types come out, and back. Each
//! protocol is one file and one entry in `protocol` below: requests and answers both ways, a reader and a writer of streams.
//!
//! **What a target cannot express**, by one rule ([`Note`]):
//!
//! 1. To the same protocol everything is forwarded as it came: unknown fields and parts, the order of tools.
//! 2. What the model would have read (content, tools, results of tools) and the target cannot say: the request is
//!    refused, [`WireError::Unsupported`] names the field.
//! 3. What only tunes (seed, penalties, cache marks, effort, thoughts of another provider): left out or mapped to the
//!    nearest, and reported in [`Encoded::notes`]. Answers, which are already paid for, only report.
//!
//! A request that is read and written in the same protocol is equal JSON, numbers compared by value.
//!
//! ```
//! use inhouse_chat::Dialect;
//! use serde_json::json;
//!
//! let asked = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]});
//! let request = inhouse_wire::decode_request(Dialect::Anthropic, asked)?;
//! let sent = inhouse_wire::encode_request(Dialect::OpenAiChat, &request)?;
//! assert_eq!(sent.body["messages"][0]["content"], "Hello");
//! assert!(sent.notes.is_empty());
//! # Ok::<(), inhouse_wire::WireError>(())
//! ```
//!
//! **Invariants.** No input panics. Errors and notes name fields, never values. Depth is bounded by `serde_json`, the
//! size of an event by a limit here, the size of bodies by the caller.
#![forbid(unsafe_code)]

mod anthropic;
mod calls;
mod error;
mod failure;
mod fields;
mod gemini;
mod ndjson;
mod neutral;
mod note;
mod ollama;
mod openai_chat;
mod openai_responses;
mod parts;
mod path;
mod sse;
mod stream;

pub use error::{StreamError, WireError};
pub use failure::{decode_failure, status_of};
pub use gemini::{gemini_call, gemini_path};
pub use note::{Encoded, Fate, Note};
pub use stream::{AnswerOptions, StreamReader, StreamWriter};

use inhouse_chat::{ChatRequest, Dialect, Failure, Reply};
use serde_json::Value;

/// What a dialect's file offers.
struct Protocol {
    decode_request: fn(Value) -> Result<ChatRequest, WireError>,
    encode_request: fn(&ChatRequest) -> Result<Encoded, WireError>,
    decode_reply: fn(Value) -> Result<Reply, WireError>,
    encode_reply: fn(&Reply, &AnswerOptions) -> Encoded,
    stream_reader: fn() -> Box<dyn StreamReader>,
    stream_writer: fn(AnswerOptions) -> Box<dyn StreamWriter>,
    encode_failure: fn(Failure, &str) -> Value,
}

/// Every protocol that is spoken.
fn protocol(dialect: Dialect) -> &'static Protocol {
    match dialect {
        Dialect::Anthropic => &anthropic::PROTOCOL,
        Dialect::Neutral => &neutral::PROTOCOL,
        Dialect::OpenAiChat => &openai_chat::PROTOCOL,
        Dialect::OpenAiResponses => &openai_responses::PROTOCOL,
        Dialect::Gemini => &gemini::PROTOCOL,
        Dialect::Ollama => &ollama::PROTOCOL,
    }
}

/// Reads a request.
pub fn decode_request(dialect: Dialect, body: Value) -> Result<ChatRequest, WireError> {
    let mut request = (protocol(dialect).decode_request)(body)?;
    request.dialect = dialect;
    Ok(request)
}

/// Writes a request; the notes tell what the target does not have.
pub fn encode_request(dialect: Dialect, request: &ChatRequest) -> Result<Encoded, WireError> {
    (protocol(dialect).encode_request)(request)
}

/// Reads a whole answer.
pub fn decode_reply(dialect: Dialect, body: Value) -> Result<Reply, WireError> {
    (protocol(dialect).decode_reply)(body)
}

/// Writes a whole answer; the notes tell what the target does not have.
pub fn encode_reply(dialect: Dialect, reply: &Reply, options: &AnswerOptions) -> Encoded {
    (protocol(dialect).encode_reply)(reply, options)
}

/// A reader of one stream.
pub fn stream_reader(dialect: Dialect) -> Box<dyn StreamReader> {
    (protocol(dialect).stream_reader)()
}

/// A writer of one stream.
pub fn stream_writer(dialect: Dialect, options: AnswerOptions) -> Box<dyn StreamWriter> {
    (protocol(dialect).stream_writer)(options)
}

/// The body of an error in the client's protocol. `message` is shown to the client.
pub fn encode_failure(dialect: Dialect, failure: Failure, message: &str) -> Value {
    (protocol(dialect).encode_failure)(failure, message)
}

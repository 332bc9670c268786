//! Our own protocol, the one of the documents' example: a chat in JSON, with what it says about itself in `metadata`.
//!
//! ```json
//! {"model": "phi-4", "messages": [{"role": "user", "content": "Summarise my diary"}],
//!  "metadata": {"privacy": "high", "localOnly": true}}
//! ```
//!
//! Nobody else speaks it, so a field that is not known is a mistake: an error with its path. Streams are server-sent
//! events, one [`Event`](inhouse_chat::Event) each.

mod content;
mod reply;
mod request;
mod stream;
#[cfg(test)]
mod tests;

use inhouse_chat::{Dialect, Failure};
use serde_json::{Value, json};

use crate::Protocol;
use crate::stream::SseReader;

const DIALECT: Dialect = Dialect::Neutral;

pub(crate) const PROTOCOL: Protocol = Protocol {
    decode_request: request::decode,
    encode_request: request::encode,
    decode_reply: reply::decode,
    encode_reply: |reply, _| reply::encode(reply),
    stream_reader: || Box::new(SseReader::<stream::Reader>::default()),
    stream_writer: |_| Box::new(stream::Writer::default()),
    encode_failure,
};

fn encode_failure(failure: Failure, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind_name(failure), "message": message}})
}

/// Names that [`decode_failure`](crate::decode_failure) knows, for one of us may stand behind another.
fn kind_name(failure: Failure) -> &'static str {
    match failure {
        Failure::TooLong => "context_length_exceeded",
        Failure::BadRequest | Failure::Unsupported | Failure::Cancelled => "invalid_request_error",
        Failure::Declined => "content_filter",
        Failure::Key => "authentication_error",
        Failure::Payment => "billing_error",
        Failure::Forbidden | Failure::NotPermitted => "permission_error",
        Failure::NoSuchModel => "model_not_found",
        Failure::RateLimited => "rate_limit_error",
        Failure::Overloaded => "overloaded_error",
        Failure::TimedOut(_) => "timeout_error",
        Failure::Unreachable
        | Failure::Internal
        | Failure::Garbled
        | Failure::CutOff
        | Failure::Engine => "api_error",
    }
}

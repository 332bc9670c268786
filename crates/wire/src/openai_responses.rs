//! OpenAI's Responses API.
//!
//! Shapes after the official SDK's types (`openai` 3.54 on PyPI, Apache-2.0). Items of one turn are one message:
//! thoughts, words and calls of the model stand together, and so do the results of its calls. Items that nothing here
//! reads (the provider's own tools, references) are kept whole.

mod items;
mod media;
mod parts;
mod reply;
mod request;
mod stream;
#[cfg(test)]
mod tests;
mod thoughts;
mod writer;

use inhouse_chat::{Dialect, Extra, Failure};
use serde_json::{Value, json};

use crate::Protocol;
use crate::stream::SseReader;

const DIALECT: Dialect = Dialect::OpenAiResponses;

pub(crate) const PROTOCOL: Protocol = Protocol {
    decode_request: request::decode,
    encode_request: request::encode,
    decode_reply: reply::decode,
    encode_reply: reply::encode,
    stream_reader: || Box::new(SseReader::<stream::Reader>::default()),
    stream_writer: |options| Box::new(writer::Writer::new(options)),
    encode_failure,
};

fn encode_failure(failure: Failure, message: &str) -> Value {
    let (kind, code) = error_words(failure);
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

/// The type and the code of an error.
fn error_words(failure: Failure) -> (&'static str, Option<&'static str>) {
    match failure {
        Failure::TooLong => ("invalid_request_error", Some("context_length_exceeded")),
        Failure::BadRequest | Failure::Unsupported => ("invalid_request_error", None),
        Failure::Declined => ("invalid_request_error", Some("content_filter")),
        Failure::Key => ("invalid_request_error", Some("invalid_api_key")),
        Failure::Payment => ("insufficient_quota", Some("insufficient_quota")),
        Failure::Forbidden | Failure::NotPermitted => ("invalid_request_error", Some("forbidden")),
        Failure::NoSuchModel => ("invalid_request_error", Some("model_not_found")),
        Failure::RateLimited => ("rate_limit_error", Some("rate_limit_exceeded")),
        Failure::Overloaded => ("server_error", Some("server_is_overloaded")),
        Failure::Unreachable
        | Failure::TimedOut(_)
        | Failure::Internal
        | Failure::Garbled
        | Failure::CutOff
        | Failure::Engine
        | Failure::Cancelled => ("server_error", Some("server_error")),
    }
}

/// Adds a field, mostly a mark, to what came in this protocol.
fn with(extra: &Extra, name: &str, value: Value) -> Extra {
    let mut fields = extra.of(DIALECT).cloned().unwrap_or_default();
    fields.insert(name.to_owned(), value);
    Extra::new(DIALECT, fields)
}

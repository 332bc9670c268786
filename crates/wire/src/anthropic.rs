//! Anthropic's Messages API.
//!
//! Shapes after the official SDK's types (`anthropic` 2.12 on PyPI, MIT). Instructions are the leading
//! [`Role::System`](inhouse_chat::Role::System) messages: one for the whole of `system`, its blocks unmerged.

mod content;
mod reply;
mod request;
mod stream;
#[cfg(test)]
mod tests;
mod usage;
mod writer;

use inhouse_chat::{Dialect, Failure};
use serde_json::{Value, json};

use crate::Protocol;
use crate::stream::SseReader;

const DIALECT: Dialect = Dialect::Anthropic;

pub(crate) const PROTOCOL: Protocol = Protocol {
    decode_request: request::decode,
    encode_request: request::encode,
    decode_reply: reply::decode,
    encode_reply: reply::encode,
    stream_reader: || Box::new(SseReader::<stream::Reader>::default()),
    stream_writer: |_| Box::new(writer::Writer::default()),
    encode_failure,
};

fn encode_failure(failure: Failure, message: &str) -> Value {
    json!({"type": "error", "error": {"type": error_type(failure), "message": message}})
}

fn error_type(failure: Failure) -> &'static str {
    match failure {
        Failure::TooLong | Failure::BadRequest | Failure::Declined | Failure::Unsupported => {
            "invalid_request_error"
        }
        Failure::Key => "authentication_error",
        Failure::Payment => "billing_error",
        Failure::Forbidden | Failure::NotPermitted => "permission_error",
        Failure::NoSuchModel => "not_found_error",
        Failure::RateLimited => "rate_limit_error",
        Failure::Overloaded => "overloaded_error",
        Failure::TimedOut(_) => "timeout_error",
        Failure::Unreachable
        | Failure::Internal
        | Failure::Garbled
        | Failure::CutOff
        | Failure::Engine
        | Failure::Cancelled => "api_error",
    }
}

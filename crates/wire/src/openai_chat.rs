//! OpenAI's Chat Completions, and all that copy it: OpenRouter, DeepSeek, Hugging Face, vLLM, llama.cpp.
//!
//! Shapes after the official SDK's types (`openai` 3.54 on PyPI, Apache-2.0) and after recorded answers of the copies,
//! which leave fields out and add their own. Several answers to one request (`n`) are kept for the same protocol; our
//! own types and streams hold the first.
//!
//! A request that came in another protocol states `max_completion_tokens`, as OpenAI wants it; for servers that only
//! know `max_tokens` the field must be renamed by whoever knows them.

mod answer;
mod calls;
mod messages;
mod parts;
mod request;
mod sending;
mod stream;
#[cfg(test)]
mod tests;
mod tools;
mod usage;
mod writer;

use inhouse_chat::{Dialect, Failure};
use serde_json::{Value, json};

use crate::Protocol;
use crate::failure::status_of;
use crate::stream::SseReader;

const DIALECT: Dialect = Dialect::OpenAiChat;

pub(crate) const PROTOCOL: Protocol = Protocol {
    decode_request: request::decode,
    encode_request: request::encode,
    decode_reply: answer::decode,
    encode_reply: answer::encode,
    stream_reader: || Box::new(SseReader::<stream::Reader>::default()),
    stream_writer: |options| Box::new(writer::Writer::new(options)),
    encode_failure,
};

pub(crate) fn encode_failure(failure: Failure, message: &str) -> Value {
    let (kind, code) = match failure {
        Failure::TooLong => ("invalid_request_error", Some("context_length_exceeded")),
        Failure::Declined => ("invalid_request_error", Some("content_filter")),
        Failure::BadRequest | Failure::Unsupported => ("invalid_request_error", None),
        Failure::NoSuchModel => ("invalid_request_error", Some("model_not_found")),
        Failure::Key => ("authentication_error", Some("invalid_api_key")),
        Failure::Forbidden | Failure::NotPermitted => ("permission_error", None),
        Failure::Payment => ("insufficient_quota", Some("insufficient_quota")),
        Failure::RateLimited => ("rate_limit_error", Some("rate_limit_exceeded")),
        _ if status_of(failure) >= 500 => ("server_error", None),
        _ => ("api_error", None),
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

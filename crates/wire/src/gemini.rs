//! Google's Gemini `generateContent`.
//!
//! Shapes after the official SDK's types (`google-genai` 3.4 on PyPI, Apache-2.0) and the API's reference. Which model is
//! asked, and whether the answer is streamed, is in the address and not in the body: a request that is read has no model
//! and no `stream` until whoever has the address puts them there, by [`gemini_call`]; whoever sends one has its address
//! from [`gemini_path`]. Names in `snake_case` are understood too.

mod array;
mod calls;
mod config;
mod names;
mod parts;
mod reply;
mod request;
mod schema;
mod stream;
#[cfg(test)]
mod tests;
mod tools;
mod url;
mod usage;
mod writer;

pub use url::{gemini_call, gemini_path};

use inhouse_chat::{Dialect, Extra, Failure};
use serde_json::{Value, json};

use crate::Protocol;
use crate::failure::status_of;

const DIALECT: Dialect = Dialect::Gemini;

pub(crate) const PROTOCOL: Protocol = Protocol {
    decode_request: request::decode,
    encode_request: request::encode,
    decode_reply: reply::decode,
    encode_reply: reply::encode,
    stream_reader: || Box::new(array::Reader::default()),
    stream_writer: |_| Box::new(writer::Writer::default()),
    encode_failure,
};

fn encode_failure(failure: Failure, message: &str) -> Value {
    let (code, status) = match failure {
        Failure::TooLong | Failure::BadRequest | Failure::Declined | Failure::Unsupported => {
            (400, "INVALID_ARGUMENT")
        }
        Failure::Key => (401, "UNAUTHENTICATED"),
        Failure::Payment | Failure::RateLimited => (429, "RESOURCE_EXHAUSTED"),
        Failure::Forbidden | Failure::NotPermitted => (403, "PERMISSION_DENIED"),
        Failure::NoSuchModel => (404, "NOT_FOUND"),
        Failure::Overloaded => (503, "UNAVAILABLE"),
        Failure::TimedOut(_) => (504, "DEADLINE_EXCEEDED"),
        Failure::Cancelled => (499, "CANCELLED"),
        Failure::Unreachable
        | Failure::Internal
        | Failure::Garbled
        | Failure::CutOff
        | Failure::Engine => (status_of(failure), "INTERNAL"),
    };
    json!({"error": {"code": code, "message": message, "status": status}})
}

/// What came in this protocol under this name: a mark, mostly.
fn own<'e>(extra: &'e Extra, name: &str) -> Option<&'e Value> {
    extra.of(DIALECT)?.get(name)
}

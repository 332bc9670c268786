//! Ollama's `/api/chat`.
//!
//! Shapes after the official client's types (`ollama` 0.6.3 on PyPI, MIT) and the server's `docs/api.md`. A request that
//! does not say otherwise is streamed. Images are bytes without a media type, which their first bytes tell.

mod message;
mod reply;
mod request;
mod stream;
#[cfg(test)]
mod tests;
mod time;
mod writer;

use inhouse_chat::{Dialect, Extra, Failure};
use serde_json::{Value, json};

use crate::Protocol;
use crate::stream::LineReader;

const DIALECT: Dialect = Dialect::Ollama;

pub(crate) const PROTOCOL: Protocol = Protocol {
    decode_request: request::decode,
    encode_request: request::encode,
    decode_reply: reply::decode,
    encode_reply: reply::encode,
    stream_reader: || Box::new(LineReader::<stream::Reader>::default()),
    stream_writer: |options| Box::new(writer::Writer::new(&options)),
    encode_failure,
};

fn encode_failure(_: Failure, message: &str) -> Value {
    json!({"error": message})
}

/// What came in this protocol under this name: a mark, mostly.
fn own<'e>(extra: &'e Extra, name: &str) -> Option<&'e Value> {
    extra.of(DIALECT)?.get(name)
}

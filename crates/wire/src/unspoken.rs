//! A protocol that this build does not speak yet: everything about it is an error.

use bytes::Bytes;
use inhouse_chat::{Event, Failure, Reply};
use serde_json::Value;

use crate::{
    AnswerOptions, Encoded, Note, Protocol, StreamError, StreamReader, StreamWriter, WireError,
};

pub(crate) const PROTOCOL: Protocol = Protocol {
    decode_request: |_| Err(ERROR),
    encode_request: |_| Err(ERROR),
    decode_reply: |_| Err(ERROR),
    encode_reply: |_: &Reply, _: &AnswerOptions| Encoded {
        body: Value::Null,
        notes: Vec::new(),
    },
    stream_reader: || Box::new(Unspoken),
    stream_writer: |_| Box::new(Unspoken),
    encode_failure: |_, message| Value::from(message),
};

const ERROR: WireError = WireError::Disorder("this protocol is not spoken");

struct Unspoken;

impl StreamReader for Unspoken {
    fn push(&mut self, _: &[u8], _: &mut Vec<Event>) -> Result<(), StreamError> {
        Err(ERROR.into())
    }

    fn finish(&mut self, _: &mut Vec<Event>) -> Result<(), StreamError> {
        Err(ERROR.into())
    }
}

impl StreamWriter for Unspoken {
    fn push(&mut self, _: &Event) -> Bytes {
        Bytes::new()
    }

    fn error(&mut self, _: Failure, _: &str) -> Bytes {
        Bytes::new()
    }

    fn notes(&self) -> &[Note] {
        &[]
    }
}

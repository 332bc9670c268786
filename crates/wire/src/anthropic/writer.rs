//! Writing streams, as the official SDKs accept them: full usage in the first event, one index after the other.

use std::collections::HashMap;

use bytes::Bytes;
use inhouse_chat::{Block, BlockKind, Delta, Dialect, Event, Failure, Fields, Json};
use serde_json::{Value, json};

use super::content::Writing;
use super::reply::{answer, answer_block, encode_stop, head};
use super::{DIALECT, encode_failure, usage};
use crate::fields::merge;
use crate::path::Path;
use crate::sse::event;
use crate::{Note, StreamWriter};

/// What was written so far.
#[derive(Debug)]
pub(super) struct Writer {
    writing: Writing,
    /// Our indexes to those on the wire: parts that cannot be said leave no gap.
    indexes: HashMap<usize, Part>,
    next: usize,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    wire: usize,
    /// Another provider's: a client would give its signature back, and Anthropic would refuse it.
    foreign: bool,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            writing: answer(),
            indexes: HashMap::new(),
            next: 0,
        }
    }
}

impl StreamWriter for Writer {
    fn push(&mut self, event: &Event) -> Bytes {
        match event {
            Event::Start { id, model, usage } => {
                let mut message = head(id, model.as_str());
                message.insert("content".into(), json!([]));
                message.insert("stop_reason".into(), Value::Null);
                message.insert("stop_sequence".into(), Value::Null);
                message.insert("usage".into(), usage::encode(usage));
                write("message_start", json!({"message": message}))
            }
            Event::BlockStart { index, block } => self.start(*index, block),
            Event::BlockDelta { index, delta } => self.delta(*index, delta),
            Event::BlockEnd { index } => match self.indexes.remove(index) {
                Some(part) => write("content_block_stop", json!({"index": part.wire})),
                None => Bytes::new(),
            },
            Event::End { stop, usage, extra } => {
                let mut delta = Fields::new();
                encode_stop(stop, &mut delta);
                let mut usage = json!({"usage": usage::encode(usage)});
                self.end_extra(extra, &mut delta, &mut usage);
                let fields = json!({"delta": delta, "usage": usage["usage"]});
                let mut out = write("message_delta", fields).to_vec();
                out.extend_from_slice(&write("message_stop", json!({})));
                out.into()
            }
            Event::Ping => write("ping", json!({})),
        }
    }

    fn error(&mut self, failure: Failure, message: &str) -> Bytes {
        event(Some("error"), &encode_failure(failure, message))
    }

    fn notes(&self) -> &[Note] {
        &self.writing.notes.list
    }
}

impl Writer {
    fn start(&mut self, index: usize, block: &Block) -> Bytes {
        let root = Path::Root;
        let path = root.field("content");
        let empty = with_empty_input(block);
        let foreign = self.writing.foreign(block);
        let block = answer_block(&mut self.writing, &empty, &path.index(index));
        let Some(block) = block else {
            return Bytes::new();
        };
        let wire = self.next;
        self.next += 1;
        self.indexes.insert(index, Part { wire, foreign });
        let fields = json!({"index": wire, "content_block": block});
        write("content_block_start", fields)
    }

    fn delta(&mut self, index: usize, delta: &Delta) -> Bytes {
        let Some(&Part { wire, foreign }) = self.indexes.get(&index) else {
            return Bytes::new();
        };
        let root = Path::Root;
        let path = root.field("content");
        let path = path.index(index);
        let delta = match delta {
            Delta::Text(text) | Delta::Refusal(text) => {
                json!({"type": "text_delta", "text": text.as_str()})
            }
            Delta::Thinking(text) => json!({"type": "thinking_delta", "thinking": text.as_str()}),
            Delta::Signature(_) if foreign => {
                self.writing.notes.left_out(&path.field("signature"));
                return Bytes::new();
            }
            Delta::Signature(whole) => json!({"type": "signature_delta", "signature": whole}),
            Delta::Input(piece) => {
                json!({"type": "input_json_delta", "partial_json": piece.as_str()})
            }
            Delta::Other(Dialect::Anthropic, Json(value)) => value.clone(),
            Delta::Other(..) => {
                self.writing.notes.left_out(&path);
                return Bytes::new();
            }
        };
        write(
            "content_block_delta",
            json!({"index": wire, "delta": delta}),
        )
    }

    /// Fields that came at the end of a stream of this protocol go where they came from.
    fn end_extra(&mut self, extra: &inhouse_chat::Extra, delta: &mut Fields, usage: &mut Value) {
        self.writing.notes.foreign(extra, &Path::Root);
        for (name, value) in extra.of(DIALECT).into_iter().flatten() {
            let fields = Fields::from_iter([(name.clone(), value.clone())]);
            match (name.as_str(), usage.as_object_mut()) {
                ("usage", Some(usage)) => merge(usage, &fields),
                _ => merge(delta, &fields),
            }
        }
    }
}

/// Arguments come in pieces; until then they are an empty object.
fn with_empty_input(block: &Block) -> Block {
    let mut block = block.clone();
    if let BlockKind::ToolUse { input, .. } = &mut block.kind {
        *input = Json(json!({}));
    }
    block
}

/// One event; its name is its type too.
fn write(name: &str, fields: Value) -> Bytes {
    let mut out = Fields::new();
    out.insert("type".into(), Value::from(name));
    if let Value::Object(fields) = fields {
        out.extend(fields);
    }
    event(Some(name), &Value::Object(out))
}

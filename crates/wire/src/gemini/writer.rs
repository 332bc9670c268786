//! Writing streams. Words go out as they come, calls when they are whole: the protocol has no pieces of them.

use std::collections::HashMap;

use bytes::Bytes;
use inhouse_chat::{Block, BlockKind, Delta, Event, Failure, Fields, Json, Reply};
use serde_json::{Value, json};

use super::reply::{answer, candidates, encode_end, encode_rest};
use super::{DIALECT, encode_failure};
use crate::Note;
use crate::note::Notes;
use crate::path::Path;
use crate::sse;
use crate::stream::StreamWriter;

/// What has been written.
#[derive(Debug)]
pub(super) struct Writer {
    id: String,
    model: String,
    /// Parts that are open, by the event's index.
    open: HashMap<usize, Open>,
    notes: Notes,
}

#[derive(Debug)]
struct Open {
    block: Block,
    /// Pieces of arguments.
    arguments: String,
    /// Whether something of it has been sent.
    sent: bool,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            id: String::new(),
            model: String::new(),
            open: HashMap::new(),
            notes: Notes::new(DIALECT),
        }
    }
}

impl Writer {
    fn begin(&mut self, index: usize, block: &Block) -> Option<Value> {
        let open = Open {
            block: block.clone(),
            arguments: String::new(),
            sent: false,
        };
        self.open.insert(index, open);
        None
    }

    fn grow(&mut self, index: usize, delta: &Delta) -> Option<Value> {
        let mut open = self.open.remove(&index)?;
        let mut piece = Block {
            kind: open.block.kind.clone(),
            cache: None,
            extra: open.block.extra.clone(),
        };
        let part = match (&mut piece.kind, delta) {
            (BlockKind::ToolUse { .. }, Delta::Input(input)) => {
                open.arguments.push_str(input.as_str());
                None
            }
            (BlockKind::Text(text), Delta::Text(words))
            | (BlockKind::Refusal(text), Delta::Refusal(words)) => {
                *text = words.clone();
                self.part(index, &piece)
            }
            (BlockKind::Thinking { text, .. }, Delta::Thinking(words)) => {
                *text = words.clone();
                (!words.is_empty())
                    .then(|| self.part(index, &piece))
                    .flatten()
            }
            (BlockKind::Thinking { signature, .. }, Delta::Signature(whole)) => {
                *signature = Some(whole.clone());
                self.signature(index, &piece)
            }
            _ => {
                let root = Path::Root;
                let mut notes = Notes::new(DIALECT);
                notes.left_out(&root.field("content").index(index));
                self.keep(notes);
                None
            }
        };
        open.sent |= part.is_some();
        self.open.insert(index, open);
        part
    }

    /// A signature is sent with no words; another provider's is not sent at all.
    fn signature(&mut self, index: usize, piece: &Block) -> Option<Value> {
        let part = self.part(index, piece)?;
        part.get("thoughtSignature").is_some().then_some(part)
    }

    fn end(&mut self, index: usize) -> Option<Value> {
        let mut open = self.open.remove(&index)?;
        match &mut open.block.kind {
            BlockKind::ToolUse { input, .. } => {
                let arguments = match open.arguments.trim() {
                    "" => "{}",
                    arguments => arguments,
                };
                match serde_json::from_str(arguments) {
                    Ok(arguments) => *input = Json(arguments),
                    Err(_) => {
                        let root = Path::Root;
                        let mut notes = Notes::new(DIALECT);
                        let (content, how) =
                            (root.field("content"), "sent as words, being no JSON,");
                        notes.changed(&content.index(index).field("input"), how);
                        self.keep(notes);
                        *input = Json(json!({"arguments": arguments}));
                    }
                }
                self.part(index, &open.block)
            }
            // Words without any, but with a signature, are still a part.
            BlockKind::Text(_) if !open.sent && open.block.extra.of(DIALECT).is_some() => {
                self.part(index, &open.block)
            }
            BlockKind::Text(_) | BlockKind::Refusal(_) | BlockKind::Thinking { .. } => None,
            _ => self.part(index, &open.block),
        }
    }

    fn part(&mut self, index: usize, block: &Block) -> Option<Value> {
        let root = Path::Root;
        let (content, mut writing) = (root.field("content"), answer());
        let part = writing.part(block, &content.index(index));
        self.keep(writing.notes);
        part.ok().flatten()
    }

    /// Every piece of a part is written by itself; what it lacks is noted once.
    fn keep(&mut self, notes: Notes) {
        for note in notes.list {
            if !self.notes.list.contains(&note) {
                self.notes.list.push(note);
            }
        }
    }

    /// The official SDK refuses comments, so the line is kept alive by no words.
    fn ping(&self) -> Option<Value> {
        let begun = !(self.id.is_empty() && self.model.is_empty());
        begun.then(|| json!({"text": ""}))
    }

    fn chunk(&self, part: Value) -> Bytes {
        let candidate = json!({"content": {"parts": [part], "role": "model"}, "index": 0});
        let mut out = json!({"candidates": [candidate]});
        for (name, value) in [("modelVersion", &self.model), ("responseId", &self.id)] {
            if !value.is_empty() {
                out[name] = Value::from(value.as_str());
            }
        }
        sse::event(None, &out)
    }

    fn finish(&mut self, end: &Event) -> Bytes {
        let Event::End { stop, usage, extra } = end else {
            return Bytes::new();
        };
        let mut left: Vec<usize> = self.open.keys().copied().collect();
        left.sort_unstable();
        let parts: Vec<Value> = left
            .into_iter()
            .filter_map(|index| self.end(index))
            .collect();
        let reply = Reply {
            id: self.id.clone(),
            model: self.model.as_str().into(),
            content: Vec::new(),
            stop: stop.clone(),
            usage: *usage,
            extra: extra.clone(),
        };
        let mut candidate = Fields::new();
        let parts = match parts.is_empty() {
            true => json!([{"text": ""}]),
            false => Value::Array(parts),
        };
        candidate.insert("content".into(), json!({"parts": parts, "role": "model"}));
        encode_end(&mut candidate, &reply, &mut self.notes);
        let mut out = Fields::new();
        out.insert("candidates".into(), candidates(candidate, &reply));
        encode_rest(&mut out, &reply, &mut self.notes);
        sse::event(None, &Value::Object(out))
    }
}

impl StreamWriter for Writer {
    fn push(&mut self, event: &Event) -> Bytes {
        let part = match event {
            Event::Start { id, model, .. } => {
                self.id = id.clone();
                self.model = model.as_str().to_owned();
                None
            }
            Event::BlockStart { index, block } => self.begin(*index, block),
            Event::BlockDelta { index, delta } => self.grow(*index, delta),
            Event::BlockEnd { index } => self.end(*index),
            Event::End { .. } => return self.finish(event),
            Event::Ping => self.ping(),
        };
        part.map_or_else(Bytes::new, |part| self.chunk(part))
    }

    fn error(&mut self, failure: Failure, message: &str) -> Bytes {
        sse::event(None, &encode_failure(failure, message))
    }

    fn notes(&self) -> &[Note] {
        &self.notes.list
    }
}

//! Writing streams. Words go out as they come, calls when they are whole: the protocol has no pieces of them.

use std::collections::HashMap;

use bytes::Bytes;
use inhouse_chat::{Block, BlockKind, Delta, Event, Failure, Fields, Json, Reply};
use serde_json::{Value, json};

use super::message::Writing;
use super::reply::encode_end;
use super::time::rfc3339;
use super::{DIALECT, encode_failure};
use crate::note::Notes;
use crate::path::Path;
use crate::stream::StreamWriter;
use crate::{AnswerOptions, Note};

/// What has been written.
#[derive(Debug)]
pub(super) struct Writer {
    created: u64,
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
}

impl Writer {
    pub(super) fn new(options: &AnswerOptions) -> Self {
        Self {
            created: options.created,
            model: String::new(),
            open: HashMap::new(),
            notes: Notes::new(DIALECT),
        }
    }

    fn grow(&mut self, index: usize, delta: &Delta) -> Bytes {
        let Some(open) = self.open.get_mut(&index) else {
            return Bytes::new();
        };
        let mut piece = open.block.clone();
        match (&mut piece.kind, delta) {
            (BlockKind::ToolUse { .. }, Delta::Input(input)) => {
                open.arguments.push_str(input.as_str());
                return Bytes::new();
            }
            (BlockKind::Text(text), Delta::Text(words))
            | (BlockKind::Refusal(text), Delta::Refusal(words))
            | (BlockKind::Thinking { text, .. }, Delta::Thinking(words)) => *text = words.clone(),
            _ => {
                self.note(index, |notes, path| notes.left_out(path));
                return Bytes::new();
            }
        }
        self.piece(index, &piece)
    }

    fn end(&mut self, index: usize) -> Bytes {
        let Some(mut open) = self.open.remove(&index) else {
            return Bytes::new();
        };
        match &mut open.block.kind {
            BlockKind::Text(_) | BlockKind::Refusal(_) | BlockKind::Thinking { .. } => Bytes::new(),
            BlockKind::ToolUse { input, .. } => {
                let arguments = match open.arguments.trim() {
                    "" => "{}",
                    arguments => arguments,
                };
                *input = Json(serde_json::from_str(arguments).unwrap_or_else(|_| {
                    let how = "sent as words, being no JSON,";
                    self.note(index, |notes, path| {
                        notes.changed(&path.field("input"), how)
                    });
                    json!({"arguments": arguments})
                }));
                self.piece(index, &open.block)
            }
            _ => self.piece(index, &open.block),
        }
    }

    /// The official client refuses blank lines, so the line is kept alive by no words.
    fn ping(&self) -> Bytes {
        match self.model.as_str() {
            "" => Bytes::new(),
            _ => self.line(&json!({"role": "assistant", "content": ""})),
        }
    }

    fn line(&self, message: &Value) -> Bytes {
        line(&json!({
            "model": self.model, "created_at": rfc3339(self.created), "message": message, "done": false,
        }))
    }

    fn piece(&mut self, index: usize, block: &Block) -> Bytes {
        let mut writing = Writing {
            notes: Notes::new(DIALECT),
            answer: true,
            messages: &[],
        };
        let root = Path::Root;
        let content = root.field("content");
        let message = writing.answer_piece(block, &content.index(index));
        self.keep(writing.notes);
        message.map_or_else(Bytes::new, |message| self.line(&Value::Object(message)))
    }

    fn note(&mut self, index: usize, note: impl FnOnce(&mut Notes, &Path<'_>)) {
        let root = Path::Root;
        let content = root.field("content");
        let mut notes = Notes::new(DIALECT);
        note(&mut notes, &content.index(index));
        self.keep(notes);
    }

    /// Every piece of a part is written by itself; what it lacks is noted once.
    fn keep(&mut self, notes: Notes) {
        for note in notes.list {
            if !self.notes.list.contains(&note) {
                self.notes.list.push(note);
            }
        }
    }

    fn finish(&mut self, end: &Event) -> Bytes {
        let Event::End { stop, usage, extra } = end else {
            return Bytes::new();
        };
        let mut left: Vec<usize> = self.open.keys().copied().collect();
        left.sort_unstable();
        let mut bytes: Vec<u8> = left.into_iter().flat_map(|index| self.end(index)).collect();
        let reply = Reply {
            id: String::new(),
            model: self.model.as_str().into(),
            content: Vec::new(),
            stop: stop.clone(),
            usage: *usage,
            extra: extra.clone(),
        };
        let mut out = Fields::new();
        out.insert("model".into(), self.model.as_str().into());
        out.insert(
            "message".into(),
            json!({"role": "assistant", "content": ""}),
        );
        encode_end(&mut out, &reply, self.created, &mut self.notes);
        bytes.extend_from_slice(&line(&Value::Object(out)));
        bytes.into()
    }
}

fn line(value: &Value) -> Bytes {
    Bytes::from(format!("{value}\n"))
}

impl StreamWriter for Writer {
    fn push(&mut self, event: &Event) -> Bytes {
        match event {
            Event::Start { model, .. } => self.model = model.as_str().to_owned(),
            Event::BlockStart { index, block } => {
                let open = Open {
                    block: block.clone(),
                    arguments: String::new(),
                };
                self.open.insert(*index, open);
            }
            Event::BlockDelta { index, delta } => return self.grow(*index, delta),
            Event::BlockEnd { index } => return self.end(*index),
            Event::End { .. } => return self.finish(event),
            Event::Ping => return self.ping(),
        }
        Bytes::new()
    }

    fn error(&mut self, failure: Failure, message: &str) -> Bytes {
        line(&encode_failure(failure, message))
    }

    fn notes(&self) -> &[Note] {
        &self.notes.list
    }
}

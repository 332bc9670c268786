//! Writing streams, as the official SDKs accept them: the role first, then pieces, the reason, the usage if it was
//! asked for, `[DONE]`.

use std::collections::HashMap;

use bytes::Bytes;
use inhouse_chat::{
    Block, BlockKind, Delta, Dialect, Event, Extra, Failure, Fields, StopReason, Usage,
};
use serde_json::{Value, json};

use super::answer::{reason_of, thought_name};
use super::calls::encode_call;
use super::{DIALECT, encode_failure, usage};
use crate::fields::{is_mark, merge};
use crate::note::Notes;
use crate::path::Path;
use crate::sse::event;
use crate::{AnswerOptions, Note, StreamWriter};

/// What was written so far.
#[derive(Debug)]
pub(super) struct Writer {
    options: AnswerOptions,
    id: String,
    model: String,
    parts: HashMap<usize, Part>,
    calls: usize,
    notes: Notes,
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Words,
    /// Under this name.
    Thought(&'static str),
    /// With this index on the wire.
    Call(usize),
}

impl Writer {
    pub(super) fn new(options: AnswerOptions) -> Self {
        Self {
            options,
            id: String::new(),
            model: String::new(),
            parts: HashMap::new(),
            calls: 0,
            notes: Notes::new(DIALECT),
        }
    }
}

impl StreamWriter for Writer {
    fn push(&mut self, event: &Event) -> Bytes {
        match event {
            Event::Start { id, model, .. } => {
                self.id.clone_from(id);
                self.model = model.as_str().to_owned();
                self.delta(json!({"role": "assistant", "content": ""}))
            }
            Event::BlockStart { index, block } => self.start(*index, block),
            Event::BlockDelta { index, delta } => self.grow(*index, delta),
            Event::BlockEnd { .. } => Bytes::new(),
            Event::End { stop, usage, extra } => self.end(stop, usage, extra),
            Event::Ping => Bytes::from_static(b": ping\n\n"),
        }
    }

    fn error(&mut self, failure: Failure, message: &str) -> Bytes {
        event(None, &encode_failure(failure, message))
    }

    fn notes(&self) -> &[Note] {
        &self.notes.list
    }
}

impl Writer {
    fn start(&mut self, index: usize, block: &Block) -> Bytes {
        let root = Path::Root;
        let path = root.field("content");
        let path = path.index(index);
        self.notes.foreign(&block.extra, &path);
        let (part, bytes) = match &block.kind {
            BlockKind::Text(_) | BlockKind::Refusal(_) => (Part::Words, Bytes::new()),
            BlockKind::Thinking { .. } => (Part::Thought(thought_name(block)), Bytes::new()),
            BlockKind::ToolUse { id, name, .. } => {
                let number = self.calls;
                self.calls += 1;
                let mut call = Fields::new();
                call.insert("index".into(), Value::from(number));
                call.extend(encode_call(id, name, ""));
                let bytes = self.delta(json!({"tool_calls": [call]}));
                (Part::Call(number), bytes)
            }
            BlockKind::Image(_)
            | BlockKind::Document { .. }
            | BlockKind::Audio(_)
            | BlockKind::ToolResult { .. }
            | BlockKind::RedactedThinking { .. }
            | BlockKind::Other { .. } => {
                self.notes.left_out(&path);
                return Bytes::new();
            }
        };
        self.parts.insert(index, part);
        bytes
    }

    fn grow(&mut self, index: usize, delta: &Delta) -> Bytes {
        let root = Path::Root;
        let path = root.field("content");
        let Some(&part) = self.parts.get(&index) else {
            return Bytes::new(); // of a part that was left out
        };
        let fields = match (delta, part) {
            (Delta::Text(text), _) => json!({"content": text.as_str()}),
            (Delta::Refusal(text), _) => json!({"refusal": text.as_str()}),
            (Delta::Thinking(text), Part::Thought(name)) => json!({name: text.as_str()}),
            (Delta::Input(piece), Part::Call(number)) => {
                let function = json!({"arguments": piece.as_str()});
                json!({"tool_calls": [{"index": number, "function": function}]})
            }
            (Delta::Signature(_), _) => {
                self.notes.left_out(&path.index(index).field("signature"));
                return Bytes::new();
            }
            (Delta::Other(Dialect::OpenAiChat, choice), _) => return self.choice(&choice.0),
            _ => {
                self.notes.left_out(&path.index(index));
                return Bytes::new();
            }
        };
        self.delta(fields)
    }

    fn end(&mut self, stop: &StopReason, usage: &Usage, extra: &Extra) -> Bytes {
        self.notes.foreign(extra, &Path::Root);
        let reason = reason_of(stop, extra, &mut self.notes);
        let mut last = json!({"index": 0, "delta": {}, "logprobs": null, "finish_reason": reason});
        let mut fields = Fields::new();
        for (name, value) in extra.of(DIALECT).into_iter().flatten() {
            match (name.as_str(), last.as_object_mut()) {
                ("choices", Some(last)) => {
                    if let Some(Value::Object(more)) = value.get(0) {
                        merge(last, more);
                    }
                }
                ("usage", _) => {}
                _ if is_mark(name) => {}
                _ => {
                    fields.insert(name.clone(), value.clone());
                }
            }
        }
        let mut out = self.chunk(json!([last]), &fields, Value::Null).to_vec();
        if self.options.include_usage {
            let mut counts = usage::encode(usage);
            let more = extra
                .of(DIALECT)
                .and_then(|extra| extra.get("usage")?.as_object());
            if let (Some(counts), Some(more)) = (counts.as_object_mut(), more) {
                merge(counts, more);
            }
            out.extend_from_slice(&self.chunk(json!([]), &fields, counts));
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        out.into()
    }

    fn delta(&self, delta: Value) -> Bytes {
        self.choice(&json!({"delta": delta}))
    }

    fn choice(&self, fields: &Value) -> Bytes {
        let mut choice = Fields::new();
        choice.insert("index".into(), Value::from(0));
        choice.insert("delta".into(), json!({}));
        choice.insert("logprobs".into(), Value::Null);
        choice.insert("finish_reason".into(), Value::Null);
        for (name, value) in fields.as_object().into_iter().flatten() {
            choice.insert(name.clone(), value.clone());
        }
        self.chunk(json!([choice]), &Fields::new(), Value::Null)
    }

    fn chunk(&self, choices: Value, extra: &Fields, usage: Value) -> Bytes {
        let mut out = Fields::new();
        out.insert("id".into(), Value::from(self.id.as_str()));
        out.insert("object".into(), Value::from("chat.completion.chunk"));
        let created = extra.get("created").cloned();
        let created = created.unwrap_or_else(|| Value::from(self.options.created));
        out.insert("created".into(), created);
        out.insert("model".into(), Value::from(self.model.as_str()));
        out.insert("choices".into(), choices);
        if self.options.include_usage {
            out.insert("usage".into(), usage); // null but in the last, as OpenAI does
        }
        merge(&mut out, extra);
        event(None, &Value::Object(out))
    }
}

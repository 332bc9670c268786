//! Streams: one event of ours in each server-sent event.

use inhouse_chat::{Block, BlockKind, Delta, Event, Failure, Fields, Json, Text, Usage};
use serde_json::{Value, json};

use super::content::{decode_block, decode_dialect, encode_block, encode_dialect, fields};
use super::reply::{decode_stop, decode_usage, encode_stop, encode_usage};
use super::{DIALECT, encode_failure};
use crate::failure::in_stream;
use crate::fields::Object;
use crate::note::Notes;
use crate::parts::Parts;
use crate::path::Path;
use crate::sse::{Frame, event};
use crate::stream::SseDialect;
use crate::{Note, StreamError, StreamWriter, WireError};

/// What is known of a stream so far.
#[derive(Debug, Default)]
pub(super) struct Reader {
    begun: bool,
    ended: bool,
    parts: Parts<u64>,
}

impl SseDialect for Reader {
    fn frame(&mut self, frame: Frame, events: &mut Vec<Event>) -> Result<(), StreamError> {
        if self.ended {
            return Ok(());
        }
        let Frame::Event { data, .. } = frame else {
            events.push(Event::Ping);
            return Ok(());
        };
        let value: Value = serde_json::from_slice(&data).map_err(|_| WireError::NotJson {
            what: "an event of the stream",
        })?;
        if value.get("type").and_then(Value::as_str) == Some("error") {
            return Err(in_stream(&value));
        }
        Ok(self.event(Object::new(value, Path::Root)?, events)?)
    }

    fn finish(&mut self, _: &mut Vec<Event>) -> Result<(), StreamError> {
        self.ended.then_some(()).ok_or(StreamError::CutOff)
    }
}

impl Reader {
    fn event(&mut self, mut object: Object<'_>, events: &mut Vec<Event>) -> Result<(), WireError> {
        let kind = object.string("type")?;
        match (kind.as_str(), self.begun) {
            ("start", false) => {
                self.begun = true;
                let usage = object.opt_object("usage", decode_usage)?;
                events.push(Event::Start {
                    id: object.opt_string("id")?.unwrap_or_default(),
                    model: object.string("model")?.into(),
                    usage: usage.unwrap_or_default(),
                });
            }
            ("blockStart", true) => self.start(&mut object, events)?,
            ("blockDelta", true) => {
                let key = object.count("index")?;
                let delta = object.opt_object("delta", decode_delta)?;
                let delta = delta.ok_or_else(|| object.missing("delta"))?;
                self.parts.grow(&key, delta, events)?;
            }
            ("blockEnd", true) => {
                let key = object.count("index")?;
                self.parts.end(&key, events);
            }
            ("end", true) => {
                self.ended = true;
                self.parts.end_all(events);
                let usage: Option<Usage> = object.opt_object("usage", decode_usage)?;
                let stop = decode_stop(&mut object)?;
                events.push(Event::End {
                    stop,
                    usage: usage.unwrap_or_default(),
                    extra: object.rest(DIALECT),
                });
            }
            ("ping", _) => events.push(Event::Ping),
            ("start", true) => return Err(WireError::Disorder("the stream began twice")),
            ("blockStart" | "blockDelta" | "blockEnd" | "end", false) => {
                return Err(WireError::Disorder("the stream did not begin with start"));
            }
            _ => return Err(object.kind("type", "an event of this protocol")),
        }
        Ok(())
    }

    fn start(&mut self, object: &mut Object<'_>, events: &mut Vec<Event>) -> Result<(), WireError> {
        let key = object.count("index")?;
        let path = object.path();
        let mut block = decode_block(object.value("block")?, path.field("block"))?;
        let begun = take_contents(&mut block);
        self.parts.start(key, block, events)?;
        match begun {
            Some(delta) => self.parts.grow(&key, delta, events),
            None => Ok(()),
        }
    }
}

/// What a part began with is its first delta.
fn take_contents(block: &mut Block) -> Option<Delta> {
    let take = |text: &mut Text| Some(std::mem::take(text)).filter(|text| !text.is_empty());
    match &mut block.kind {
        BlockKind::Text(text) => take(text).map(Delta::Text),
        BlockKind::Refusal(text) => take(text).map(Delta::Refusal),
        BlockKind::Thinking { text, .. } => take(text).map(Delta::Thinking),
        _ => None,
    }
}

fn decode_delta(delta: &mut Object<'_>) -> Result<Delta, WireError> {
    Ok(match delta.string("type")?.as_str() {
        "text" => Delta::Text(delta.text("text")?),
        "refusal" => Delta::Refusal(delta.text("text")?),
        "thinking" => Delta::Thinking(delta.text("text")?),
        "signature" => Delta::Signature(delta.string("signature")?),
        "input" => Delta::Input(delta.text("json")?),
        "other" => Delta::Other(decode_dialect(delta)?, Json(delta.value("value")?)),
        _ => return Err(delta.kind("type", "a kind of delta")),
    })
}

/// What was written so far.
#[derive(Debug)]
pub(super) struct Writer {
    notes: Notes,
}

impl Default for Writer {
    fn default() -> Self {
        let notes = Notes::new(DIALECT);
        Self { notes }
    }
}

impl StreamWriter for Writer {
    fn push(&mut self, said: &Event) -> bytes::Bytes {
        event(None, &Value::Object(self.event(said)))
    }

    fn error(&mut self, failure: Failure, message: &str) -> bytes::Bytes {
        event(None, &encode_failure(failure, message))
    }

    fn notes(&self) -> &[Note] {
        &self.notes.list
    }
}

impl Writer {
    fn event(&mut self, event: &Event) -> Fields {
        let root = Path::Root;
        let path = root.field("content");
        fields(match event {
            Event::Start { id, model, usage } => json!({
                "type": "start", "id": id, "model": model.as_str(), "usage": encode_usage(usage),
            }),
            Event::BlockStart { index, block } => {
                let mut empty = block.clone();
                if let BlockKind::ToolUse { input, .. } = &mut empty.kind {
                    *input = Json(json!({})); // it comes in pieces
                }
                let block = encode_block(&empty, &mut self.notes, &path.index(*index));
                json!({"type": "blockStart", "index": index, "block": block})
            }
            Event::BlockDelta { index, delta } => {
                json!({"type": "blockDelta", "index": index, "delta": encode_delta(delta)})
            }
            Event::BlockEnd { index } => json!({"type": "blockEnd", "index": index}),
            Event::End { stop, usage, extra } => {
                let mut out = fields(json!({"type": "end", "usage": encode_usage(usage)}));
                encode_stop(stop, &mut out);
                self.notes.extra(&mut out, extra, &root);
                return out;
            }
            Event::Ping => json!({"type": "ping"}),
        })
    }
}

fn encode_delta(delta: &Delta) -> Value {
    match delta {
        Delta::Text(text) => json!({"type": "text", "text": text.as_str()}),
        Delta::Refusal(text) => json!({"type": "refusal", "text": text.as_str()}),
        Delta::Thinking(text) => json!({"type": "thinking", "text": text.as_str()}),
        Delta::Signature(whole) => json!({"type": "signature", "signature": whole}),
        Delta::Input(piece) => json!({"type": "input", "json": piece.as_str()}),
        Delta::Other(dialect, value) => {
            let dialect = encode_dialect(*dialect);
            json!({"type": "other", "dialect": dialect, "value": value.0})
        }
    }
}

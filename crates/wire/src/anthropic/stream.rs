//! Reading streams.

use std::collections::HashMap;

use inhouse_chat::{Block, BlockKind, Delta, Event, Extra, Fields, Json, StopReason, Text, Usage};
use serde_json::Value;

use super::content::decode_block;
use super::reply::{decode_head, decode_stop};
use super::{DIALECT, usage};
use crate::failure::in_stream;
use crate::fields::{Object, merge};
use crate::parts::Parts;
use crate::path::Path;
use crate::sse::Frame;
use crate::stream::SseDialect;
use crate::{StreamError, WireError};

/// What is known of a stream so far.
#[derive(Debug, Default)]
pub(super) struct Reader {
    begun: bool,
    ended: bool,
    parts: Parts<u64>,
    /// Arguments that came with the start of a part: they count where no pieces follow.
    whole_inputs: HashMap<u64, Text>,
    usage: Usage,
    stop: Option<StopReason>,
    extra: Fields,
}

impl SseDialect for Reader {
    fn frame(&mut self, frame: Frame, events: &mut Vec<Event>) -> Result<(), StreamError> {
        if self.ended {
            return Ok(());
        }
        let Frame::Event { name, data } = frame else {
            events.push(Event::Ping);
            return Ok(());
        };
        let value: Value = serde_json::from_slice(&data).map_err(|_| WireError::NotJson {
            what: "an event of the stream",
        })?;
        let kind = value.get("type").and_then(Value::as_str);
        let kind = kind.or(name.as_deref()).unwrap_or_default().to_owned();
        if kind == "error" {
            return Err(in_stream(&value));
        }
        Ok(self.event(&kind, value, events)?)
    }

    /// A stream that told why it stops, and then broke off, is whole.
    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), StreamError> {
        if !self.ended && self.stop.is_some() {
            self.end(events);
        }
        self.ended.then_some(()).ok_or(StreamError::CutOff)
    }
}

impl Reader {
    fn event(
        &mut self,
        kind: &str,
        value: Value,
        events: &mut Vec<Event>,
    ) -> Result<(), WireError> {
        let mut object = Object::new(value, Path::Root)?;
        if kind == "message_start" {
            return self.start(&mut object, events);
        }
        if !self.begun {
            return match kind {
                "content_block_start" | "content_block_delta" => Err(WireError::Disorder(
                    "the stream did not begin with message_start",
                )),
                _ => {
                    events.push(Event::Ping);
                    Ok(())
                }
            };
        }
        match kind {
            "content_block_start" => self.open(&mut object, events),
            "content_block_delta" => self.grow(&mut object, events),
            "content_block_stop" => self.close(object.count("index")?, events),
            "message_delta" => self.message_delta(&mut object),
            "message_stop" => {
                self.end(events);
                Ok(())
            }
            _ => {
                events.push(Event::Ping); // "ping", and what newer versions may add
                Ok(())
            }
        }
    }

    fn start(&mut self, object: &mut Object<'_>, events: &mut Vec<Event>) -> Result<(), WireError> {
        if std::mem::replace(&mut self.begun, true) {
            return Err(WireError::Disorder("the stream began twice"));
        }
        let mut message = Object::new(object.value("message")?, Path::Root.field("message"))?;
        let (id, model) = decode_head(&mut message)?;
        message.take("content"); // empty, and comes in parts
        self.keep(&mut message)?;
        merge(&mut self.extra, &message.into_fields());
        // What null stands for here comes with the end.
        self.extra.retain(|_, value| !value.is_null());
        events.push(Event::Start {
            id,
            model: model.into(),
            usage: self.usage,
        });
        Ok(())
    }

    fn open(&mut self, object: &mut Object<'_>, events: &mut Vec<Event>) -> Result<(), WireError> {
        let key = object.count("index")?;
        let block = object.value("content_block")?;
        let mut block = decode_block(block, Path::Root.field("content_block"))?;
        let begun = take_contents(&mut block);
        let tool = matches!(block.kind, BlockKind::ToolUse { .. });
        self.parts.start(key, block, events)?;
        match begun {
            Some(Delta::Input(input)) if tool => {
                self.whole_inputs.insert(key, input);
                Ok(())
            }
            Some(delta) => self.parts.grow(&key, delta, events),
            None => Ok(()),
        }
    }

    fn grow(&mut self, object: &mut Object<'_>, events: &mut Vec<Event>) -> Result<(), WireError> {
        let key = object.count("index")?;
        let value = object.value("delta")?;
        let mut delta = Object::new(value.clone(), Path::Root.field("delta"))?;
        let whole = self.parts.is_other(&key);
        let delta = match delta.peek_str("type") {
            _ if whole => Delta::Other(DIALECT, Json(value)),
            Some("text_delta") => Delta::Text(delta.text("text")?),
            Some("thinking_delta") => Delta::Thinking(delta.text("thinking")?),
            Some("signature_delta") => Delta::Signature(delta.string("signature")?),
            Some("input_json_delta") => {
                self.whole_inputs.remove(&key);
                Delta::Input(delta.text("partial_json")?)
            }
            _ => Delta::Other(DIALECT, Json(value)),
        };
        self.parts.grow(&key, delta, events)
    }

    fn close(&mut self, key: u64, events: &mut Vec<Event>) -> Result<(), WireError> {
        if let Some(input) = self.whole_inputs.remove(&key) {
            self.parts.grow(&key, Delta::Input(input), events)?;
        }
        self.parts.end(&key, events);
        Ok(())
    }

    fn message_delta(&mut self, object: &mut Object<'_>) -> Result<(), WireError> {
        object.take("type");
        if let Some(delta) = object.take("delta") {
            let mut delta = Object::new(delta, Path::Root.field("delta"))?;
            self.keep(&mut delta)?;
            merge(&mut self.extra, &delta.into_fields());
        }
        self.keep(object)
    }

    /// Takes why it stops and what it took; the rest of `usage` stays with the answer.
    fn keep(&mut self, object: &mut Object<'_>) -> Result<(), WireError> {
        if let Some(stop) = decode_stop(object)? {
            self.stop = Some(stop);
        }
        let usage = &mut self.usage;
        object.opt_object("usage", |object| usage::update(usage, object))?;
        if let Some(rest) = object.take("usage") {
            merge(
                &mut self.extra,
                &Fields::from_iter([("usage".into(), rest)]),
            );
        }
        Ok(())
    }

    fn end(&mut self, events: &mut Vec<Event>) {
        self.ended = true;
        let mut left: Vec<u64> = self.whole_inputs.keys().copied().collect();
        left.sort_unstable();
        for key in left {
            // It cannot fail: the part is open, and made of arguments.
            let _ = self.close(key, events);
        }
        self.parts.end_all(events);
        events.push(Event::End {
            stop: self.stop.take().unwrap_or(StopReason::EndTurn),
            usage: self.usage,
            extra: Extra::new(DIALECT, std::mem::take(&mut self.extra)),
        });
    }
}

/// Events of a stream begin parts empty; what a part began with is its first delta.
fn take_contents(block: &mut Block) -> Option<Delta> {
    match &mut block.kind {
        BlockKind::Text(text) => Some(std::mem::take(text))
            .filter(|text| !text.is_empty())
            .map(Delta::Text),
        BlockKind::Thinking { text, signature } => {
            *signature = signature.take().filter(|signature| !signature.is_empty());
            Some(std::mem::take(text))
                .filter(|text| !text.is_empty())
                .map(Delta::Thinking)
        }
        BlockKind::ToolUse { input, .. } => {
            let input = std::mem::take(input).0;
            let some = input.as_object().is_some_and(|input| !input.is_empty());
            some.then(|| Delta::Input(input.to_string().into()))
        }
        _ => None,
    }
}

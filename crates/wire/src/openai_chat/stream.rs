//! Reading streams.
//!
//! Calls of tools are keyed by their `index`; servers that leave it out, or give every call the same one, are
//! understood by identifier and name. A call is open until the end of the stream, for its pieces may come in turns with
//! those of another.

use std::collections::HashMap;

use inhouse_chat::{Block, BlockKind, Delta, Event, Extra, Fields, Json, StopReason, Usage};
use serde_json::{Value, json};

use super::answer::{stop_of, without_nothing};
use super::messages::{THOUGHTS, thought};
use super::{DIALECT, usage};
use crate::failure::in_stream;
use crate::fields::{Mark, Object, merge};
use crate::parts::Parts;
use crate::path::Path;
use crate::sse::Frame;
use crate::stream::SseDialect;
use crate::{StreamError, WireError};

/// What is known of a stream so far.
#[derive(Debug, Default)]
pub(super) struct Reader {
    id: Option<String>,
    ended: bool,
    parts: Parts<Key>,
    calls: Calls,
    refused: bool,
    reason: Option<String>,
    usage: Usage,
    extra: Fields,
}

/// Which part of the answer a piece belongs to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Key {
    Text,
    Refusal,
    Thought(Mark),
    /// The n-th call.
    Call(usize),
}

/// Calls of tools, in the order in which they came.
#[derive(Debug, Default)]
struct Calls {
    list: Vec<Call>,
    /// The server's index to the call that it means now.
    by_index: HashMap<u64, usize>,
    by_id: HashMap<String, usize>,
}

#[derive(Debug, Default)]
struct Call {
    id: String,
    named: bool,
    /// Arguments that came before the name.
    held: String,
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
        if data.trim_ascii() == b"[DONE]" {
            return Ok(self.end(events)?);
        }
        let value: Value = serde_json::from_slice(&data).map_err(|_| WireError::NotJson {
            what: "an event of the stream",
        })?;
        if value.get("error").is_some_and(|error| !error.is_null()) {
            return Err(in_stream(&value));
        }
        Ok(self.chunk(value, events)?)
    }

    /// `[DONE]` may be missing where the answer told why it ends.
    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), StreamError> {
        if !self.ended && self.reason.is_some() {
            self.end(events)?;
        }
        self.ended.then_some(()).ok_or(StreamError::CutOff)
    }
}

impl Reader {
    fn chunk(&mut self, value: Value, events: &mut Vec<Event>) -> Result<(), WireError> {
        let mut chunk = Object::new(value, Path::Root)?;
        chunk.take("object");
        chunk.take("obfuscation"); // padding against eavesdroppers
        let id = chunk.opt_string("id")?.unwrap_or_default();
        let model = chunk.opt_string("model")?.unwrap_or_default();
        let choices = chunk.opt_array("choices")?.unwrap_or_default();
        if let Some(usage) = chunk.opt_object("usage", usage::decode)? {
            self.usage = usage;
        }
        // Azure begins with a chunk about its filter that has no name.
        if self.id.is_none() && !(choices.is_empty() && id.is_empty()) {
            self.id = Some(id.clone());
            events.push(Event::Start {
                id,
                model: model.into(),
                usage: Usage::default(),
            });
        }
        if let Some(Value::Object(rest)) = without_nothing(Value::Object(chunk.into_fields())) {
            merge(&mut self.extra, &rest);
        }
        let path = Path::Root.field("choices");
        for (place, choice) in choices.into_iter().enumerate() {
            let choice = Object::new(choice, path.index(place))?;
            // Another answer to the same request has no place here; see the crate's docs.
            if choice.peek("index").and_then(Value::as_u64).unwrap_or(0) == 0 {
                self.choice(choice, events)?;
            }
        }
        Ok(())
    }

    fn choice(&mut self, mut choice: Object<'_>, events: &mut Vec<Event>) -> Result<(), WireError> {
        choice.take("index");
        let reason = choice.opt_string("finish_reason")?;
        choice.opt_object("delta", |delta| self.delta(delta, events))?;
        if reason.is_some() {
            self.reason = reason;
        }
        if let Some(rest) = without_nothing(Value::Object(choice.into_fields())) {
            self.keep(rest, events)?;
        }
        Ok(())
    }

    fn delta(&mut self, delta: &mut Object<'_>, events: &mut Vec<Event>) -> Result<(), WireError> {
        delta.take("role");
        delta.take("name");
        for (name, mark) in THOUGHTS {
            let text = delta.opt_text(name)?.filter(|text| !text.is_empty());
            if let Some(text) = text {
                // Some servers say it twice, under both names.
                delta.take("reasoning");
                let key = Key::Thought(mark);
                self.words(
                    key,
                    thought(Default::default(), mark),
                    Delta::Thinking(text),
                    events,
                )?;
            }
        }
        match delta.take("content") {
            None => {}
            Some(Value::String(text)) => self.text(text, events)?,
            Some(Value::Array(parts)) => self.content_parts(parts, events)?,
            Some(_) => return Err(delta.kind("content", "a string or a list")),
        }
        if let Some(text) = delta.opt_text("refusal")?.filter(|text| !text.is_empty()) {
            self.refused = true;
            let block = Block::new(BlockKind::Refusal(Default::default()));
            self.words(Key::Refusal, block, Delta::Refusal(text), events)?;
        }
        let calls = delta.opt_array("tool_calls")?.unwrap_or_default();
        let path = delta.path();
        let path = path.field("tool_calls");
        for (place, call) in calls.into_iter().enumerate() {
            self.call(Object::new(call, path.index(place))?, events)?;
        }
        if let Some(call) = delta.take("function_call") {
            let call = json!({"index": u64::MAX, "function": call});
            self.call(Object::new(call, path)?, events)?;
        }
        Ok(())
    }

    fn text(&mut self, text: String, events: &mut Vec<Event>) -> Result<(), WireError> {
        if text.is_empty() {
            return Ok(());
        }
        let delta = Delta::Text(text.into());
        self.words(Key::Text, Block::text(""), delta, events)
    }

    /// Mistral's way: a list of words and thoughts.
    fn content_parts(
        &mut self,
        parts: Vec<Value>,
        events: &mut Vec<Event>,
    ) -> Result<(), WireError> {
        for part in parts {
            if let Some(text) = part.get("text").and_then(Value::as_str) {
                self.text(text.to_owned(), events)?;
            }
            let thoughts = part.get("thinking").and_then(Value::as_array);
            for thinking in thoughts.into_iter().flatten() {
                let Some(text) = thinking.get("text").and_then(Value::as_str) else {
                    continue;
                };
                let mark = THOUGHTS[0].1;
                let block = thought(Default::default(), mark);
                self.words(
                    Key::Thought(mark),
                    block,
                    Delta::Thinking(text.into()),
                    events,
                )?;
            }
        }
        Ok(())
    }

    /// Words of one kind end those of the others.
    fn words(
        &mut self,
        key: Key,
        empty: Block,
        delta: Delta,
        events: &mut Vec<Event>,
    ) -> Result<(), WireError> {
        if !self.parts.is_open(&key) {
            self.end_words(events);
            self.parts.start(key, empty, events)?;
        }
        self.parts.grow(&key, delta, events)
    }

    fn end_words(&mut self, events: &mut Vec<Event>) {
        let thoughts = THOUGHTS.map(|(_, mark)| Key::Thought(mark));
        for key in [Key::Text, Key::Refusal].iter().chain(&thoughts) {
            self.parts.end(key, events);
        }
    }

    fn call(&mut self, mut call: Object<'_>, events: &mut Vec<Event>) -> Result<(), WireError> {
        call.take("type");
        let index = call.peek("index").and_then(Value::as_u64);
        let id = call.opt_string("id")?.unwrap_or_default();
        let (name, arguments) = call
            .opt_object("function", |function| {
                let name = function.opt_string("name")?.unwrap_or_default();
                Ok((name, decode_arguments(function)?))
            })?
            .unwrap_or_default();
        let number = self.calls.find(index, &id, &name);
        let Some(known) = self.calls.list.get_mut(number) else {
            return Ok(()); // `find` gives no other number
        };
        if known.id.is_empty() && !id.is_empty() {
            self.calls.by_id.insert(id.clone(), number);
            known.id = id;
        }
        if !known.named && name.is_empty() {
            known.held.push_str(&arguments);
            return Ok(());
        }
        let key = Key::Call(number);
        let mut pieces = arguments;
        if !std::mem::replace(&mut known.named, true) {
            pieces.insert_str(0, &std::mem::take(&mut known.held));
            let id = match known.id.is_empty() {
                true => invented_id(self.id.as_deref(), number),
                false => known.id.clone(),
            };
            self.end_words(events);
            let block = Block::tool_use(id, name, json!({}));
            self.parts.start(key, block, events)?;
        }
        match pieces.is_empty() {
            true => Ok(()),
            false => self.parts.grow(&key, Delta::Input(pieces.into()), events),
        }
    }

    /// What only this protocol knows of a piece goes with the words it came beside, or with the end.
    fn keep(&mut self, rest: Value, events: &mut Vec<Event>) -> Result<(), WireError> {
        if self.parts.is_open(&Key::Text) {
            let delta = Delta::Other(DIALECT, Json(rest));
            return self.parts.grow(&Key::Text, delta, events);
        }
        let choices = self.extra.entry("choices").or_insert_with(|| json!([{}]));
        if let (Some(Value::Object(kept)), Value::Object(rest)) = (choices.get_mut(0), rest) {
            merge(kept, &rest);
        }
        Ok(())
    }

    fn end(&mut self, events: &mut Vec<Event>) -> Result<(), WireError> {
        if self.id.is_none() {
            return Err(WireError::Disorder("the stream ended before it began"));
        }
        if self.calls.list.iter().any(|call| !call.named) {
            return Err(WireError::Disorder("a call of a tool has no name"));
        }
        self.ended = true;
        self.parts.end_all(events);
        let mut said = Vec::new();
        if !self.calls.list.is_empty() {
            said.push(Block::tool_use("", "", Value::Null));
        }
        if self.refused {
            said.push(Block::new(BlockKind::Refusal(Default::default())));
        }
        events.push(Event::End {
            stop: self.stop(&said),
            usage: self.usage,
            extra: Extra::new(DIALECT, std::mem::take(&mut self.extra)),
        });
        Ok(())
    }

    fn stop(&self, said: &[Block]) -> StopReason {
        stop_of(self.reason.as_deref(), said)
    }
}

impl Calls {
    /// The number of the call that is meant, which is in the list; it is begun where it is new.
    fn find(&mut self, index: Option<u64>, id: &str, name: &str) -> usize {
        let known = match index {
            Some(index) => self.by_index.get(&index).copied(),
            None => self.without_index(id, name),
        };
        let known = known.filter(|&number| !self.is_another(number, id, name));
        let number = known.unwrap_or_else(|| {
            self.list.push(Call::default());
            self.list.len() - 1
        });
        if let Some(index) = index {
            self.by_index.insert(index, number);
        }
        number
    }

    fn without_index(&self, id: &str, name: &str) -> Option<usize> {
        let last = self.list.len().checked_sub(1);
        match (id.is_empty(), name.is_empty()) {
            // A piece without a name cannot begin a call, whatever its identifier.
            (false, _) => (self.by_id.get(id).copied()).or(last.filter(|_| name.is_empty())),
            (true, false) => None,
            (true, true) => last,
        }
    }

    /// Some servers give all calls the same index: a new name with a new identifier is a new call.
    fn is_another(&self, number: usize, id: &str, name: &str) -> bool {
        let named = self.list.get(number).filter(|call| call.named);
        named.is_some_and(|call| !name.is_empty() && !id.is_empty() && call.id != id)
    }
}

fn decode_arguments(function: &mut Object<'_>) -> Result<String, WireError> {
    match function.take("arguments") {
        None => Ok(String::new()),
        Some(Value::String(piece)) => Ok(piece),
        Some(whole @ Value::Object(_)) => Ok(whole.to_string()),
        Some(_) => Err(function.kind("arguments", "a string")),
    }
}

/// For a call without an identifier: of this answer, in letters that every protocol takes.
fn invented_id(answer: Option<&str>, number: usize) -> String {
    let answer: String = answer
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(40)
        .collect();
    format!("call_{answer}_{number}")
}

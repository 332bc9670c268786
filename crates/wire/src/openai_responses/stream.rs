//! Reading streams. Items are keyed by `output_index`, parts of a message by `content_index` within it.

use std::collections::{HashMap, HashSet};

use inhouse_chat::{Block, BlockKind, Delta, Event, Extra, Fields, Role, Usage};
use serde_json::{Value, json};

use super::items::{ITEM, decode_item};
use super::{DIALECT, parts as content, reply, thoughts, with};
use crate::failure::in_stream;
use crate::fields::{LISTED, Object};
use crate::parts::Parts;
use crate::path::Path;
use crate::sse::Frame;
use crate::stream::SseDialect;
use crate::{StreamError, WireError};

/// What is known of a stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    parts: Parts<Key>,
    /// Messages that have begun, by `output_index`.
    messages: HashMap<u64, Message>,
    /// What has grown by deltas, so that the whole which follows is not said twice.
    grown: HashSet<Key>,
    started: bool,
    ended: bool,
    calls: bool,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Key {
    Item(u64),
    Part(u64, u64),
}

#[derive(Debug, Default)]
struct Message {
    /// What the item says beside its parts, until its first part has it.
    about: Option<Fields>,
    parts: Vec<u64>,
}

impl SseDialect for Reader {
    fn frame(&mut self, frame: Frame, events: &mut Vec<Event>) -> Result<(), StreamError> {
        let Frame::Event { data, .. } = frame else {
            events.push(Event::Ping);
            return Ok(());
        };
        if self.ended || data == b"[DONE]" {
            return Ok(());
        }
        let what = "an event of the stream";
        let event = serde_json::from_slice(&data).map_err(|_| WireError::NotJson { what })?;
        self.event(event, events)
    }

    fn finish(&mut self, _: &mut Vec<Event>) -> Result<(), StreamError> {
        match self.ended {
            true => Ok(()),
            false => Err(StreamError::CutOff),
        }
    }
}

impl Reader {
    fn event(&mut self, value: Value, events: &mut Vec<Event>) -> Result<(), StreamError> {
        let kind = value
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let kind = kind.to_owned();
        if kind == "error"
            || kind == "response.failed"
            || kind.is_empty() && value.get("error").is_some()
        {
            return Err(in_stream(&value));
        }
        let mut event = Object::new(value, Path::Root)?;
        match kind.as_str() {
            "response.created" | "response.queued" | "response.in_progress" => {
                return Ok(self.start(&mut event, events)?);
            }
            "keepalive" => {
                events.push(Event::Ping);
                return Ok(());
            }
            _ if !self.started => {
                return Err(WireError::Disorder("it did not begin with response.created").into());
            }
            "response.completed" | "response.incomplete" | "response.cancelled" => {
                return Ok(self.end(&mut event, events)?);
            }
            _ => {}
        }
        let item = event.count("output_index")?;
        let part = Key::Part(item, event.count("content_index")?);
        let whole = Key::Item(item);
        let mut delta = || event.text("delta");
        match kind.as_str() {
            "response.output_item.added" => self.item_added(item, event.value("item")?, events)?,
            "response.output_item.done" => self.item_done(item, event.value("item")?, events)?,
            "response.content_part.added" => self.part_added(part, event.value("part")?, events)?,
            "response.content_part.done" => self.parts.end(&part, events),
            "response.output_text.delta" => {
                self.open(part, BlockKind::Text("".into()), events)?;
                self.grow(part, Delta::Text(delta()?), events)?;
            }
            "response.refusal.delta" => {
                self.open(part, BlockKind::Refusal("".into()), events)?;
                self.grow(part, Delta::Refusal(delta()?), events)?;
            }
            "response.function_call_arguments.delta" => {
                self.grow(whole, Delta::Input(delta()?), events)?;
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.grow(whole, Delta::Thinking(delta()?), events)?;
            }
            "response.reasoning_summary_part.added" if event.count("summary_index")? > 0 => {
                self.grow(whole, Delta::Thinking(thoughts::BETWEEN.into()), events)?;
            }
            "response.output_text.done" => {
                let text = event.opt_text("text")?.unwrap_or_default();
                self.whole(part, Delta::Text(text), events)?;
            }
            "response.refusal.done" => {
                let text = event.opt_text("refusal")?.unwrap_or_default();
                self.whole(part, Delta::Refusal(text), events)?;
            }
            "response.function_call_arguments.done" => {
                let arguments = event.opt_text("arguments")?.unwrap_or_default();
                self.whole(whole, Delta::Input(arguments), events)?;
            }
            "response.output_text.annotation.added" if self.parts.is_open(&part) => {
                let annotation = json!({"annotation": event.value("annotation")?});
                let delta = Delta::Other(DIALECT, annotation.into());
                self.parts.grow(&part, delta, events)?;
            }
            // Progress of the provider's own tools: the item comes whole when it is done.
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, event: &mut Object<'_>, events: &mut Vec<Event>) -> Result<(), WireError> {
        if std::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        let head = event.opt_object("response", |response| {
            let id = response.opt_string("id")?.unwrap_or_default();
            Ok((id, response.opt_string("model")?.unwrap_or_default()))
        })?;
        let (id, model) = head.ok_or_else(|| event.missing("response"))?;
        events.push(Event::Start {
            id,
            model: model.into(),
            usage: Usage::default(),
        });
        Ok(())
    }

    fn item_added(
        &mut self,
        index: u64,
        item: Value,
        events: &mut Vec<Event>,
    ) -> Result<(), WireError> {
        let root = Path::Root;
        let mut item = Object::new(item, root.field("item"))?;
        let kind = match item.peek_str("type") {
            Some("message") => {
                item.take("type");
                item.take("role");
                item.take("content");
                let message = self.messages.entry(index).or_default();
                message.about = Some(completed(item.into_fields()));
                return Ok(());
            }
            Some("function_call") => {
                item.take("arguments");
                self.calls = true;
                BlockKind::ToolUse {
                    id: item.string("call_id")?,
                    name: item.string("name")?,
                    input: Value::Null.into(),
                }
            }
            Some("reasoning") => {
                for said_later in ["summary", "content", "encrypted_content"] {
                    item.take(said_later);
                }
                BlockKind::Thinking {
                    text: "".into(),
                    signature: None,
                }
            }
            _ => return Ok(()), // comes whole when it is done
        };
        item.take("type");
        let extra = Extra::new(DIALECT, completed(item.into_fields()));
        self.begin(Key::Item(index), kind, extra, events)
    }

    fn part_added(
        &mut self,
        key: Key,
        part: Value,
        events: &mut Vec<Event>,
    ) -> Result<(), WireError> {
        let root = Path::Root;
        let path = root.field("part");
        if part.get("type").and_then(Value::as_str) == Some("reasoning_text") {
            return Ok(()); // its words are those of the item
        }
        let mut block = content::decode(part, path, Role::Assistant)?;
        let begun = match &mut block.kind {
            BlockKind::Text(text) => Delta::Text(std::mem::take(text)),
            BlockKind::Refusal(text) => Delta::Refusal(std::mem::take(text)),
            _ => {
                self.begin(key, block.kind, block.extra, events)?;
                return Ok(());
            }
        };
        self.begin(key, block.kind, block.extra, events)?;
        match &begun {
            Delta::Text(text) | Delta::Refusal(text) if text.is_empty() => Ok(()),
            _ => self.grow(key, begun, events),
        }
    }

    /// A part whose beginning was not told, as with copies of the API.
    fn open(
        &mut self,
        key: Key,
        kind: BlockKind,
        events: &mut Vec<Event>,
    ) -> Result<(), WireError> {
        match self.parts.is_open(&key) {
            true => Ok(()),
            false => self.begin(key, kind, Extra::default(), events),
        }
    }

    fn begin(
        &mut self,
        key: Key,
        kind: BlockKind,
        mut extra: Extra,
        events: &mut Vec<Event>,
    ) -> Result<(), WireError> {
        if let Key::Part(item, part) = key {
            let message = self.messages.entry(item).or_default();
            message.parts.push(part);
            if let Some(mut about) = message.about.take() {
                about.insert(LISTED.to_owned(), Value::Bool(true));
                extra = with(&extra, ITEM, Value::Object(about));
            }
        }
        let cache = None;
        self.parts.start(key, Block { kind, cache, extra }, events)
    }

    fn grow(&mut self, key: Key, delta: Delta, events: &mut Vec<Event>) -> Result<(), WireError> {
        self.grown.insert(key);
        self.parts.grow(&key, delta, events)
    }

    /// The whole of what deltas should have brought.
    fn whole(&mut self, key: Key, delta: Delta, events: &mut Vec<Event>) -> Result<(), WireError> {
        let nothing = match &delta {
            Delta::Text(text)
            | Delta::Refusal(text)
            | Delta::Input(text)
            | Delta::Thinking(text) => text.is_empty(),
            Delta::Signature(_) | Delta::Other(..) => false,
        };
        if nothing || self.grown.contains(&key) {
            return Ok(());
        }
        if let (Key::Part(..), Delta::Text(_)) = (key, &delta) {
            self.open(key, BlockKind::Text("".into()), events)?;
        }
        if let (Key::Part(..), Delta::Refusal(_)) = (key, &delta) {
            self.open(key, BlockKind::Refusal("".into()), events)?;
        }
        match self.parts.is_open(&key) {
            true => self.grow(key, delta, events),
            false => Ok(()),
        }
    }

    fn item_done(
        &mut self,
        index: u64,
        item: Value,
        events: &mut Vec<Event>,
    ) -> Result<(), WireError> {
        let root = Path::Root;
        let whole = Key::Item(index);
        if let Some(message) = self.messages.get(&index)
            && !message.parts.is_empty()
        {
            let parts = message.parts.clone();
            for part in parts {
                self.parts.end(&Key::Part(index, part), events);
            }
            return Ok(());
        }
        let done = decode_item(item, root.field("item"))?;
        if self.parts.is_open(&whole) {
            for block in done.blocks {
                self.finish_item(whole, block.kind, events)?;
            }
            self.parts.end(&whole, events);
            return Ok(());
        }
        // Nothing was told of it before.
        self.calls |= done.blocks.iter().any(reply::is_call);
        self.blocks(done.blocks, index, events)
    }

    /// What the finished item has and deltas did not bring.
    fn finish_item(
        &mut self,
        key: Key,
        kind: BlockKind,
        events: &mut Vec<Event>,
    ) -> Result<(), WireError> {
        match kind {
            BlockKind::ToolUse { input, .. } => {
                self.whole(key, Delta::Input(input.0.to_string().into()), events)
            }
            BlockKind::Thinking { text, signature } => {
                self.whole(key, Delta::Thinking(text), events)?;
                match signature {
                    Some(signature) => self.grow(key, Delta::Signature(signature), events),
                    None => Ok(()),
                }
            }
            _ => Ok(()), // arguments that are no JSON: their pieces were sent as they are
        }
    }

    /// Whole parts, as events.
    fn blocks(
        &mut self,
        blocks: Vec<Block>,
        index: u64,
        events: &mut Vec<Event>,
    ) -> Result<(), WireError> {
        for (part, mut block) in (0..).zip(blocks) {
            // Never a key that the stream itself uses.
            let key = Key::Part(index, u64::MAX - part);
            let deltas = take_words(&mut block.kind);
            self.parts.start(key, block, events)?;
            for delta in deltas {
                self.parts.grow(&key, delta, events)?;
            }
            self.parts.end(&key, events);
        }
        Ok(())
    }

    fn end(&mut self, event: &mut Object<'_>, events: &mut Vec<Event>) -> Result<(), WireError> {
        let response = event.value("response")?;
        let root = Path::Root;
        let mut response = Object::new(response, root.field("response"))?;
        let items = response.opt_each("output", decode_item)?;
        self.parts.end_all(events);
        if self.parts.begun() == 0 {
            // Copies of the API send the answer in the last event alone.
            let blocks: Vec<Block> = items.into_iter().flat_map(|item| item.blocks).collect();
            self.calls = blocks.iter().any(reply::is_call);
            self.blocks(blocks, u64::MAX, events)?;
        }
        let reply = reply::decode_rest(response, Vec::new(), self.calls)?;
        events.push(Event::End {
            stop: reply.stop,
            usage: reply.usage,
            extra: reply.extra,
        });
        self.ended = true;
        Ok(())
    }
}

/// The words of a part as deltas; the part is empty then.
fn take_words(kind: &mut BlockKind) -> Vec<Delta> {
    match kind {
        BlockKind::Text(text) => vec![Delta::Text(std::mem::take(text))],
        BlockKind::Refusal(text) => vec![Delta::Refusal(std::mem::take(text))],
        BlockKind::Thinking { text, signature } => {
            let words = Delta::Thinking(std::mem::take(text));
            let signature = signature.take().map(Delta::Signature);
            std::iter::once(words).chain(signature).collect()
        }
        BlockKind::ToolUse { input, .. } => {
            let input = std::mem::take(input).0.to_string();
            vec![Delta::Input(input.into())]
        }
        _ => Vec::new(),
    }
}

/// An item says that it is in progress when it begins; the part that it becomes is read when it is whole.
fn completed(mut about: Fields) -> Fields {
    if let Some(status) = about.get_mut("status") {
        *status = Value::from("completed");
    }
    about
}

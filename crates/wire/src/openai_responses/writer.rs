//! Writing streams. The last event repeats the whole answer, as the API does, so what is written is kept until then.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use inhouse_chat::{Block, BlockKind, Delta, Event, Failure, Fields, Reply, Role};
use serde_json::{Value, json};

use super::items::{Writing, about, fields, item_id};
use super::reply::{Head, answer, finish};
use super::{error_words, parts, thoughts};
use crate::fields::is_mark;
use crate::note::Notes;
use crate::path::Path;
use crate::sse;
use crate::stream::StreamWriter;
use crate::{AnswerOptions, Note};

use super::DIALECT;

/// What has been written.
#[derive(Debug)]
pub(super) struct Writer {
    options: AnswerOptions,
    head: Head,
    id: String,
    sequence: u64,
    /// Finished items by their place; `None` while they are open.
    items: Vec<Option<Value>>,
    /// Parts that are open, by the event's index.
    open: HashMap<usize, Open>,
    /// Messages that are open. Further words join the last, unless it is closing.
    messages: Vec<Message>,
    notes: Notes,
}

/// A part that is open.
#[derive(Debug)]
struct Open {
    place: Place,
    /// With all its words so far.
    block: Block,
    /// Pieces of arguments.
    arguments: String,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// An item of its own.
    Item(usize),
    /// A part of a message.
    Part { item: usize, part: usize },
    /// It cannot be said here, which is noted.
    Nowhere,
}

/// A message that is open.
#[derive(Debug)]
struct Message {
    item: usize,
    id: Value,
    about: Fields,
    /// Finished parts; `None` while they are open.
    parts: Vec<Option<Value>>,
    /// Something else has begun: it ends with its last part.
    closing: bool,
}

impl Writer {
    pub(super) fn new(options: AnswerOptions) -> Self {
        Self {
            options,
            head: Head::new("", "", &options),
            id: String::new(),
            sequence: 0,
            items: Vec::new(),
            open: HashMap::new(),
            messages: Vec::new(),
            notes: Notes::new(DIALECT),
        }
    }

    fn send(&mut self, out: &mut BytesMut, kind: &str, value: Value) {
        let mut event = fields(json!({"type": kind, "sequence_number": self.sequence}));
        event.extend(fields(value));
        self.sequence += 1;
        out.extend_from_slice(&sse::event(Some(kind), &Value::Object(event)));
    }

    fn start(&mut self, out: &mut BytesMut, id: &str, model: &str) {
        self.id = id.to_owned();
        self.head = Head::new(id, model, &self.options);
        for kind in ["response.created", "response.in_progress"] {
            let mut response = self.head.response("in_progress", Vec::new());
            self.head.complete(&mut response);
            self.send(out, kind, json!({"response": response}));
        }
    }

    fn begin(&mut self, out: &mut BytesMut, index: usize, block: &Block) {
        let place = match parts::is_part(block) {
            true => self.begin_part(out, index, block),
            false => {
                self.close_messages(out);
                self.begin_item(out, index, block)
            }
        };
        let open = Open {
            place,
            block: block.clone(),
            arguments: String::new(),
        };
        self.open.insert(index, open);
    }

    fn begin_item(&mut self, out: &mut BytesMut, index: usize, block: &Block) -> Place {
        let mut item = match self.item(index, block, "") {
            Some(item) => item,
            None => return Place::Nowhere,
        };
        if let Some(status) = item.get_mut("status") {
            *status = Value::from("in_progress");
        }
        let place = self.items.len();
        self.items.push(None);
        let added = json!({"output_index": place, "item": item});
        self.send(out, "response.output_item.added", added);
        Place::Item(place)
    }

    fn begin_part(&mut self, out: &mut BytesMut, index: usize, block: &Block) -> Place {
        let Some(part) = self.part(index, block) else {
            return Place::Nowhere;
        };
        if about(&block.extra).is_some() {
            self.close_messages(out); // a message of its own begins here
        }
        if self.messages.last().is_none_or(|message| message.closing) {
            self.begin_message(out, index, block);
        }
        let Some(message) = self.messages.last_mut() else {
            return Place::Nowhere; // one has just begun
        };
        let (item, at) = (message.item, message.parts.len());
        message.parts.push(None);
        let added = json!({
            "item_id": message.id, "output_index": item, "content_index": at, "part": part,
        });
        self.send(out, "response.content_part.added", added);
        Place::Part { item, part: at }
    }

    fn begin_message(&mut self, out: &mut BytesMut, index: usize, block: &Block) {
        let about = about(&block.extra);
        let own_id = about.and_then(|about| about.get("id")).cloned();
        let message = Message {
            item: self.items.len(),
            id: own_id.unwrap_or_else(|| item_id("msg", &self.id, index)),
            about: about.cloned().unwrap_or_default(),
            parts: Vec::new(),
            closing: false,
        };
        self.items.push(None);
        let added = json!({"output_index": message.item, "item": message.item(&[], "in_progress")});
        self.messages.push(message);
        self.send(out, "response.output_item.added", added);
    }

    /// Further words are another message; those that are open end with their last open part.
    fn close_messages(&mut self, out: &mut BytesMut) {
        for message in &mut self.messages {
            message.closing = true;
        }
        self.end_messages(out);
    }

    fn end_messages(&mut self, out: &mut BytesMut) {
        while let Some(at) = self.messages.iter().position(Message::is_whole) {
            let message = self.messages.remove(at);
            let parts: Vec<Value> = message.parts.iter().flatten().cloned().collect();
            let item = message.item(&parts, "completed");
            self.item_done(out, message.item, item);
        }
    }

    fn item_done(&mut self, out: &mut BytesMut, place: usize, item: Value) {
        let done = json!({"output_index": place, "item": item});
        self.send(out, "response.output_item.done", done);
        if let Some(kept) = self.items.get_mut(place) {
            *kept = Some(item);
        }
    }

    fn grow(&mut self, out: &mut BytesMut, index: usize, delta: &Delta) {
        let Some(mut open) = self.open.remove(&index) else {
            return;
        };
        self.grow_open(out, index, &mut open, delta);
        self.open.insert(index, open);
    }

    fn grow_open(&mut self, out: &mut BytesMut, index: usize, open: &mut Open, delta: &Delta) {
        match (open.place, &mut open.block.kind, delta) {
            (Place::Part { item, part }, BlockKind::Text(text), Delta::Text(piece)) => {
                text.push_str(piece.as_str());
                let mut said = self.at(item, part);
                said["delta"] = Value::from(piece.as_str());
                said["logprobs"] = json!([]);
                self.send(out, "response.output_text.delta", said);
            }
            (Place::Part { item, part }, BlockKind::Refusal(text), Delta::Refusal(piece)) => {
                text.push_str(piece.as_str());
                let mut said = self.at(item, part);
                said["delta"] = Value::from(piece.as_str());
                self.send(out, "response.refusal.delta", said);
            }
            (Place::Item(item), BlockKind::ToolUse { .. }, Delta::Input(piece)) => {
                open.arguments.push_str(piece.as_str());
                let id = self.id_of(index, &open.block);
                let said = json!({"item_id": id, "output_index": item, "delta": piece.as_str()});
                self.send(out, "response.function_call_arguments.delta", said);
            }
            (Place::Item(item), BlockKind::Thinking { text, .. }, Delta::Thinking(piece)) => {
                let first = text.is_empty();
                text.push_str(piece.as_str());
                if !piece.is_empty() {
                    self.think(out, index, item, open, piece.as_str(), first);
                }
            }
            (Place::Item(_), BlockKind::Thinking { signature, .. }, Delta::Signature(whole)) => {
                *signature = Some(whole.clone());
            }
            (Place::Part { item, part }, _, Delta::Other(DIALECT, said)) => {
                if let Some(annotation) = said.0.get("annotation") {
                    let mut added = self.at(item, part);
                    added["annotation"] = annotation.clone();
                    added["annotation_index"] = Value::from(0);
                    self.send(out, "response.output_text.annotation.added", added);
                }
            }
            (Place::Nowhere, ..) => {}
            _ => self.note_left_out(index),
        }
    }

    fn think(
        &mut self,
        out: &mut BytesMut,
        index: usize,
        item: usize,
        open: &Open,
        piece: &str,
        first: bool,
    ) {
        let id = self.id_of(index, &open.block);
        let at = json!({"item_id": id, "output_index": item, "summary_index": 0});
        if first {
            let mut added = at.clone();
            added["part"] = json!({"type": "summary_text", "text": ""});
            self.send(out, "response.reasoning_summary_part.added", added);
        }
        let mut said = at;
        said["delta"] = Value::from(piece);
        self.send(out, "response.reasoning_summary_text.delta", said);
    }

    fn end(&mut self, out: &mut BytesMut, index: usize) {
        let Some(open) = self.open.remove(&index) else {
            return;
        };
        match open.place {
            Place::Part { item, part } => self.end_part(out, index, &open.block, item, part),
            Place::Item(item) => self.end_item(out, index, &open, item),
            Place::Nowhere => {}
        }
    }

    fn end_part(
        &mut self,
        out: &mut BytesMut,
        index: usize,
        block: &Block,
        item: usize,
        part: usize,
    ) {
        let mut done = self.at(item, part);
        match &block.kind {
            BlockKind::Text(text) => {
                done["text"] = Value::from(text.as_str());
                done["logprobs"] = json!([]);
                self.send(out, "response.output_text.done", done);
            }
            BlockKind::Refusal(text) => {
                done["refusal"] = Value::from(text.as_str());
                self.send(out, "response.refusal.done", done);
            }
            _ => {}
        }
        let whole = self.part(index, block).unwrap_or_default();
        let mut done = self.at(item, part);
        done["part"] = whole.clone();
        self.send(out, "response.content_part.done", done);
        let mut messages = self.messages.iter_mut();
        if let Some(message) = messages.find(|message| message.item == item)
            && let Some(kept) = message.parts.get_mut(part)
        {
            *kept = Some(whole);
        }
        self.end_messages(out);
    }

    fn end_item(&mut self, out: &mut BytesMut, index: usize, open: &Open, place: usize) {
        let id = self.id_of(index, &open.block);
        let mut arguments = open.arguments.as_str();
        match &open.block.kind {
            BlockKind::ToolUse { .. } => {
                if arguments.is_empty() {
                    arguments = "{}";
                }
                let done = json!({"item_id": id, "output_index": place, "arguments": arguments});
                self.send(out, "response.function_call_arguments.done", done);
            }
            BlockKind::Thinking { text, .. } if !text.is_empty() => {
                let at = json!({"item_id": id, "output_index": place, "summary_index": 0});
                let mut done = at.clone();
                done["text"] = Value::from(text.as_str());
                self.send(out, "response.reasoning_summary_text.done", done);
                let mut done = at;
                done["part"] = json!({"type": "summary_text", "text": text.as_str()});
                self.send(out, "response.reasoning_summary_part.done", done);
            }
            _ => {}
        }
        let item = self.item(index, &open.block, arguments);
        self.item_done(out, place, Value::Object(item.unwrap_or_default()));
    }

    /// The item of a part, as far as it is known.
    fn item(&mut self, index: usize, block: &Block, arguments: &str) -> Option<Fields> {
        let (root, id) = (Path::Root, self.id.clone());
        let (content, mut writing) = (root.field("content"), self.writing(&id));
        let path = content.index(index);
        let item = match &block.kind {
            BlockKind::ToolUse { id, name, .. } => {
                let mut out = writing.call(block, &path, id, name, arguments);
                writing.notes.extra(&mut out, &block.extra, &path);
                Some(out)
            }
            BlockKind::Thinking { text, .. }
                if text.is_empty() && block.extra.of(DIALECT).is_none() =>
            {
                let id = item_id("rs", &id, index);
                Some(fields(
                    json!({"id": id, "type": "reasoning", "summary": thoughts::summary("")}),
                ))
            }
            _ => writing.item(block, &path).ok().flatten(),
        };
        self.keep(writing.notes);
        item
    }

    fn part(&mut self, index: usize, block: &Block) -> Option<Value> {
        let (root, id) = (Path::Root, self.id.clone());
        let (content, mut writing) = (root.field("content"), self.writing(&id));
        let part = writing.part(Role::Assistant, block, &content.index(index));
        self.keep(writing.notes);
        part.ok().flatten()
    }

    fn writing<'a>(&self, id: &'a str) -> Writing<'a> {
        answer(id)
    }

    /// What begins and ends is written twice, and noted once.
    fn keep(&mut self, notes: Notes) {
        for note in notes.list {
            if !self.notes.list.contains(&note) {
                self.notes.list.push(note);
            }
        }
    }

    fn note_left_out(&mut self, index: usize) {
        let root = Path::Root;
        let content = root.field("content");
        let mut notes = Notes::new(DIALECT);
        notes.left_out(&content.index(index));
        self.keep(notes);
    }

    fn id_of(&self, index: usize, block: &Block) -> Value {
        let own = block.extra.of(DIALECT).and_then(|extra| extra.get("id"));
        let kind = match block.kind {
            BlockKind::Thinking { .. } => "rs",
            _ => "fc",
        };
        own.cloned()
            .unwrap_or_else(|| item_id(kind, &self.id, index))
    }

    fn at(&self, item: usize, part: usize) -> Value {
        let message = self.messages.iter().find(|message| message.item == item);
        let id = message.map(|message| message.id.clone());
        json!({"item_id": id, "output_index": item, "content_index": part})
    }

    fn finish(&mut self, out: &mut BytesMut, event: &Event) {
        let Event::End { stop, usage, extra } = event else {
            return;
        };
        let mut left: Vec<usize> = self.open.keys().copied().collect();
        left.sort_unstable();
        for index in left {
            self.end(out, index);
        }
        self.close_messages(out);
        let items: Vec<Value> = self.items.drain(..).flatten().collect();
        let reply = Reply {
            id: self.id.clone(),
            model: "".into(),
            content: Vec::new(),
            stop: stop.clone(),
            usage: *usage,
            extra: extra.clone(),
        };
        let response = finish(&self.head, items, &reply, &mut self.notes);
        let kind = match response.get("status").and_then(Value::as_str) {
            Some("incomplete") => "response.incomplete",
            _ => "response.completed",
        };
        self.send(out, kind, json!({"response": response}));
    }
}

impl Message {
    fn is_whole(&self) -> bool {
        self.closing && self.parts.iter().all(Option::is_some)
    }

    fn item(&self, parts: &[Value], status: &str) -> Value {
        let mut out = fields(json!({
            "id": self.id, "type": "message", "status": status, "role": "assistant", "content": parts,
        }));
        for (name, value) in &self.about {
            if !is_mark(name) {
                out.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        Value::Object(out)
    }
}

impl StreamWriter for Writer {
    fn push(&mut self, event: &Event) -> Bytes {
        let mut out = BytesMut::new();
        match event {
            Event::Start { id, model, .. } => self.start(&mut out, id, model.as_str()),
            Event::BlockStart { index, block } => self.begin(&mut out, *index, block),
            Event::BlockDelta { index, delta } => self.grow(&mut out, *index, delta),
            Event::BlockEnd { index } => self.end(&mut out, *index),
            Event::End { .. } => self.finish(&mut out, event),
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
        }
        out.freeze()
    }

    fn error(&mut self, failure: Failure, message: &str) -> Bytes {
        let mut out = BytesMut::new();
        let code = error_words(failure).1.unwrap_or("invalid_request_error");
        if self.sequence == 0 {
            let error = json!({"code": code, "message": message, "param": null});
            self.send(&mut out, "error", error);
            return out.freeze();
        }
        let items: Vec<Value> = self.items.drain(..).flatten().collect();
        let mut response = self.head.response("failed", items);
        response.insert("error".into(), json!({"code": code, "message": message}));
        self.head.complete(&mut response);
        self.send(&mut out, "response.failed", json!({"response": response}));
        out.freeze()
    }

    fn notes(&self) -> &[Note] {
        &self.notes.list
    }
}

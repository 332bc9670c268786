//! Reading streams. Every line has the next piece of the message; calls come whole.

use inhouse_chat::{Block, BlockKind, Delta, Event, Extra, Fields, Usage};
use serde_json::Value;

use super::message::decode_content;
use super::{DIALECT, reply};
use crate::calls::Calls;
use crate::failure::in_stream;
use crate::fields::{Object, is_mark};
use crate::parts::Parts;
use crate::path::Path;
use crate::stream::LineDialect;
use crate::{StreamError, WireError};

/// What is known of a stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    parts: Parts<()>,
    open: Option<Open>,
    calls: Calls,
    has_calls: bool,
    started: bool,
    ended: bool,
    /// What the message says beside our fields.
    message: Fields,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Open {
    Text,
    Thought,
}

impl LineDialect for Reader {
    fn line(&mut self, line: &[u8], events: &mut Vec<Event>) -> Result<(), StreamError> {
        if self.ended {
            return Ok(());
        }
        let what = "a line of the stream";
        let line: Value = serde_json::from_slice(line).map_err(|_| WireError::NotJson { what })?;
        if line.get("error").is_some_and(|error| !error.is_null()) {
            return Err(in_stream(&line));
        }
        Ok(self.answer(line, events)?)
    }

    fn finish(&mut self, _: &mut Vec<Event>) -> Result<(), StreamError> {
        match self.ended {
            true => Ok(()),
            false => Err(StreamError::CutOff),
        }
    }
}

impl Reader {
    fn answer(&mut self, line: Value, events: &mut Vec<Event>) -> Result<(), WireError> {
        let mut line = Object::new(line, Path::Root)?;
        let model = line.opt_string("model")?.unwrap_or_default();
        if !std::mem::replace(&mut self.started, true) {
            let id = reply::id_of(&line);
            self.calls = Calls::of_answer(&id);
            events.push(Event::Start {
                id,
                model: model.into(),
                usage: Usage::default(),
            });
        }
        let root = Path::Root;
        let mut blocks = Vec::new();
        if let Some(message) = line.take("message") {
            let mut message = Object::new(message, root.field("message"))?;
            message.take("role");
            blocks = decode_content(&mut message, &mut self.calls)?;
            let beside = message.into_fields().into_iter();
            let says = |(name, value): &(String, Value)| !is_mark(name) && !value.is_null();
            self.message.extend(beside.filter(says));
        }
        for block in blocks {
            self.block(block, events)?;
        }
        if line.peek("done") == Some(&Value::Bool(true)) {
            self.end(line, events)?;
        }
        Ok(())
    }

    fn block(&mut self, mut block: Block, events: &mut Vec<Event>) -> Result<(), WireError> {
        let (open, delta) = match &mut block.kind {
            BlockKind::Text(text) => (Some(Open::Text), Some(Delta::Text(std::mem::take(text)))),
            BlockKind::Thinking { text, .. } if text.is_empty() => return Ok(()),
            BlockKind::Thinking { text, .. } => {
                let thought = Delta::Thinking(std::mem::take(text));
                (Some(Open::Thought), Some(thought))
            }
            BlockKind::ToolUse { input, .. } => {
                self.has_calls = true;
                let input = std::mem::take(input).0.to_string();
                (None, Some(Delta::Input(input.into())))
            }
            _ => (None, None),
        };
        if open.is_none() || self.open != open {
            self.parts.end(&(), events);
            self.parts.start((), block, events)?;
        }
        if let Some(delta) = delta {
            self.parts.grow(&(), delta, events)?;
        }
        if open.is_none() {
            self.parts.end(&(), events);
        }
        self.open = open;
        Ok(())
    }

    fn end(&mut self, mut line: Object<'_>, events: &mut Vec<Event>) -> Result<(), WireError> {
        self.ended = true;
        self.parts.end_all(events);
        let stop = reply::decode_stop(&mut line, self.has_calls)?;
        let usage = reply::decode_usage(&mut line)?;
        let mut extra = line.into_fields();
        if !self.message.is_empty() {
            extra.insert("message".into(), std::mem::take(&mut self.message).into());
        }
        events.push(Event::End {
            stop,
            usage,
            extra: Extra::new(DIALECT, extra),
        });
        Ok(())
    }
}

//! Reading streams. Every event is an answer of its own with the next pieces; counts are cumulative, so the last hold.

use inhouse_chat::{Block, BlockKind, Delta, Event, Extra, Fields, StopReason, Usage};
use serde_json::{Value, json};

use super::{DIALECT, parts as content, reply, usage};
use crate::calls::Calls;
use crate::failure::in_stream;
use crate::fields::{Object, each};
use crate::parts::Parts;
use crate::path::Path;
use crate::sse::Frame;
use crate::stream::SseDialect;
use crate::{StreamError, WireError};

/// What is known of a stream.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    parts: Parts<()>,
    /// What the open part is: pieces of one kind that follow each other are one part.
    open: Option<Open>,
    calls: Calls,
    has_calls: bool,
    started: bool,
    stop: Option<StopReason>,
    usage: Usage,
    /// What the events say beside our fields, and beside those of the candidate.
    extra: Fields,
    candidate: Fields,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Open {
    Text,
    Thought,
}

impl SseDialect for Chunks {
    fn frame(&mut self, frame: Frame, events: &mut Vec<Event>) -> Result<(), StreamError> {
        let Frame::Event { data, .. } = frame else {
            events.push(Event::Ping);
            return Ok(());
        };
        if data == b"[DONE]" {
            return Ok(());
        }
        let what = "an event of the stream";
        let chunk: Value =
            serde_json::from_slice(&data).map_err(|_| WireError::NotJson { what })?;
        let chunk = match chunk.get(0) {
            Some(first) => first.clone(), // errors come in a list at times
            None => chunk,
        };
        if chunk.get("error").is_some() {
            return Err(in_stream(&chunk));
        }
        Ok(self.chunk(chunk, events)?)
    }

    /// The end is told here: counts may come after the reason.
    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), StreamError> {
        let feedback = self.extra.get("promptFeedback");
        let blocked = feedback.is_some_and(|feedback| feedback.get("blockReason").is_some());
        if !self.started || self.stop.is_none() && !blocked {
            return Err(StreamError::CutOff);
        }
        let stop = reply::end(self.stop.take(), self.has_calls, feedback);
        self.parts.end_all(events);
        let mut extra = std::mem::take(&mut self.extra);
        if !self.candidate.is_empty() {
            let candidate = std::mem::take(&mut self.candidate);
            extra.insert("candidates".into(), json!([candidate]));
        }
        events.push(Event::End {
            stop,
            usage: self.usage,
            extra: Extra::new(DIALECT, extra),
        });
        Ok(())
    }
}

impl Chunks {
    fn chunk(&mut self, chunk: Value, events: &mut Vec<Event>) -> Result<(), WireError> {
        let mut chunk = Object::new(chunk, Path::Root)?;
        let id = chunk.opt_string("responseId")?.unwrap_or_default();
        let model = chunk.opt_string("modelVersion")?.unwrap_or_default();
        if let Some(usage) = usage::decode(&mut chunk)? {
            self.usage = usage;
        }
        if !std::mem::replace(&mut self.started, true) {
            self.calls = Calls::of_answer(&id);
            events.push(Event::Start {
                id,
                model: model.into(),
                usage: Usage {
                    output: 0,
                    reasoning: 0,
                    output_audio: 0,
                    ..self.usage
                },
            });
        }
        let candidates = chunk.opt_array("candidates")?.unwrap_or_default();
        let root = Path::Root;
        let path = root.field("candidates");
        for (index, candidate) in candidates.into_iter().enumerate() {
            self.candidate(Object::new(candidate, path.index(index))?, events)?;
        }
        let later = chunk
            .into_fields()
            .into_iter()
            .filter(|(_, value)| !value.is_null());
        self.extra.extend(later);
        Ok(())
    }

    fn candidate(
        &mut self,
        mut candidate: Object<'_>,
        events: &mut Vec<Event>,
    ) -> Result<(), WireError> {
        if candidate
            .peek("index")
            .is_some_and(|index| *index != json!(0))
        {
            return Err(WireError::Disorder("it has more than one candidate"));
        }
        let calls = &mut self.calls;
        let blocks = candidate.opt_object("content", |content| {
            content.take("role");
            let list = content.opt_array("parts")?.unwrap_or_default();
            let path = content.path();
            each(list, &path.field("parts"), |part, path| {
                content::decode(part, path, calls)
            })
        })?;
        for block in blocks.unwrap_or_default() {
            self.block(block, events)?;
        }
        if let Some(stop) = reply::decode_stop(&mut candidate)? {
            self.stop = Some(stop);
        }
        let later = candidate
            .into_fields()
            .into_iter()
            .filter(|(_, value)| !value.is_null());
        self.candidate.extend(later);
        Ok(())
    }

    fn block(&mut self, mut block: Block, events: &mut Vec<Event>) -> Result<(), WireError> {
        let (open, deltas) = match &mut block.kind {
            BlockKind::Text(text) if block.extra.is_empty() => {
                if text.is_empty() {
                    return Ok(()); // the last event of a stream has one
                }
                (Some(Open::Text), vec![Delta::Text(std::mem::take(text))])
            }
            BlockKind::Thinking { text, signature } => {
                let thought = Delta::Thinking(std::mem::take(text));
                let signature = signature.take().map(Delta::Signature);
                let deltas = std::iter::once(thought).chain(signature).collect();
                (Some(Open::Thought), deltas)
            }
            // A signature belongs to just these words, so they are a part of their own.
            BlockKind::Text(text) => (None, vec![Delta::Text(std::mem::take(text))]),
            BlockKind::ToolUse { input, .. } => {
                self.has_calls = true;
                let input = std::mem::take(input).0.to_string();
                (None, vec![Delta::Input(input.into())])
            }
            _ => (None, Vec::new()),
        };
        if open.is_none() || self.open != open {
            self.parts.end(&(), events);
            self.parts.start((), block, events)?;
        }
        for delta in deltas {
            self.parts.grow(&(), delta, events)?;
        }
        if open.is_none() {
            self.parts.end(&(), events);
        }
        self.open = open;
        Ok(())
    }
}

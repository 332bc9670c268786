//! Whole answers.

use inhouse_chat::{Block, BlockKind, Dialect, Extra, Fields, Reply, StopReason};
use serde_json::{Value, json};

use super::calls::{Broken, arguments, encode_call};
use super::messages::{THOUGHTS, decode_assistant};
use super::{DIALECT, usage};
use crate::fields::{Mark, Object, marked, merge, set};
use crate::note::Notes;
use crate::path::Path;
use crate::{AnswerOptions, Encoded, WireError};

/// `finish_reason` was `stop`, though the answer asks for tools or declines.
const SAID_STOP: Mark = "\0stop";

pub(super) fn decode(body: Value) -> Result<Reply, WireError> {
    let mut body = Object::new(body, Path::Root)?;
    let mut choices = body.array("choices")?;
    if choices.is_empty() {
        return Err(body.missing("choices[0]"));
    }
    let first = choices.remove(0);
    let path = Path::Root;
    let path = path.field("choices");
    let mut choice = Object::new(first, path.index(0))?;
    choice.take("index");
    let reason = choice.opt_string("finish_reason")?;
    let content = choice.opt_object("message", decode_message)?;
    let content = content.ok_or_else(|| choice.missing("message"))?;
    let stop = stop_of(reason.as_deref(), &content);
    if reason.as_deref() == Some("stop") && stop != StopReason::EndTurn {
        body.mark(SAID_STOP);
    }
    body.take("object");
    let id = body.opt_string("id")?.unwrap_or_default();
    let model = body.opt_string("model")?.unwrap_or_default();
    let usage = body.opt_object("usage", usage::decode)?;
    keep_choices(&mut body, choice.into_fields(), choices);
    Ok(Reply {
        id,
        model: model.into(),
        content,
        stop,
        usage: usage.unwrap_or_default(),
        extra: body.rest(DIALECT),
    })
}

fn decode_message(message: &mut Object<'_>) -> Result<Vec<Block>, WireError> {
    message.take("role");
    decode_assistant(message, "call_1".to_owned(), Broken::Refused)
}

/// What is left of the first choice, and the others, stay where they were.
fn keep_choices(body: &mut Object<'_>, first: Fields, others: Vec<Value>) {
    let first = without_nothing(Value::Object(first));
    if first.is_some() || !others.is_empty() {
        let first = first.unwrap_or_else(|| json!({}));
        let choices = std::iter::once(first).chain(others).collect();
        body.put_back("choices", Value::Array(choices));
    }
}

/// Without nulls, empty lists, empty objects and marks; `None` where nothing is left.
pub(super) fn without_nothing(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Array(items) if items.is_empty() => None,
        Value::Object(fields) => {
            let kept: Fields = fields
                .into_iter()
                .filter(|(name, _)| !crate::fields::is_mark(name))
                .filter_map(|(name, value)| Some((name, without_nothing(value)?)))
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        other => Some(other),
    }
}

/// Some servers say `stop` though they ask for tools; a refusal comes with `stop` too.
pub(super) fn stop_of(reason: Option<&str>, content: &[Block]) -> StopReason {
    let has = |wanted: fn(&BlockKind) -> bool| content.iter().any(|block| wanted(&block.kind));
    match reason {
        None | Some("stop" | "") => {
            if has(|kind| matches!(kind, BlockKind::ToolUse { .. })) {
                StopReason::ToolUse
            } else if has(|kind| matches!(kind, BlockKind::Refusal(_))) {
                StopReason::Refusal
            } else {
                StopReason::EndTurn
            }
        }
        Some("length") => StopReason::MaxTokens,
        Some("tool_calls" | "function_call") => StopReason::ToolUse,
        Some("content_filter") => StopReason::Refusal,
        Some(other) => StopReason::Other(other.to_owned()),
    }
}

pub(super) fn encode(reply: &Reply, options: &AnswerOptions) -> Encoded {
    let mut notes = Notes::new(DIALECT);
    let root = Path::Root;
    let mut out = Fields::new();
    set(&mut out, "id", Some(reply.id.as_str()));
    set(&mut out, "object", Some("chat.completion"));
    out.insert("created".into(), created(&reply.extra, options));
    set(&mut out, "model", Some(reply.model.as_str()));
    let message = encode_message(&reply.content, &mut notes);
    let reason = reason_of(&reply.stop, &reply.extra, &mut notes);
    let mut choice = Fields::new();
    choice.insert("index".into(), Value::from(0));
    choice.insert("message".into(), Value::Object(message));
    choice.insert("logprobs".into(), Value::Null);
    choice.insert("finish_reason".into(), Value::from(reason));
    let choices = with_kept_choices(choice, &reply.extra);
    out.insert("choices".into(), Value::Array(choices));
    out.insert("usage".into(), usage::encode(&reply.usage));
    notes.extra(&mut out, &reply.extra, &root);
    notes.encoded(out)
}

fn with_kept_choices(mut first: Fields, extra: &Extra) -> Vec<Value> {
    let kept = extra
        .of(DIALECT)
        .and_then(|fields| fields.get("choices")?.as_array());
    let mut kept = kept.into_iter().flatten();
    if let Some(Value::Object(more)) = kept.next() {
        if first.get("logprobs").is_some_and(Value::is_null) && more.contains_key("logprobs") {
            first.remove("logprobs");
        }
        merge(&mut first, more);
    }
    std::iter::once(Value::Object(first))
        .chain(kept.cloned())
        .collect()
}

pub(super) fn created(extra: &Extra, options: &AnswerOptions) -> Value {
    let stated = extra.of(DIALECT).and_then(|fields| fields.get("created"));
    stated
        .cloned()
        .unwrap_or_else(|| Value::from(options.created))
}

fn encode_message(content: &[Block], notes: &mut Notes) -> Fields {
    let root = Path::Root;
    let path = root.field("content");
    let (mut words, mut refusal, mut calls) = (None::<String>, None::<String>, Vec::new());
    let mut out = Fields::new();
    set(&mut out, "role", Some("assistant"));
    for (index, block) in content.iter().enumerate() {
        let path = path.index(index);
        match &block.kind {
            BlockKind::Text(text) => words.get_or_insert_default().push_str(text.as_str()),
            BlockKind::Refusal(text) => refusal.get_or_insert_default().push_str(text.as_str()),
            BlockKind::ToolUse { id, name, input } => {
                let mut call = encode_call(id, name, &arguments(input, &block.extra));
                notes.extra(&mut call, &block.extra, &path);
                calls.push(Value::Object(call));
                continue;
            }
            BlockKind::Thinking { text, signature } => {
                if signature.is_some() {
                    notes.left_out(&path.field("signature"));
                }
                let name = thought_name(block);
                match out.get_mut(name) {
                    Some(Value::String(thoughts)) => thoughts.push_str(text.as_str()),
                    _ => set(&mut out, name, Some(text.as_str())),
                }
            }
            BlockKind::Other {
                dialect: Dialect::OpenAiChat,
                value,
            } => calls.push(value.0.clone()),
            _ => notes.left_out(&path),
        }
        notes.foreign(&block.extra, &path);
    }
    // An answer of nothing is an empty string; null is for calls and refusals.
    if calls.is_empty() && refusal.is_none() {
        words.get_or_insert_default();
    }
    out.insert("content".into(), json!(words));
    out.insert("refusal".into(), json!(refusal));
    set(&mut out, "tool_calls", (!calls.is_empty()).then_some(calls));
    out
}

/// Under which name clients are told what the model thought: as it came, or as most servers say it.
pub(super) fn thought_name(block: &Block) -> &'static str {
    THOUGHTS
        .iter()
        .find(|(_, mark)| marked(&block.extra, DIALECT, mark))
        .map_or(THOUGHTS[0].0, |(name, _)| name)
}

pub(super) fn reason_of(stop: &StopReason, extra: &Extra, notes: &mut Notes) -> String {
    let reason = match stop {
        _ if marked(extra, DIALECT, SAID_STOP) => "stop",
        StopReason::EndTurn | StopReason::StopSequence(_) | StopReason::Pause => "stop",
        StopReason::MaxTokens | StopReason::ContextFull => "length",
        StopReason::ToolUse => "tool_calls",
        StopReason::Refusal => "content_filter",
        StopReason::Other(reason) if extra.of(DIALECT).is_some() => reason,
        StopReason::Other(_) => {
            notes.changed(&Path::Root.field("stopReason"), "said as stop");
            "stop"
        }
    };
    reason.to_owned()
}

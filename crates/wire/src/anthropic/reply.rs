//! Whole answers.

use inhouse_chat::{Block, Fields, Reply, StopReason, Usage};
use serde_json::{Value, json};

use super::content::{Writing, decode_block};
use super::{DIALECT, usage};
use crate::fields::{Object, set};
use crate::note::Notes;
use crate::path::Path;
use crate::{AnswerOptions, Encoded, WireError};

pub(super) fn decode(body: Value) -> Result<Reply, WireError> {
    let mut body = Object::new(body, Path::Root)?;
    let content = body.each("content", decode_block)?;
    let (id, model) = decode_head(&mut body)?;
    let stop = decode_stop(&mut body)?.unwrap_or(StopReason::EndTurn);
    let mut usage = Usage::default();
    body.opt_object("usage", |object| usage::update(&mut usage, object))?;
    Ok(Reply {
        id,
        model: model.into(),
        content,
        stop,
        usage,
        extra: body.rest(DIALECT),
    })
}

/// Identifier and model; copies of the API leave them out at times.
pub(super) fn decode_head(body: &mut Object<'_>) -> Result<(String, String), WireError> {
    body.take("type");
    body.take("role");
    let id = body.opt_string("id")?.unwrap_or_default();
    Ok((id, body.opt_string("model")?.unwrap_or_default()))
}

/// `stop_reason` and `stop_sequence`, where they are stated.
pub(super) fn decode_stop(object: &mut Object<'_>) -> Result<Option<StopReason>, WireError> {
    let sequence = object.opt_text("stop_sequence")?;
    let reason = object.opt_string("stop_reason")?;
    Ok(reason.map(|reason| match reason.as_str() {
        "end_turn" => StopReason::EndTurn,
        "max_tokens" => StopReason::MaxTokens,
        "model_context_window_exceeded" => StopReason::ContextFull,
        "stop_sequence" => StopReason::StopSequence(sequence),
        "tool_use" => StopReason::ToolUse,
        "pause_turn" => StopReason::Pause,
        "refusal" => StopReason::Refusal,
        _ => StopReason::Other(reason),
    }))
}

pub(super) fn encode(reply: &Reply, _: &AnswerOptions) -> Encoded {
    let mut writing = answer();
    let mut out = head(&reply.id, reply.model.as_str());
    let root = Path::Root;
    let path = root.field("content");
    let blocks = reply.content.iter().enumerate();
    let content = blocks
        .filter_map(|(index, block)| answer_block(&mut writing, block, &path.index(index)))
        .collect();
    out.insert("content".into(), Value::Array(content));
    encode_stop(&reply.stop, &mut out);
    out.insert("usage".into(), usage::encode(&reply.usage));
    writing.notes.extra(&mut out, &reply.extra, &root);
    writing.notes.encoded(out)
}

/// For an answer's parts.
pub(super) fn answer() -> Writing {
    Writing {
        notes: Notes::new(DIALECT),
        came_in: None,
        answer: true,
    }
}

/// A part of an answer. What cannot be said is left out, for the answer is paid for.
pub(super) fn answer_block(writing: &mut Writing, block: &Block, path: &Path<'_>) -> Option<Value> {
    writing.block(block, path).unwrap_or_else(|_| {
        writing.notes.left_out(path);
        None
    })
}

pub(super) fn head(id: &str, model: &str) -> Fields {
    let mut out = Fields::new();
    set(&mut out, "id", Some(id));
    set(&mut out, "type", Some("message"));
    set(&mut out, "role", Some("assistant"));
    set(&mut out, "model", Some(model));
    out
}

pub(super) fn encode_stop(stop: &StopReason, out: &mut Fields) {
    let reason = match stop {
        StopReason::EndTurn => "end_turn",
        StopReason::MaxTokens => "max_tokens",
        StopReason::ContextFull => "model_context_window_exceeded",
        StopReason::StopSequence(_) => "stop_sequence",
        StopReason::ToolUse => "tool_use",
        StopReason::Pause => "pause_turn",
        StopReason::Refusal => "refusal",
        StopReason::Other(reason) => reason,
    };
    let sequence = match stop {
        StopReason::StopSequence(sequence) => sequence.as_ref(),
        _ => None,
    };
    out.insert("stop_reason".into(), json!(reason));
    let sequence = sequence.map(|text| text.as_str());
    out.insert("stop_sequence".into(), json!(sequence));
}

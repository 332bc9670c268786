//! Whole answers.

use inhouse_chat::{Block, BlockKind, Fields, Reply, StopReason, Usage};
use serde_json::Value;

use super::DIALECT;
use super::message::{Writing, decode_content};
use super::time::rfc3339;
use crate::calls::Calls;
use crate::fields::Object;
use crate::note::Notes;
use crate::path::Path;
use crate::{AnswerOptions, Encoded, WireError};

pub(super) fn decode(body: Value) -> Result<Reply, WireError> {
    let mut body = Object::new(body, Path::Root)?;
    let id = id_of(&body);
    let mut calls = Calls::of_answer(&id);
    let message = body.opt_object("message", |message| {
        message.take("role");
        decode_content(message, &mut calls)
    })?;
    let content = message.ok_or_else(|| body.missing("message"))?;
    let called = content.iter().any(is_call);
    Ok(Reply {
        id,
        model: body.opt_string("model")?.unwrap_or_default().into(),
        content,
        stop: decode_stop(&mut body, called)?,
        usage: decode_usage(&mut body)?,
        extra: body.rest(DIALECT),
    })
}

/// Answers have no identifier, but they say when they were made.
pub(super) fn id_of(body: &Object<'_>) -> String {
    let created = body.peek_str("created_at").unwrap_or_default();
    let digits: String = created.chars().filter(char::is_ascii_digit).collect();
    match digits.as_str() {
        "" => String::new(),
        digits => format!("ollama-{digits}"),
    }
}

pub(super) fn is_call(block: &Block) -> bool {
    matches!(block.kind, BlockKind::ToolUse { .. })
}

pub(super) fn decode_stop(body: &mut Object<'_>, calls: bool) -> Result<StopReason, WireError> {
    body.take("done");
    let reason = body.opt_string("done_reason")?;
    Ok(match reason.as_deref() {
        None | Some("stop") if calls => StopReason::ToolUse,
        None | Some("stop") => StopReason::EndTurn,
        Some("length") => StopReason::MaxTokens,
        Some(other) => StopReason::Other(other.to_owned()),
    })
}

pub(super) fn decode_usage(body: &mut Object<'_>) -> Result<Usage, WireError> {
    Ok(Usage {
        input: body.count("prompt_eval_count")?,
        output: body.count("eval_count")?,
        ..Usage::default()
    })
}

pub(super) fn encode(reply: &Reply, options: &AnswerOptions) -> Encoded {
    let mut writing = Writing {
        notes: Notes::new(DIALECT),
        answer: true,
        messages: &[],
    };
    let root = Path::Root;
    let message = writing.answer(&reply.content, &root.field("content"));
    let mut out = Fields::new();
    out.insert("model".into(), reply.model.as_str().into());
    out.insert("message".into(), Value::Object(message));
    encode_end(&mut out, reply, options.created, &mut writing.notes);
    writing.notes.encoded(out)
}

/// Why it ended, what it took, and what only this protocol knows.
pub(super) fn encode_end(out: &mut Fields, reply: &Reply, created: u64, notes: &mut Notes) {
    let root = Path::Root;
    out.insert("done".into(), Value::Bool(true));
    out.insert("done_reason".into(), encode_stop(reply, notes).into());
    let usage = &reply.usage;
    for (name, count) in [
        ("prompt_eval_count", usage.prompt_tokens()),
        ("eval_count", usage.output),
    ] {
        if count > 0 {
            out.insert(name.into(), count.into());
        }
    }
    let path = root.field("usage");
    for (name, stated) in [
        ("cacheRead", usage.cache_read > 0),
        (
            "cacheWrite",
            usage.cache_write_5m > 0 || usage.cache_write_1h > 0,
        ),
        ("reasoning", usage.reasoning > 0),
        ("inputAudio", usage.input_audio > 0),
        ("outputAudio", usage.output_audio > 0),
        ("charged", usage.charged.is_some()),
    ] {
        if stated {
            notes.left_out(&path.field(name));
        }
    }
    notes.extra(out, &reply.extra, &root);
    out.entry("created_at")
        .or_insert_with(|| rfc3339(created).into());
}

fn encode_stop<'r>(reply: &'r Reply, notes: &mut Notes) -> &'r str {
    let root = Path::Root;
    let path = root.field("stop");
    match &reply.stop {
        StopReason::EndTurn | StopReason::ToolUse | StopReason::StopSequence(None) => "stop",
        StopReason::MaxTokens => "length",
        StopReason::ContextFull => {
            notes.changed(&path, "told as length");
            "length"
        }
        StopReason::Other(reason) if reply.extra.of(DIALECT).is_some() => reason,
        StopReason::StopSequence(Some(_))
        | StopReason::Pause
        | StopReason::Refusal
        | StopReason::Other(_) => {
            notes.changed(&path, "told as stop");
            "stop"
        }
    }
}

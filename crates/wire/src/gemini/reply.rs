//! Whole answers.

use inhouse_chat::{Block, BlockKind, Fields, Reply, StopReason, Usage};
use serde_json::{Value, json};

use super::parts::{self, Writing};
use super::{DIALECT, own, usage};
use crate::calls::Calls;
use crate::fields::{Object, each, marked, merge};
use crate::note::Notes;
use crate::path::Path;
use crate::{AnswerOptions, Encoded, WireError};

/// The answer had no candidate: the prompt was blocked.
const NO_CANDIDATE: &str = "\0noCandidate";
/// The candidate had no content, or the content no parts.
const NO_CONTENT: &str = "\0noContent";
const NO_PARTS: &str = "\0noParts";
/// The candidate did not say why it ended.
const NO_REASON: &str = "\0noReason";
/// There was no `usageMetadata`.
const NO_USAGE: &str = "\0noUsage";

pub(super) fn decode(body: Value) -> Result<Reply, WireError> {
    let mut body = Object::new(body, Path::Root)?;
    let id = body.opt_string("responseId")?.unwrap_or_default();
    let mut calls = Calls::of_answer(&id);
    let (mut content, mut stop) = (Vec::new(), None);
    let mut candidates = body.opt_array("candidates")?.unwrap_or_default();
    if candidates.is_empty() {
        body.mark(NO_CANDIDATE);
    } else {
        let path = body.path();
        let list = path.field("candidates");
        let mut first = Object::new(candidates.remove(0), list.index(0))?;
        content = decode_content(&mut first, &mut body, &mut calls)?;
        stop = decode_stop(&mut first)?;
        if stop.is_none() {
            body.mark(NO_REASON);
        }
        let left = first.into_fields();
        if !(left.is_empty() && candidates.is_empty()) {
            candidates.insert(0, Value::Object(left));
            body.put_back("candidates", Value::Array(candidates));
        }
    }
    let usage = usage::decode(&mut body)?;
    if usage.is_none() {
        body.mark(NO_USAGE);
    }
    let calls = content.iter().any(is_call);
    Ok(Reply {
        id,
        model: body.opt_string("modelVersion")?.unwrap_or_default().into(),
        content,
        stop: end(stop, calls, body.peek("promptFeedback")),
        usage: usage.unwrap_or_default(),
        extra: body.rest(DIALECT),
    })
}

fn decode_content(
    candidate: &mut Object<'_>,
    body: &mut Object<'_>,
    calls: &mut Calls,
) -> Result<Vec<Block>, WireError> {
    let blocks = candidate.opt_object("content", |content| {
        content.take("role");
        let Some(list) = content.opt_array("parts")? else {
            return Ok(None);
        };
        let path = content.path();
        each(list, &path.field("parts"), |part, path| {
            parts::decode(part, path, calls)
        })
        .map(Some)
    })?;
    match &blocks {
        None => body.mark(NO_CONTENT),
        Some(None) => body.mark(NO_PARTS),
        Some(Some(_)) => {}
    }
    Ok(blocks.flatten().unwrap_or_default())
}

/// Why a candidate ended. A reason with more to it than ours stays, to be forwarded.
pub(super) fn decode_stop(candidate: &mut Object<'_>) -> Result<Option<StopReason>, WireError> {
    let Some(reason) = candidate.peek_str("finishReason") else {
        return Ok(None);
    };
    let stop = match reason {
        "STOP" => StopReason::EndTurn,
        "MAX_TOKENS" => StopReason::MaxTokens,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR" => {
            return Ok(Some(StopReason::Refusal));
        }
        other => return Ok(Some(StopReason::Other(other.to_owned()))),
    };
    candidate.take("finishReason");
    Ok(Some(stop))
}

/// Gemini does not tell a turn that calls tools from one that is over, nor a blocked prompt in its place.
pub(super) fn end(stop: Option<StopReason>, calls: bool, feedback: Option<&Value>) -> StopReason {
    let blocked = feedback.is_some_and(|feedback| feedback.get("blockReason").is_some());
    match stop {
        None if blocked => StopReason::Refusal,
        None | Some(StopReason::EndTurn) if calls => StopReason::ToolUse,
        None => StopReason::EndTurn,
        Some(stop) => stop,
    }
}

pub(super) fn is_call(block: &Block) -> bool {
    matches!(block.kind, BlockKind::ToolUse { .. })
}

pub(super) fn encode(reply: &Reply, _: &AnswerOptions) -> Encoded {
    let mut writing = answer();
    let root = Path::Root;
    // An answer refuses nothing: what it cannot say is noted.
    let parts = writing
        .parts(&reply.content, &root.field("content"))
        .unwrap_or_default();
    let notes = &mut writing.notes;
    let mut out = Fields::new();
    let is = |mark| marked(&reply.extra, DIALECT, mark);
    if !is(NO_CANDIDATE) {
        let content = match parts.is_empty() {
            true if is(NO_CONTENT) => None,
            true if is(NO_PARTS) => Some(json!({"role": "model"})),
            _ => Some(json!({"role": "model", "parts": parts})),
        };
        let mut candidate = Fields::new();
        if let Some(content) = content {
            candidate.insert("content".into(), content);
        }
        encode_end(&mut candidate, reply, notes);
        out.insert("candidates".into(), candidates(candidate, reply));
    }
    encode_rest(&mut out, reply, notes);
    writing.notes.encoded(out)
}

/// The first candidate, with what it had beside our fields, and the others as they came.
pub(super) fn candidates(mut first: Fields, reply: &Reply) -> Value {
    let kept = own(&reply.extra, "candidates").and_then(Value::as_array);
    let mut all = kept.cloned().unwrap_or_default();
    match all.first().and_then(Value::as_object) {
        Some(left) => merge(&mut first, left),
        None if reply.extra.of(DIALECT).is_none() => {
            first.entry("index").or_insert(Value::from(0));
        }
        None => {}
    }
    if !all.is_empty() {
        all.remove(0);
    }
    all.insert(0, Value::Object(first));
    Value::Array(all)
}

/// Why it ended, where the candidate's own word was not kept.
pub(super) fn encode_end(candidate: &mut Fields, reply: &Reply, notes: &mut Notes) {
    let kept = own(&reply.extra, "candidates").and_then(|list| list.get(0)?.get("finishReason"));
    if kept.is_some() || marked(&reply.extra, DIALECT, NO_REASON) {
        return;
    }
    let root = Path::Root;
    let path = root.field("stop");
    let reason = match &reply.stop {
        StopReason::EndTurn | StopReason::ToolUse => "STOP",
        StopReason::MaxTokens => "MAX_TOKENS",
        StopReason::Refusal => "SAFETY",
        StopReason::ContextFull => {
            notes.changed(&path, "told as MAX_TOKENS");
            "MAX_TOKENS"
        }
        StopReason::StopSequence(_) | StopReason::Pause => {
            notes.changed(&path, "told as STOP");
            "STOP"
        }
        StopReason::Other(_) => {
            notes.changed(&path, "told as OTHER");
            "OTHER"
        }
    };
    candidate.insert("finishReason".into(), reason.into());
}

/// Counts, names and what only this protocol knows.
pub(super) fn encode_rest(out: &mut Fields, reply: &Reply, notes: &mut Notes) {
    if !(marked(&reply.extra, DIALECT, NO_USAGE) && reply.usage == Usage::default()) {
        let usage = usage::encode(&reply.usage, &reply.extra);
        out.insert("usageMetadata".into(), Value::Object(usage));
    }
    let root = Path::Root;
    if reply.usage.charged.is_some() {
        notes.left_out(&root.field("usage").field("charged"));
    }
    if !reply.model.as_str().is_empty() {
        out.insert("modelVersion".into(), reply.model.as_str().into());
    }
    if !reply.id.is_empty() {
        out.insert("responseId".into(), reply.id.as_str().into());
    }
    notes.extra(out, &reply.extra, &root);
}

/// For an answer's parts.
pub(super) fn answer() -> Writing<'static> {
    Writing {
        notes: Notes::new(DIALECT),
        came_in: None,
        answer: true,
        messages: &[],
        sign_calls: false,
    }
}

//! Whole answers.

use inhouse_chat::{Block, BlockKind, Fields, Reply, Role, StopReason, Usage};
use serde_json::{Value, json};

use super::DIALECT;
use super::items::{Writing, decode_item, fields};
use crate::fields::{Object, set};
use crate::note::Notes;
use crate::path::Path;
use crate::{AnswerOptions, Encoded, WireError};

pub(super) fn decode(body: Value) -> Result<Reply, WireError> {
    let mut body = Object::new(body, Path::Root)?;
    let items = body.opt_each("output", decode_item)?;
    let content: Vec<Block> = items.into_iter().flat_map(|item| item.blocks).collect();
    let calls = content.iter().any(is_call);
    decode_rest(body, content, calls)
}

/// Everything but `output`, of which it is known whether it calls tools.
pub(super) fn decode_rest(
    mut body: Object<'_>,
    content: Vec<Block>,
    calls: bool,
) -> Result<Reply, WireError> {
    Ok(Reply {
        id: body.opt_string("id")?.unwrap_or_default(),
        model: body.opt_string("model")?.unwrap_or_default().into(),
        content,
        stop: decode_stop(&mut body, calls)?,
        usage: decode_usage(&mut body)?,
        extra: body.rest(DIALECT),
    })
}

pub(super) fn is_call(block: &Block) -> bool {
    matches!(block.kind, BlockKind::ToolUse { .. })
}

fn decode_stop(body: &mut Object<'_>, calls: bool) -> Result<StopReason, WireError> {
    let status = body.opt_string("status")?;
    Ok(match status.as_deref() {
        None | Some("completed") if calls => StopReason::ToolUse,
        None | Some("completed") => StopReason::EndTurn,
        Some("incomplete") => {
            let why =
                body.opt_object("incomplete_details", |details| details.opt_string("reason"))?;
            match why.flatten() {
                Some(why) => match why.as_str() {
                    "max_output_tokens" => StopReason::MaxTokens,
                    "content_filter" => StopReason::Refusal,
                    _ => StopReason::Other(why),
                },
                None => StopReason::Other("incomplete".to_owned()),
            }
        }
        Some(other) => StopReason::Other(other.to_owned()),
    })
}

fn decode_usage(body: &mut Object<'_>) -> Result<Usage, WireError> {
    let usage = body.opt_object("usage", |usage| {
        let (prompt, output) = (usage.count("input_tokens")?, usage.count("output_tokens")?);
        usage.take("total_tokens");
        let read = usage.opt_object("input_tokens_details", |details| {
            let cached = details.count("cached_tokens")?;
            // A zero stays, to be forwarded: older models' answers do not have it.
            let written = match details.peek("cache_write_tokens") {
                Some(zero) if zero.as_u64() == Some(0) => 0,
                _ => details.count("cache_write_tokens")?,
            };
            Ok((cached, written))
        })?;
        let (cache_read, cache_write_5m) = read.unwrap_or_default();
        let reasoning = usage.opt_object("output_tokens_details", |details| {
            details.count("reasoning_tokens")
        })?;
        Ok(Usage {
            input: prompt.saturating_sub(cache_read.saturating_add(cache_write_5m)),
            output,
            cache_read,
            cache_write_5m,
            reasoning: reasoning.unwrap_or_default(),
            ..Usage::default()
        })
    })?;
    Ok(usage.unwrap_or_default())
}

pub(super) fn encode_usage(usage: &Usage) -> Value {
    let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
    let mut out = json!({
        "input_tokens": usage.prompt_tokens(),
        "input_tokens_details": {"cached_tokens": usage.cache_read},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total_tokens(),
    });
    if written > 0 {
        out["input_tokens_details"]["cache_write_tokens"] = Value::from(written);
    }
    out
}

pub(super) fn encode(reply: &Reply, options: &AnswerOptions) -> Encoded {
    let mut writing = answer(&reply.id);
    let root = Path::Root;
    // An answer refuses nothing: what it cannot say is noted.
    let _ = writing.blocks(Role::Assistant, &reply.content, &root.field("content"));
    let items = std::mem::take(&mut writing.items);
    let head = Head::new(&reply.id, reply.model.as_str(), options);
    let out = finish(&head, items, reply, &mut writing.notes);
    writing.notes.encoded(out)
}

/// For an answer's items.
pub(super) fn answer(id: &str) -> Writing<'_> {
    Writing {
        notes: Notes::new(DIALECT),
        came_in: None,
        answer: Some(id),
        items: Vec::new(),
    }
}

/// What an answer says of itself before it says anything.
#[derive(Debug)]
pub(super) struct Head {
    id: String,
    model: String,
    created: u64,
}

impl Head {
    pub(super) fn new(id: &str, model: &str, options: &AnswerOptions) -> Self {
        Self {
            id: id.to_owned(),
            model: model.to_owned(),
            created: options.created,
        }
    }

    pub(super) fn response(&self, status: &str, items: Vec<Value>) -> Fields {
        fields(json!({
            "id": self.id, "object": "response", "status": status, "model": self.model, "output": items,
        }))
    }

    /// What the SDKs' types demand, where the answer does not have it.
    pub(super) fn complete(&self, out: &mut Fields) {
        let defaults = fields(json!({
            "created_at": self.created, "error": null, "incomplete_details": null, "instructions": null,
            "max_output_tokens": null, "metadata": {}, "parallel_tool_calls": true, "previous_response_id": null,
            "temperature": null, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [],
            "top_p": null, "truncation": "disabled", "usage": null,
        }));
        for (name, value) in defaults {
            out.entry(name).or_insert(value);
        }
    }
}

/// The whole answer; `reply` tells why it ended and what it took.
pub(super) fn finish(head: &Head, items: Vec<Value>, reply: &Reply, notes: &mut Notes) -> Fields {
    let root = Path::Root;
    let own = reply.extra.of(DIALECT).is_some();
    let (status, why) = encode_stop(&reply.stop, own, notes);
    let mut out = head.response(status, items);
    if let Some(why) = why {
        out.insert("incomplete_details".into(), json!({"reason": why}));
    }
    if !(own && reply.usage == Usage::default()) {
        out.insert("usage".into(), encode_usage(&reply.usage));
    }
    for (name, stated) in [
        ("inputAudio", reply.usage.input_audio > 0),
        ("outputAudio", reply.usage.output_audio > 0),
        ("charged", reply.usage.charged.is_some()),
    ] {
        if stated {
            notes.left_out(&root.field("usage").field(name));
        }
    }
    notes.extra(&mut out, &reply.extra, &root);
    set(&mut out, "object", Some("response"));
    head.complete(&mut out);
    out
}

fn encode_stop<'s>(
    stop: &'s StopReason,
    own: bool,
    notes: &mut Notes,
) -> (&'s str, Option<&'s str>) {
    let root = Path::Root;
    let path = root.field("stop");
    match stop {
        StopReason::EndTurn | StopReason::ToolUse => ("completed", None),
        StopReason::MaxTokens => ("incomplete", Some("max_output_tokens")),
        StopReason::Refusal => ("incomplete", Some("content_filter")),
        StopReason::ContextFull => {
            notes.changed(&path, "told as max_output_tokens");
            ("incomplete", Some("max_output_tokens"))
        }
        StopReason::StopSequence(_) | StopReason::Pause => {
            notes.changed(&path, "told as completed");
            ("completed", None)
        }
        StopReason::Other(status) if is_status(status) => (status, None),
        StopReason::Other(why) if own => ("incomplete", Some(why)),
        StopReason::Other(_) => {
            notes.changed(&path, "told as completed");
            ("completed", None)
        }
    }
}

fn is_status(word: &str) -> bool {
    matches!(
        word,
        "failed" | "cancelled" | "in_progress" | "queued" | "incomplete"
    )
}

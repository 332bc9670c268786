//! Whole answers, and the pieces that streams share with them.

use inhouse_chat::{Fields, Reply, StopReason, Usage};
use serde_json::Value;

use super::DIALECT;
use super::content::{decode_block, encode_blocks};
use super::request::decode_money;
use crate::fields::{Object, set};
use crate::note::Notes;
use crate::path::Path;
use crate::{Encoded, WireError};

/// Unlike in a request, what is not known is kept: a newer one of us may say more.
pub(super) fn decode(body: Value) -> Result<Reply, WireError> {
    let mut body = Object::new(body, Path::Root)?;
    let content = body.each("content", decode_block)?;
    let stop = decode_stop(&mut body)?;
    let mut usage = Usage::default();
    if let Some(read) = body.opt_object("usage", decode_usage)? {
        usage = read;
    }
    Ok(Reply {
        id: body.opt_string("id")?.unwrap_or_default(),
        model: body.string("model")?.into(),
        content,
        stop,
        usage,
        extra: body.rest(DIALECT),
    })
}

pub(super) fn encode(reply: &Reply) -> Encoded {
    let mut notes = Notes::new(DIALECT);
    let root = Path::Root;
    let mut out = Fields::new();
    set(&mut out, "id", Some(reply.id.as_str()));
    set(&mut out, "model", Some(reply.model.as_str()));
    let content = encode_blocks(&reply.content, &mut notes, &root.field("content"));
    out.insert("content".into(), content);
    encode_stop(&reply.stop, &mut out);
    out.insert("usage".into(), Value::Object(encode_usage(&reply.usage)));
    notes.extra(&mut out, &reply.extra, &root);
    notes.encoded(out)
}

pub(super) fn decode_stop(object: &mut Object<'_>) -> Result<StopReason, WireError> {
    let sequence = object.opt_text("stopSequence")?;
    let reason = object.string("stopReason")?;
    Ok(match reason.as_str() {
        "endTurn" => StopReason::EndTurn,
        "maxTokens" => StopReason::MaxTokens,
        "contextFull" => StopReason::ContextFull,
        "stopSequence" => StopReason::StopSequence(sequence),
        "toolUse" => StopReason::ToolUse,
        "pause" => StopReason::Pause,
        "refusal" => StopReason::Refusal,
        _ => StopReason::Other(reason),
    })
}

pub(super) fn encode_stop(stop: &StopReason, out: &mut Fields) {
    let reason = match stop {
        StopReason::EndTurn => "endTurn",
        StopReason::MaxTokens => "maxTokens",
        StopReason::ContextFull => "contextFull",
        StopReason::StopSequence(_) => "stopSequence",
        StopReason::ToolUse => "toolUse",
        StopReason::Pause => "pause",
        StopReason::Refusal => "refusal",
        StopReason::Other(reason) => reason,
    };
    set(out, "stopReason", Some(reason));
    if let StopReason::StopSequence(Some(text)) = stop {
        set(out, "stopSequence", Some(text.as_str()));
    }
}

pub(super) fn decode_usage(object: &mut Object<'_>) -> Result<Usage, WireError> {
    Ok(Usage {
        input: object.count("input")?,
        output: object.count("output")?,
        cache_read: object.count("cacheRead")?,
        cache_write_5m: object.count("cacheWrite5m")?,
        cache_write_1h: object.count("cacheWrite1h")?,
        reasoning: object.count("reasoning")?,
        input_audio: object.count("inputAudio")?,
        output_audio: object.count("outputAudio")?,
        charged: decode_money(object, "charged")?,
    })
}

/// The classes of [`Usage`], which do not overlap; those that are rare only where there are any.
pub(super) fn encode_usage(usage: &Usage) -> Fields {
    let mut out = Fields::new();
    set(&mut out, "input", Some(usage.input));
    set(&mut out, "output", Some(usage.output));
    for (name, count) in [
        ("cacheRead", usage.cache_read),
        ("cacheWrite5m", usage.cache_write_5m),
        ("cacheWrite1h", usage.cache_write_1h),
        ("reasoning", usage.reasoning),
        ("inputAudio", usage.input_audio),
        ("outputAudio", usage.output_audio),
    ] {
        set(&mut out, name, (count > 0).then_some(count));
    }
    let charged = usage.charged.map(|money| money.amount().to_string());
    set(&mut out, "charged", charged);
    out
}

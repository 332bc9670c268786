//! Parts of messages.

use inhouse_chat::{Block, BlockKind, CacheTtl, Dialect, Extra, Fields, Json, Source};
use serde_json::{Value, json};

use crate::WireError;
use crate::fields::{Object, each, set};
use crate::note::Notes;
use crate::path::Path;

/// `content`: a string or a list of parts.
pub(super) fn decode_content(object: &mut Object<'_>) -> Result<Vec<Block>, WireError> {
    match object.value("content")? {
        Value::String(text) => Ok(vec![Block::text(text)]),
        Value::Array(items) => each(items, &object.path().field("content"), decode_block),
        _ => Err(object.kind("content", "a string or a list")),
    }
}

pub(super) fn decode_block(value: Value, path: Path<'_>) -> Result<Block, WireError> {
    let mut object = Object::new(value, path)?;
    let kind = match object.string("type")?.as_str() {
        "text" => BlockKind::Text(object.text("text")?),
        "image" => BlockKind::Image(decode_source(&mut object)?),
        "document" => BlockKind::Document {
            source: decode_source(&mut object)?,
            title: object.opt_text("title")?,
        },
        "audio" => BlockKind::Audio(decode_source(&mut object)?),
        "toolUse" => BlockKind::ToolUse {
            id: object.string("id")?,
            name: object.string("name")?,
            // Not always an object: a model may have written something else, and it is kept.
            input: Json(object.take("input").unwrap_or_else(|| json!({}))),
        },
        "toolResult" => BlockKind::ToolResult {
            tool_use_id: object.string("toolUseId")?,
            content: match object.peek("content") {
                Some(_) => decode_content(&mut object)?,
                None => Vec::new(),
            },
            is_error: object.opt_bool("isError")?.unwrap_or_default(),
        },
        "thinking" => BlockKind::Thinking {
            text: object.text("text")?,
            signature: object.opt_string("signature")?,
        },
        "redactedThinking" => BlockKind::RedactedThinking {
            data: object.string("data")?,
        },
        "refusal" => BlockKind::Refusal(object.text("text")?),
        "other" => BlockKind::Other {
            dialect: decode_dialect(&mut object)?,
            value: Json(object.value("value")?),
        },
        _ => {
            let expected = "text, image, document, audio, toolUse, toolResult, thinking, \
                            redactedThinking, refusal or other";
            return Err(object.kind("type", expected));
        }
    };
    let cache = decode_cache(&mut object)?;
    object.end()?;
    Ok(Block {
        kind,
        cache,
        extra: Extra::default(),
    })
}

/// One of `data` (base64, with `mediaType`), `url`, `file`, `text`.
fn decode_source(object: &mut Object<'_>) -> Result<Source, WireError> {
    if object.peek("data").is_some() {
        let media_type = object.string("mediaType")?;
        let data = object.text("data")?;
        return Ok(Source::Base64 { media_type, data });
    }
    if let Some(url) = object.opt_text("url")? {
        let media_type = object.opt_string("mediaType")?;
        return Ok(Source::Url { media_type, url });
    }
    if let Some(id) = object.opt_string("file")? {
        return Ok(Source::File(id));
    }
    match object.opt_text("text")? {
        Some(text) => Ok(Source::Text(text)),
        None => Err(object.missing("data")),
    }
}

pub(super) fn decode_cache(object: &mut Object<'_>) -> Result<Option<CacheTtl>, WireError> {
    match object.opt_string("cache")?.as_deref() {
        None => Ok(None),
        Some("5m") => Ok(Some(CacheTtl::FiveMinutes)),
        Some("1h") => Ok(Some(CacheTtl::Hour)),
        Some(_) => Err(object.kind("cache", "5m or 1h")),
    }
}

pub(super) fn encode_cache(out: &mut Fields, cache: Option<CacheTtl>) {
    let name = cache.map(|ttl| match ttl {
        CacheTtl::FiveMinutes => "5m",
        CacheTtl::Hour => "1h",
    });
    set(out, "cache", name);
}

const DIALECTS: [(&str, Dialect); 6] = [
    ("anthropic", Dialect::Anthropic),
    ("openaiChat", Dialect::OpenAiChat),
    ("openaiResponses", Dialect::OpenAiResponses),
    ("gemini", Dialect::Gemini),
    ("ollama", Dialect::Ollama),
    ("neutral", Dialect::Neutral),
];

pub(super) fn decode_dialect(object: &mut Object<'_>) -> Result<Dialect, WireError> {
    let name = object.string("dialect")?;
    let known = DIALECTS.iter().find(|(known, _)| *known == name);
    let expected = "anthropic, openaiChat, openaiResponses, gemini, ollama or neutral";
    known
        .map(|(_, dialect)| *dialect)
        .ok_or_else(|| object.kind("dialect", expected))
}

pub(super) fn encode_dialect(dialect: Dialect) -> &'static str {
    let known = DIALECTS.iter().find(|(_, known)| *known == dialect);
    known.map_or("neutral", |(name, _)| name)
}

/// A string where that says all.
pub(super) fn encode_content(blocks: &[Block], notes: &mut Notes, path: &Path<'_>) -> Value {
    if let [block] = blocks
        && let (Some(text), None) = (block.as_text(), block.cache)
    {
        notes.foreign(&block.extra, &path.index(0));
        return Value::from(text.as_str());
    }
    encode_blocks(blocks, notes, path)
}

pub(super) fn encode_blocks(blocks: &[Block], notes: &mut Notes, path: &Path<'_>) -> Value {
    let blocks = blocks.iter().enumerate();
    blocks
        .map(|(index, block)| encode_block(block, notes, &path.index(index)))
        .collect()
}

pub(super) fn encode_block(block: &Block, notes: &mut Notes, path: &Path<'_>) -> Value {
    let mut out = match &block.kind {
        BlockKind::Text(text) => fields(json!({"type": "text", "text": text.as_str()})),
        BlockKind::Image(source) => encode_source("image", source),
        BlockKind::Audio(source) => encode_source("audio", source),
        BlockKind::Document { source, title } => {
            let mut out = encode_source("document", source);
            set(
                &mut out,
                "title",
                title.as_ref().map(|title| title.as_str()),
            );
            out
        }
        BlockKind::ToolUse { id, name, input } => {
            fields(json!({"type": "toolUse", "id": id, "name": name, "input": input.0}))
        }
        BlockKind::ToolResult {
            tool_use_id,
            content,
            is_error,
        } => {
            let content = encode_content(content, notes, &path.field("content"));
            let mut out = fields(json!({
                "type": "toolResult", "toolUseId": tool_use_id, "content": content,
            }));
            set(&mut out, "isError", is_error.then_some(true));
            out
        }
        BlockKind::Thinking { text, signature } => {
            let mut out = fields(json!({"type": "thinking", "text": text.as_str()}));
            set(&mut out, "signature", signature.as_deref());
            out
        }
        BlockKind::RedactedThinking { data } => {
            fields(json!({"type": "redactedThinking", "data": data}))
        }
        BlockKind::Refusal(text) => fields(json!({"type": "refusal", "text": text.as_str()})),
        BlockKind::Other { dialect, value } => {
            let dialect = encode_dialect(*dialect);
            fields(json!({"type": "other", "dialect": dialect, "value": value.0}))
        }
    };
    encode_cache(&mut out, block.cache);
    notes.foreign(&block.extra, path);
    Value::Object(out)
}

fn encode_source(kind: &str, source: &Source) -> Fields {
    let mut out = Fields::new();
    set(&mut out, "type", Some(kind));
    match source {
        Source::Base64 { media_type, data } => {
            set(&mut out, "mediaType", Some(media_type.as_str()));
            set(&mut out, "data", Some(data.as_str()));
        }
        Source::Url { media_type, url } => {
            set(&mut out, "mediaType", media_type.as_deref());
            set(&mut out, "url", Some(url.as_str()));
        }
        Source::File(id) => set(&mut out, "file", Some(id.as_str())),
        Source::Text(text) => set(&mut out, "text", Some(text.as_str())),
    }
    out
}

pub(super) fn fields(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        _ => Fields::new(),
    }
}

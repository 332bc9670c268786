//! Parts of messages.

use inhouse_chat::{Block, BlockKind, CacheTtl, Dialect, Extra, Fields, Json, Source, Text};
use serde_json::{Value, json};

use super::DIALECT;
use crate::WireError;
use crate::fields::{LISTED, Mark, Object, each, marked};
use crate::note::Notes;
use crate::path::Path;

/// `is_error` was stated to be false.
const NO_ERROR: Mark = "\0no error";

/// Reads `content`: a string or a list. Marks the object where a list says what a string could.
pub(super) fn decode_content(object: &mut Object<'_>) -> Result<Vec<Block>, WireError> {
    match object.value("content")? {
        Value::String(text) => Ok(vec![Block::text(text)]),
        Value::Array(items) => {
            object.mark(LISTED);
            decode_blocks(items, &object.path().field("content"))
        }
        _ => Err(object.kind("content", "a string or a list")),
    }
}

pub(super) fn decode_blocks(items: Vec<Value>, path: &Path<'_>) -> Result<Vec<Block>, WireError> {
    each(items, path, decode_block)
}

pub(super) fn decode_block(value: Value, path: Path<'_>) -> Result<Block, WireError> {
    let mut object = Object::new(value, path)?;
    let kind = object.string("type")?;
    let Some(kind) = decode_kind(&mut object, &kind)? else {
        object.put_back("type", Value::String(kind));
        return Ok(Block::new(other(object.into_fields())));
    };
    let cache = decode_cache(&mut object)?;
    let extra = object.rest(DIALECT);
    Ok(Block { kind, cache, extra })
}

fn other(fields: Fields) -> BlockKind {
    BlockKind::Other {
        dialect: DIALECT,
        value: Json(Value::Object(fields)),
    }
}

/// `None`, with nothing taken, where only this protocol knows the part.
fn decode_kind(object: &mut Object<'_>, kind: &str) -> Result<Option<BlockKind>, WireError> {
    Ok(Some(match kind {
        "text" => BlockKind::Text(object.text("text")?),
        "image" | "document" => return decode_media(object, kind),
        "tool_use" => BlockKind::ToolUse {
            id: object.string("id")?,
            name: object.string("name")?,
            input: object
                .opt_json_object("input")?
                .ok_or_else(|| object.missing("input"))?,
        },
        "tool_result" => BlockKind::ToolResult {
            tool_use_id: object.string("tool_use_id")?,
            content: match object.peek("content") {
                Some(_) => decode_content(object)?,
                None => Vec::new(),
            },
            is_error: decode_is_error(object)?,
        },
        "thinking" => BlockKind::Thinking {
            text: object.text("thinking")?,
            signature: object.opt_string("signature")?,
        },
        "redacted_thinking" => BlockKind::RedactedThinking {
            data: object.string("data")?,
        },
        _ => return Ok(None),
    }))
}

fn decode_is_error(object: &mut Object<'_>) -> Result<bool, WireError> {
    let stated = object.opt_bool("is_error")?;
    if stated == Some(false) {
        object.mark(NO_ERROR);
    }
    Ok(stated.unwrap_or_default())
}

fn decode_media(object: &mut Object<'_>, kind: &str) -> Result<Option<BlockKind>, WireError> {
    let Some(source) = object.take("source") else {
        return Err(object.missing("source"));
    };
    let Some(known) = decode_source(&source) else {
        object.put_back("source", source);
        return Ok(None);
    };
    Ok(Some(if kind == "image" {
        BlockKind::Image(known)
    } else {
        BlockKind::Document {
            source: known,
            title: object.opt_text("title")?,
        }
    }))
}

/// `None` where it is of a type, or has a field, that only this protocol knows.
fn decode_source(source: &Value) -> Option<Source> {
    let fields = source.as_object()?;
    let text = |name| fields.get(name).and_then(Value::as_str);
    let source = match (text("type")?, fields.len()) {
        ("base64", 3) => Source::Base64 {
            media_type: text("media_type")?.to_owned(),
            data: text("data")?.into(),
        },
        ("url", 2) => Source::Url {
            media_type: None,
            url: text("url")?.into(),
        },
        ("file", 2) => Source::File(text("file_id")?.to_owned()),
        ("text", 3) if text("media_type")? == "text/plain" => Source::Text(text("data")?.into()),
        _ => return None,
    };
    Some(source)
}

/// A mark that is written otherwise than we write it stays to be forwarded.
pub(super) fn decode_cache(object: &mut Object<'_>) -> Result<Option<CacheTtl>, WireError> {
    let Some(mark) = object.take("cache_control") else {
        return Ok(None);
    };
    let ttl = match mark.get("ttl").and_then(Value::as_str) {
        Some("1h") => CacheTtl::Hour,
        _ => CacheTtl::FiveMinutes,
    };
    if mark != encode_ttl(ttl) {
        object.put_back("cache_control", mark);
    }
    Ok(Some(ttl))
}

fn encode_ttl(ttl: CacheTtl) -> Value {
    match ttl {
        CacheTtl::FiveMinutes => json!({"type": "ephemeral"}),
        CacheTtl::Hour => json!({"type": "ephemeral", "ttl": "1h"}),
    }
}

pub(super) fn encode_cache(out: &mut Fields, cache: Option<CacheTtl>, extra: &Extra) {
    let kept = extra
        .of(DIALECT)
        .is_some_and(|fields| fields.contains_key("cache_control"));
    if let Some(ttl) = cache.filter(|_| !kept) {
        out.insert("cache_control".into(), encode_ttl(ttl));
    }
}

/// What a request's parts are written for.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) notes: Notes,
    /// The protocol it came in: files live in one provider's store.
    pub(super) came_in: Option<Dialect>,
    /// An answer for a client: its thoughts are shown even where nobody signed them.
    pub(super) answer: bool,
}

impl Writing {
    /// `content`: a string where that says all, as it came otherwise.
    pub(super) fn content(
        &mut self,
        blocks: &[Block],
        extra: &Extra,
        path: &Path<'_>,
    ) -> Result<Value, WireError> {
        if let ([block], false) = (blocks, marked(extra, DIALECT, LISTED))
            && let Some(text) = plain(block)
        {
            return Ok(Value::from(text.as_str()));
        }
        self.blocks(blocks, path)
    }

    pub(super) fn blocks(&mut self, blocks: &[Block], path: &Path<'_>) -> Result<Value, WireError> {
        let mut out = Vec::with_capacity(blocks.len());
        for (index, block) in blocks.iter().enumerate() {
            out.extend(self.block(block, &path.index(index))?);
        }
        Ok(Value::Array(out))
    }

    /// `None` where it is left out, which is noted.
    pub(super) fn block(
        &mut self,
        block: &Block,
        path: &Path<'_>,
    ) -> Result<Option<Value>, WireError> {
        let Some(mut out) = self.kind(block, path)? else {
            return Ok(None);
        };
        encode_cache(&mut out, block.cache, &block.extra);
        self.notes.extra(&mut out, &block.extra, path);
        Ok(Some(Value::Object(out)))
    }

    fn kind(&mut self, block: &Block, path: &Path<'_>) -> Result<Option<Fields>, WireError> {
        let value = match &block.kind {
            BlockKind::Text(text) => json!({"type": "text", "text": text.as_str()}),
            BlockKind::Refusal(text) => {
                self.notes.changed(path, "sent as words");
                json!({"type": "text", "text": text.as_str()})
            }
            BlockKind::Image(source) => {
                json!({"type": "image", "source": self.source(source, path)?})
            }
            BlockKind::Document { source, title } => {
                let mut out = json!({"type": "document", "source": self.source(source, path)?});
                if let Some(title) = title {
                    out["title"] = Value::from(title.as_str());
                }
                out
            }
            BlockKind::Audio(_) => {
                return Err(self.notes.refuse(path, "it takes no sound"));
            }
            BlockKind::ToolUse { id, name, input } => {
                if !input.0.is_object() {
                    let why = "arguments of a tool must be a JSON object";
                    return Err(self.notes.refuse(&path.field("input"), why));
                }
                json!({"type": "tool_use", "id": id, "name": name, "input": input.0})
            }
            BlockKind::ToolResult {
                tool_use_id,
                content,
                is_error,
            } => {
                let mut out = json!({"type": "tool_result", "tool_use_id": tool_use_id});
                if !content.is_empty() || marked(&block.extra, DIALECT, LISTED) {
                    let path = path.field("content");
                    out["content"] = self.content(content, &block.extra, &path)?;
                }
                if *is_error || marked(&block.extra, DIALECT, NO_ERROR) {
                    out["is_error"] = Value::Bool(*is_error);
                }
                out
            }
            BlockKind::Thinking { text, signature } => {
                return Ok(self.thinking(block, text, signature.as_deref(), path));
            }
            BlockKind::RedactedThinking { data } => {
                if self.foreign(block) {
                    self.notes.left_out(path);
                    return Ok(None);
                }
                json!({"type": "redacted_thinking", "data": data})
            }
            BlockKind::Other { dialect, value } if *dialect == DIALECT => value.0.clone(),
            BlockKind::Other { .. } => {
                let why = "only the protocol it came in knows this part; take it out";
                return Err(self.notes.refuse(path, why));
            }
        };
        Ok(value.as_object().cloned())
    }

    /// A thought is taken back only with Anthropic's own signature; clients' SDKs want one, if empty.
    fn thinking(
        &mut self,
        block: &Block,
        text: &Text,
        signature: Option<&str>,
        path: &Path<'_>,
    ) -> Option<Fields> {
        let signed = signature.is_some_and(|signature| !signature.is_empty());
        if !self.answer && (!signed || self.foreign(block)) {
            self.notes.left_out(path);
            return None;
        }
        // A client gives it back, and Anthropic would refuse it.
        if signed && self.foreign(block) {
            self.notes.left_out(&path.field("signature"));
        }
        let signature = signature.filter(|_| !self.foreign(block));
        let signature = signature.unwrap_or_default();
        json!({"type": "thinking", "thinking": text.as_str(), "signature": signature})
            .as_object()
            .cloned()
    }

    /// Whether it came from another provider than Anthropic.
    pub(super) fn foreign(&self, block: &Block) -> bool {
        let from = block.extra.get().map(|(dialect, _)| dialect);
        from.or(self.came_in)
            .is_some_and(|from| !matches!(from, Dialect::Anthropic | Dialect::Neutral))
    }

    fn source(&mut self, source: &Source, path: &Path<'_>) -> Result<Value, WireError> {
        Ok(match source {
            Source::Base64 { media_type, data } => {
                json!({"type": "base64", "media_type": media_type, "data": data.as_str()})
            }
            Source::Url { media_type, url } => {
                if media_type.is_some() {
                    self.notes.left_out(&path.field("mediaType"));
                }
                json!({"type": "url", "url": url.as_str()})
            }
            Source::File(_)
                if self
                    .came_in
                    .is_some_and(|from| !matches!(from, Dialect::Anthropic | Dialect::Neutral)) =>
            {
                let why = "the file is in another provider's store; send its bytes";
                return Err(self.notes.refuse(path, why));
            }
            Source::File(id) => json!({"type": "file", "file_id": id}),
            Source::Text(text) => {
                json!({"type": "text", "media_type": "text/plain", "data": text.as_str()})
            }
        })
    }
}

/// The words of a part that is nothing but words.
fn plain(block: &Block) -> Option<&Text> {
    let bare = block.cache.is_none() && block.extra.is_empty();
    block.as_text().filter(|_| bare)
}

//! Parts of contents.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use inhouse_chat::{Block, BlockKind, Dialect, Fields, Json, Message, Source};
use serde_json::{Value, json};

use super::calls;
use super::{DIALECT, own};
use crate::WireError;
use crate::calls::Calls;
use crate::fields::Object;
use crate::note::Notes;
use crate::path::Path;

/// On thoughts that came in this protocol: only they are taken back.
const THOUGHT: &str = "\0thought";

/// What Google's guide has for calls in a history that another model made: without any signature Gemini 3 refuses them.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

pub(super) fn decode(value: Value, path: Path<'_>, calls: &mut Calls) -> Result<Block, WireError> {
    let mut part = Object::new(value, path)?;
    let thought = part.peek("thought") == Some(&Value::Bool(true));
    let kind = if part.peek_str("text").is_some() {
        let text = part.text("text")?;
        match thought {
            true => {
                part.take("thought");
                part.mark(THOUGHT);
                let signature = part.opt_string("thoughtSignature")?;
                Some(BlockKind::Thinking { text, signature })
            }
            false => Some(BlockKind::Text(text)),
        }
    } else if part.peek("functionCall").is_some() {
        Some(calls::decode_call(&mut part, calls)?)
    } else if part.peek("functionResponse").is_some() {
        Some(calls::decode_result(&mut part, calls)?)
    } else if part.peek("inlineData").is_some() {
        decode_bytes(&mut part)?
    } else {
        decode_file(&mut part)?
    };
    Ok(match kind {
        Some(kind) => Block {
            kind,
            cache: None,
            extra: part.rest(DIALECT),
        },
        None => Block::new(BlockKind::Other {
            dialect: DIALECT,
            value: Json(Value::Object(part.into_fields())),
        }),
    })
}

/// What bytes of a media type are; `None` for films and what nothing here knows.
fn media(media_type: &str, source: Source) -> Option<BlockKind> {
    let (kind, _) = media_type.split_once('/')?;
    match kind {
        "image" => Some(BlockKind::Image(source)),
        "audio" => Some(BlockKind::Audio(source)),
        "text" | "application" => Some(BlockKind::Document {
            source,
            title: None,
        }),
        _ => None,
    }
}

fn is_known(part: &Object<'_>, name: &str) -> bool {
    let media_type = part.peek(name).and_then(|data| data.get("mimeType"));
    let media_type = media_type.and_then(Value::as_str).unwrap_or_default();
    media(media_type, Source::File(String::new())).is_some()
}

fn decode_bytes(part: &mut Object<'_>) -> Result<Option<BlockKind>, WireError> {
    if !is_known(part, "inlineData") {
        return Ok(None);
    }
    let source = part.opt_object("inlineData", |bytes| {
        let media_type = bytes.string("mimeType")?;
        let data = bytes.text("data")?;
        Ok((media_type.clone(), Source::Base64 { media_type, data }))
    })?;
    Ok(source.and_then(|(media_type, source)| media(&media_type, source)))
}

fn decode_file(part: &mut Object<'_>) -> Result<Option<BlockKind>, WireError> {
    if !is_known(part, "fileData") {
        return Ok(None);
    }
    let source = part.opt_object("fileData", |file| {
        let uri = file.string("fileUri")?;
        if is_stored(&uri) {
            // Its media type stays beside it.
            let media_type = file.peek_str("mimeType").unwrap_or_default().to_owned();
            return Ok((media_type, Source::File(uri)));
        }
        let media_type = file.string("mimeType")?;
        let source = Source::Url {
            media_type: Some(media_type.clone()),
            url: uri.into(),
        };
        Ok((media_type, source))
    })?;
    Ok(source.and_then(|(media_type, source)| media(&media_type, source)))
}

/// Whether the address is of Google's own store.
fn is_stored(uri: &str) -> bool {
    !uri.starts_with("http") || uri.starts_with("https://generativelanguage.googleapis.com/")
}

/// Writes parts for a request or an answer.
#[derive(Debug)]
pub(super) struct Writing<'a> {
    pub(super) notes: Notes,
    /// The protocol a request came in.
    pub(super) came_in: Option<Dialect>,
    /// An answer for a client, which is paid for: it refuses nothing, and shows thoughts.
    pub(super) answer: bool,
    /// The conversation, in which calls have their names.
    pub(super) messages: &'a [Message],
    /// Calls that another model made need a stand-in for a signature.
    pub(super) sign_calls: bool,
}

impl Writing<'_> {
    /// Parts of one turn; those that cannot be said are noted.
    pub(super) fn parts(
        &mut self,
        blocks: &[Block],
        path: &Path<'_>,
    ) -> Result<Vec<Value>, WireError> {
        let mut out = Vec::with_capacity(blocks.len());
        let mut signed = !self.sign_calls;
        for (index, block) in blocks.iter().enumerate() {
            let mut part = self.part(block, &path.index(index))?;
            if let (Some(part), BlockKind::ToolUse { .. }, false) = (&mut part, &block.kind, signed)
            {
                signed = true; // the first call of a turn carries it
                if part.get("thoughtSignature").is_none() {
                    part["thoughtSignature"] = Value::from(NO_SIGNATURE);
                }
            }
            out.extend(part);
        }
        Ok(out)
    }

    /// `None` where it is left out, which is noted.
    pub(super) fn part(
        &mut self,
        block: &Block,
        path: &Path<'_>,
    ) -> Result<Option<Value>, WireError> {
        let Some(value) = self.kind(block, path)? else {
            return Ok(None);
        };
        if block.cache.is_some() {
            self.notes.left_out(&path.field("cache"));
        }
        let mut out = match value {
            Value::Object(fields) => fields,
            _ => Fields::new(),
        };
        self.notes.extra(&mut out, &block.extra, path);
        Ok(Some(Value::Object(out)))
    }

    /// Reports what words have beside them, where only the words are sent.
    pub(super) fn note_beside(&mut self, block: &Block, path: &Path<'_>) {
        if block.cache.is_some() {
            self.notes.left_out(&path.field("cache"));
        }
        self.notes.foreign(&block.extra, path);
    }

    fn kind(&mut self, block: &Block, path: &Path<'_>) -> Result<Option<Value>, WireError> {
        Ok(Some(match &block.kind {
            BlockKind::Text(text) => json!({"text": text.as_str()}),
            BlockKind::Refusal(text) => {
                self.notes.changed(path, "sent as words");
                json!({"text": text.as_str()})
            }
            BlockKind::ToolUse { id, name, input } => {
                if !input.0.is_object() && !self.answer {
                    let why = "arguments of a tool must be a JSON object";
                    return Err(self.notes.refuse(&path.field("input"), why));
                }
                calls::encode_call(id, name, &input.0, &block.extra)
            }
            BlockKind::ToolResult { .. } => self.result(block, path)?,
            BlockKind::Thinking { text, signature } => {
                let ours = own(&block.extra, THOUGHT).is_some();
                if !ours && !self.answer {
                    self.notes.left_out(path);
                    return Ok(None);
                }
                let mut out = json!({"text": text.as_str(), "thought": true});
                match signature {
                    Some(signature) if ours => out["thoughtSignature"] = signature.as_str().into(),
                    Some(_) => self.notes.left_out(&path.field("signature")),
                    None => {}
                }
                out
            }
            BlockKind::RedactedThinking { .. } => {
                self.notes.left_out(path);
                return Ok(None);
            }
            BlockKind::Image(source) => return self.media(source, block, "image/", path),
            BlockKind::Audio(source) => return self.media(source, block, "audio/", path),
            BlockKind::Document { source, title } => {
                if title.is_some() {
                    self.notes.left_out(&path.field("title"));
                }
                return self.media(source, block, "", path);
            }
            BlockKind::Other { dialect, value } if *dialect == DIALECT => value.0.clone(),
            BlockKind::Other { .. } => {
                return self.unknown(
                    path,
                    "only the protocol it came in knows this part; take it out",
                );
            }
        }))
    }

    fn media(
        &mut self,
        source: &Source,
        block: &Block,
        kind: &str,
        path: &Path<'_>,
    ) -> Result<Option<Value>, WireError> {
        Ok(Some(match source {
            Source::Base64 { media_type, data } => {
                json!({"inlineData": {"mimeType": media_type, "data": data.as_str()}})
            }
            Source::Url { media_type, url } => {
                let guessed = media_type.as_deref().or_else(|| guess(url.as_str(), kind));
                let Some(media_type) = guessed else {
                    let why = "its media type is not stated, and its address does not tell; send its bytes";
                    return self.unknown(path, why);
                };
                json!({"fileData": {"fileUri": url.as_str(), "mimeType": media_type}})
            }
            Source::File(uri) => {
                let from = block
                    .extra
                    .get()
                    .map(|(dialect, _)| dialect)
                    .or(self.came_in);
                if from.is_some_and(|from| !matches!(from, DIALECT | Dialect::Neutral)) {
                    let why = "the file is in another provider's store; send its bytes";
                    return self.unknown(path, why);
                }
                json!({"fileData": {"fileUri": uri}})
            }
            Source::Text(text) => {
                let data = STANDARD.encode(text.as_str());
                json!({"inlineData": {"mimeType": "text/plain", "data": data}})
            }
        }))
    }

    /// What a request refuses and an answer only reports.
    fn unknown(&mut self, path: &Path<'_>, why: &'static str) -> Result<Option<Value>, WireError> {
        if self.answer {
            self.notes.left_out(path);
            return Ok(None);
        }
        Err(self.notes.refuse(path, why))
    }
}

/// The media type by the end of an address, where it is of that kind.
fn guess(url: &str, kind: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let (_, ending) = path.rsplit_once('.')?;
    let guessed = match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "wav" => "audio/wav",
        "mp3" => "audio/mpeg",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "html" => "text/html",
        "md" => "text/markdown",
        "csv" => "text/csv",
        _ => return None,
    };
    guessed.starts_with(kind).then_some(guessed)
}

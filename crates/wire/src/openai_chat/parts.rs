//! Parts of a message's content.

use inhouse_chat::{Block, BlockKind, Dialect, Json, Source};
use serde_json::{Value, json};

use super::DIALECT;
use crate::WireError;
use crate::fields::{LISTED, Mark, Object, each};
use crate::note::Notes;
use crate::path::Path;

/// A refusal that came as a part, not as the message's `refusal`.
pub(super) const PART: Mark = "\0part";

/// `content`: a string or a list of parts; none where it is null or not there.
pub(super) fn decode_content(object: &mut Object<'_>) -> Result<Vec<Block>, WireError> {
    match object.take("content") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![Block::text(text)]),
        Some(Value::Array(items)) => {
            object.mark(LISTED);
            each(items, &object.path().field("content"), decode_part)
        }
        Some(_) => Err(object.kind("content", "a string or a list")),
    }
}

fn decode_part(value: Value, path: Path<'_>) -> Result<Block, WireError> {
    let mut part = Object::new(value, path)?;
    let kind = part.string("type")?;
    let Some(known) = decode_kind(&mut part, &kind)? else {
        part.put_back("type", Value::String(kind));
        return Ok(Block::new(BlockKind::Other {
            dialect: DIALECT,
            value: Json(Value::Object(part.into_fields())),
        }));
    };
    let extra = part.rest(DIALECT);
    Ok(Block {
        kind: known,
        cache: None,
        extra,
    })
}

/// `None`, with nothing taken, where only this protocol knows the part.
fn decode_kind(part: &mut Object<'_>, kind: &str) -> Result<Option<BlockKind>, WireError> {
    Ok(match kind {
        "text" => Some(BlockKind::Text(part.text("text")?)),
        "refusal" => {
            part.mark(PART);
            Some(BlockKind::Refusal(part.text("refusal")?))
        }
        "image_url" => {
            let url = part.opt_object("image_url", |image| image.string("url"))?;
            let url = url.ok_or_else(|| part.missing("image_url"))?;
            Some(BlockKind::Image(source_of_url(url)))
        }
        "input_audio" => {
            let sound = part.opt_object("input_audio", |audio| {
                let media_type = media_type_of_sound(&audio.string("format")?);
                let data = audio.text("data")?;
                Ok(Source::Base64 { media_type, data })
            })?;
            Some(BlockKind::Audio(
                sound.ok_or_else(|| part.missing("input_audio"))?,
            ))
        }
        "file" => decode_file(part)?,
        _ => None,
    })
}

fn decode_file(part: &mut Object<'_>) -> Result<Option<BlockKind>, WireError> {
    let stated = |name: &str| part.peek("file").and_then(|file| file.get(name)?.as_str());
    let source = match (stated("file_data"), stated("file_id")) {
        (Some(data), None) => match source_of_url(data.to_owned()) {
            source @ Source::Base64 { .. } => source,
            _ => return Ok(None),
        },
        (None, Some(id)) => Source::File(id.to_owned()),
        _ => return Ok(None),
    };
    let title = part.opt_object("file", |file| {
        file.take("file_data");
        file.take("file_id");
        file.opt_text("filename")
    })?;
    let title = title.flatten();
    Ok(Some(BlockKind::Document { source, title }))
}

/// `data:image/png;base64,..` is here, everything else is elsewhere.
fn source_of_url(url: String) -> Source {
    let inline = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"));
    match inline {
        Some((media_type, data)) => Source::Base64 {
            media_type: media_type.to_owned(),
            data: data.into(),
        },
        None => Source::Url {
            media_type: None,
            url: url.into(),
        },
    }
}

fn media_type_of_sound(format: &str) -> String {
    match format {
        "mp3" => "audio/mpeg".to_owned(),
        other => format!("audio/{other}"),
    }
}

fn format_of_sound(media_type: &str) -> &str {
    match media_type {
        "audio/mpeg" => "mp3",
        "audio/x-wav" | "audio/wave" => "wav",
        other => other.strip_prefix("audio/").unwrap_or(other),
    }
}

/// A part: words, a picture, sound, a file.
pub(super) fn encode_part(
    block: &Block,
    came_in: Option<Dialect>,
    notes: &mut Notes,
    path: &Path<'_>,
) -> Result<Value, WireError> {
    let mut part = match &block.kind {
        BlockKind::Text(text) => json!({"type": "text", "text": text.as_str()}),
        BlockKind::Refusal(text) => json!({"type": "refusal", "refusal": text.as_str()}),
        BlockKind::Image(source) => encode_image(source, notes, path)?,
        BlockKind::Audio(Source::Base64 { media_type, data }) => {
            let format = format_of_sound(media_type);
            json!({"type": "input_audio", "input_audio": {"data": data.as_str(), "format": format}})
        }
        BlockKind::Audio(_) => {
            return Err(notes.refuse(path, "sound must be sent in base64"));
        }
        BlockKind::Document { source, title } => {
            let title = title.as_ref().map(|title| title.as_str());
            encode_document(source, title, came_in, notes, path)?
        }
        BlockKind::Other { dialect, value } if *dialect == DIALECT => value.0.clone(),
        BlockKind::Other { .. } => {
            let why = "only the protocol it came in knows this part; take it out";
            return Err(notes.refuse(path, why));
        }
        BlockKind::ToolUse { .. }
        | BlockKind::ToolResult { .. }
        | BlockKind::Thinking { .. }
        | BlockKind::RedactedThinking { .. } => {
            return Err(notes.refuse(path, "it has no place in this message"));
        }
    };
    if block.cache.is_some() {
        notes.left_out(&path.field("cache"));
    }
    if let Some(part) = part.as_object_mut() {
        notes.extra(part, &block.extra, path);
    }
    Ok(part)
}

fn encode_image(source: &Source, notes: &mut Notes, path: &Path<'_>) -> Result<Value, WireError> {
    let url = match source {
        Source::Base64 { media_type, data } => data_url(media_type, data.as_str()),
        Source::Url { media_type, url } => {
            if media_type.is_some() {
                notes.left_out(&path.field("mediaType"));
            }
            url.as_str().to_owned()
        }
        Source::File(_) | Source::Text(_) => {
            let why = "pictures are sent in base64 or by their address";
            return Err(notes.refuse(path, why));
        }
    };
    Ok(json!({"type": "image_url", "image_url": {"url": url}}))
}

fn encode_document(
    source: &Source,
    title: Option<&str>,
    came_in: Option<Dialect>,
    notes: &mut Notes,
    path: &Path<'_>,
) -> Result<Value, WireError> {
    let mut file = match source {
        Source::Base64 { media_type, data } => {
            json!({"file_data": data_url(media_type, data.as_str())})
        }
        // Plain words need no file; the title is what is lost.
        Source::Text(text) => {
            notes.changed(path, "sent as words");
            let text = match title {
                Some(title) => format!("{title}\n\n{}", text.as_str()),
                None => text.as_str().to_owned(),
            };
            return Ok(json!({"type": "text", "text": text}));
        }
        Source::File(id)
            if matches!(
                came_in,
                None | Some(Dialect::Neutral | Dialect::OpenAiChat | Dialect::OpenAiResponses)
            ) =>
        {
            json!({"file_id": id})
        }
        Source::File(_) => {
            let why = "the file is in another provider's store; send its bytes";
            return Err(notes.refuse(path, why));
        }
        Source::Url { .. } => {
            return Err(notes.refuse(path, "documents are sent in base64"));
        }
    };
    // A file's bytes need a name; a stored file has one.
    let fallback = matches!(source, Source::Base64 { .. })
        .then_some("document.pdf")
        .filter(|_| came_in != Some(DIALECT));
    if let Some(name) = title.or(fallback) {
        file["filename"] = Value::from(name);
    }
    Ok(json!({"type": "file", "file": file}))
}

fn data_url(media_type: &str, data: &str) -> String {
    format!("data:{media_type};base64,{data}")
}

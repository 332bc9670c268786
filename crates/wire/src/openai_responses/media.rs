//! Images, files and sound.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use inhouse_chat::{Block, BlockKind, Source, Text};
use serde_json::{Value, json};

use super::DIALECT;
use super::items::Writing;
use crate::WireError;
use crate::fields::Object;
use crate::path::Path;

/// `None`, with nothing taken, where it is neither an address nor a file.
pub(super) fn decode_image(part: &mut Object<'_>) -> Result<Option<BlockKind>, WireError> {
    let source = match (part.peek("image_url"), part.peek("file_id")) {
        (Some(_), None) => at_address(part.string("image_url")?),
        (None, Some(_)) => Source::File(part.string("file_id")?),
        _ => return Ok(None),
    };
    Ok(Some(BlockKind::Image(source)))
}

pub(super) fn decode_file(part: &mut Object<'_>) -> Result<Option<BlockKind>, WireError> {
    let data = part
        .peek_str("file_data")
        .map(|data| data_url(data).is_some());
    let stated = ["file_data", "file_url", "file_id"].map(|name| part.peek(name).is_some());
    let source = match (stated, data) {
        ([true, false, false], Some(true)) => at_address(part.string("file_data")?),
        ([false, true, false], _) => Source::Url {
            media_type: None,
            url: part.text("file_url")?,
        },
        ([false, false, true], _) => Source::File(part.string("file_id")?),
        _ => return Ok(None),
    };
    let title = part.opt_text("filename")?;
    Ok(Some(BlockKind::Document { source, title }))
}

pub(super) fn decode_audio(part: &mut Object<'_>) -> Result<Option<BlockKind>, WireError> {
    let audio = part.opt_object("input_audio", |audio| {
        Ok((audio.string("format")?, audio.text("data")?))
    })?;
    Ok(audio.map(|(format, data)| {
        let media_type = match format.as_str() {
            "mp3" => "audio/mpeg".to_owned(),
            format => format!("audio/{format}"),
        };
        BlockKind::Audio(Source::Base64 { media_type, data })
    }))
}

fn at_address(url: String) -> Source {
    match data_url(&url) {
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

/// The media type and the bytes of `data:image/png;base64,..`, where it has just these.
fn data_url(url: &str) -> Option<(&str, &str)> {
    let (media_type, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
    (!media_type.contains([';', ','])).then_some((media_type, data))
}

impl Writing<'_> {
    pub(super) fn image(
        &mut self,
        source: &Source,
        block: &Block,
        path: &Path<'_>,
    ) -> Result<Value, WireError> {
        let mut out = match source {
            Source::Base64 { media_type, data } => {
                json!({"type": "input_image", "image_url": encode_data_url(media_type, data)})
            }
            Source::Url { media_type, url } => {
                self.note_media_type(media_type.as_ref(), path);
                json!({"type": "input_image", "image_url": url.as_str()})
            }
            Source::File(id) => {
                self.check_file(block, path)?;
                json!({"type": "input_image", "file_id": id})
            }
            Source::Text(_) => return Err(self.notes.refuse(path, "an image is not words")),
        };
        if !self.came_here(block) {
            out["detail"] = Value::from("auto"); // the types demand it
        }
        Ok(out)
    }

    pub(super) fn file(
        &mut self,
        source: &Source,
        title: Option<&Text>,
        block: &Block,
        path: &Path<'_>,
    ) -> Result<Value, WireError> {
        let mut name = title.map(Text::as_str);
        let mut out = match source {
            Source::Base64 { media_type, data } => {
                name = name.or_else(|| self.is_foreign(block).then(|| file_name(media_type)));
                json!({"type": "input_file", "file_data": encode_data_url(media_type, data)})
            }
            Source::Url { media_type, url } => {
                self.note_media_type(media_type.as_ref(), path);
                json!({"type": "input_file", "file_url": url.as_str()})
            }
            Source::File(id) => {
                self.check_file(block, path)?;
                json!({"type": "input_file", "file_id": id})
            }
            Source::Text(text) => {
                name = name.or(Some("document.txt"));
                let data = STANDARD.encode(text.as_str());
                json!({"type": "input_file", "file_data": format!("data:text/plain;base64,{data}")})
            }
        };
        if let Some(name) = name {
            out["filename"] = Value::from(name);
        }
        Ok(out)
    }

    /// The SDK's types have sound, and its requests do not: only what came so goes back so.
    pub(super) fn audio(
        &mut self,
        source: &Source,
        block: &Block,
        path: &Path<'_>,
    ) -> Result<Value, WireError> {
        if !self.came_here(block) {
            let why = "it takes no sound; ask by Chat Completions";
            return Err(self.notes.refuse(path, why));
        }
        let Source::Base64 { media_type, data } = source else {
            let why = "sound must be sent as bytes";
            return Err(self.notes.refuse(path, why));
        };
        let format = match media_type.as_str() {
            "audio/mpeg" | "audio/mp3" => "mp3",
            other => other.strip_prefix("audio/").unwrap_or(other),
        };
        Ok(json!({"type": "input_audio", "input_audio": {"data": data.as_str(), "format": format}}))
    }

    fn came_here(&self, block: &Block) -> bool {
        self.came_in == Some(DIALECT) || block.extra.of(DIALECT).is_some()
    }

    fn note_media_type(&mut self, media_type: Option<&String>, path: &Path<'_>) {
        if media_type.is_some() {
            self.notes.left_out(&path.field("mediaType"));
        }
    }

    fn check_file(&self, block: &Block, path: &Path<'_>) -> Result<(), WireError> {
        if self.is_foreign(block) {
            let why = "the file is in another provider's store; send its bytes";
            return Err(self.notes.refuse(path, why));
        }
        Ok(())
    }
}

fn encode_data_url(media_type: &str, data: &Text) -> String {
    format!("data:{media_type};base64,{}", data.as_str())
}

/// The API wants a name beside bytes, and reads the format from its end.
fn file_name(media_type: &str) -> &'static str {
    match media_type {
        "text/plain" => "document.txt",
        "text/html" => "document.html",
        "text/markdown" => "document.md",
        "text/csv" => "document.csv",
        _ => "document.pdf",
    }
}

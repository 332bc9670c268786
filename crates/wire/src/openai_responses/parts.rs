//! Parts of messages and of results of tools.

use inhouse_chat::{Block, BlockKind, Fields, Role};
use serde_json::{Value, json};

use super::items::{Writing, fields, other};
use super::{DIALECT, media, with};
use crate::WireError;
use crate::fields::{Object, marked};
use crate::path::Path;

/// On a part that only this protocol knows: it is not an item.
const PART: &str = "\0part";

/// Whether it is part of a message; the rest are items.
pub(super) fn is_part(block: &Block) -> bool {
    match &block.kind {
        BlockKind::Text(_)
        | BlockKind::Refusal(_)
        | BlockKind::Image(_)
        | BlockKind::Document { .. }
        | BlockKind::Audio(_) => true,
        BlockKind::Other { .. } => marked(&block.extra, DIALECT, PART),
        _ => false,
    }
}

fn text_type(role: Role) -> &'static str {
    match role {
        Role::Assistant => "output_text",
        Role::User | Role::System => "input_text",
    }
}

pub(super) fn decode(value: Value, path: Path<'_>, role: Role) -> Result<Block, WireError> {
    let mut part = Object::new(value, path)?;
    let kind = part.string("type")?;
    let known = match kind.as_str() {
        "input_text" | "output_text" | "text" if part.peek_str("text").is_some() => {
            if kind != text_type(role) {
                part.put_back("type", Value::from(kind.as_str()));
            }
            Some(BlockKind::Text(part.text("text")?))
        }
        "refusal" => Some(BlockKind::Refusal(part.text("refusal")?)),
        "input_image" => media::decode_image(&mut part)?,
        "input_file" => media::decode_file(&mut part)?,
        "input_audio" => media::decode_audio(&mut part)?,
        _ => None,
    };
    let Some(known) = known else {
        part.put_back("type", Value::String(kind));
        let mut block = other(part.into_fields());
        block.extra = with(&block.extra, PART, Value::Bool(true));
        return Ok(block);
    };
    Ok(Block {
        kind: known,
        cache: None,
        extra: part.rest(DIALECT),
    })
}

impl Writing<'_> {
    /// `None` where it is left out, which is noted.
    pub(super) fn part(
        &mut self,
        role: Role,
        block: &Block,
        path: &Path<'_>,
    ) -> Result<Option<Value>, WireError> {
        let Some(mut out) = self.part_fields(role, block, path)? else {
            return Ok(None);
        };
        self.note_cache(block, path);
        let own_type = block.extra.of(DIALECT).and_then(|extra| extra.get("type"));
        if let Some(own_type) = own_type {
            out.insert("type".into(), own_type.clone());
        }
        self.notes.extra(&mut out, &block.extra, path);
        Ok(Some(Value::Object(out)))
    }

    fn part_fields(
        &mut self,
        role: Role,
        block: &Block,
        path: &Path<'_>,
    ) -> Result<Option<Fields>, WireError> {
        let out = match &block.kind {
            BlockKind::Text(text) => {
                let fresh = self.answer.is_some() && block.extra.of(DIALECT).is_none();
                text_part(role, text.as_str(), fresh)
            }
            BlockKind::Refusal(text) if role == Role::Assistant => {
                json!({"type": "refusal", "refusal": text.as_str()})
            }
            BlockKind::Refusal(text) => {
                self.notes.changed(path, "sent as words");
                text_part(role, text.as_str(), false)
            }
            BlockKind::Other { dialect, value } if *dialect == DIALECT => value.0.clone(),
            BlockKind::Image(_) | BlockKind::Document { .. } | BlockKind::Audio(_)
                if self.answer.is_some() =>
            {
                return self.unknown(path);
            }
            BlockKind::Image(_) | BlockKind::Document { .. } | BlockKind::Audio(_)
                if role == Role::Assistant =>
            {
                let why = "a turn of the model has words only; take it out";
                return Err(self.notes.refuse(path, why));
            }
            BlockKind::Image(source) => self.image(source, block, path)?,
            BlockKind::Document { source, title } => {
                self.file(source, title.as_ref(), block, path)?
            }
            BlockKind::Audio(source) => self.audio(source, block, path)?,
            _ => return self.unknown(path),
        };
        Ok(Some(fields(out)))
    }
}

/// Words; in answers that came in another protocol with the empty lists that clients read.
fn text_part(role: Role, text: &str, fresh: bool) -> Value {
    match fresh {
        true => json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []}),
        false => json!({"type": text_type(role), "text": text}),
    }
}

//! Every place of a request where words of a person can be, in order: once to read them, once to change them.
//!
//! Both walks must see the same texts in the same order; a test holds them together.

use inhouse_chat::{
    Block, BlockKind, ChatRequest, Extra, Fields, Json, ResponseFormat, Source, Text, ToolMode,
};
use serde_json::Value;

use super::Unreadable;

/// What a text is, which decides whether it can be changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// Words: can be changed.
    Words,
    /// A number in JSON: can be changed, into a string.
    Number,
    /// A thought that its provider signed: a change would break the signature.
    Signed,
    /// A name, identifier or address that something else refers to.
    Name,
}

/// Told of each text, with the name that JSON gives to it, and of each part that cannot be read.
pub(crate) trait Visitor {
    /// A text.
    fn text(&mut self, place: Place, key: Option<&str>, text: &str);
    /// A part that cannot be read.
    fn unreadable(&mut self, what: Unreadable);
}

/// Nesting of parts and of JSON that is looked into; what parsers allow is less.
const DEEPEST: usize = 128;

/// Visits all texts of a request.
///
/// Not visited: the model's name, and the metadata, which is for the router and names who asks.
pub(crate) fn visit(request: &ChatRequest, visitor: &mut dyn Visitor) {
    for message in &request.messages {
        message
            .content
            .iter()
            .for_each(|block| self::block(block, 0, visitor));
        extra(&message.extra, visitor);
    }
    for tool in &request.tools {
        visitor.text(Place::Name, None, &tool.name);
        optional(tool.description.as_ref(), visitor);
        if let Some(Json(schema)) = &tool.input_schema {
            value(schema, None, 0, visitor);
        }
        extra(&tool.extra, visitor);
    }
    if let Some(name) = chosen_tool(request) {
        visitor.text(Place::Name, None, name);
    }
    for stop in &request.stop {
        visitor.text(Place::Words, None, stop.as_str());
    }
    if let Some(ResponseFormat::JsonSchema { name, schema, .. }) = &request.response_format {
        if let Some(name) = name {
            visitor.text(Place::Name, None, name);
        }
        value(&schema.0, None, 0, visitor);
    }
    extra(&request.extra, visitor);
}

/// The tool that must be used; nobody checked that it is one of the tools.
fn chosen_tool(request: &ChatRequest) -> Option<&str> {
    match &request.tool_choice.as_ref()?.mode {
        ToolMode::Tool(name) => Some(name),
        ToolMode::Auto | ToolMode::None | ToolMode::Any => None,
    }
}

fn optional(text: Option<&Text>, visitor: &mut dyn Visitor) {
    if let Some(text) = text {
        visitor.text(Place::Words, None, text.as_str());
    }
}

fn block(block: &Block, depth: usize, visitor: &mut dyn Visitor) {
    match &block.kind {
        BlockKind::Text(text) | BlockKind::Refusal(text) => {
            visitor.text(Place::Words, None, text.as_str())
        }
        BlockKind::Image(source) => self::source(source, Unreadable::Image, visitor),
        BlockKind::Audio(source) => self::source(source, Unreadable::Audio, visitor),
        BlockKind::Document { source, title } => {
            optional(title.as_ref(), visitor);
            self::source(source, Unreadable::Document, visitor);
        }
        BlockKind::ToolUse { id, name, input } => {
            visitor.text(Place::Name, None, id);
            visitor.text(Place::Name, None, name);
            value(&input.0, None, 0, visitor);
        }
        BlockKind::ToolResult {
            tool_use_id,
            content,
            ..
        } => {
            visitor.text(Place::Name, None, tool_use_id);
            if depth == DEEPEST {
                return visitor.unreadable(Unreadable::TooDeep);
            }
            content
                .iter()
                .for_each(|inner| self::block(inner, depth + 1, visitor));
        }
        BlockKind::Thinking { text, signature } => {
            let place = if signature.is_some() {
                Place::Signed
            } else {
                Place::Words
            };
            visitor.text(place, None, text.as_str());
        }
        BlockKind::RedactedThinking { .. } => visitor.unreadable(Unreadable::EncryptedThought),
        BlockKind::Other { value, .. } => self::value(&value.0, None, 0, visitor),
    }
    extra(&block.extra, visitor);
}

fn source(source: &Source, what: Unreadable, visitor: &mut dyn Visitor) {
    match source {
        Source::Text(text) => visitor.text(Place::Words, None, text.as_str()),
        Source::Url { url, media_type } => {
            if let Some(media_type) = media_type {
                visitor.text(Place::Name, None, media_type);
            }
            // The bytes of a `data:` address are as unreadable as any others; they are no words.
            if !url.as_str().starts_with("data:") {
                visitor.text(Place::Name, None, url.as_str());
            }
            visitor.unreadable(what);
        }
        Source::Base64 { media_type, .. } => {
            visitor.text(Place::Name, None, media_type);
            visitor.unreadable(what);
        }
        Source::File(_) => visitor.unreadable(what),
    }
}

fn extra(extra: &Extra, visitor: &mut dyn Visitor) {
    if let Some((_, fields)) = extra.get() {
        object(fields, 0, visitor);
    }
}

fn object(fields: &Fields, depth: usize, visitor: &mut dyn Visitor) {
    for (name, inner) in fields {
        visitor.text(Place::Words, None, name);
        value(inner, Some(name), depth + 1, visitor);
    }
}

fn value(value: &Value, key: Option<&str>, depth: usize, visitor: &mut dyn Visitor) {
    if depth > DEEPEST {
        return visitor.unreadable(Unreadable::TooDeep);
    }
    match value {
        Value::String(text) => visitor.text(Place::Words, key, text),
        Value::Number(number) => {
            if let Some(digits) = long_number(number) {
                visitor.text(Place::Number, key, &digits);
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| self::value(item, key, depth + 1, visitor)),
        Value::Object(fields) => object(fields, depth, visitor),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Whole numbers long enough to be somebody's.
fn long_number(number: &serde_json::Number) -> Option<String> {
    let whole = number
        .as_i64()
        .map(i64::unsigned_abs)
        .or_else(|| number.as_u64())?;
    (whole >= 1_000_000).then(|| number.to_string())
}

/// Gives what a text becomes; `None` leaves it.
pub(crate) type Change<'a> = dyn FnMut(Place, &str) -> Option<String> + 'a;

/// Changes the texts that [`visit`] reads. Texts at a [`Place`] that cannot be changed are shown, and stay.
pub(crate) fn change(request: &mut ChatRequest, change: &mut Change<'_>) {
    for message in &mut request.messages {
        message
            .content
            .iter_mut()
            .for_each(|block| change_block(block, 0, change));
        change_extra(&mut message.extra, change);
    }
    for tool in &mut request.tools {
        change(Place::Name, &tool.name);
        change_optional(tool.description.as_mut(), change);
        if let Some(Json(schema)) = &mut tool.input_schema {
            change_value(schema, 0, change);
        }
        change_extra(&mut tool.extra, change);
    }
    if let Some(name) = chosen_tool(request) {
        change(Place::Name, name);
    }
    request
        .stop
        .iter_mut()
        .for_each(|stop| change_text(stop, Place::Words, change));
    if let Some(ResponseFormat::JsonSchema { name, schema, .. }) = &mut request.response_format {
        if let Some(name) = name {
            change(Place::Name, name);
        }
        change_value(&mut schema.0, 0, change);
    }
    change_extra(&mut request.extra, change);
}

/// Changes the texts of a part.
pub(crate) fn change_block(block: &mut Block, depth: usize, change: &mut Change<'_>) {
    match &mut block.kind {
        BlockKind::Text(text) | BlockKind::Refusal(text) => change_text(text, Place::Words, change),
        BlockKind::Image(source) | BlockKind::Audio(source) => change_source(source, change),
        BlockKind::Document { source, title } => {
            change_optional(title.as_mut(), change);
            change_source(source, change);
        }
        BlockKind::ToolUse { id, name, input } => {
            change(Place::Name, id);
            change(Place::Name, name);
            change_value(&mut input.0, 0, change);
        }
        BlockKind::ToolResult {
            tool_use_id,
            content,
            ..
        } => {
            change(Place::Name, tool_use_id);
            if depth < DEEPEST {
                content
                    .iter_mut()
                    .for_each(|inner| change_block(inner, depth + 1, change));
            }
        }
        BlockKind::Thinking { text, signature } => {
            let place = if signature.is_some() {
                Place::Signed
            } else {
                Place::Words
            };
            change_text(text, place, change);
        }
        BlockKind::RedactedThinking { .. } => {}
        BlockKind::Other { value, .. } => change_value(&mut value.0, 0, change),
    }
    change_extra(&mut block.extra, change);
}

fn change_text(text: &mut Text, place: Place, change: &mut Change<'_>) {
    if let Some(changed) = change(place, text.as_str()).filter(|_| place == Place::Words) {
        *text = changed.into();
    }
}

fn change_optional(text: Option<&mut Text>, change: &mut Change<'_>) {
    if let Some(text) = text {
        change_text(text, Place::Words, change);
    }
}

fn change_source(source: &mut Source, change: &mut Change<'_>) {
    match source {
        Source::Text(text) => change_text(text, Place::Words, change),
        Source::Url { url, media_type } => {
            if let Some(media_type) = media_type {
                change(Place::Name, media_type);
            }
            if !url.as_str().starts_with("data:") {
                change(Place::Name, url.as_str());
            }
        }
        Source::Base64 { media_type, .. } => {
            change(Place::Name, media_type);
        }
        Source::File(_) => {}
    }
}

/// Changes the texts of fields that only one protocol knows.
pub(crate) fn change_extra(extra: &mut Extra, change: &mut Change<'_>) {
    if let Some(fields) = extra.get_mut() {
        change_object(fields, 0, change);
    }
}

fn change_object(fields: &mut Fields, depth: usize, change: &mut Change<'_>) {
    let taken = std::mem::take(fields);
    fields.extend(taken.into_iter().map(|(name, mut inner)| {
        let changed = change(Place::Words, &name);
        change_value(&mut inner, depth + 1, change);
        (changed.unwrap_or(name), inner)
    }));
}

/// Changes the texts of a JSON value, names of fields included.
pub(crate) fn change_value(value: &mut Value, depth: usize, change: &mut Change<'_>) {
    if depth > DEEPEST {
        return;
    }
    match value {
        Value::String(text) => {
            if let Some(changed) = change(Place::Words, text) {
                *text = changed;
            }
        }
        Value::Number(number) => {
            let changed = long_number(number).and_then(|digits| change(Place::Number, &digits));
            if let Some(changed) = changed {
                *value = Value::String(changed);
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| change_value(item, depth + 1, change)),
        Value::Object(fields) => change_object(fields, depth, change),
        Value::Null | Value::Bool(_) => {}
    }
}

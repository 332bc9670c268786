//! Calls of tools and their results. Identifiers may be left out here.

use inhouse_chat::{Block, BlockKind, Extra, Fields, Json};
use serde_json::{Value, json};

use super::parts::{self, Writing};
use super::{DIALECT, own};
use crate::WireError;
use crate::calls::{Calls, name_of};
use crate::fields::{Object, each, marked};
use crate::path::Path;

/// The call, or the result, had no identifier.
const NO_ID: &str = "\0noId";
/// The call had no arguments at all.
const NO_ARGS: &str = "\0noArgs";
/// The name that a result repeats.
const NAME: &str = "\0name";
/// The one field of a result that was words.
const KEY: &str = "\0key";
/// A result that was more than words: its text here is its JSON.
const IS_JSON: &str = "\0json";
/// A result without anything.
const NO_RESPONSE: &str = "\0noResponse";

pub(super) fn decode_call(
    part: &mut Object<'_>,
    calls: &mut Calls,
) -> Result<BlockKind, WireError> {
    let call = part.opt_object("functionCall", |call| {
        let (name, args) = (call.string("name")?, call.opt_json_object("args")?);
        Ok((name, args, call.opt_string("id")?))
    })?;
    let (name, args, id) = call.ok_or_else(|| part.missing("functionCall"))?;
    if id.is_none() {
        part.mark(NO_ID);
    }
    if args.is_none() {
        part.mark(NO_ARGS);
    }
    Ok(BlockKind::ToolUse {
        id: calls.call(&name, id),
        name,
        input: args.unwrap_or_else(|| Json(json!({}))),
    })
}

pub(super) fn decode_result(
    part: &mut Object<'_>,
    calls: &mut Calls,
) -> Result<BlockKind, WireError> {
    let path = part.path();
    let result = part.opt_object("functionResponse", |result| {
        let (name, id) = (result.string("name")?, result.opt_string("id")?);
        let response = result.opt_json_object("response")?;
        let parts = result.opt_array("parts")?.unwrap_or_default();
        Ok((name, id, response, parts))
    })?;
    let (name, id, response, list) = result.ok_or_else(|| part.missing("functionResponse"))?;
    if id.is_none() {
        part.mark(NO_ID);
    }
    part.put_back(NAME, Value::from(name.as_str()));
    let (mut content, mut is_error) = (Vec::new(), false);
    match response {
        None => part.mark(NO_RESPONSE),
        Some(response) => match only_words(&response.0) {
            Some((key, text)) => {
                is_error = key == "error";
                part.put_back(KEY, Value::from(key));
                content.push(Block::text(text));
            }
            None => {
                part.mark(IS_JSON);
                content.push(Block::text(response.0.to_string()));
            }
        },
    }
    let path = path.field("functionResponse");
    content.extend(each(list, &path.field("parts"), |part, path| {
        parts::decode(part, path, &mut Calls::default())
    })?);
    Ok(BlockKind::ToolResult {
        tool_use_id: calls.result(Some(&name), id),
        content,
        is_error,
    })
}

/// The one field of a result that is words.
fn only_words(response: &Value) -> Option<(&str, &str)> {
    let fields = response.as_object().filter(|fields| fields.len() == 1)?;
    let (key, value) = fields.iter().next()?;
    let known = matches!(key.as_str(), "output" | "result" | "error");
    value
        .as_str()
        .filter(|_| known)
        .map(|text| (key.as_str(), text))
}

pub(super) fn encode_call(id: &str, name: &str, input: &Value, extra: &Extra) -> Value {
    let mut call = json!({"name": name});
    if !(marked(extra, DIALECT, NO_ARGS) && *input == json!({})) {
        call["args"] = input.clone();
    }
    if !marked(extra, DIALECT, NO_ID) {
        call["id"] = Value::from(id);
    }
    json!({"functionCall": call})
}

impl Writing<'_> {
    pub(super) fn result(&mut self, block: &Block, path: &Path<'_>) -> Result<Value, WireError> {
        let BlockKind::ToolResult {
            tool_use_id,
            content,
            is_error,
        } = &block.kind
        else {
            return Ok(Value::Null);
        };
        let own_name = own(&block.extra, NAME).and_then(Value::as_str);
        let Some(name) = own_name.or_else(|| name_of(self.messages, tool_use_id)) else {
            let why = "no call with this identifier stands before it; send the call too";
            return Err(self.notes.refuse(&path.field("toolUseId"), why));
        };
        let mut result = Fields::new();
        if !marked(&block.extra, DIALECT, NO_ID) {
            result.insert("id".into(), Value::from(tool_use_id.as_str()));
        }
        result.insert("name".into(), Value::from(name));
        let content_path = path.field("content");
        let (mut words, mut list) = (Vec::new(), Vec::new());
        for (index, part) in content.iter().enumerate() {
            let path = content_path.index(index);
            match part.as_text() {
                Some(text) => {
                    self.note_beside(part, &path);
                    words.push(text.as_str());
                }
                None => list.extend(self.part(part, &path)?),
            }
        }
        if words.len() > 1 {
            self.notes.changed(&content_path, "joined to one text");
        }
        if !(words.is_empty() && marked(&block.extra, DIALECT, NO_RESPONSE)) {
            let response = response(&words.join("\n"), &block.extra, *is_error);
            result.insert("response".into(), response);
        }
        if !list.is_empty() {
            result.insert("parts".into(), Value::Array(list));
        }
        Ok(json!({"functionResponse": result}))
    }
}

fn response(text: &str, extra: &Extra, is_error: bool) -> Value {
    if marked(extra, DIALECT, IS_JSON)
        && let Ok(whole @ Value::Object(_)) = serde_json::from_str(text)
    {
        return whole;
    }
    let own_key = own(extra, KEY).and_then(Value::as_str);
    let key = own_key.unwrap_or(match is_error {
        true => "error",
        false => "output",
    });
    json!({key: text})
}

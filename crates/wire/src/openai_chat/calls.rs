//! The model's calls of tools: in requests and answers alike.

use inhouse_chat::{Block, BlockKind, Extra, Fields, Json};
use serde_json::{Value, json};

use super::DIALECT;
use crate::WireError;
use crate::fields::{Mark, Object};
use crate::path::Path;

/// Arguments as they were written, where we would write the same JSON otherwise: caches of prompts compare bytes.
const RAW: Mark = "\0arguments";

/// A call of the time before `tool_calls`: `function_call`, at most one a message, without an identifier.
pub(super) const LEGACY: Mark = "\0function_call";

/// Whether arguments that are no JSON object are kept as they are. They are in a request, where a client may repeat
/// what a model once wrote, but an answer with them is garbled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Broken {
    Kept,
    Refused,
}

pub(super) fn decode_call(
    value: Value,
    path: Path<'_>,
    broken: Broken,
) -> Result<Block, WireError> {
    let mut call = Object::new(value, path)?;
    if call.peek("function").is_none() && call.peek("type").is_some() {
        return Ok(Block::new(BlockKind::Other {
            dialect: DIALECT, // a custom tool
            value: Json(Value::Object(call.into_fields())),
        }));
    }
    call.take("type");
    let id = call.opt_string("id")?.unwrap_or_default();
    let function = call.opt_object("function", |function| decode_function(function, broken))?;
    let (name, (input, raw)) = function.ok_or_else(|| call.missing("function"))?;
    keep_raw(&mut call, raw);
    let extra = call.rest(DIALECT);
    let kind = BlockKind::ToolUse { id, name, input };
    Ok(Block {
        kind,
        cache: None,
        extra,
    })
}

/// `function_call` of a message; `id` is ours.
pub(super) fn decode_legacy_call(
    value: Value,
    path: Path<'_>,
    id: String,
    broken: Broken,
) -> Result<Block, WireError> {
    let mut call = Object::new(value, path)?;
    let (name, (input, raw)) = decode_function(&mut call, broken)?;
    call.mark(LEGACY);
    keep_raw(&mut call, raw);
    let extra = call.rest(DIALECT);
    let kind = BlockKind::ToolUse { id, name, input };
    Ok(Block {
        kind,
        cache: None,
        extra,
    })
}

type Arguments = (Json, Option<String>);

fn decode_function(
    function: &mut Object<'_>,
    broken: Broken,
) -> Result<(String, Arguments), WireError> {
    let name = function.string("name")?;
    let arguments = match function.take("arguments") {
        None => String::new(),
        Some(Value::String(arguments)) => arguments,
        Some(object @ Value::Object(_)) => object.to_string(), // some copies forget to quote it
        Some(_) => return Err(function.kind("arguments", "a string")),
    };
    if arguments.trim().is_empty() {
        return Ok((name, (Json(json!({})), Some(arguments))));
    }
    let input = match serde_json::from_str(&arguments) {
        Ok(input @ Value::Object(_)) => input,
        _ if broken == Broken::Kept => return Ok((name, (Json(Value::String(arguments)), None))),
        _ => return Err(function.kind("arguments", "a JSON object in a string")),
    };
    let ours = input.to_string();
    let differs = ours != arguments;
    Ok((name, (Json(input), differs.then_some(arguments))))
}

fn keep_raw(call: &mut Object<'_>, raw: Option<String>) {
    if let Some(raw) = raw {
        call.put_back(RAW, Value::String(raw));
    }
}

/// Arguments as a string: as they came, unless somebody changed them.
pub(super) fn arguments(input: &Json, extra: &Extra) -> String {
    let raw = extra
        .of(DIALECT)
        .and_then(|fields| fields.get(RAW)?.as_str());
    match (raw, &input.0) {
        (Some(raw), input) if says(raw, input) => raw.to_owned(),
        (_, Value::String(broken)) => broken.clone(),
        (_, input) => input.to_string(),
    }
}

fn says(raw: &str, input: &Value) -> bool {
    if raw.trim().is_empty() {
        return input.as_object().is_some_and(Fields::is_empty);
    }
    serde_json::from_str::<Value>(raw).is_ok_and(|said| said == *input)
}

pub(super) fn encode_call(id: &str, name: &str, arguments: &str) -> Fields {
    let function = json!({"name": name, "arguments": arguments});
    let mut out = Fields::new();
    out.insert("id".into(), Value::from(id));
    out.insert("type".into(), Value::from("function"));
    out.insert("function".into(), function);
    out
}

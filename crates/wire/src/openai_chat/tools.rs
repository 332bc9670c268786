//! Tools and the choice among them, in today's words and those of before (`functions`, `function_call`).

use inhouse_chat::{ChatRequest, Dialect, Fields, Json, Tool, ToolChoice, ToolMode};
use serde_json::{Value, json};

use super::DIALECT;
use super::calls::LEGACY;
use crate::WireError;
use crate::fields::{Mark, Object, came_in, marked, set};
use crate::note::Notes;
use crate::path::Path;

/// A function without `parameters`, which is one without arguments.
const NO_PARAMETERS: Mark = "\0no parameters";

/// `parallel_tool_calls` without a `tool_choice`.
const NO_CHOICE: Mark = "\0no tool_choice";

pub(super) fn decode(body: &mut Object<'_>) -> Result<Vec<Tool>, WireError> {
    let mut tools = body.opt_each("tools", decode_tool)?;
    tools.extend(body.opt_each("functions", |value, path| {
        let mut function = Object::new(value, path)?;
        let (tool, no_parameters) = decode_function(&mut function)?;
        function.mark(LEGACY);
        Ok(with_extra(tool, no_parameters, function))
    })?);
    Ok(tools)
}

fn decode_tool(value: Value, path: Path<'_>) -> Result<Tool, WireError> {
    let mut object = Object::new(value, path)?;
    let Some((tool, no_parameters)) = object.opt_object("function", decode_function)? else {
        return Ok(own_tool(object));
    };
    if object.peek_str("type") == Some("function") {
        object.take("type");
    }
    Ok(with_extra(tool, no_parameters, object))
}

fn with_extra(tool: Tool, no_parameters: bool, mut object: Object<'_>) -> Tool {
    if no_parameters {
        object.mark(NO_PARAMETERS);
    }
    let extra = object.rest(DIALECT);
    Tool { extra, ..tool }
}

/// A tool of the provider, or one that does not take JSON: kept whole.
fn own_tool(object: Object<'_>) -> Tool {
    let custom = object.peek("custom").and_then(|custom| custom.get("name"));
    let name = custom.and_then(Value::as_str).or(object.peek_str("type"));
    Tool {
        name: name.unwrap_or_default().to_owned(),
        description: None,
        input_schema: None,
        strict: None,
        cache: None,
        extra: object.rest(DIALECT),
    }
}

/// A function, and whether it came without `parameters`.
fn decode_function(function: &mut Object<'_>) -> Result<(Tool, bool), WireError> {
    let schema = function.opt_json_object("parameters")?;
    let no_parameters = schema.is_none();
    let nothing = || Json(json!({"type": "object", "properties": {}}));
    let tool = Tool {
        name: function.string("name")?,
        description: function.opt_text("description")?,
        input_schema: Some(schema.unwrap_or_else(nothing)),
        strict: function.opt_bool("strict")?,
        cache: None,
        extra: inhouse_chat::Extra::default(),
    };
    Ok((tool, no_parameters))
}

pub(super) fn decode_choice(body: &mut Object<'_>) -> Result<Option<ToolChoice>, WireError> {
    let name = match body.peek("function_call") {
        Some(_) => "function_call",
        None => "tool_choice",
    };
    let mode = match body.peek(name) {
        None => None,
        Some(choice) => match mode(choice) {
            None => return Ok(None), // with `parallel_tool_calls`, to be forwarded
            mode => mode,
        },
    };
    let parallel = body.opt_bool("parallel_tool_calls")?;
    if mode.is_none() && parallel.is_none() {
        return Ok(None);
    }
    body.take(name);
    match mode {
        None => body.mark(NO_CHOICE),
        Some(_) if name == "function_call" => body.mark(LEGACY),
        Some(_) => {}
    }
    let mode = mode.unwrap_or_default();
    Ok(Some(ToolChoice { mode, parallel }))
}

fn mode(choice: &Value) -> Option<ToolMode> {
    match choice {
        Value::String(word) => match word.as_str() {
            "auto" => Some(ToolMode::Auto),
            "none" => Some(ToolMode::None),
            "required" | "any" => Some(ToolMode::Any),
            _ => None,
        },
        _ => {
            let named = choice.get("function").unwrap_or(choice);
            let name = named.get("name")?.as_str()?.to_owned();
            Some(ToolMode::Tool(name))
        }
    }
}

pub(super) fn encode(
    request: &ChatRequest,
    notes: &mut Notes,
    out: &mut Fields,
) -> Result<(), WireError> {
    let root = Path::Root;
    let path = root.field("tools");
    let (mut tools, mut functions) = (Vec::new(), Vec::new());
    for (index, tool) in request.tools.iter().enumerate() {
        let legacy = marked(&tool.extra, DIALECT, LEGACY);
        let list = if legacy { &mut functions } else { &mut tools };
        list.push(encode_tool(tool, legacy, notes, &path.index(index))?);
    }
    set(out, "tools", (!tools.is_empty()).then_some(tools));
    set(
        out,
        "functions",
        (!functions.is_empty()).then_some(functions),
    );
    if let Some(choice) = &request.tool_choice {
        encode_choice(request, choice, notes, out);
    }
    Ok(())
}

fn encode_tool(
    tool: &Tool,
    legacy: bool,
    notes: &mut Notes,
    path: &Path<'_>,
) -> Result<Value, WireError> {
    let mut out = Fields::new();
    if tool.cache.is_some() {
        notes.left_out(&path.field("cache"));
    }
    match &tool.input_schema {
        None if tool.extra.of(DIALECT).is_none() => {
            let why = "only its own provider runs this tool; take it out or ask that provider";
            return Err(notes.refuse(path, why));
        }
        None => {}
        Some(schema) => {
            let mut function = Fields::new();
            set(&mut function, "name", Some(tool.name.as_str()));
            let description = tool.description.as_ref().map(|text| text.as_str());
            set(&mut function, "description", description);
            if !(marked(&tool.extra, DIALECT, NO_PARAMETERS) && is_nothing(schema)) {
                set(&mut function, "parameters", Some(schema.0.clone()));
            }
            set(&mut function, "strict", tool.strict);
            if legacy {
                out = function;
            } else {
                set(&mut out, "type", Some("function"));
                out.insert("function".into(), Value::Object(function));
            }
        }
    }
    notes.extra(&mut out, &tool.extra, path);
    Ok(Value::Object(out))
}

fn is_nothing(schema: &Json) -> bool {
    let properties = schema.0.get("properties").and_then(Value::as_object);
    properties.is_some_and(Fields::is_empty)
}

fn encode_choice(request: &ChatRequest, choice: &ToolChoice, notes: &mut Notes, out: &mut Fields) {
    let root = Path::Root;
    let ours = came_in(&request.extra) == Some(Dialect::OpenAiChat);
    if request.tools.is_empty() && !ours {
        notes.left_out(&root.field("toolChoice")); // refused where there are no tools
        return;
    }
    let legacy = marked(&request.extra, DIALECT, LEGACY);
    let value = match &choice.mode {
        ToolMode::Auto => json!("auto"),
        ToolMode::None => json!("none"),
        ToolMode::Any => json!("required"),
        ToolMode::Tool(name) if legacy => json!({"name": name}),
        ToolMode::Tool(name) => json!({"type": "function", "function": {"name": name}}),
    };
    let unstated = marked(&request.extra, DIALECT, NO_CHOICE) && choice.mode == ToolMode::Auto;
    if !unstated {
        let name = if legacy {
            "function_call"
        } else {
            "tool_choice"
        };
        out.insert(name.into(), value);
    }
    set(out, "parallel_tool_calls", choice.parallel);
}

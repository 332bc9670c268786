//! Tools, and whether they must be used.

use inhouse_chat::{Extra, Fields, Tool, ToolChoice, ToolMode};
use serde_json::{Value, json};

use super::schema::to_json_schema;
use super::{DIALECT, own};
use crate::WireError;
use crate::fields::{Object, each, marked, merge};
use crate::note::Notes;
use crate::path::Path;

/// Which entry of `tools` it came in: functions stand together in one.
const ENTRY: &str = "\0entry";
/// The schema as `parameters` had it.
const PARAMETERS: &str = "\0parameters";
/// A function without a schema.
const NO_SCHEMA: &str = "\0noSchema";

pub(super) fn decode(body: &mut Object<'_>) -> Result<Vec<Tool>, WireError> {
    let mut tools = Vec::new();
    if body.peek("tools") == Some(&json!([])) {
        return Ok(tools); // it stays, to be forwarded
    }
    let entries = body.opt_array("tools")?.unwrap_or_default();
    let path = body.path();
    each(entries, &path.field("tools"), |entry, path| {
        let at = tools.len();
        decode_entry(entry, path, &mut tools)?;
        for tool in tools.iter_mut().skip(at) {
            let mut fields = tool.extra.of(DIALECT).cloned().unwrap_or_default();
            fields.insert(ENTRY.to_owned(), Value::from(at));
            tool.extra = Extra::new(DIALECT, fields);
        }
        Ok(())
    })?;
    Ok(tools)
}

fn decode_entry(value: Value, path: Path<'_>, tools: &mut Vec<Tool>) -> Result<(), WireError> {
    let mut entry = Object::new(value, path)?;
    let functions = entry.opt_each("functionDeclarations", decode_function)?;
    let none = functions.is_empty();
    tools.extend(functions);
    let left = entry.into_fields();
    if none || !left.is_empty() {
        tools.push(Tool {
            name: left.keys().next().cloned().unwrap_or_default(),
            description: None,
            input_schema: None,
            strict: None,
            cache: None,
            extra: Extra::new(DIALECT, left),
        });
    }
    Ok(())
}

fn decode_function(value: Value, path: Path<'_>) -> Result<Tool, WireError> {
    let mut function = Object::new(value, path)?;
    let schema = match function.opt_json_object("parameters")? {
        Some(schema) => {
            let converted = to_json_schema(&schema.0);
            function.put_back(PARAMETERS, schema.0);
            converted
        }
        None => match function.opt_json_object("parametersJsonSchema")? {
            Some(schema) => schema.0,
            None => {
                function.mark(NO_SCHEMA);
                json!({"type": "object", "properties": {}})
            }
        },
    };
    Ok(Tool {
        name: function.string("name")?,
        description: function.opt_text("description")?,
        input_schema: Some(schema.into()),
        strict: None,
        cache: None,
        extra: function.rest(DIALECT),
    })
}

pub(super) fn encode(tools: &[Tool], notes: &mut Notes) -> Result<Value, WireError> {
    let root = Path::Root;
    let path = root.field("tools");
    let mut entries: Vec<(Option<&Value>, Fields)> = Vec::new();
    for (index, tool) in tools.iter().enumerate() {
        let path = path.index(index);
        let at = own(&tool.extra, ENTRY);
        let known = entries.iter().position(|(entry, _)| *entry == at);
        let known = known.unwrap_or_else(|| {
            entries.push((at, Fields::new()));
            entries.len() - 1
        });
        if let Some((_, entry)) = entries.get_mut(known) {
            encode_tool(tool, entry, notes, &path)?;
        }
    }
    Ok(entries
        .into_iter()
        .map(|(_, entry)| entry)
        .collect::<Vec<_>>()
        .into())
}

fn encode_tool(
    tool: &Tool,
    entry: &mut Fields,
    notes: &mut Notes,
    path: &Path<'_>,
) -> Result<(), WireError> {
    if tool.cache.is_some() {
        notes.left_out(&path.field("cache"));
    }
    if tool.strict.is_some() {
        notes.left_out(&path.field("strict"));
    }
    let Some(schema) = &tool.input_schema else {
        let Some(fields) = tool.extra.of(DIALECT) else {
            let why = "only its own provider runs this tool; take it out or ask that provider";
            return Err(notes.refuse(path, why));
        };
        merge(entry, fields);
        return Ok(());
    };
    let mut function = Fields::new();
    function.insert("name".into(), Value::from(tool.name.as_str()));
    if let Some(description) = &tool.description {
        function.insert("description".into(), Value::from(description.as_str()));
    }
    match own(&tool.extra, PARAMETERS) {
        Some(parameters) if to_json_schema(parameters) == schema.0 => {
            function.insert("parameters".into(), parameters.clone());
        }
        _ if marked(&tool.extra, DIALECT, NO_SCHEMA) => {}
        _ => {
            function.insert("parametersJsonSchema".into(), schema.0.clone());
        }
    }
    notes.extra(&mut function, &tool.extra, path);
    let functions = entry
        .entry("functionDeclarations")
        .or_insert_with(|| json!([]));
    if let Value::Array(functions) = functions {
        functions.push(Value::Object(function));
    }
    Ok(())
}

/// A choice among several tools stays as it came.
pub(super) fn decode_choice(body: &mut Object<'_>) -> Result<Option<ToolChoice>, WireError> {
    let choice = body.opt_object("toolConfig", |config| {
        let calling = config.peek("functionCallingConfig");
        let Some(mode) = calling.and_then(choice_of) else {
            return Ok(None);
        };
        config.take("functionCallingConfig");
        Ok(Some(ToolChoice {
            mode,
            parallel: None,
        }))
    })?;
    Ok(choice.flatten())
}

fn choice_of(calling: &Value) -> Option<ToolMode> {
    let fields = calling.as_object()?;
    let names = match fields.get("allowedFunctionNames") {
        Some(names) => Some(names.as_array()?.as_slice()),
        None => None,
    };
    let others = fields.len() - usize::from(names.is_some());
    match (fields.get("mode")?.as_str()?, names, others) {
        ("AUTO", None, 1) => Some(ToolMode::Auto),
        ("NONE", None, 1) => Some(ToolMode::None),
        ("ANY", None, 1) => Some(ToolMode::Any),
        ("ANY", Some([Value::String(name)]), 1) => Some(ToolMode::Tool(name.clone())),
        _ => None,
    }
}

pub(super) fn encode_choice(choice: &ToolChoice, notes: &mut Notes, out: &mut Fields) {
    let calling = match &choice.mode {
        ToolMode::Auto => json!({"mode": "AUTO"}),
        ToolMode::None => json!({"mode": "NONE"}),
        ToolMode::Any => json!({"mode": "ANY"}),
        ToolMode::Tool(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
    };
    if choice.parallel.is_some() {
        notes.left_out(&Path::Root.field("toolChoice").field("parallel"));
    }
    out.insert(
        "toolConfig".into(),
        json!({"functionCallingConfig": calling}),
    );
}

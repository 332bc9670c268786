//! Requests.

use inhouse_chat::{
    ChatRequest, Effort, Fields, Reasoning, ResponseFormat, Tool, ToolChoice, ToolMode,
};
use serde_json::{Value, json};

use super::message::{Writing, decode_all};
use super::{DIALECT, own};
use crate::fields::{CAME, Object, marked, number, set};
use crate::note::Notes;
use crate::path::Path;
use crate::{Encoded, WireError};

/// `stream` was not stated, which means that it is wanted.
const UNSTATED: &str = "\0unstated";
/// `options` was there, and empty.
const EMPTY: &str = "\0emptyOptions";
/// `stop` was one string.
const ONE_STOP: &str = "\0oneStop";
/// A tool had no `type`.
const UNTYPED: &str = "\0untyped";
/// A function without a schema.
const NO_SCHEMA: &str = "\0noSchema";

pub(super) fn decode(body: Value) -> Result<ChatRequest, WireError> {
    let mut body = Object::new(body, Path::Root)?;
    let mut request = ChatRequest::new(body.string("model")?, []);
    request.messages = decode_all(&mut body)?;
    if body.peek("tools").is_some_and(|tools| *tools != json!([])) {
        request.tools = body.each("tools", decode_tool)?;
    }
    request.response_format = decode_format(&mut body);
    decode_options(&mut body, &mut request)?;
    request.reasoning = decode_think(&mut body);
    let stream = body.opt_bool("stream")?;
    if stream.is_none() {
        body.mark(UNSTATED);
    }
    request.stream = stream.unwrap_or(true);
    body.mark(CAME);
    request.extra = body.rest(DIALECT);
    Ok(request)
}

fn decode_tool(value: Value, path: Path<'_>) -> Result<Tool, WireError> {
    let mut tool = Object::new(value, path)?;
    let is_function = tool.peek_str("type").is_none_or(|kind| kind == "function");
    if !is_function || tool.peek("function").is_none() {
        return Ok(Tool {
            name: tool.peek_str("type").unwrap_or_default().to_owned(),
            description: None,
            input_schema: None,
            strict: None,
            cache: None,
            extra: tool.rest(DIALECT),
        });
    }
    if tool.take("type").is_none() {
        tool.mark(UNTYPED);
    }
    let function = tool.opt_object("function", |function| {
        let schema = function.opt_json_object("parameters")?;
        let description = function.opt_text("description")?;
        Ok((function.string("name")?, description, schema))
    })?;
    let (name, description, schema) = function.ok_or_else(|| tool.missing("function"))?;
    if schema.is_none() {
        tool.mark(NO_SCHEMA);
    }
    let no_schema = || json!({"type": "object", "properties": {}}).into();
    Ok(Tool {
        name,
        description,
        input_schema: Some(schema.unwrap_or_else(no_schema)),
        strict: None,
        cache: None,
        extra: tool.rest(DIALECT),
    })
}

/// An empty string, as some clients send it, says nothing and stays.
fn decode_format(body: &mut Object<'_>) -> Option<ResponseFormat> {
    match body.peek("format")? {
        Value::String(format) if format == "json" => {
            body.take("format");
            Some(ResponseFormat::JsonObject)
        }
        Value::Object(_) => Some(ResponseFormat::JsonSchema {
            name: None,
            schema: body.take("format")?.into(),
            strict: None,
        }),
        _ => None,
    }
}

fn decode_options(body: &mut Object<'_>, request: &mut ChatRequest) -> Result<(), WireError> {
    if body.peek("options") == Some(&json!({})) {
        body.mark(EMPTY);
    }
    let one_stop = body.opt_object("options", |options| {
        let sampling = &mut request.sampling;
        sampling.temperature = options.opt_real("temperature")?;
        sampling.top_p = options.opt_real("top_p")?;
        sampling.top_k = options.opt_u32("top_k")?;
        sampling.seed = options.opt_i64("seed")?;
        sampling.frequency_penalty = options.opt_real("frequency_penalty")?;
        sampling.presence_penalty = options.opt_real("presence_penalty")?;
        // Negative counts mean without end, and are forwarded.
        if options.peek("num_predict").is_some_and(Value::is_u64) {
            request.max_tokens = options.opt_u32("num_predict")?;
        }
        let stop = options.take("stop");
        let one_stop = matches!(stop, Some(Value::String(_)));
        let list = match stop {
            None => Vec::new(),
            Some(Value::Array(list)) => list,
            Some(one) => vec![one],
        };
        for stop in list {
            match stop {
                Value::String(stop) => request.stop.push(stop.into()),
                _ => return Err(options.kind("stop", "a string or a list of strings")),
            }
        }
        Ok(one_stop)
    })?;
    if one_stop == Some(true) {
        body.mark(ONE_STOP);
    }
    Ok(())
}

fn decode_think(body: &mut Object<'_>) -> Option<Reasoning> {
    let reasoning = match body.peek("think")? {
        Value::Bool(false) => Reasoning::Off,
        Value::Bool(true) => Reasoning::Adaptive,
        Value::String(level) => match level.as_str() {
            "low" => Reasoning::Effort(Effort::Low),
            "medium" => Reasoning::Effort(Effort::Medium),
            "high" => Reasoning::Effort(Effort::High),
            "max" => Reasoning::Effort(Effort::Max),
            _ => return None, // to be forwarded
        },
        _ => return None,
    };
    body.take("think");
    Some(reasoning)
}

pub(super) fn encode(request: &ChatRequest) -> Result<Encoded, WireError> {
    let mut writing = Writing {
        notes: Notes::new(DIALECT),
        answer: false,
        messages: &request.messages,
    };
    let mut out = Fields::new();
    set(&mut out, "model", Some(request.model.as_str()));
    let (root, mut messages) = (Path::Root, Vec::new());
    let path = root.field("messages");
    for (index, message) in request.messages.iter().enumerate() {
        writing.message(message, &path.index(index), &mut messages)?;
    }
    out.insert("messages".into(), Value::Array(messages));
    let mut notes = writing.notes;
    encode_tools(request, &mut notes, &mut out)?;
    encode_format(request.response_format.as_ref(), &mut notes, &mut out);
    encode_options(request, &mut out);
    encode_think(request.reasoning.as_ref(), &mut notes, &mut out);
    if !(request.stream && own(&request.extra, UNSTATED).is_some()) {
        out.insert("stream".into(), Value::Bool(request.stream));
    }
    notes.extra(&mut out, &request.extra, &root);
    Ok(notes.encoded(out))
}

/// There is no choice here: where none may be used, none is sent.
fn encode_tools(
    request: &ChatRequest,
    notes: &mut Notes,
    out: &mut Fields,
) -> Result<(), WireError> {
    let root = Path::Root;
    let choice = root.field("toolChoice");
    if let Some(ToolChoice { mode, parallel }) = &request.tool_choice {
        match mode {
            ToolMode::Auto => {}
            ToolMode::None => notes.changed(&choice, "kept by sending no tools"),
            ToolMode::Any | ToolMode::Tool(_) => notes.left_out(&choice),
        }
        if parallel.is_some() {
            notes.left_out(&choice.field("parallel"));
        }
        if *mode == ToolMode::None {
            return Ok(());
        }
    }
    let path = root.field("tools");
    let mut list = Vec::with_capacity(request.tools.len());
    for (index, tool) in request.tools.iter().enumerate() {
        list.push(encode_tool(tool, notes, &path.index(index))?);
    }
    set(out, "tools", (!list.is_empty()).then_some(list));
    Ok(())
}

fn encode_tool(tool: &Tool, notes: &mut Notes, path: &Path<'_>) -> Result<Value, WireError> {
    let mut out = Fields::new();
    let is = |mark| marked(&tool.extra, DIALECT, mark);
    match &tool.input_schema {
        None if tool.extra.of(DIALECT).is_none() => {
            let why = "only its own provider runs this tool; take it out or ask that provider";
            return Err(notes.refuse(path, why));
        }
        None => {}
        Some(schema) => {
            if !is(UNTYPED) {
                out.insert("type".into(), "function".into());
            }
            let mut function = Fields::new();
            set(&mut function, "name", Some(tool.name.as_str()));
            let description = tool.description.as_ref().map(|text| text.as_str());
            set(&mut function, "description", description);
            if !is(NO_SCHEMA) {
                function.insert("parameters".into(), schema.0.clone());
            }
            out.insert("function".into(), Value::Object(function));
        }
    }
    for (name, stated) in [
        ("cache", tool.cache.is_some()),
        ("strict", tool.strict.is_some()),
    ] {
        if stated {
            notes.left_out(&path.field(name));
        }
    }
    notes.extra(&mut out, &tool.extra, path);
    Ok(Value::Object(out))
}

fn encode_format(format: Option<&ResponseFormat>, notes: &mut Notes, out: &mut Fields) {
    match format {
        None | Some(ResponseFormat::Text) => {}
        Some(ResponseFormat::JsonObject) => set(out, "format", Some("json")),
        Some(ResponseFormat::JsonSchema {
            name,
            schema,
            strict,
        }) => {
            let root = Path::Root;
            let path = root.field("responseFormat");
            if name.is_some() {
                notes.left_out(&path.field("name"));
            }
            if *strict == Some(false) {
                notes.changed(&path.field("strict"), "made strict");
            }
            out.insert("format".into(), schema.0.clone());
        }
    }
}

fn encode_options(request: &ChatRequest, out: &mut Fields) {
    let mut options = Fields::new();
    let sampling = &request.sampling;
    set(&mut options, "num_predict", request.max_tokens);
    set(
        &mut options,
        "temperature",
        sampling.temperature.map(number),
    );
    set(&mut options, "top_p", sampling.top_p.map(number));
    set(&mut options, "top_k", sampling.top_k);
    set(&mut options, "seed", sampling.seed);
    set(
        &mut options,
        "frequency_penalty",
        sampling.frequency_penalty.map(number),
    );
    set(
        &mut options,
        "presence_penalty",
        sampling.presence_penalty.map(number),
    );
    let stop: Vec<&str> = request.stop.iter().map(|stop| stop.as_str()).collect();
    let stop = match stop.as_slice() {
        [] => None,
        [one] if own(&request.extra, ONE_STOP).is_some() => Some(json!(one)),
        list => Some(json!(list)),
    };
    set(&mut options, "stop", stop);
    if !options.is_empty() || own(&request.extra, EMPTY).is_some() {
        out.insert("options".into(), Value::Object(options));
    }
}

fn encode_think(reasoning: Option<&Reasoning>, notes: &mut Notes, out: &mut Fields) {
    let root = Path::Root;
    let path = root.field("reasoning");
    let think = match reasoning {
        None => return,
        Some(Reasoning::Off) => json!(false),
        Some(Reasoning::Adaptive) => json!(true),
        Some(Reasoning::Budget(_)) => {
            notes.changed(&path, "taken without its budget");
            json!(true)
        }
        Some(Reasoning::Effort(effort)) => match effort {
            Effort::Minimal => {
                notes.changed(&path, "raised to low");
                json!("low")
            }
            Effort::Low => json!("low"),
            Effort::Medium => json!("medium"),
            Effort::High => json!("high"),
            Effort::ExtraHigh => {
                notes.changed(&path, "lowered to high");
                json!("high")
            }
            Effort::Max => json!("max"),
        },
    };
    out.insert("think".into(), think);
}

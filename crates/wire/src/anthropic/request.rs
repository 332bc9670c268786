//! Requests.

use inhouse_chat::{
    ChatRequest, Effort, Fields, Message, Reasoning, ResponseFormat, Role, Sampling, Tool,
    ToolChoice, ToolMode,
};
use serde_json::{Value, json};

use super::DIALECT;
use super::content::{Writing, decode_blocks, decode_cache, decode_content, encode_cache};
use crate::fields::{CAME, LISTED, Mark, Object, came_in, kind, marked, number, set};
use crate::note::Notes;
use crate::path::Path;
use crate::{Encoded, WireError};

/// `max_tokens` of a request that does not state it: the protocol demands one. A budget for thinking comes on top.
const DEFAULT_MAX_TOKENS: u32 = 8192;

/// A system message that stood among the others, not in `system`.
const INSIDE: Mark = "\0inside";

pub(super) fn decode(body: Value) -> Result<ChatRequest, WireError> {
    let mut body = Object::new(body, Path::Root)?;
    let mut request = ChatRequest::new(body.string("model")?, []);
    request.messages.extend(decode_system(&mut body)?);
    request
        .messages
        .extend(body.each("messages", decode_message)?);
    request.tools = body.opt_each("tools", decode_tool)?;
    request.tool_choice = decode_tool_choice(&mut body)?;
    request.sampling = Sampling {
        temperature: body.opt_real("temperature")?,
        top_p: body.opt_real("top_p")?,
        top_k: body.opt_u32("top_k")?,
        ..Sampling::default()
    };
    request.max_tokens = body.opt_u32("max_tokens")?;
    request.stop = body.opt_each("stop_sequences", |stop, path| match stop {
        Value::String(stop) => Ok(stop.into()),
        _ => Err(kind(&path, "a string")),
    })?;
    request.response_format = decode_format(&mut body)?;
    request.reasoning = decode_reasoning(&mut body)?;
    request.stream = body.peek("stream") == Some(&Value::Bool(true));
    if request.stream {
        body.take("stream");
    }
    // The name of a user is known to policy and ledger, and goes to this protocol only, as it came.
    let user = body.peek("metadata").and_then(|data| data.get("user_id"));
    request.metadata.user = user.and_then(Value::as_str).map(str::to_owned);
    body.mark(CAME);
    request.extra = body.rest(DIALECT);
    Ok(request)
}

fn decode_system(body: &mut Object<'_>) -> Result<Option<Message>, WireError> {
    Ok(match body.take("system") {
        None => None,
        Some(Value::String(text)) => Some(Message::system(text)),
        Some(Value::Array(items)) => {
            let blocks = decode_blocks(items, &body.path().field("system"))?;
            let mut message = Message::new(Role::System, blocks);
            let mark = Fields::from_iter([(LISTED.to_owned(), Value::Bool(true))]);
            message.extra = inhouse_chat::Extra::new(DIALECT, mark);
            Some(message)
        }
        Some(_) => return Err(body.kind("system", "a string or a list")),
    })
}

fn decode_message(value: Value, path: Path<'_>) -> Result<Message, WireError> {
    let mut object = Object::new(value, path)?;
    let role = match object.string("role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => {
            object.mark(INSIDE);
            Role::System
        }
        _ => return Err(object.kind("role", "user, assistant or system")),
    };
    let content = decode_content(&mut object)?;
    let extra = object.rest(DIALECT);
    Ok(Message {
        role,
        content,
        extra,
    })
}

fn decode_tool(value: Value, path: Path<'_>) -> Result<Tool, WireError> {
    let mut object = Object::new(value, path)?;
    let own = object.peek_str("type").is_some_and(|kind| kind != "custom");
    let input_schema = object.opt_json_object("input_schema")?;
    if input_schema.is_none() && !own {
        return Err(object.missing("input_schema"));
    }
    Ok(Tool {
        // Some of the provider's own tools have no name.
        name: match own {
            true => object.opt_string("name")?.unwrap_or_default(),
            false => object.string("name")?,
        },
        description: object.opt_text("description")?,
        input_schema,
        strict: object.opt_bool("strict")?,
        cache: decode_cache(&mut object)?,
        extra: object.rest(DIALECT),
    })
}

fn decode_tool_choice(body: &mut Object<'_>) -> Result<Option<ToolChoice>, WireError> {
    let known = body
        .peek("tool_choice")
        .and_then(|choice| choice.get("type")?.as_str())
        .is_some_and(|kind| matches!(kind, "auto" | "any" | "tool" | "none"));
    if !known {
        return Ok(None); // to be forwarded
    }
    body.opt_object("tool_choice", |choice| {
        let mode = match choice.string("type")?.as_str() {
            "any" => ToolMode::Any,
            "tool" => ToolMode::Tool(choice.string("name")?),
            "none" => ToolMode::None,
            _ => ToolMode::Auto,
        };
        let parallel = choice.opt_bool("disable_parallel_tool_use")?;
        Ok(ToolChoice {
            mode,
            parallel: parallel.map(|disabled| !disabled),
        })
    })
}

fn decode_format(body: &mut Object<'_>) -> Result<Option<ResponseFormat>, WireError> {
    let format = body.opt_object("output_config", |config| {
        let known = config.peek("format").is_some_and(|format| {
            format.get("type").and_then(Value::as_str) == Some("json_schema")
        });
        if !known {
            return Ok(None);
        }
        config.opt_object("format", |format| {
            format.take("type");
            Ok(ResponseFormat::JsonSchema {
                name: None,
                schema: format
                    .opt_json_object("schema")?
                    .ok_or_else(|| format.missing("schema"))?,
                strict: None,
            })
        })
    })?;
    Ok(format.flatten())
}

/// `thinking` and `output_config.effort` can both be there: of one that our [`Reasoning`] cannot also say, everything is
/// left, to be forwarded.
fn decode_reasoning(body: &mut Object<'_>) -> Result<Option<Reasoning>, WireError> {
    let thinking = body
        .peek("thinking")
        .and_then(|thinking| thinking.get("type")?.as_str());
    let has_effort = body
        .peek("output_config")
        .and_then(|config| config.get("effort"))
        .is_some_and(|effort| !effort.is_null());
    match thinking {
        Some("enabled") => body.opt_object("thinking", |thinking| {
            thinking.take("type");
            let budget = thinking.opt_u32("budget_tokens")?;
            let budget = budget.ok_or_else(|| thinking.missing("budget_tokens"))?;
            Ok(Reasoning::Budget(budget))
        }),
        Some("disabled") => take_type(body, Reasoning::Off),
        Some("adaptive") if !has_effort => take_type(body, Reasoning::Adaptive),
        _ => decode_effort(body),
    }
}

fn take_type(body: &mut Object<'_>, reasoning: Reasoning) -> Result<Option<Reasoning>, WireError> {
    body.opt_object("thinking", |thinking| {
        thinking.take("type");
        Ok(reasoning)
    })
}

fn decode_effort(body: &mut Object<'_>) -> Result<Option<Reasoning>, WireError> {
    let effort = body.opt_object("output_config", |config| {
        let effort = match config.peek_str("effort") {
            Some("low") => Effort::Low,
            Some("medium") => Effort::Medium,
            Some("high") => Effort::High,
            Some("xhigh") => Effort::ExtraHigh,
            Some("max") => Effort::Max,
            _ => return Ok(None),
        };
        config.take("effort");
        Ok(Some(Reasoning::Effort(effort)))
    })?;
    Ok(effort.flatten())
}

pub(super) fn encode(request: &ChatRequest) -> Result<Encoded, WireError> {
    let mut writing = Writing {
        notes: Notes::new(DIALECT),
        came_in: came_in(&request.extra),
        answer: false,
    };
    let mut out = Fields::new();
    set(&mut out, "model", Some(request.model.as_str()));
    set(
        &mut out,
        "max_tokens",
        Some(max_tokens(request, &mut writing.notes)),
    );
    encode_messages(&request.messages, &mut writing, &mut out)?;
    let mut notes = writing.notes;
    if !request.tools.is_empty() {
        out.insert("tools".into(), encode_tools(&request.tools, &mut notes)?);
    }
    encode_tool_choice(request.tool_choice.as_ref(), &mut notes, &mut out);
    encode_sampling(&request.sampling, &mut notes, &mut out);
    encode_stop(request, &mut notes, &mut out);
    encode_output(request, &mut notes, &mut out);
    set(&mut out, "stream", request.stream.then_some(true));
    notes.extra(&mut out, &request.extra, &Path::Root);
    Ok(notes.encoded(out))
}

fn max_tokens(request: &ChatRequest, notes: &mut Notes) -> u32 {
    request.max_tokens.unwrap_or_else(|| {
        let how = "set to 8192 and the budget for thinking, because one is demanded,";
        notes.changed(&Path::Root.field("maxTokens"), how);
        let thinking = match request.reasoning {
            Some(Reasoning::Budget(budget)) => budget,
            _ => 0,
        };
        DEFAULT_MAX_TOKENS.saturating_add(thinking)
    })
}

/// The leading instructions are `system`, the others stay where they stand.
fn encode_messages(
    messages: &[Message],
    writing: &mut Writing,
    out: &mut Fields,
) -> Result<(), WireError> {
    let root = Path::Root;
    let path = root.field("messages");
    let leads = |message: &&Message| {
        message.role == Role::System && !marked(&message.extra, DIALECT, INSIDE)
    };
    let leading = messages.iter().take_while(leads).count();
    let (system, others) = messages.split_at(leading);
    if let Some(system) = encode_system(system, writing, &path)? {
        out.insert("system".into(), system);
    }
    let mut list = Vec::with_capacity(others.len());
    for (index, message) in others.iter().enumerate() {
        let path = path.index(leading + index);
        list.push(encode_message(message, writing, &path)?);
    }
    out.insert("messages".into(), Value::Array(list));
    Ok(())
}

fn encode_system(
    messages: &[Message],
    writing: &mut Writing,
    path: &Path<'_>,
) -> Result<Option<Value>, WireError> {
    let mut blocks = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let path = path.index(index);
        writing.notes.foreign(&message.extra, &path);
        let content = writing.content(&message.content, &message.extra, &path.field("content"))?;
        match content {
            Value::Array(items) => blocks.extend(items),
            text if messages.len() == 1 => return Ok(Some(text)),
            text => blocks.push(json!({"type": "text", "text": text})),
        }
    }
    Ok((!messages.is_empty()).then_some(Value::Array(blocks)))
}

fn encode_message(
    message: &Message,
    writing: &mut Writing,
    path: &Path<'_>,
) -> Result<Value, WireError> {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let mut out = Fields::new();
    set(&mut out, "role", Some(role));
    let content = writing.content(&message.content, &message.extra, &path.field("content"))?;
    out.insert("content".into(), content);
    writing.notes.extra(&mut out, &message.extra, path);
    Ok(Value::Object(out))
}

fn encode_tools(tools: &[Tool], notes: &mut Notes) -> Result<Value, WireError> {
    let root = Path::Root;
    let path = root.field("tools");
    let mut list = Vec::with_capacity(tools.len());
    for (index, tool) in tools.iter().enumerate() {
        list.push(encode_tool(tool, notes, &path.index(index))?);
    }
    Ok(Value::Array(list))
}

fn encode_tool(tool: &Tool, notes: &mut Notes, path: &Path<'_>) -> Result<Value, WireError> {
    if tool.input_schema.is_none() && tool.extra.of(DIALECT).is_none() {
        let why = "only its own provider runs this tool; take it out or ask that provider";
        return Err(notes.refuse(path, why));
    }
    let mut out = Fields::new();
    set(
        &mut out,
        "name",
        Some(tool.name.as_str()).filter(|name| !name.is_empty()),
    );
    set(
        &mut out,
        "description",
        tool.description.as_ref().map(|text| text.as_str()),
    );
    set(
        &mut out,
        "input_schema",
        tool.input_schema.as_ref().map(|schema| schema.0.clone()),
    );
    set(&mut out, "strict", tool.strict);
    encode_cache(&mut out, tool.cache, &tool.extra);
    notes.extra(&mut out, &tool.extra, path);
    Ok(Value::Object(out))
}

fn encode_tool_choice(choice: Option<&ToolChoice>, notes: &mut Notes, out: &mut Fields) {
    let Some(choice) = choice else { return };
    let mut value = match &choice.mode {
        ToolMode::Auto => json!({"type": "auto"}),
        ToolMode::None => json!({"type": "none"}),
        ToolMode::Any => json!({"type": "any"}),
        ToolMode::Tool(name) => json!({"type": "tool", "name": name}),
    };
    match choice.parallel {
        Some(_) if choice.mode == ToolMode::None => {
            notes.left_out(&Path::Root.field("toolChoice").field("parallel"));
        }
        Some(parallel) => value["disable_parallel_tool_use"] = Value::Bool(!parallel),
        None => {}
    }
    out.insert("tool_choice".into(), value);
}

fn encode_sampling(sampling: &Sampling, notes: &mut Notes, out: &mut Fields) {
    let root = Path::Root;
    let temperature = sampling.temperature.map(|value| {
        if value.get() > 1.0 {
            notes.changed(&root.field("temperature"), "clamped to 1");
            return Value::from(1);
        }
        number(value)
    });
    set(out, "temperature", temperature);
    set(out, "top_p", sampling.top_p.map(number));
    set(out, "top_k", sampling.top_k);
    for (name, stated) in [
        ("seed", sampling.seed.is_some()),
        ("frequencyPenalty", sampling.frequency_penalty.is_some()),
        ("presencePenalty", sampling.presence_penalty.is_some()),
    ] {
        if stated {
            notes.left_out(&root.field(name));
        }
    }
}

/// Anthropic refuses texts of nothing but blanks, which other protocols take.
fn encode_stop(request: &ChatRequest, notes: &mut Notes, out: &mut Fields) {
    let root = Path::Root;
    let ours = came_in(&request.extra) == Some(DIALECT);
    let mut list = Vec::new();
    for (index, stop) in request.stop.iter().enumerate() {
        if ours || !stop.as_str().trim().is_empty() {
            list.push(Value::from(stop.as_str()));
        } else {
            notes.left_out(&root.field("stop").index(index));
        }
    }
    set(out, "stop_sequences", (!list.is_empty()).then_some(list));
}

fn encode_output(request: &ChatRequest, notes: &mut Notes, out: &mut Fields) {
    let mut config = Fields::new();
    let root = Path::Root;
    match request.reasoning {
        None => {}
        Some(Reasoning::Off) => set(out, "thinking", Some(json!({"type": "disabled"}))),
        Some(Reasoning::Adaptive) => set(out, "thinking", Some(json!({"type": "adaptive"}))),
        Some(Reasoning::Budget(budget)) => {
            let thinking = json!({"type": "enabled", "budget_tokens": budget});
            set(out, "thinking", Some(thinking));
        }
        Some(Reasoning::Effort(effort)) => {
            if effort == Effort::Minimal {
                notes.changed(&root.field("reasoning"), "raised to low");
            }
            set(&mut config, "effort", Some(effort_name(effort)));
        }
    }
    match &request.response_format {
        None | Some(ResponseFormat::Text) => {}
        Some(ResponseFormat::JsonObject) => notes.left_out(&root.field("responseFormat")),
        Some(ResponseFormat::JsonSchema {
            name,
            schema,
            strict,
        }) => {
            let path = root.field("responseFormat");
            if name.is_some() {
                notes.left_out(&path.field("name"));
            }
            if *strict == Some(false) {
                notes.changed(&path.field("strict"), "made strict");
            }
            let format = json!({"type": "json_schema", "schema": schema.0});
            set(&mut config, "format", Some(format));
        }
    }
    set(out, "output_config", (!config.is_empty()).then_some(config));
}

fn effort_name(effort: Effort) -> &'static str {
    match effort {
        Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::ExtraHigh => "xhigh",
        Effort::Max => "max",
    }
}

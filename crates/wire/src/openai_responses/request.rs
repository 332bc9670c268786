//! Requests.

use inhouse_chat::{
    Block, BlockKind, ChatRequest, Effort, Extra, Fields, Message, Reasoning, ResponseFormat, Role,
    Sampling, Tool, ToolChoice, ToolMode,
};
use serde_json::{Value, json};

use super::items::{self, Item, Writing, decode_item};
use super::{DIALECT, with};
use crate::fields::{CAME, Object, came_in, marked, merge, number, set};
use crate::note::Notes;
use crate::path::Path;
use crate::{Encoded, WireError};

/// `stream` was stated to be false.
const WHOLE: &str = "\0whole";
/// `input` was a string.
const STRING: &str = "\0string";
/// A message that was `instructions`.
const INSTRUCTIONS: &str = "\0instructions";
/// What the model reads though it is not here, but with the provider: another one cannot, and refuses.
const ELSEWHERE: [&str; 3] = ["previous_response_id", "conversation", "prompt"];
/// On the part that stands for it.
const CONTEXT: &str = "\0context";
/// `tool_choice` was not stated, or is one that stays as it came.
const NO_CHOICE: &str = "\0noChoice";
/// A function did not state whether it is strict, or has no schema.
const UNSTATED: &str = "\0unstated";
const NO_SCHEMA: &str = "\0noSchema";

pub(super) fn decode(body: Value) -> Result<ChatRequest, WireError> {
    let mut body = Object::new(body, Path::Root)?;
    let mut request = ChatRequest::new(body.string("model")?, []);
    request.messages.extend(decode_instructions(&mut body)?);
    request.messages.extend(decode_context(&mut body));
    decode_input(&mut body, &mut request.messages)?;
    if body.peek("tools") != Some(&json!([])) {
        request.tools = body.opt_each("tools", decode_tool)?;
    }
    request.tool_choice = decode_tool_choice(&mut body)?;
    request.sampling = Sampling {
        temperature: body.opt_real("temperature")?,
        top_p: body.opt_real("top_p")?,
        ..Sampling::default()
    };
    request.max_tokens = body.opt_u32("max_output_tokens")?;
    request.response_format = decode_format(&mut body)?;
    request.reasoning = decode_reasoning(&mut body)?;
    let stream = body.opt_bool("stream")?;
    request.stream = stream.unwrap_or(false);
    if stream == Some(false) {
        body.mark(WHOLE);
    }
    // Known to policy and ledger, and forwarded to this protocol only, as it came.
    request.metadata.user = body.peek_str("user").map(str::to_owned);
    body.mark(CAME);
    request.extra = body.rest(DIALECT);
    Ok(request)
}

fn decode_instructions(body: &mut Object<'_>) -> Result<Option<Message>, WireError> {
    let text = body.opt_text("instructions")?;
    Ok(text.map(|text| {
        let mut message = Message::system(text);
        message.extra = with(&Extra::default(), INSTRUCTIONS, Value::Bool(true));
        message
    }))
}

fn decode_context(body: &mut Object<'_>) -> Option<Message> {
    let taken = ELSEWHERE
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), body.take(name)?)));
    let context = Fields::from_iter(taken);
    (!context.is_empty()).then(|| {
        let mut block = items::other(context);
        block.extra = with(&block.extra, CONTEXT, Value::Bool(true));
        Message::new(Role::User, vec![block])
    })
}

fn context(message: &Message) -> Option<&Fields> {
    match message.content.as_slice() {
        [block] if marked(&block.extra, DIALECT, CONTEXT) => match &block.kind {
            BlockKind::Other { value, .. } => value.0.as_object(),
            _ => None,
        },
        _ => None,
    }
}

fn decode_input(body: &mut Object<'_>, messages: &mut Vec<Message>) -> Result<(), WireError> {
    match body.take("input") {
        Some(Value::String(text)) => {
            body.mark(STRING);
            messages.push(Message::user(text));
        }
        Some(Value::Array(items)) => {
            let path = body.path();
            for item in crate::fields::each(items, &path.field("input"), decode_item)? {
                push_item(messages, item);
            }
        }
        None => {} // a stored prompt may be all
        Some(_) => return Err(body.kind("input", "a string or a list")),
    }
    Ok(())
}

/// Items of the model's turn stand together, and so do the results of its calls.
fn push_item(messages: &mut Vec<Message>, item: Item) {
    let Item {
        role,
        blocks,
        is_message,
    } = item;
    if let Some(last) = messages.last_mut().filter(|last| last.role == role)
        && match role {
            Role::Assistant => true,
            Role::User => !is_message && last.content.iter().all(is_given),
            Role::System => false,
        }
    {
        last.content.extend(blocks);
        return;
    }
    messages.push(Message::new(role, blocks));
}

/// Whether a tool or an approval gave it, not the user's words.
fn is_given(block: &Block) -> bool {
    let other = matches!(block.kind, BlockKind::Other { .. }) && block.extra.is_empty();
    other || matches!(block.kind, BlockKind::ToolResult { .. })
}

fn decode_tool(value: Value, path: Path<'_>) -> Result<Tool, WireError> {
    let mut tool = Object::new(value, path)?;
    if tool.peek_str("type") != Some("function") {
        let name = tool.peek_str("name").or_else(|| tool.peek_str("type"));
        return Ok(Tool {
            name: name.unwrap_or_default().to_owned(),
            description: None,
            input_schema: None,
            strict: None,
            cache: None,
            extra: tool.rest(DIALECT),
        });
    }
    tool.take("type");
    let schema = tool.opt_json_object("parameters")?;
    if schema.is_none() {
        tool.mark(NO_SCHEMA);
    }
    let strict = tool.opt_bool("strict")?;
    if strict.is_none() {
        tool.mark(UNSTATED);
    }
    let no_schema = || json!({"type": "object", "properties": {}}).into();
    Ok(Tool {
        name: tool.string("name")?,
        description: tool.opt_text("description")?,
        input_schema: Some(schema.unwrap_or_else(no_schema)),
        strict,
        cache: None,
        extra: tool.rest(DIALECT),
    })
}

fn decode_tool_choice(body: &mut Object<'_>) -> Result<Option<ToolChoice>, WireError> {
    let mode = match body.peek("tool_choice") {
        Some(Value::String(mode)) => match mode.as_str() {
            "auto" => Some(ToolMode::Auto),
            "none" => Some(ToolMode::None),
            "required" => Some(ToolMode::Any),
            _ => None,
        },
        Some(Value::Object(choice)) => match (choice.get("type"), choice.get("name")) {
            (Some(Value::String(kind)), Some(Value::String(name)))
                if kind == "function" && choice.len() == 2 =>
            {
                Some(ToolMode::Tool(name.clone()))
            }
            _ => None,
        },
        _ => None,
    };
    let parallel = body.opt_bool("parallel_tool_calls")?;
    Ok(match mode {
        Some(mode) => {
            body.take("tool_choice");
            Some(ToolChoice { mode, parallel })
        }
        None => parallel.map(|parallel| {
            body.mark(NO_CHOICE);
            ToolChoice {
                mode: ToolMode::Auto,
                parallel: Some(parallel),
            }
        }),
    })
}

fn decode_format(body: &mut Object<'_>) -> Result<Option<ResponseFormat>, WireError> {
    let format = body.opt_object("text", |text| {
        let kind = text.peek("format").and_then(|format| format.get("type"));
        let known = matches!(
            kind.and_then(Value::as_str),
            Some("text" | "json_object" | "json_schema")
        );
        if !known {
            return Ok(None);
        }
        text.opt_object("format", |format| match format.string("type")?.as_str() {
            "text" => Ok(ResponseFormat::Text),
            "json_object" => Ok(ResponseFormat::JsonObject),
            _ => Ok(ResponseFormat::JsonSchema {
                name: format.opt_string("name")?,
                schema: format
                    .opt_json_object("schema")?
                    .ok_or_else(|| format.missing("schema"))?,
                strict: format.opt_bool("strict")?,
            }),
        })
    })?;
    Ok(format.flatten())
}

fn decode_reasoning(body: &mut Object<'_>) -> Result<Option<Reasoning>, WireError> {
    let reasoning = body.opt_object("reasoning", |reasoning| {
        let known = match reasoning.peek_str("effort") {
            Some("none") => Reasoning::Off,
            Some("minimal") => Reasoning::Effort(Effort::Minimal),
            Some("low") => Reasoning::Effort(Effort::Low),
            Some("medium") => Reasoning::Effort(Effort::Medium),
            Some("high") => Reasoning::Effort(Effort::High),
            Some("xhigh") => Reasoning::Effort(Effort::ExtraHigh),
            Some("max") => Reasoning::Effort(Effort::Max),
            _ => return Ok(None), // to be forwarded
        };
        reasoning.take("effort");
        Ok(Some(known))
    })?;
    Ok(reasoning.flatten())
}

pub(super) fn encode(request: &ChatRequest) -> Result<Encoded, WireError> {
    let mut writing = Writing {
        notes: Notes::new(DIALECT),
        came_in: came_in(&request.extra),
        answer: None,
        items: Vec::new(),
    };
    let mut out = Fields::new();
    set(&mut out, "model", Some(request.model.as_str()));
    encode_messages(request, &mut writing, &mut out)?;
    let mut notes = writing.notes;
    if !request.tools.is_empty() {
        out.insert("tools".into(), encode_tools(&request.tools, &mut notes)?);
    }
    encode_tool_choice(request, &mut out);
    encode_sampling(request, &mut notes, &mut out);
    encode_text(request.response_format.as_ref(), &mut notes, &mut out);
    encode_reasoning(request.reasoning.as_ref(), &mut notes, &mut out);
    if request.stream || marked(&request.extra, DIALECT, WHOLE) {
        out.insert("stream".into(), Value::Bool(request.stream));
    }
    if came_in(&request.extra) != Some(DIALECT) {
        // Nobody asked for the answer to be kept; unsaid, this API keeps it for thirty days.
        out.insert("store".into(), Value::Bool(false));
    }
    notes.extra(&mut out, &request.extra, &Path::Root);
    Ok(notes.encoded(out))
}

fn encode_messages(
    request: &ChatRequest,
    writing: &mut Writing<'_>,
    out: &mut Fields,
) -> Result<(), WireError> {
    let root = Path::Root;
    let path = root.field("messages");
    let mut messages = request.messages.iter().enumerate().peekable();
    if let Some((_, first)) = messages.peek()
        && let Some(text) = instructions(request, first)
    {
        out.insert("instructions".into(), text);
        writing.notes.foreign(&first.extra, &path.index(0));
        for block in &first.content {
            let path = path.index(0);
            let path = path.field("content");
            writing.note_cache(block, &path.index(0));
            writing.notes.foreign(&block.extra, &path.index(0));
        }
        messages.next();
    }
    for (index, message) in messages {
        if let Some(context) = context(message) {
            merge(out, context);
            continue;
        }
        let path = path.index(index);
        writing.notes.foreign(&message.extra, &path);
        writing.blocks(message.role, &message.content, &path.field("content"))?;
    }
    let items = std::mem::take(&mut writing.items);
    let input = match (marked(&request.extra, DIALECT, STRING), items.as_slice()) {
        (true, [only]) if only.get("content").is_some_and(Value::is_string) => {
            only.get("content").cloned().unwrap_or_default()
        }
        (false, []) if came_in(&request.extra) == Some(DIALECT) => return Ok(()),
        _ => Value::Array(items),
    };
    out.insert("input".into(), input);
    Ok(())
}

/// The words of the first message, where it was or can be `instructions`: it alone leads and is words only.
fn instructions(request: &ChatRequest, first: &Message) -> Option<Value> {
    let [block] = first.content.as_slice() else {
        return None;
    };
    let text = block.as_text()?;
    let leads = first.role == Role::System
        && items::about(&block.extra).is_none()
        && request
            .messages
            .get(1)
            .is_none_or(|next| next.role != Role::System);
    let was = marked(&first.extra, DIALECT, INSTRUCTIONS);
    let foreign = came_in(&request.extra) != Some(DIALECT);
    (was || leads && foreign).then(|| Value::from(text.as_str()))
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
    let mut out = Fields::new();
    match &tool.input_schema {
        Some(schema) => {
            let is = |mark| marked(&tool.extra, DIALECT, mark);
            set(&mut out, "type", Some("function"));
            set(&mut out, "name", Some(tool.name.as_str()));
            set(
                &mut out,
                "description",
                tool.description.as_ref().map(|text| text.as_str()),
            );
            if !is(NO_SCHEMA) {
                out.insert("parameters".into(), schema.0.clone());
            }
            // Unsaid, this API takes a function for strict, and refuses schemas that are not made for that.
            if let Some(strict) = tool.strict.or((!is(UNSTATED)).then_some(false)) {
                out.insert("strict".into(), Value::Bool(strict));
            }
        }
        None if tool.extra.of(DIALECT).is_none() => {
            let why = "only its own provider runs this tool; take it out or ask that provider";
            return Err(notes.refuse(path, why));
        }
        None => {}
    }
    if tool.cache.is_some() {
        notes.left_out(&path.field("cache"));
    }
    notes.extra(&mut out, &tool.extra, path);
    Ok(Value::Object(out))
}

fn encode_tool_choice(request: &ChatRequest, out: &mut Fields) {
    let Some(choice) = &request.tool_choice else {
        return;
    };
    if !marked(&request.extra, DIALECT, NO_CHOICE) {
        let mode = match &choice.mode {
            ToolMode::Auto => json!("auto"),
            ToolMode::None => json!("none"),
            ToolMode::Any => json!("required"),
            ToolMode::Tool(name) => json!({"type": "function", "name": name}),
        };
        out.insert("tool_choice".into(), mode);
    }
    set(out, "parallel_tool_calls", choice.parallel);
}

fn encode_sampling(request: &ChatRequest, notes: &mut Notes, out: &mut Fields) {
    let Sampling {
        temperature,
        top_p,
        top_k,
        seed,
        frequency_penalty,
        presence_penalty,
    } = &request.sampling;
    set(out, "temperature", temperature.map(number));
    set(out, "top_p", top_p.map(number));
    set(out, "max_output_tokens", request.max_tokens);
    let root = Path::Root;
    for (name, stated) in [
        ("topK", top_k.is_some()),
        ("seed", seed.is_some()),
        ("frequencyPenalty", frequency_penalty.is_some()),
        ("presencePenalty", presence_penalty.is_some()),
        ("stop", !request.stop.is_empty()),
    ] {
        if stated {
            notes.left_out(&root.field(name));
        }
    }
}

fn encode_text(format: Option<&ResponseFormat>, notes: &mut Notes, out: &mut Fields) {
    let root = Path::Root;
    let format = match format {
        None => return,
        Some(ResponseFormat::Text) => json!({"type": "text"}),
        Some(ResponseFormat::JsonObject) => json!({"type": "json_object"}),
        Some(ResponseFormat::JsonSchema {
            name,
            schema,
            strict,
        }) => {
            let mut out = json!({"type": "json_schema", "schema": schema.0});
            if name.is_none() {
                let path = root.field("responseFormat");
                notes.changed(
                    &path.field("name"),
                    "set to answer, because one is demanded,",
                );
            }
            out["name"] = Value::from(name.as_deref().unwrap_or("answer"));
            if let Some(strict) = strict {
                out["strict"] = Value::Bool(*strict);
            }
            out
        }
    };
    out.insert("text".into(), json!({"format": format}));
}

fn encode_reasoning(reasoning: Option<&Reasoning>, notes: &mut Notes, out: &mut Fields) {
    let root = Path::Root;
    let path = root.field("reasoning");
    let effort = match reasoning {
        None => return,
        Some(Reasoning::Off) => "none",
        Some(Reasoning::Adaptive) => {
            notes.changed(&path, "left to the model");
            return;
        }
        Some(Reasoning::Effort(effort)) => match effort {
            Effort::Minimal => "minimal",
            Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High => "high",
            Effort::ExtraHigh => "xhigh",
            Effort::Max => "max",
        },
        Some(Reasoning::Budget(budget)) => {
            notes.changed(&path, "mapped from a budget to an effort");
            match budget {
                0..=2048 => "low",
                2049..=16384 => "medium",
                _ => "high",
            }
        }
    };
    out.insert("reasoning".into(), json!({"effort": effort}));
}

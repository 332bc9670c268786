//! Requests.

use inhouse_chat::{
    ChatRequest, Effort, Extra, Fields, Message, Metadata, Money, Reasoning, ResponseFormat, Role,
    Sampling, Text, Tool, ToolChoice, ToolMode,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::DIALECT;
use super::content::{decode_cache, decode_content, encode_cache, encode_content, fields};
use crate::fields::{Object, each, kind, number, set};
use crate::note::Notes;
use crate::path::Path;
use crate::{Encoded, WireError};

pub(super) fn decode(body: Value) -> Result<ChatRequest, WireError> {
    let mut body = Object::new(body, Path::Root)?;
    let mut request = ChatRequest::new(body.string("model")?, []);
    request.messages = body.each("messages", decode_message)?;
    request.tools = match body.peek("tools") {
        Some(_) => body.each("tools", decode_tool)?,
        None => Vec::new(),
    };
    request.tool_choice = decode_tool_choice(&mut body)?;
    request.sampling = Sampling {
        temperature: body.opt_real("temperature")?,
        top_p: body.opt_real("topP")?,
        top_k: body.opt_u32("topK")?,
        seed: body.opt_i64("seed")?,
        frequency_penalty: body.opt_real("frequencyPenalty")?,
        presence_penalty: body.opt_real("presencePenalty")?,
    };
    request.max_tokens = body.opt_u32("maxTokens")?;
    request.stop = decode_stop(&mut body)?;
    request.response_format = decode_format(&mut body)?;
    request.reasoning = decode_reasoning(&mut body)?;
    request.stream = body.opt_bool("stream")?.unwrap_or_default();
    if let Some(metadata) = body.take("metadata") {
        request.metadata = decode_metadata(metadata, Path::Root.field("metadata"))?;
    }
    body.end()?;
    Ok(request)
}

fn decode_message(value: Value, path: Path<'_>) -> Result<Message, WireError> {
    let mut object = Object::new(value, path)?;
    let role = match object.string("role")?.as_str() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => return Err(object.kind("role", "system, user or assistant")),
    };
    let content = decode_content(&mut object)?;
    object.end()?;
    Ok(Message::new(role, content))
}

fn decode_tool(value: Value, path: Path<'_>) -> Result<Tool, WireError> {
    let mut object = Object::new(value, path)?;
    let schema = object.opt_json_object("inputSchema")?;
    let tool = Tool {
        name: object.string("name")?,
        description: object.opt_text("description")?,
        input_schema: Some(schema.ok_or_else(|| object.missing("inputSchema"))?),
        strict: object.opt_bool("strict")?,
        cache: decode_cache(&mut object)?,
        extra: Extra::default(),
    };
    object.end()?;
    Ok(tool)
}

/// `auto`, `none`, `any`, or an object with `mode` (or the `tool`'s name) and `parallel`.
fn decode_tool_choice(body: &mut Object<'_>) -> Result<Option<ToolChoice>, WireError> {
    let path = body.path();
    let path = path.field("toolChoice");
    let word = |word: &str| match word {
        "auto" => Ok(ToolMode::Auto),
        "none" => Ok(ToolMode::None),
        "any" => Ok(ToolMode::Any),
        _ => Err(kind(&path, "auto, none, any or an object")),
    };
    let value = match body.take("toolChoice") {
        None => return Ok(None),
        Some(Value::String(mode)) => {
            let mode = word(&mode)?;
            let parallel = None;
            return Ok(Some(ToolChoice { mode, parallel }));
        }
        Some(value) => value,
    };
    let mut choice = Object::new(value, path)?;
    let mode = match (choice.opt_string("tool")?, choice.opt_string("mode")?) {
        (Some(name), None) => ToolMode::Tool(name),
        (None, Some(mode)) => word(&mode)?,
        (None, None) => ToolMode::Auto,
        (Some(_), Some(_)) => return Err(kind(&path, "a mode or a tool, but not both")),
    };
    let parallel = choice.opt_bool("parallel")?;
    choice.end()?;
    Ok(Some(ToolChoice { mode, parallel }))
}

fn decode_stop(body: &mut Object<'_>) -> Result<Vec<Text>, WireError> {
    match body.take("stop") {
        None => Ok(Vec::new()),
        Some(Value::String(stop)) => Ok(vec![stop.into()]),
        Some(Value::Array(stops)) => {
            each(stops, &body.path().field("stop"), |stop, path| match stop {
                Value::String(stop) => Ok(stop.into()),
                _ => Err(kind(&path, "a string")),
            })
        }
        Some(_) => Err(body.kind("stop", "a string or a list")),
    }
}

/// `text`, `json`, or an object with a `schema`.
fn decode_format(body: &mut Object<'_>) -> Result<Option<ResponseFormat>, WireError> {
    let path = body.path();
    let path = path.field("responseFormat");
    let value = match body.take("responseFormat") {
        None => return Ok(None),
        Some(Value::String(word)) => {
            return match word.as_str() {
                "text" => Ok(Some(ResponseFormat::Text)),
                "json" => Ok(Some(ResponseFormat::JsonObject)),
                _ => Err(kind(&path, "text, json or an object with a schema")),
            };
        }
        Some(value) => value,
    };
    let mut format = Object::new(value, path)?;
    let schema = format.opt_json_object("schema")?;
    let decoded = ResponseFormat::JsonSchema {
        schema: schema.ok_or_else(|| format.missing("schema"))?,
        name: format.opt_string("name")?,
        strict: format.opt_bool("strict")?,
    };
    format.end()?;
    Ok(Some(decoded))
}

const EFFORTS: [(&str, Effort); 6] = [
    ("minimal", Effort::Minimal),
    ("low", Effort::Low),
    ("medium", Effort::Medium),
    ("high", Effort::High),
    ("extraHigh", Effort::ExtraHigh),
    ("max", Effort::Max),
];

/// `false` or `off`, `true` or `adaptive`, an effort, or a budget of tokens.
fn decode_reasoning(body: &mut Object<'_>) -> Result<Option<Reasoning>, WireError> {
    let Some(value) = body.take("reasoning") else {
        return Ok(None);
    };
    let reasoning = match &value {
        Value::Bool(false) => Some(Reasoning::Off),
        Value::Bool(true) => Some(Reasoning::Adaptive),
        Value::Number(budget) => budget
            .as_u64()
            .and_then(|budget| Some(Reasoning::Budget(u32::try_from(budget).ok()?))),
        Value::String(word) => match word.as_str() {
            "off" => Some(Reasoning::Off),
            "adaptive" => Some(Reasoning::Adaptive),
            word => EFFORTS
                .iter()
                .find(|(name, _)| *name == word)
                .map(|(_, effort)| Reasoning::Effort(*effort)),
        },
        _ => None,
    };
    let expected =
        "off, adaptive, minimal, low, medium, high, extraHigh, max or a number of tokens";
    reasoning
        .map(Some)
        .ok_or_else(|| body.kind("reasoning", expected))
}

fn decode_metadata(value: Value, path: Path<'_>) -> Result<Metadata, WireError> {
    let mut object = Object::new(value, path)?;
    let level = "low, medium or high";
    let privacy = object.opt_string("privacy")?;
    let complexity = object.opt_string("complexity")?;
    let reasoning = object.opt_bool("reasoning")?;
    let metadata = Metadata {
        agent_type: object.opt_string("agentType")?,
        privacy: match privacy {
            Some(word) => Some(word.parse().map_err(|_| object.kind("privacy", level))?),
            None => None,
        },
        local_only: object.opt_bool("localOnly")?,
        complexity: match complexity {
            Some(word) => Some(word.parse().map_err(|_| object.kind("complexity", level))?),
            None => None,
        },
        requires_reasoning: object.opt_bool("requiresReasoning")?.or(reasoning),
        provider: object.opt_string("provider")?.map(Into::into),
        user: object.opt_string("user")?,
        session: object.opt_string("session")?,
        max_cost: decode_money(&mut object, "maxCost")?,
    };
    object.end()?;
    Ok(metadata)
}

/// A number of dollars, or one in a string, which is exact.
pub(super) fn decode_money(
    object: &mut Object<'_>,
    name: &str,
) -> Result<Option<Money>, WireError> {
    let written = match object.take(name) {
        None => return Ok(None),
        Some(Value::String(amount)) => amount,
        Some(Value::Number(amount)) => amount.to_string(),
        Some(_) => return Err(object.kind(name, "an amount of dollars")),
    };
    let amount = written
        .parse::<Decimal>()
        .or_else(|_| Decimal::from_scientific(&written));
    match amount {
        Ok(amount) if !amount.is_sign_negative() => Ok(Some(Money::dollars(amount))),
        _ => Err(object.kind(name, "an amount of dollars")),
    }
}

pub(super) fn encode(request: &ChatRequest) -> Result<Encoded, WireError> {
    let mut notes = Notes::new(DIALECT);
    let root = Path::Root;
    let mut out = Fields::new();
    set(&mut out, "model", Some(request.model.as_str()));
    let path = root.field("messages");
    let messages = request.messages.iter().enumerate();
    let messages: Vec<Value> = messages
        .map(|(index, message)| encode_message(message, &mut notes, &path.index(index)))
        .collect();
    set(&mut out, "messages", Some(messages));
    let path = root.field("tools");
    let tools = request.tools.iter().enumerate();
    let tools = tools
        .map(|(index, tool)| encode_tool(tool, &mut notes, &path.index(index)))
        .collect::<Result<Vec<_>, _>>()?;
    set(&mut out, "tools", (!tools.is_empty()).then_some(tools));
    set(
        &mut out,
        "toolChoice",
        request.tool_choice.as_ref().map(encode_tool_choice),
    );
    encode_settings(request, &mut out);
    let metadata = encode_metadata(&request.metadata);
    set(
        &mut out,
        "metadata",
        (!metadata.is_empty()).then_some(metadata),
    );
    notes.foreign(&request.extra, &root);
    Ok(notes.encoded(out))
}

fn encode_message(message: &Message, notes: &mut Notes, path: &Path<'_>) -> Value {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let content = encode_content(&message.content, notes, &path.field("content"));
    notes.foreign(&message.extra, path);
    json!({"role": role, "content": content})
}

fn encode_tool(tool: &Tool, notes: &mut Notes, path: &Path<'_>) -> Result<Value, WireError> {
    let Some(schema) = &tool.input_schema else {
        let why = "only its own provider runs this tool; take it out or ask that provider";
        return Err(notes.refuse(path, why));
    };
    let mut out = Fields::new();
    set(&mut out, "name", Some(tool.name.as_str()));
    set(
        &mut out,
        "description",
        tool.description.as_ref().map(|text| text.as_str()),
    );
    set(&mut out, "inputSchema", Some(schema.0.clone()));
    set(&mut out, "strict", tool.strict);
    encode_cache(&mut out, tool.cache);
    notes.foreign(&tool.extra, path);
    Ok(Value::Object(out))
}

fn encode_tool_choice(choice: &ToolChoice) -> Value {
    let (name, mode) = match &choice.mode {
        ToolMode::Auto => ("mode", "auto"),
        ToolMode::None => ("mode", "none"),
        ToolMode::Any => ("mode", "any"),
        ToolMode::Tool(tool) => ("tool", tool.as_str()),
    };
    match choice.parallel {
        None if name == "mode" => json!(mode),
        None => json!({name: mode}),
        Some(parallel) => json!({name: mode, "parallel": parallel}),
    }
}

fn encode_settings(request: &ChatRequest, out: &mut Fields) {
    let sampling = &request.sampling;
    set(out, "temperature", sampling.temperature.map(number));
    set(out, "topP", sampling.top_p.map(number));
    set(out, "topK", sampling.top_k);
    set(out, "seed", sampling.seed);
    set(
        out,
        "frequencyPenalty",
        sampling.frequency_penalty.map(number),
    );
    set(
        out,
        "presencePenalty",
        sampling.presence_penalty.map(number),
    );
    set(out, "maxTokens", request.max_tokens);
    let stop: Vec<&str> = request.stop.iter().map(Text::as_str).collect();
    set(out, "stop", (!stop.is_empty()).then_some(stop));
    set(
        out,
        "responseFormat",
        request.response_format.as_ref().map(encode_format),
    );
    set(
        out,
        "reasoning",
        request.reasoning.as_ref().map(encode_reasoning),
    );
    set(out, "stream", request.stream.then_some(true));
}

fn encode_format(format: &ResponseFormat) -> Value {
    match format {
        ResponseFormat::Text => json!("text"),
        ResponseFormat::JsonObject => json!("json"),
        ResponseFormat::JsonSchema {
            name,
            schema,
            strict,
        } => {
            let mut out = fields(json!({"schema": schema.0}));
            set(&mut out, "name", name.as_deref());
            set(&mut out, "strict", *strict);
            Value::Object(out)
        }
    }
}

fn encode_reasoning(reasoning: &Reasoning) -> Value {
    match reasoning {
        Reasoning::Off => json!("off"),
        Reasoning::Adaptive => json!("adaptive"),
        Reasoning::Budget(budget) => json!(budget),
        Reasoning::Effort(effort) => {
            let known = EFFORTS.iter().find(|(_, known)| known == effort);
            json!(known.map(|(name, _)| *name))
        }
    }
}

fn encode_metadata(metadata: &Metadata) -> Fields {
    let mut out = Fields::new();
    set(&mut out, "agentType", metadata.agent_type.as_deref());
    set(
        &mut out,
        "privacy",
        metadata.privacy.map(|level| level.name()),
    );
    set(&mut out, "localOnly", metadata.local_only);
    set(
        &mut out,
        "complexity",
        metadata.complexity.map(|level| level.name()),
    );
    set(&mut out, "requiresReasoning", metadata.requires_reasoning);
    set(
        &mut out,
        "provider",
        metadata.provider.as_ref().map(|name| name.as_str()),
    );
    set(&mut out, "user", metadata.user.as_deref());
    set(&mut out, "session", metadata.session.as_deref());
    let max_cost = metadata.max_cost.map(|money| money.amount().to_string());
    set(&mut out, "maxCost", max_cost);
    out
}

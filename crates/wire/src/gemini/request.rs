//! Requests.

use inhouse_chat::{Block, BlockKind, ChatRequest, Extra, Fields, Message, Role};
use serde_json::{Value, json};

use super::parts::{self, Writing};
use super::{DIALECT, config, names, own, tools};
use crate::calls::Calls;
use crate::fields::{CAME, Object, came_in, each, marked, merge};
use crate::note::Notes;
use crate::path::Path;
use crate::{Encoded, WireError};

/// Fields that were in `snake_case`.
const SNAKE: &str = "\0snake";
/// The model, where the body had it too.
const MODEL: &str = "\0model";
const FOLDER: &str = "models/";
/// A content had no role, or no parts.
const NO_ROLE: &str = "\0noRole";
const NO_PARTS: &str = "\0noParts";
/// The content was `systemInstruction`.
const INSTRUCTION: &str = "\0instruction";
/// Words that the provider keeps: another one cannot read them, and refuses.
const ELSEWHERE: &str = "cachedContent";
/// On the part that stands for them.
const CONTEXT: &str = "\0context";
/// `systemInstruction` was a string.
const STRING: &str = "\0string";

pub(super) fn decode(mut body: Value) -> Result<ChatRequest, WireError> {
    let renamed = names::to_camel(&mut body);
    let mut body = Object::new(body, Path::Root)?;
    if !renamed.is_empty() {
        body.put_back(SNAKE, Value::Array(renamed));
    }
    // The address has the model; a body may repeat it.
    let stated = body.opt_string("model")?;
    let model = stated
        .as_deref()
        .map(|model| model.strip_prefix(FOLDER).unwrap_or(model));
    let model = model.unwrap_or_default().to_owned();
    if let Some(stated) = stated {
        body.put_back(MODEL, Value::from(stated));
    }
    let mut request = ChatRequest::new(model, []);
    request.messages.extend(decode_instruction(&mut body)?);
    request.messages.extend(decode_context(&mut body));
    let mut calls = Calls::default();
    request
        .messages
        .extend(body.each("contents", |content, path| {
            decode_content(content, path, &mut calls)
        })?);
    request.tools = tools::decode(&mut body)?;
    request.tool_choice = tools::decode_choice(&mut body)?;
    config::decode(&mut body, &mut request)?;
    body.mark(CAME);
    request.extra = body.rest(DIALECT);
    Ok(request)
}

fn decode_instruction(body: &mut Object<'_>) -> Result<Option<Message>, WireError> {
    let path = body.path();
    Ok(match body.take("systemInstruction") {
        None => None,
        Some(Value::String(text)) => {
            let mut message = Message::system(text);
            let mark = |name: &str| (name.to_owned(), Value::Bool(true));
            let marks = Fields::from_iter([mark(INSTRUCTION), mark(STRING)]);
            message.extra = Extra::new(DIALECT, marks);
            Some(message)
        }
        Some(content) => {
            let path = path.field("systemInstruction");
            let mut content = Object::new(content, path)?;
            content.mark(INSTRUCTION);
            Some(decode_parts(content, Role::System, &mut Calls::default())?)
        }
    })
}

fn decode_context(body: &mut Object<'_>) -> Option<Message> {
    let kept = body.take(ELSEWHERE)?;
    let mut block = Block::new(BlockKind::Other {
        dialect: DIALECT,
        value: json!({ELSEWHERE: kept}).into(),
    });
    let mark = Fields::from_iter([(CONTEXT.to_owned(), Value::Bool(true))]);
    block.extra = Extra::new(DIALECT, mark);
    Some(Message::new(Role::User, vec![block]))
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

fn decode_content(value: Value, path: Path<'_>, calls: &mut Calls) -> Result<Message, WireError> {
    let mut content = Object::new(value, path)?;
    let role = match content.peek_str("role") {
        None => {
            content.mark(NO_ROLE);
            Role::User
        }
        Some("user") => {
            content.take("role");
            Role::User
        }
        Some("model") => {
            content.take("role");
            Role::Assistant
        }
        Some("function" | "tool") => Role::User, // older SDKs; it stays as it came
        Some(_) => return Err(content.kind("role", "user or model")),
    };
    decode_parts(content, role, calls)
}

fn decode_parts(
    mut content: Object<'_>,
    role: Role,
    calls: &mut Calls,
) -> Result<Message, WireError> {
    let path = content.path();
    let list = match content.take("parts") {
        None => {
            content.mark(NO_PARTS);
            Vec::new()
        }
        Some(Value::Array(list)) => list,
        Some(one @ Value::Object(_)) => vec![one],
        Some(_) => return Err(content.kind("parts", "a list")),
    };
    let blocks = each(list, &path.field("parts"), |part, path| {
        parts::decode(part, path, calls)
    })?;
    let mut message = Message::new(role, blocks);
    message.extra = content.rest(DIALECT);
    Ok(message)
}

pub(super) fn encode(request: &ChatRequest) -> Result<Encoded, WireError> {
    let foreign = came_in(&request.extra) != Some(DIALECT);
    let mut writing = Writing {
        notes: Notes::new(DIALECT),
        came_in: came_in(&request.extra),
        answer: false,
        messages: &request.messages,
        sign_calls: foreign && request.model.as_str().contains("gemini-3"),
    };
    let mut out = Fields::new();
    if let Some(stated) = own(&request.extra, MODEL).and_then(Value::as_str) {
        let folder = if stated.starts_with(FOLDER) {
            FOLDER
        } else {
            ""
        };
        out.insert("model".into(), format!("{folder}{}", request.model).into());
    }
    encode_messages(&request.messages, foreign, &mut writing, &mut out)?;
    let mut notes = writing.notes;
    if !request.tools.is_empty() {
        out.insert("tools".into(), tools::encode(&request.tools, &mut notes)?);
    }
    if let Some(choice) = &request.tool_choice {
        tools::encode_choice(choice, &mut notes, &mut out);
    }
    if let Some(config) = config::encode(request, foreign, &mut notes) {
        out.insert("generationConfig".into(), Value::Object(config));
    }
    notes.extra(&mut out, &request.extra, &Path::Root);
    let mut encoded = notes.encoded(out);
    if let Some(Value::Array(renamed)) = own(&request.extra, SNAKE) {
        names::to_snake(&mut encoded.body, renamed);
    }
    Ok(encoded)
}

fn encode_messages(
    messages: &[Message],
    foreign: bool,
    writing: &mut Writing<'_>,
    out: &mut Fields,
) -> Result<(), WireError> {
    let root = Path::Root;
    let path = root.field("messages");
    let mut instructions: Vec<(&Message, Vec<Value>)> = Vec::new();
    let mut contents: Vec<(Role, Fields)> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        if let Some(context) = context(message) {
            merge(out, context);
            continue;
        }
        let path = path.index(index);
        let parts = encode_parts(message, writing, &path)?;
        if message.role == Role::System {
            if !contents.is_empty() {
                writing
                    .notes
                    .changed(&path, "moved before the conversation");
            }
            writing.notes.foreign(&message.extra, &path);
            instructions.push((message, parts));
            continue;
        }
        // Results of calls must all stand in the turn after the calls, and other protocols may spread them.
        if let Some((role, last)) = contents.last_mut()
            && foreign
            && *role == message.role
            && let Some(Value::Array(list)) = last.get_mut("parts")
        {
            writing.notes.foreign(&message.extra, &path);
            list.extend(parts);
            continue;
        }
        let content = encode_content(message, parts, writing, &path);
        contents.push((message.role, content));
    }
    if let Some(instruction) = encode_instruction(instructions) {
        out.insert("systemInstruction".into(), instruction);
    }
    let contents: Vec<Value> = contents
        .into_iter()
        .map(|(_, content)| content.into())
        .collect();
    out.insert("contents".into(), Value::Array(contents));
    Ok(())
}

fn encode_parts(
    message: &Message,
    writing: &mut Writing<'_>,
    path: &Path<'_>,
) -> Result<Vec<Value>, WireError> {
    let content = path.field("content");
    if message.role == Role::System
        && let Some(at) = message
            .content
            .iter()
            .position(|block| block.as_text().is_none())
        && !marked(&message.extra, DIALECT, INSTRUCTION)
    {
        let why = "instructions are words only; take it out";
        return Err(writing.notes.refuse(&content.index(at), why));
    }
    writing.parts(&message.content, &content)
}

fn encode_content(
    message: &Message,
    parts: Vec<Value>,
    writing: &mut Writing<'_>,
    path: &Path<'_>,
) -> Fields {
    let mut out = Fields::new();
    let is = |mark| marked(&message.extra, DIALECT, mark);
    match (own(&message.extra, "role"), message.role) {
        (Some(_), _) => {}
        (None, Role::Assistant) => {
            out.insert("role".into(), "model".into());
        }
        _ if is(NO_ROLE) => {}
        _ => {
            out.insert("role".into(), "user".into());
        }
    }
    if !(parts.is_empty() && is(NO_PARTS)) {
        out.insert("parts".into(), Value::Array(parts));
    }
    writing.notes.extra(&mut out, &message.extra, path);
    out
}

/// All instructions in one, as the API has them.
fn encode_instruction(instructions: Vec<(&Message, Vec<Value>)>) -> Option<Value> {
    let (first, _) = instructions.first()?;
    let extra = &first.extra;
    let parts: Vec<Value> = instructions
        .iter()
        .flat_map(|(_, parts)| parts.clone())
        .collect();
    if let ([part], true) = (parts.as_slice(), marked(extra, DIALECT, STRING)) {
        return part.get("text").cloned();
    }
    let mut out = json!({"parts": parts});
    if let (Some(out), Some(fields)) = (out.as_object_mut(), extra.of(DIALECT)) {
        merge(out, fields);
    }
    Some(out)
}

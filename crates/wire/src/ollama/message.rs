//! Messages.

use inhouse_chat::{Block, BlockKind, Extra, Fields, Json, Message, Role, Source};
use serde_json::{Value, json};

use super::{DIALECT, own};
use crate::WireError;
use crate::calls::{Calls, name_of};
use crate::fields::{Object, kind, marked};
use crate::note::Notes;
use crate::path::Path;

/// The message had no `content`.
const NO_CONTENT: &str = "\0noContent";
/// A thought that came in this protocol: only such are taken back.
const THOUGHT: &str = "\0thought";
/// The call, or the result, had no identifier.
const NO_ID: &str = "\0noId";
/// The tool that a result names, or `null`.
const TOOL_NAME: &str = "\0toolName";

/// Results of tools stand together.
pub(super) fn decode_all(body: &mut Object<'_>) -> Result<Vec<Message>, WireError> {
    let mut messages: Vec<Message> = Vec::new();
    let mut calls = Calls::default();
    body.opt_each("messages", |value, path| {
        let mut object = Object::new(value, path)?;
        if object.peek_str("role") == Some("tool") {
            object.take("role");
            let result = decode_result(object, &mut calls)?;
            let is_result = |block: &Block| matches!(block.kind, BlockKind::ToolResult { .. });
            match messages.last_mut() {
                Some(last) if last.role == Role::User && last.content.iter().any(is_result) => {
                    last.content.push(result);
                }
                _ => messages.push(Message::new(Role::User, vec![result])),
            }
            return Ok(());
        }
        let role = match object.string("role")?.as_str() {
            "system" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            _ => return Err(object.kind("role", "system, user, assistant or tool")),
        };
        let content = decode_content(&mut object, &mut calls)?;
        let extra = object.rest(DIALECT);
        messages.push(Message {
            role,
            content,
            extra,
        });
        Ok(())
    })?;
    Ok(messages)
}

/// Thoughts, words, images, calls: they have no order among them.
pub(super) fn decode_content(
    message: &mut Object<'_>,
    calls: &mut Calls,
) -> Result<Vec<Block>, WireError> {
    let mut blocks = Vec::new();
    if let Some(text) = message.opt_text("thinking")? {
        let mut thought = Block::new(BlockKind::Thinking {
            text,
            signature: None,
        });
        thought.extra = mark(THOUGHT);
        blocks.push(thought);
    }
    blocks.extend(decode_words(message)?);
    if message
        .peek("tool_calls")
        .is_some_and(|calls| *calls != json!([]))
    {
        blocks.extend(message.each("tool_calls", |call, path| decode_call(call, path, calls))?);
    }
    Ok(blocks)
}

fn mark(name: &str) -> Extra {
    Extra::new(DIALECT, Fields::from_iter([(name.to_owned(), true.into())]))
}

fn decode_words(message: &mut Object<'_>) -> Result<Vec<Block>, WireError> {
    let mut blocks = Vec::new();
    match message.opt_text("content")? {
        None => message.mark(NO_CONTENT),
        Some(text) if text.is_empty() => {}
        Some(text) => blocks.push(Block::text(text)),
    }
    if message
        .peek("images")
        .is_some_and(|images| *images != json!([]))
    {
        blocks.extend(message.each("images", |image, path| match image {
            Value::String(data) => Ok(Block::new(BlockKind::Image(Source::Base64 {
                media_type: media_type(&data).to_owned(),
                data: data.into(),
            }))),
            _ => Err(kind(&path, "a string")),
        })?);
    }
    Ok(blocks)
}

/// By the first bytes, in base64.
fn media_type(data: &str) -> &'static str {
    let known = [
        ("/9j/", "image/jpeg"),
        ("R0lGOD", "image/gif"),
        ("UklGR", "image/webp"),
    ];
    let found = known.iter().find(|(begin, _)| data.starts_with(begin));
    found.map_or("image/png", |(_, media_type)| media_type)
}

fn decode_call(value: Value, path: Path<'_>, calls: &mut Calls) -> Result<Block, WireError> {
    let mut call = Object::new(value, path)?;
    let id = call.opt_string("id")?;
    if id.is_none() {
        call.mark(NO_ID);
    }
    let function = call.opt_object("function", |function| {
        let arguments = function.opt_json_object("arguments")?;
        Ok((function.string("name")?, arguments))
    })?;
    let (name, arguments) = function.ok_or_else(|| call.missing("function"))?;
    Ok(Block {
        kind: BlockKind::ToolUse {
            id: calls.call(&name, id),
            name,
            input: arguments.unwrap_or_else(|| Json(json!({}))),
        },
        cache: None,
        extra: call.rest(DIALECT),
    })
}

fn decode_result(mut message: Object<'_>, calls: &mut Calls) -> Result<Block, WireError> {
    let name = message.opt_string("tool_name")?;
    let id = message.opt_string("tool_call_id")?;
    if id.is_none() {
        message.mark(NO_ID);
    }
    message.put_back(TOOL_NAME, name.clone().into());
    Ok(Block {
        kind: BlockKind::ToolResult {
            tool_use_id: calls.result(name.as_deref(), id),
            content: decode_words(&mut message)?,
            is_error: false,
        },
        cache: None,
        extra: message.rest(DIALECT),
    })
}

/// Writes messages for a request or an answer.
#[derive(Debug)]
pub(super) struct Writing<'a> {
    pub(super) notes: Notes,
    /// An answer for a client, which is paid for: it refuses nothing, and shows thoughts.
    pub(super) answer: bool,
    /// The conversation, in which calls have their names.
    pub(super) messages: &'a [Message],
}

/// A message that is being written: the protocol has one text, and images beside it.
#[derive(Debug, Default)]
struct Words {
    texts: Vec<String>,
    images: Vec<Value>,
    thoughts: Vec<String>,
    calls: Vec<Value>,
}

impl Writing<'_> {
    /// A message, and one for every result of a tool in it.
    pub(super) fn message(
        &mut self,
        message: &Message,
        path: &Path<'_>,
        out: &mut Vec<Value>,
    ) -> Result<(), WireError> {
        let content = path.field("content");
        let is_result = |block: &Block| matches!(block.kind, BlockKind::ToolResult { .. });
        let mut runs = 0;
        let mut begin = 0;
        for run in message
            .content
            .chunk_by(|left, right| !is_result(left) && !is_result(right))
        {
            match run {
                [block] if is_result(block) => {
                    out.push(self.result(block, &content.index(begin))?);
                }
                _ => {
                    let words = self.words(run, begin, &content)?;
                    if !words.is_empty() {
                        let extra = Some(&message.extra).filter(|_| runs == 0);
                        out.push(
                            self.spoken(role_name(message.role), words, extra, path)
                                .into(),
                        );
                        runs += 1;
                    }
                }
            }
            begin += run.len();
        }
        if message.content.is_empty() {
            let words = Words::default();
            let extra = Some(&message.extra);
            out.push(
                self.spoken(role_name(message.role), words, extra, path)
                    .into(),
            );
        } else if runs == 0 {
            self.notes.foreign(&message.extra, path);
        }
        Ok(())
    }

    /// An answer's one message.
    pub(super) fn answer(&mut self, blocks: &[Block], path: &Path<'_>) -> Fields {
        // An answer refuses nothing: what it cannot say is noted.
        let words = self.words(blocks, 0, path).unwrap_or_default();
        self.spoken("assistant", words, None, path)
    }

    /// A message of one piece of an answer; `None` where nothing of it can be said, which is noted.
    pub(super) fn answer_piece(&mut self, block: &Block, path: &Path<'_>) -> Option<Fields> {
        let mut words = Words::default();
        self.word(block, path, &mut words).ok()?;
        (!words.is_empty()).then(|| self.spoken("assistant", words, None, path))
    }

    fn spoken(
        &mut self,
        role: &str,
        words: Words,
        extra: Option<&Extra>,
        path: &Path<'_>,
    ) -> Fields {
        let mut out = Fields::new();
        out.insert("role".into(), role.into());
        if words.texts.len() > 1 {
            self.notes
                .changed(&path.field("content"), "joined to one text");
        }
        let no_content = extra.is_some_and(|extra| marked(extra, DIALECT, NO_CONTENT));
        if !(words.texts.is_empty() && no_content) {
            // Pieces of what a model said are one text; what people and tools give are several.
            let between = match role {
                "assistant" => "",
                _ => "\n\n",
            };
            out.insert("content".into(), words.texts.join(between).into());
        }
        if !words.thoughts.is_empty() {
            out.insert("thinking".into(), words.thoughts.join("\n\n").into());
        }
        for (name, list) in [("images", words.images), ("tool_calls", words.calls)] {
            if !list.is_empty() {
                out.insert(name.into(), Value::Array(list));
            }
        }
        if let Some(extra) = extra {
            self.notes.extra(&mut out, extra, path);
        }
        out
    }

    fn words(
        &mut self,
        blocks: &[Block],
        begin: usize,
        path: &Path<'_>,
    ) -> Result<Words, WireError> {
        let mut words = Words::default();
        for (index, block) in blocks.iter().enumerate() {
            self.word(block, &path.index(begin + index), &mut words)?;
        }
        Ok(words)
    }

    pub(super) fn call(&mut self, block: &Block, path: &Path<'_>) -> Option<Value> {
        let BlockKind::ToolUse { id, name, input } = &block.kind else {
            return None;
        };
        let mut out = Fields::new();
        if !marked(&block.extra, DIALECT, NO_ID) {
            out.insert("id".into(), id.as_str().into());
        }
        out.insert(
            "function".into(),
            json!({"name": name, "arguments": input.0}),
        );
        self.notes.extra(&mut out, &block.extra, path);
        Some(Value::Object(out))
    }

    fn word(&mut self, block: &Block, path: &Path<'_>, words: &mut Words) -> Result<(), WireError> {
        if block.cache.is_some() {
            self.notes.left_out(&path.field("cache"));
        }
        let is_call = matches!(block.kind, BlockKind::ToolUse { .. });
        if !is_call {
            self.notes.foreign(&block.extra, path);
        }
        match &block.kind {
            BlockKind::Text(text) => {
                if !words.images.is_empty() {
                    self.notes.changed(path, "moved before the images");
                }
                words.texts.push(text.as_str().to_owned());
            }
            BlockKind::Refusal(text) => {
                self.notes.changed(path, "sent as words");
                words.texts.push(text.as_str().to_owned());
            }
            BlockKind::Thinking { text, signature } => {
                let ours = marked(&block.extra, DIALECT, THOUGHT);
                if !ours && !self.answer {
                    self.notes.left_out(path);
                    return Ok(());
                }
                if signature.is_some() {
                    self.notes.left_out(&path.field("signature"));
                }
                words.thoughts.push(text.as_str().to_owned());
            }
            BlockKind::RedactedThinking { .. } => self.notes.left_out(path),
            BlockKind::Image(Source::Base64 { data, .. }) => {
                words.images.push(Value::from(data.as_str()));
            }
            BlockKind::Image(_) => {
                self.unknown(path, "images must be sent as bytes, in base64")?;
            }
            BlockKind::Document { .. } => {
                self.unknown(path, "it takes no documents; send their words as text")?;
            }
            BlockKind::Audio(_) => self.unknown(path, "it takes no sound")?,
            BlockKind::ToolUse { input, .. } => {
                if !input.0.is_object() {
                    let path = path.field("input");
                    self.unknown(&path, "arguments of a tool must be a JSON object")?;
                }
                words.calls.extend(self.call(block, path));
            }
            BlockKind::ToolResult { .. } => self.unknown(path, "a result stands by itself")?,
            BlockKind::Other { .. } => {
                let why = "only the protocol it came in knows this part; take it out";
                self.unknown(path, why)?;
            }
        }
        Ok(())
    }

    fn result(&mut self, block: &Block, path: &Path<'_>) -> Result<Value, WireError> {
        let BlockKind::ToolResult {
            tool_use_id,
            content,
            is_error,
        } = &block.kind
        else {
            return Ok(Value::Null);
        };
        if *is_error {
            self.notes.left_out(&path.field("isError"));
        }
        if block.cache.is_some() {
            self.notes.left_out(&path.field("cache"));
        }
        let words = self.words(content, 0, &path.field("content"))?;
        let mut out = self.spoken("tool", words, Some(&block.extra), path);
        let name = match own(&block.extra, TOOL_NAME) {
            Some(name) => name.as_str(),
            None => name_of(self.messages, tool_use_id),
        };
        if let Some(name) = name {
            out.insert("tool_name".into(), name.into());
        }
        if !marked(&block.extra, DIALECT, NO_ID) {
            out.insert("tool_call_id".into(), tool_use_id.as_str().into());
        }
        Ok(Value::Object(out))
    }

    /// What a request refuses and an answer only reports.
    fn unknown(&mut self, path: &Path<'_>, why: &'static str) -> Result<(), WireError> {
        if self.answer {
            self.notes.left_out(path);
            return Ok(());
        }
        Err(self.notes.refuse(path, why))
    }
}

impl Words {
    fn is_empty(&self) -> bool {
        self.texts.is_empty()
            && self.images.is_empty()
            && self.thoughts.is_empty()
            && self.calls.is_empty()
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

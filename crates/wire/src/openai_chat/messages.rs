//! Reading messages.

use inhouse_chat::{Block, BlockKind, Extra, Message, Role};
use serde_json::Value;

use super::DIALECT;
use super::calls::{Broken, LEGACY, decode_call, decode_legacy_call};
use super::parts::decode_content;
use crate::WireError;
use crate::fields::{Mark, Object};
use crate::path::Path;

/// The message's role was `developer`, the newer word for `system`.
pub(super) const DEVELOPER: Mark = "\0developer";

/// The message had `content` of no characters beside its calls: nothing that a model reads.
pub(super) const BLANK: Mark = "\0blank";

/// The names under which copies of the protocol send what the model thought.
pub(super) const THOUGHTS: [(&str, Mark); 2] = [
    ("reasoning_content", "\0reasoning_content"), // DeepSeek, vLLM, Hugging Face
    ("reasoning", "\0reasoning"),                 // OpenRouter, Groq
];

/// Reads a list of messages; results of tools that follow each other become one turn.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) messages: Vec<Message>,
    results_open: bool,
    legacy_calls: usize,
}

impl Reading {
    pub(super) fn message(&mut self, value: Value, path: Path<'_>) -> Result<(), WireError> {
        let mut object = Object::new(value, path)?;
        let role = object.string("role")?;
        let results = matches!(role.as_str(), "tool" | "function");
        let joins = std::mem::replace(&mut self.results_open, results);
        if results {
            let block = self.result(object, &role)?;
            match self.messages.last_mut().filter(|_| joins) {
                Some(turn) => turn.content.push(block),
                None => self.messages.push(Message::new(Role::User, vec![block])),
            }
            return Ok(());
        }
        let (role, content) = match role.as_str() {
            "system" => (Role::System, decode_content(&mut object)?),
            "developer" => {
                object.mark(DEVELOPER);
                (Role::System, decode_content(&mut object)?)
            }
            "user" => (Role::User, decode_content(&mut object)?),
            "assistant" => {
                self.legacy_calls += usize::from(object.peek("function_call").is_some());
                let id = legacy_id(self.legacy_calls);
                (
                    Role::Assistant,
                    decode_assistant(&mut object, id, Broken::Kept)?,
                )
            }
            _ => {
                let expected = "system, developer, user, assistant, tool or function";
                return Err(object.kind("role", expected));
            }
        };
        let extra = object.rest(DIALECT);
        self.messages.push(Message {
            role,
            content,
            extra,
        });
        Ok(())
    }

    fn result(&self, mut object: Object<'_>, role: &str) -> Result<Block, WireError> {
        let tool_use_id = if role == "function" {
            object.mark(LEGACY);
            legacy_id(self.legacy_calls)
        } else {
            object.string("tool_call_id")?
        };
        let content = decode_content(&mut object)?;
        Ok(Block {
            kind: BlockKind::ToolResult {
                tool_use_id,
                content,
                is_error: false,
            },
            cache: None,
            extra: object.rest(DIALECT),
        })
    }
}

/// Calls of before have no identifier: the n-th is called so.
fn legacy_id(number: usize) -> String {
    format!("call_{number}")
}

/// What the model said: thoughts, words, a refusal, calls.
pub(super) fn decode_assistant(
    object: &mut Object<'_>,
    legacy_id: String,
    broken: Broken,
) -> Result<Vec<Block>, WireError> {
    let mut blocks: Vec<Block> = decode_thought(object)?.into_iter().collect();
    let calls = object.opt_each("tool_calls", |call, path| decode_call(call, path, broken))?;
    let legacy = object.take("function_call");
    if object.peek_str("content") == Some("") && (!calls.is_empty() || broken == Broken::Refused) {
        object.take("content");
        object.mark(BLANK);
    }
    if broken == Broken::Refused && object.peek("content").is_some_and(Value::is_object) {
        // Cloudflare's answers in JSON are not in a string.
        let content = object.value("content")?;
        object.put_back("content", Value::String(content.to_string()));
    }
    blocks.extend(decode_content(object)?);
    if let Some(refusal) = object
        .opt_text("refusal")?
        .filter(|words| !words.is_empty())
    {
        blocks.push(Block::new(BlockKind::Refusal(refusal)));
    }
    blocks.extend(calls);
    if let Some(call) = legacy {
        let path = object.path();
        let path = path.field("function_call");
        blocks.push(decode_legacy_call(call, path, legacy_id, broken)?);
    }
    Ok(blocks)
}

fn decode_thought(object: &mut Object<'_>) -> Result<Option<Block>, WireError> {
    for (name, mark) in THOUGHTS {
        if object.peek_str(name).is_some_and(|text| !text.is_empty()) {
            let text = object.text(name)?;
            return Ok(Some(thought(text, mark)));
        }
    }
    Ok(None)
}

/// A thought that came under the name that `mark` stands for.
pub(super) fn thought(text: inhouse_chat::Text, mark: Mark) -> Block {
    let mark = inhouse_chat::Fields::from_iter([(mark.to_owned(), Value::Bool(true))]);
    Block {
        kind: BlockKind::Thinking {
            text,
            signature: None,
        },
        cache: None,
        extra: Extra::new(DIALECT, mark),
    }
}

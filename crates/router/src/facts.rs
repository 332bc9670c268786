//! What a request needs, read from it without sending it anywhere.

use inhouse_chat::{
    Block, BlockKind, ChatRequest, Complexity, Json, Reasoning, ResponseFormat, Source, Text,
};
use serde_json::Value;

use crate::classify;

/// What choosing needs to know of a request. Has none of its words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Facts {
    /// About how many tokens the prompt has.
    pub prompt_tokens: u64,
    /// Whether it brings tools.
    pub tools: bool,
    /// Whether it shows pictures.
    pub images: bool,
    /// Whether it brings documents that are not plain words.
    pub documents: bool,
    /// Whether it brings sound.
    pub audio: bool,
    /// How hard the task is.
    pub complexity: Known<Complexity>,
    /// Whether it needs a model that reasons.
    pub reasoning: Known<bool>,
}

/// A fact, and whether the request states it or it was guessed from the request's text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Known<T> {
    /// The request says so.
    Stated(T),
    /// The request's text looks like it.
    Guessed(T),
}

impl<T: Copy> Known<T> {
    /// The fact.
    pub fn get(self) -> T {
        match self {
            Self::Stated(fact) | Self::Guessed(fact) => fact,
        }
    }
}

/// What one picture takes at most with the usual providers at their usual size.
const IMAGE_TOKENS: u64 = 1600;
/// What a document or sound is taken for whose bytes are elsewhere: some fifteen pages, or five minutes.
const UNSEEN_TOKENS: u64 = 10_000;
/// What a turn takes besides its words.
const TURN_TOKENS: u64 = 4;
/// Instructions that providers add where there are tools, calls of them or a schema to keep to: Anthropic's list says 313
/// to 346 for its models, and recorded exchanges show as many elsewhere.
const TOOL_PROMPT_TOKENS: u64 = 350;
/// What a tool, a call or a result takes besides its words.
const TOOL_TOKENS: u64 = 16;

impl Facts {
    /// Reads `request`.
    pub fn of(request: &ChatRequest) -> Self {
        let mut count = Count::default();
        for message in &request.messages {
            count.tokens += TURN_TOKENS;
            message.content.iter().for_each(|block| count.block(block));
        }
        for tool in &request.tools {
            count.words(&tool.name);
            count.tool();
            tool.description.iter().for_each(|text| count.text(text));
            tool.input_schema
                .iter()
                .for_each(|schema| count.json(schema));
        }
        if let Some(ResponseFormat::JsonSchema { schema, .. }) = &request.response_format {
            count.json(schema);
            count.tool();
        }
        request.stop.iter().for_each(|text| count.text(text));
        if let Some((_, fields)) = request.extra.get() {
            fields.values().for_each(|field| count.value(field));
        }
        if count.has_tools {
            count.tokens += TOOL_PROMPT_TOKENS;
        }
        Self {
            prompt_tokens: count.tokens,
            tools: !request.tools.is_empty(),
            images: count.images,
            documents: count.documents,
            audio: count.audio,
            complexity: complexity(request, count.tokens),
            reasoning: reasoning(request),
        }
    }
}

fn complexity(request: &ChatRequest, prompt_tokens: u64) -> Known<Complexity> {
    match request.metadata.complexity {
        Some(stated) => Known::Stated(stated),
        None => Known::Guessed(classify::complexity(request, prompt_tokens)),
    }
}

fn reasoning(request: &ChatRequest) -> Known<bool> {
    let asked = request
        .reasoning
        .as_ref()
        .map(|asked| *asked != Reasoning::Off);
    match request.metadata.requires_reasoning.or(asked) {
        Some(stated) => Known::Stated(stated),
        None => Known::Guessed(classify::reasoning(request)),
    }
}

#[derive(Default)]
struct Count {
    tokens: u64,
    images: bool,
    documents: bool,
    audio: bool,
    has_tools: bool,
}

impl Count {
    fn tool(&mut self) {
        self.has_tools = true;
        self.tokens += TOOL_TOKENS;
    }

    fn block(&mut self, block: &Block) {
        match &block.kind {
            BlockKind::Text(text) | BlockKind::Refusal(text) => self.text(text),
            BlockKind::Thinking { text, .. } => self.text(text),
            BlockKind::RedactedThinking { data } => self.words(data),
            BlockKind::Image(_) => {
                self.images = true;
                self.tokens += IMAGE_TOKENS;
            }
            BlockKind::Document { source, .. } => self.document(source),
            BlockKind::Audio(source) => {
                self.audio = true;
                self.bytes_of(source);
            }
            BlockKind::ToolUse { name, input, .. } => {
                self.tool();
                self.words(name);
                self.json(input);
            }
            BlockKind::ToolResult { content, .. } => {
                self.tool();
                content.iter().for_each(|block| self.block(block));
            }
            BlockKind::Other { value, .. } => {
                self.tool();
                self.json(value);
            }
        }
    }

    fn document(&mut self, source: &Source) {
        match source {
            Source::Text(text) => self.text(text),
            _ => {
                self.documents = true;
                self.bytes_of(source);
            }
        }
    }

    /// A page of a PDF is some 3 kB and 600 tokens; a second of sound some 2 kB and 25: a token in six bytes of base64
    /// is on the safe side of both.
    fn bytes_of(&mut self, source: &Source) {
        self.tokens += match source {
            Source::Base64 { data, .. } => data.as_str().len() as u64 / 6,
            Source::Text(text) => estimated_tokens(text.as_str()),
            Source::Url { .. } | Source::File(_) => UNSEEN_TOKENS,
        };
    }

    fn text(&mut self, text: &Text) {
        self.words(text.as_str());
    }

    fn words(&mut self, text: &str) {
        self.tokens += estimated_tokens(text);
    }

    fn json(&mut self, json: &Json) {
        self.value(&json.0);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.words(text),
            Value::Array(items) => items.iter().for_each(|item| self.value(item)),
            Value::Object(fields) => {
                for (name, field) in fields {
                    self.words(name);
                    self.value(field);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => self.tokens += 1,
        }
    }
}

/// About how many tokens `text` has: the usual tokenizers make one of four bytes of English, and one of three of most
/// else in UTF-8. Rounded up, so that many small texts are not nothing.
pub(crate) fn estimated_tokens(text: &str) -> u64 {
    let bytes = text.len() as u64;
    if text.is_ascii() {
        bytes.div_ceil(4)
    } else {
        bytes.div_ceil(3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inhouse_chat::{Message, Tool};
    use serde_json::json;

    #[test]
    fn tokens_of_every_part_are_counted() {
        let mut request = ChatRequest::new("m", [Message::user("abcdefgh")]);
        assert_eq!(Facts::of(&request).prompt_tokens, 2 + TURN_TOKENS);
        request
            .tools
            .push(Tool::new("tool", json!({"type": "object"})));
        let facts = Facts::of(&request);
        let tool = TOOL_PROMPT_TOKENS + TOOL_TOKENS + 1 + 1 + 2;
        assert_eq!(facts.prompt_tokens, 2 + TURN_TOKENS + tool);
        assert!(facts.tools && !facts.images);
    }

    #[test]
    fn pictures_in_results_of_tools_are_seen() {
        let picture = Block::new(BlockKind::Image(Source::File("f".into())));
        let result = Block::new(BlockKind::ToolResult {
            tool_use_id: "a".into(),
            content: vec![picture],
            is_error: false,
        });
        let request = ChatRequest::new("m", [Message::new(inhouse_chat::Role::User, vec![result])]);
        let facts = Facts::of(&request);
        assert!(facts.images && facts.prompt_tokens > IMAGE_TOKENS);
    }

    #[test]
    fn what_a_request_states_is_not_guessed() {
        let mut request = ChatRequest::new("m", [Message::user("Prove the Riemann hypothesis.")]);
        assert_eq!(Facts::of(&request).reasoning, Known::Guessed(true));
        request.metadata.requires_reasoning = Some(false);
        request.metadata.complexity = Some(Complexity::Low);
        let facts = Facts::of(&request);
        assert_eq!(facts.reasoning, Known::Stated(false));
        assert_eq!(facts.complexity, Known::Stated(Complexity::Low));
        request.metadata.requires_reasoning = None;
        request.reasoning = Some(Reasoning::Off);
        assert_eq!(Facts::of(&request).reasoning, Known::Stated(false));
    }
}

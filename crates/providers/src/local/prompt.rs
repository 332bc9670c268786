//! What the engine can take of a request.

use inhouse_chat::{Block, BlockKind, ChatRequest, Reasoning, ResponseFormat, Role, Source};
use inhouse_text::{Message, TemplateOptions};

/// A conversation, for a template.
#[derive(Debug)]
pub(super) struct Prompt {
    pub(super) messages: Vec<Message>,
    /// The model was asked not to think, which some templates can tell it.
    no_thinking: bool,
    /// What was left out.
    pub(super) notes: Vec<String>,
}

/// Something of a request that the engine cannot do.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what}: {why}")]
pub(super) struct Unsupported {
    /// What, by its place in the request.
    what: String,
    why: &'static str,
}

const WORDS_ONLY: &str = "the engine on this device reads words only";
const NO_TOOLS: &str = "the engine on this device takes no tools";

/// Between instructions, and between the parts of a turn, of which templates know only one.
const BETWEEN: &str = "\n\n";

/// Reads `request`.
///
/// # Errors
///
/// What the model would have to read or do and cannot.
pub(super) fn read(request: &ChatRequest) -> Result<Prompt, Unsupported> {
    if !request.tools.is_empty() {
        return Err(unsupported("tools", NO_TOOLS));
    }
    if !matches!(request.response_format, None | Some(ResponseFormat::Text)) {
        let why = "the engine on this device cannot hold an answer to JSON yet";
        return Err(unsupported("responseFormat", why));
    }
    let mut notes = Vec::new();
    let messages = messages(request, &mut notes)?;
    notes.extend(left_out(request));
    Ok(Prompt {
        messages,
        no_thinking: request.reasoning == Some(Reasoning::Off),
        notes,
    })
}

impl Prompt {
    /// What the template is told besides the messages.
    pub(super) fn options(&self) -> TemplateOptions {
        let mut options = TemplateOptions {
            now: jiff::Zoned::now().datetime(),
            ..TemplateOptions::default()
        };
        if self.no_thinking {
            // Qwen's name for it; templates of models that do not think do not look.
            options.extra.insert("enable_thinking".into(), false.into());
        }
        options
    }
}

/// Instructions at the beginning become one turn: most templates know only one.
fn messages(request: &ChatRequest, notes: &mut Vec<String>) -> Result<Vec<Message>, Unsupported> {
    let mut instructions = Vec::new();
    let mut turns = Vec::new();
    for (index, message) in request.messages.iter().enumerate() {
        let texts = words(&message.content, &format!("messages[{index}]"), notes)?;
        // Pieces of what a model said are one text; what people give are several.
        let text = match message.role {
            Role::Assistant => texts.concat(),
            _ => texts.join(BETWEEN),
        };
        match message.role {
            Role::System if turns.is_empty() => instructions.push(text),
            Role::System => turns.push(Message::system(text)),
            Role::User => turns.push(Message::user(text)),
            Role::Assistant => turns.push(Message::assistant(text)),
        }
    }
    let system = (!instructions.is_empty()).then(|| Message::system(instructions.join(BETWEEN)));
    Ok(system.into_iter().chain(turns).collect())
}

fn words(
    blocks: &[Block],
    place: &str,
    notes: &mut Vec<String>,
) -> Result<Vec<String>, Unsupported> {
    let mut texts = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let place = || format!("{place}.content[{index}]");
        match &block.kind {
            BlockKind::Text(text) | BlockKind::Refusal(text) => {
                texts.push(text.as_str().to_owned())
            }
            BlockKind::Document {
                source: Source::Text(text),
                title,
            } => texts.push(match title {
                Some(title) => format!("{}{BETWEEN}{}", title.as_str(), text.as_str()),
                None => text.as_str().to_owned(),
            }),
            BlockKind::Thinking { .. } | BlockKind::RedactedThinking { .. } => {
                notes.push(format!("{} was left out: a thought", place()));
            }
            other => return Err(refused(other, &place())),
        }
    }
    Ok(texts)
}

fn refused(kind: &BlockKind, place: &str) -> Unsupported {
    let (what, why) = match kind {
        BlockKind::Image(_) => ("an image", WORDS_ONLY),
        BlockKind::Document { .. } => ("a document that is not plain text", WORDS_ONLY),
        BlockKind::Audio(_) => ("sound", WORDS_ONLY),
        BlockKind::ToolUse { .. } => ("a call of a tool", NO_TOOLS),
        BlockKind::ToolResult { .. } => ("the result of a tool", NO_TOOLS),
        _ => ("a part that only its own protocol knows", WORDS_ONLY),
    };
    unsupported(format!("{place}, {what}"), why)
}

fn unsupported(what: impl Into<String>, why: &'static str) -> Unsupported {
    let what = what.into();
    Unsupported { what, why }
}

/// What only tunes, and the engine does not have.
fn left_out(request: &ChatRequest) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some((from, fields)) = request.extra.get() {
        let names: Vec<&str> = fields.keys().map(String::as_str).collect();
        notes.push(format!("left out: {}, of {from}", names.join(", ")));
    }
    if !matches!(request.reasoning, None | Some(Reasoning::Off)) {
        notes.push("reasoning was left out: the model thinks as it was made to".to_owned());
    }
    if request
        .messages
        .last()
        .is_some_and(|message| message.role == Role::Assistant)
    {
        notes.push(
            "the last turn is the model's own: it was not continued, the answer begins anew"
                .to_owned(),
        );
    }
    notes
}

#[cfg(test)]
mod tests {
    use inhouse_chat::{Dialect, Extra, Text, Tool};
    use serde_json::json;

    use super::*;

    fn of(blocks: Vec<Block>) -> ChatRequest {
        ChatRequest::new("m", [inhouse_chat::Message::new(Role::User, blocks)])
    }

    fn block(kind: BlockKind) -> ChatRequest {
        of(vec![Block::text("Look:"), Block::new(kind)])
    }

    fn refused(request: &ChatRequest, expected: &str) {
        assert_eq!(read(request).unwrap_err().to_string(), expected);
    }

    fn said(request: &ChatRequest, expected: &[(&str, &str)], notes: &[&str]) {
        let prompt = read(request).unwrap();
        let turns = prompt.messages.iter();
        let turns: Vec<_> = turns
            .map(|message| (message.role.as_str(), message.content.as_str()))
            .collect();
        assert_eq!(turns, expected);
        assert_eq!(prompt.notes, notes);
    }

    fn plain(title: Option<&str>) -> BlockKind {
        BlockKind::Document {
            source: Source::Text("one line".into()),
            title: title.map(Text::from),
        }
    }

    #[test]
    fn what_is_no_words_is_refused_by_its_place() {
        let file = || Source::File("f".into());
        let words_only = "the engine on this device reads words only";
        let check = |kind, what: &str| {
            refused(
                &block(kind),
                &format!("messages[0].content[1], {what}: {words_only}"),
            );
        };
        check(BlockKind::Image(file()), "an image");
        check(BlockKind::Audio(file()), "sound");
        let pdf = BlockKind::Document {
            source: file(),
            title: None,
        };
        check(pdf, "a document that is not plain text");
        let other = BlockKind::Other {
            dialect: Dialect::Gemini,
            value: json!({}).into(),
        };
        check(other, "a part that only its own protocol knows");
    }

    #[test]
    fn tools_and_what_came_of_them_are_refused() {
        let mut request = of(vec![Block::text("What time is it?")]);
        request.tools = vec![Tool::new("clock", json!({}))];
        refused(&request, "tools: the engine on this device takes no tools");
        refused(
            &of(vec![Block::tool_use("1", "clock", json!({}))]),
            "messages[0].content[0], a call of a tool: the engine on this device takes no tools",
        );
        refused(
            &of(vec![Block::tool_result("1", "noon")]),
            "messages[0].content[0], the result of a tool: the engine on this device takes no tools",
        );
    }

    #[test]
    fn an_answer_in_json_is_refused() {
        let mut request = of(vec![Block::text("Hello")]);
        request.response_format = Some(ResponseFormat::Text);
        assert!(read(&request).is_ok());
        request.response_format = Some(ResponseFormat::JsonObject);
        refused(
            &request,
            "responseFormat: the engine on this device cannot hold an answer to JSON yet",
        );
    }

    #[test]
    fn documents_of_words_are_words() {
        said(&block(plain(None)), &[("user", "Look:\n\none line")], &[]);
        let titled = "Look:\n\nnotes.txt\n\none line";
        said(&block(plain(Some("notes.txt"))), &[("user", titled)], &[]);
    }

    #[test]
    fn instructions_at_the_beginning_are_one_turn() {
        use inhouse_chat::Message;
        let request = ChatRequest::new(
            "m",
            [
                Message::system("Be brief."),
                Message::system("Be kind."),
                Message::user("Hello"),
                Message::system("Now be long."),
                Message::user("And?"),
            ],
        );
        let turns = [
            ("system", "Be brief.\n\nBe kind."),
            ("user", "Hello"),
            ("system", "Now be long."),
            ("user", "And?"),
        ];
        said(&request, &turns, &[]);
    }

    #[test]
    fn thoughts_are_left_out_and_what_only_tunes_too() {
        let thought = BlockKind::Thinking {
            text: "hm".into(),
            signature: None,
        };
        let blocks = vec![Block::new(thought), Block::text("No"), Block::text(".")];
        let mut request =
            ChatRequest::new("m", [inhouse_chat::Message::new(Role::Assistant, blocks)]);
        let fields = json!({"store": true}).as_object().unwrap().clone();
        request.extra = Extra::new(Dialect::OpenAiChat, fields);
        request.reasoning = Some(Reasoning::Adaptive);
        let notes = [
            "messages[0].content[0] was left out: a thought",
            "left out: store, of OpenAI Chat Completions",
            "reasoning was left out: the model thinks as it was made to",
            "the last turn is the model's own: it was not continued, the answer begins anew",
        ];
        said(&request, &[("assistant", "No.")], &notes);
    }

    #[test]
    fn a_template_is_told_not_to_think() {
        let mut request = of(vec![Block::text("Hello")]);
        let extra = |request: &ChatRequest| read(request).unwrap().options().extra;
        assert!(extra(&request).is_empty());
        request.reasoning = Some(Reasoning::Off);
        assert_eq!(extra(&request).get("enable_thinking"), Some(&json!(false)));
    }
}

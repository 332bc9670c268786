//! Tools for models that take none: described in the prompt, and read from the text of the answer.

use std::fmt::Write as _;

use inhouse_chat::{Block, BlockKind, ChatRequest, Message, Reply, Role, StopReason, Text};
use serde_json::Value;

const OPEN: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";

/// Tells the model of the request's tools in words, and turns calls and results of earlier turns into words.
pub(crate) fn describe(request: &mut ChatRequest) {
    let mut words = String::from(
        "You can use these tools. To use one, answer with nothing but a line of this form for each call:\n",
    );
    let _ = writeln!(
        words,
        "{OPEN}{{\"name\": \"...\", \"arguments\": {{...}}}}{CLOSE}\n"
    );
    for tool in &request.tools {
        let description = tool.description.as_ref().map_or("", Text::as_str);
        let _ = writeln!(words, "- {}: {description}", tool.name);
        if let Some(schema) = &tool.input_schema {
            let _ = writeln!(words, "  arguments (JSON Schema): {}", schema.0);
        }
    }
    for message in &mut request.messages {
        message.content.iter_mut().for_each(in_words);
    }
    let at = request
        .messages
        .iter()
        .take_while(|message| message.role == Role::System)
        .count();
    request.messages.insert(at, Message::system(words));
}

fn in_words(block: &mut Block) {
    let words = match &block.kind {
        BlockKind::ToolUse { name, input, .. } => {
            format!(
                "{OPEN}{}{CLOSE}",
                serde_json::json!({"name": name, "arguments": input.0})
            )
        }
        BlockKind::ToolResult { content, .. } => {
            let text: String = content
                .iter()
                .filter_map(Block::as_text)
                .map(Text::as_str)
                .collect();
            format!("<tool_result>{text}</tool_result>")
        }
        _ => return,
    };
    block.kind = BlockKind::Text(words.into());
}

/// Turns calls that the model wrote as words into calls. What is not a call stays words.
pub(crate) fn read(mut reply: Reply) -> Reply {
    let mut content = Vec::new();
    let mut n_calls = 0;
    for block in std::mem::take(&mut reply.content) {
        match block.as_text() {
            Some(text) => read_text(text.as_str(), &reply.id, &mut n_calls, &mut content),
            None => content.push(block),
        }
    }
    if n_calls > 0 {
        reply.stop = StopReason::ToolUse;
    }
    reply.content = content;
    reply
}

fn read_text(mut text: &str, id: &str, n_calls: &mut usize, content: &mut Vec<Block>) {
    while let Some((before, call, after)) = next_call(text) {
        push_words(before, content);
        let (name, arguments) = call;
        content.push(Block::tool_use(
            format!("call_{id}_{n_calls}"),
            name,
            arguments,
        ));
        *n_calls += 1;
        text = after;
    }
    push_words(text, content);
}

fn push_words(words: &str, content: &mut Vec<Block>) {
    if !words.trim().is_empty() {
        content.push(Block::text(words));
    }
}

/// Words before the next call, the call, and what follows.
fn next_call(text: &str) -> Option<(&str, (String, Value), &str)> {
    let (mut from, mut close) = (0, 0);
    loop {
        let open = from + text.get(from..)?.find(OPEN)?;
        let inside = open + OPEN.len();
        if close < inside {
            close = inside + text.get(inside..)?.find(CLOSE)?; // looked for once, however many calls are opened before it
        }
        if let Some(call) = parse_call(&text[inside..close]) {
            return Some((&text[..open], call, &text[close + CLOSE.len()..]));
        }
        from = inside;
    }
}

fn parse_call(json: &str) -> Option<(String, Value)> {
    let Value::Object(mut call) = serde_json::from_str(json).ok()? else {
        return None;
    };
    let name = call.get("name")?.as_str()?.to_owned();
    let arguments = call.remove("arguments").unwrap_or_default();
    match arguments {
        Value::Object(_) => Some((name, arguments)),
        Value::Null => Some((name, Value::Object(serde_json::Map::new()))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inhouse_chat::{Extra, Tool, Usage};
    use serde_json::json;

    fn read_from(text: &str) -> Reply {
        read(Reply {
            id: "7".into(),
            model: "m".into(),
            content: vec![Block::text(text)],
            stop: StopReason::EndTurn,
            usage: Usage::default(),
            extra: Extra::default(),
        })
    }

    #[test]
    fn calls_are_read_from_words() {
        let reply = read_from(
            "Let me see. <tool_call>{\"name\": \"weather\", \"arguments\": {\"city\": \"Paris\"}}</tool_call>\
             <tool_call>{\"name\": \"now\"}</tool_call>",
        );
        assert_eq!(
            reply.content,
            [
                Block::text("Let me see. "),
                Block::tool_use("call_7_0", "weather", json!({"city": "Paris"})),
                Block::tool_use("call_7_1", "now", json!({})),
            ]
        );
        assert_eq!(reply.stop, StopReason::ToolUse);
    }

    #[test]
    fn what_is_not_a_call_stays_words() {
        for text in [
            "no call",
            "<tool_call>not json</tool_call>",
            "<tool_call>{\"name\": 3}</tool_call>",
            "<tool_call>{\"name\": \"x\", \"arguments\": [1]}</tool_call>",
            "<tool_call>{\"name\": \"x\"}",
            "</tool_call><tool_call>",
        ] {
            let reply = read_from(text);
            assert_eq!(reply.content, [Block::text(text)], "{text}");
            assert_eq!(reply.stop, StopReason::EndTurn);
        }
    }

    #[test]
    fn tools_and_their_history_become_words() {
        let mut request = ChatRequest::new(
            "m",
            [
                Message::system("Be brief."),
                Message::new(
                    Role::Assistant,
                    vec![Block::tool_use("1", "now", json!({}))],
                ),
                Message::new(Role::User, vec![Block::tool_result("1", "noon")]),
            ],
        );
        request
            .tools
            .push(Tool::new("now", json!({"type": "object"})));
        describe(&mut request);
        let words: Vec<_> = request
            .messages
            .iter()
            .map(|message| message.content[0].as_text().unwrap().as_str())
            .collect();
        assert_eq!(words[0], "Be brief.");
        assert!(words[1].contains("- now: \n  arguments (JSON Schema): {\"type\":\"object\"}"));
        assert_eq!(
            words[2],
            "<tool_call>{\"name\":\"now\",\"arguments\":{}}</tool_call>"
        );
        assert_eq!(words[3], "<tool_result>noon</tool_result>");
    }
}

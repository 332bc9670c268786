//! A conversation as a file.

use std::path::Path;

use inhouse_text::Message;
use serde_json::{Value, json};

use crate::files;

/// JSON where the file's name ends so, else Markdown.
pub(super) fn write(file: &Path, model: &str, messages: &[Message]) -> std::io::Result<()> {
    let is_json = file
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let text = if is_json {
        format!("{:#}\n", as_json(model, messages))
    } else {
        as_markdown(model, messages)
    };
    files::replace(file, &text)
}

fn as_json(model: &str, messages: &[Message]) -> Value {
    let turn = |message: &Message| json!({"role": message.role.as_str(), "content": message.content.as_str()});
    json!({"model": model, "messages": messages.iter().map(turn).collect::<Vec<_>>()})
}

fn as_markdown(model: &str, messages: &[Message]) -> String {
    let mut text = format!("# Conversation with {model}\n");
    for message in messages {
        text.push_str(&format!(
            "\n## {}\n\n{}\n",
            message.role.as_str(),
            message.content.as_str().trim_end()
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_hold_every_turn() {
        let messages = [Message::user("Hello"), Message::assistant("Good \"day\"\n")];
        assert_eq!(
            as_markdown("m", &messages),
            "# Conversation with m\n\n## user\n\nHello\n\n## assistant\n\nGood \"day\"\n"
        );
        assert_eq!(
            as_json("m", &messages).to_string(),
            r#"{"model":"m","messages":[{"role":"user","content":"Hello"},{"role":"assistant","content":"Good \"day\"\n"}]}"#
        );
    }
}

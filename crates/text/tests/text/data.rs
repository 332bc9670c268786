//! The recorded references.

use std::fs;
use std::path::PathBuf;

use inhouse_text::{Message, Role, TemplateOptions};
use serde_json::Value;

/// A file or folder of the tests' data.
pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// A folder of the small models.
pub(crate) fn zoo(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/zoo")
        .join(name)
}

/// A recorded JSON file.
pub(crate) fn json(name: &str) -> Value {
    let text = fs::read_to_string(path(name)).expect(name);
    serde_json::from_str(&text).expect(name)
}

/// One recorded conversation.
pub(crate) struct Conversation {
    pub(crate) name: String,
    pub(crate) messages: Vec<Message>,
    pub(crate) options: TemplateOptions,
}

/// All recorded conversations.
pub(crate) fn conversations() -> Vec<Conversation> {
    let data = json("conversations.json");
    let list = data["conversations"].as_array().expect("a list");
    list.iter()
        .map(|one| conversation(one, &data["tools"]))
        .collect()
}

fn conversation(value: &Value, tools: &Value) -> Conversation {
    let messages = value["messages"].as_array().expect("messages");
    Conversation {
        name: value["name"].as_str().expect("a name").to_owned(),
        messages: messages.iter().map(message).collect(),
        options: TemplateOptions {
            now: jiff::civil::date(2026, 3, 9).at(7, 5, 3, 0),
            tools: value.get("tools").map(|_| tools.clone()),
            extra: value
                .get("extra")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
            ..TemplateOptions::default()
        },
    }
}

fn message(value: &Value) -> Message {
    let fields = value.as_object().expect("a message");
    let role = Role::new(value["role"].as_str().expect("a role")).expect("a plain role");
    let mut message = Message::new(role, "");
    for (name, value) in fields.iter().filter(|(name, _)| *name != "role") {
        match (name.as_str(), value.as_str()) {
            ("content", Some(text)) => message.content = text.into(),
            _ => message = message.with_field(name, value.clone()),
        }
    }
    message
}

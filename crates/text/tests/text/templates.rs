//! Real templates over recorded conversations.

use std::fs;

use inhouse_text::{ChatTemplate, RenderedChat, TemplateOptions, TextError};
use serde_json::Value;

use crate::data::{self, Conversation};

fn template(name: &str) -> ChatTemplate {
    let source = fs::read_to_string(data::path(&format!("templates/{name}.jinja"))).expect(name);
    ChatTemplate::from_source(name, source)
        .with_special_token("bos_token", "<s>")
        .with_special_token("eos_token", "</s>")
}

fn render(
    name: &str,
    conversation: &Conversation,
    add_generation_prompt: bool,
) -> Result<RenderedChat, TextError> {
    let options = TemplateOptions {
        add_generation_prompt,
        ..conversation.options.clone()
    };
    template(name).render(&conversation.messages, &options)
}

/// What was recorded for a conversation, with and without the prompt for an answer; `None` where it was refused.
fn expected(recorded: &Value) -> [(bool, Option<String>); 2] {
    let without = recorded["without"].as_str();
    let with = match &recorded["with prompt"] {
        Value::Object(more) => {
            Some(without.unwrap_or("").to_owned() + more["more"].as_str().expect("text"))
        }
        other => other.as_str().map(str::to_owned),
    };
    [(false, without.map(str::to_owned)), (true, with)]
}

/// Compares every recorded rendering, and checks that what came with the messages was followed through all of them.
#[test]
fn templates_write_what_transformers_writes() {
    let mut wrong = Vec::new();
    for (name, recorded) in data::json("templates.json").as_object().expect("templates") {
        for conversation in data::conversations() {
            for (prompt, wanted) in expected(&recorded[&conversation.name]) {
                let case = format!("{name}, {}, {prompt}", conversation.name);
                match (render(name, &conversation, prompt), wanted) {
                    (Ok(chat), Some(wanted)) if chat.as_str() == wanted => {
                        if chat.message_ranges().is_none() {
                            wrong.push(format!("{case}: not followed"));
                        }
                    }
                    (Err(_), None) => {}
                    (Ok(chat), wanted) => {
                        wrong.push(format!("{case}:\n{:?}\n{wanted:?}", chat.as_str()))
                    }
                    (Err(error), Some(_)) => wrong.push(format!("{case}: {error}")),
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// What a template says when it refuses must not quote the messages.
#[test]
fn refusals_hide_what_was_said() {
    let conversations = data::conversations();
    let conversation = conversations
        .iter()
        .find(|c| c.name == "two questions in a row")
        .expect("recorded");
    let error = render("own-gemma", conversation, true)
        .expect_err("it must alternate")
        .to_string();
    assert_eq!(
        error,
        "the chat template of own-gemma, line 8 refuses the conversation: \
         Roles must alternate; this one does not: user with … …"
    );
}

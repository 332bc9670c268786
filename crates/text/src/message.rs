//! What a conversation is made of.

use std::fmt;

use serde_json::{Map, Value};

use crate::{TextError, TextErrorKind};

/// A text that somebody wrote. `Debug` hides it, so that it does not end in a log by accident.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text itself, owned.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<T: Into<String>> From<T> for Text {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

/// Who speaks. A role chooses the marks of a turn, so it is control and not text: only a plain word can be one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Role(String);

impl Role {
    /// Longer words than this are no roles.
    const MAX_LEN: usize = 64;

    /// The role `system`.
    pub fn system() -> Self {
        Self("system".into())
    }

    /// The role `user`.
    pub fn user() -> Self {
        Self("user".into())
    }

    /// The role `assistant`.
    pub fn assistant() -> Self {
        Self("assistant".into())
    }

    /// The role `tool`.
    pub fn tool() -> Self {
        Self("tool".into())
    }

    /// Any role that a template may know, such as `developer`: ASCII letters, digits, `_` and `-`.
    ///
    /// A role becomes part of control tokens (`<|` role `|>`), so it must not be taken from untrusted text unseen.
    pub fn new(role: impl Into<String>) -> Result<Self, TextError> {
        let role = role.into();
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if role.is_empty() || role.len() > Self::MAX_LEN || !role.bytes().all(plain) {
            return Err(TextError::new(
                TextErrorKind::Messages,
                "a role must be one plain word of ASCII letters, digits, `_` and `-`, such as `user`",
            ));
        }
        Ok(Self(role))
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One turn of a conversation.
#[derive(Clone, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: Text,
    /// Whatever else the template may ask for: `name`, `tool_calls`, `tool_call_id`, `reasoning_content`, `tools`.
    /// A `content` here replaces [`Message::content`], for the templates that want null or a list of parts.
    pub fields: Map<String, Value>,
}

impl Message {
    /// A message of `role`.
    pub fn new(role: Role, content: impl Into<Text>) -> Self {
        Self {
            role,
            content: content.into(),
            fields: Map::new(),
        }
    }

    /// A message of the system.
    pub fn system(content: impl Into<Text>) -> Self {
        Self::new(Role::system(), content)
    }

    /// A message of the user.
    pub fn user(content: impl Into<Text>) -> Self {
        Self::new(Role::user(), content)
    }

    /// A message of the assistant.
    pub fn assistant(content: impl Into<Text>) -> Self {
        Self::new(Role::assistant(), content)
    }

    /// This message with one more field.
    #[must_use]
    pub fn with_field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("role", &self.role.0)
            .field("content", &self.content)
            .field("fields", &self.fields.keys().collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_what_was_said() {
        let message = Message::user("secret").with_field("name", "secret too");
        assert_eq!(
            format!("{message:?}"),
            "Message { role: \"user\", content: Text(6 bytes), fields: [\"name\"] }"
        );
    }
}

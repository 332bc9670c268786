//! Words that must not be printed: what users and models write, and keys.

use std::fmt;

/// What a user or a model wrote. `Debug` tells its length only.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Text(String);

impl Text {
    /// The words themselves, for whoever is allowed to have them.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The words themselves.
    pub fn into_string(self) -> String {
        self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends a piece, as a stream brings it.
    pub fn push_str(&mut self, piece: &str) {
        self.0.push_str(piece);
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0.len())
    }
}

/// A JSON value that a user or a model wrote: arguments of a tool, a schema. `Debug` does not show it.
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct Json(pub serde_json::Value);

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<json>")
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        Self(value)
    }
}

/// A key or token: shown to its provider and to nobody else.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Secret(String);

impl Secret {
    /// The key, trimmed; `None` where nothing is left.
    pub fn new(key: &str) -> Option<Self> {
        let key = key.trim();
        (!key.is_empty()).then(|| Self(key.to_owned()))
    }

    /// The key itself, for the header it is sent in.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_words_nor_keys_are_printed() {
        let shown = format!(
            "{:?} {:?} {:?}",
            Text::from("my diary"),
            Json(serde_json::json!({"city": "Paris"})),
            Secret::new(" sk-1 ")
        );
        assert_eq!(shown, "<8 bytes> <json> Some(<secret>)");
    }

    #[test]
    fn a_key_of_blanks_is_none() {
        assert_eq!(Secret::new(" \n"), None);
    }
}

//! Tools that a model may ask for.

use crate::{CacheTtl, Extra, Json, Text};

/// A tool: a function of the caller, or one that the provider runs itself.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does, for the model.
    pub description: Option<Text>,
    /// JSON Schema of its arguments. `None`: the provider's own tool, described by [`extra`](Self::extra) alone.
    pub input_schema: Option<Json>,
    /// Whether arguments must keep to the schema.
    pub strict: Option<bool>,
    /// A provider that caches prompts is asked to cache up to here.
    pub cache: Option<CacheTtl>,
    /// What only the protocol it came in knows.
    pub extra: Extra,
}

impl Tool {
    /// A function of the caller.
    pub fn new(name: impl Into<String>, input_schema: serde_json::Value) -> Self {
        Self {
            name: name.into(),
            description: None,
            input_schema: Some(Json(input_schema)),
            strict: None,
            cache: None,
            extra: Extra::default(),
        }
    }
}

/// Whether the model may, must or must not use tools.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct ToolChoice {
    /// May, must or must not.
    pub mode: ToolMode,
    /// Whether it may ask for several at once; `None` leaves it to the provider.
    pub parallel: Option<bool>,
}

/// May, must or must not.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub enum ToolMode {
    /// As it likes.
    #[default]
    Auto,
    /// None.
    None,
    /// At least one (Anthropic's `any`, OpenAI's `required`).
    Any,
    /// This one.
    Tool(String),
}

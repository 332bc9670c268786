//! A request for a chat.

use crate::{Dialect, Extra, Json, Message, Metadata, ModelName, Real, Text, Tool, ToolChoice};

/// A request for the next turn of a conversation.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ChatRequest {
    /// The model asked for, by any of its names.
    pub model: ModelName,
    /// The conversation so far, instructions included.
    pub messages: Vec<Message>,
    /// Tools the model may ask for, in their order: prompt caches depend on it.
    pub tools: Vec<Tool>,
    /// Whether it may, must or must not use them; `None` where it was not stated.
    pub tool_choice: Option<ToolChoice>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Most tokens of the answer.
    pub max_tokens: Option<u32>,
    /// Texts that end the answer.
    pub stop: Vec<Text>,
    /// The shape of the answer; `None` where it was not stated.
    pub response_format: Option<ResponseFormat>,
    /// Whether and how much the model is to think; `None` where it was not stated.
    pub reasoning: Option<Reasoning>,
    /// Whether the answer is wanted piece by piece.
    pub stream: bool,
    /// The protocol it was written in.
    pub dialect: Dialect,
    /// What the request says about itself.
    pub metadata: Metadata,
    /// What only the protocol it came in knows.
    pub extra: Extra,
}

/// How tokens are drawn; what is `None` is the provider's choice.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: Option<Real>,
    /// Nucleus sampling.
    pub top_p: Option<Real>,
    /// Among the k most likely.
    pub top_k: Option<u32>,
    /// For the same answer again, where a provider offers it.
    pub seed: Option<i64>,
    /// OpenAI's, -2 to 2.
    pub frequency_penalty: Option<Real>,
    /// OpenAI's, -2 to 2.
    pub presence_penalty: Option<Real>,
}

/// The shape of the answer.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ResponseFormat {
    /// Words.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON of this schema.
    JsonSchema {
        /// The schema's name, where the protocol has one.
        name: Option<String>,
        /// JSON Schema.
        schema: Json,
        /// Whether the answer must keep to it.
        strict: Option<bool>,
    },
}

/// Whether and how much the model is to think.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Reasoning {
    /// Not at all.
    Off,
    /// As much as the model finds right (Anthropic's `adaptive`).
    Adaptive,
    /// With this much effort.
    Effort(Effort),
    /// With at most so many tokens.
    Budget(u32),
}

/// How hard a model is to think. Names are OpenAI's `reasoning_effort` and Anthropic's `effort`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Effort {
    /// Hardly.
    Minimal,
    /// A little.
    Low,
    /// The usual.
    Medium,
    /// Hard.
    High,
    /// Harder.
    ExtraHigh,
    /// As hard as it can.
    Max,
}

impl ChatRequest {
    /// A request with nothing but a model and a conversation.
    pub fn new(model: impl Into<ModelName>, messages: impl IntoIterator<Item = Message>) -> Self {
        Self {
            model: model.into(),
            messages: messages.into_iter().collect(),
            tools: Vec::new(),
            tool_choice: None,
            sampling: Sampling::default(),
            max_tokens: None,
            stop: Vec::new(),
            response_format: None,
            reasoning: None,
            stream: false,
            dialect: Dialect::Neutral,
            metadata: Metadata::default(),
            extra: Extra::default(),
        }
    }
}

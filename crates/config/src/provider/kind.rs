//! The kinds of providers, and the variables that speak of each.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name, in answers and everywhere else, of the engine inside. `onnx` is the same provider.
pub const LOCAL: &str = "onnx-local";

/// The name that a provider goes by: `onnx-local` for `onnx`, and otherwise its own.
pub fn canonical_name(name: &str) -> &str {
    if name == "onnx" { LOCAL } else { name }
}

/// The kinds of providers.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// Anthropic's Messages API.
    Anthropic,
    /// OpenAI.
    OpenAi,
    /// OpenRouter.
    OpenRouter,
    /// Google's Gemini.
    Gemini,
    /// Hugging Face Inference Providers.
    HuggingFace,
    /// Ollama.
    Ollama,
    /// A LiteLLM proxy.
    LiteLlm,
    /// The engine inside: ONNX models on this machine.
    #[serde(alias = "onnx-local")]
    Onnx,
    /// Any address that speaks OpenAI's Chat Completions.
    Custom,
}

impl ProviderKind {
    /// All, in the order in which the environment alone puts them.
    pub const ALL: [Self; 9] = [
        Self::Anthropic,
        Self::OpenAi,
        Self::OpenRouter,
        Self::Gemini,
        Self::HuggingFace,
        Self::Ollama,
        Self::LiteLlm,
        Self::Onnx,
        Self::Custom,
    ];

    /// The name in configuration, and of a provider that is named as its kind.
    pub fn name(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::OpenRouter => "openrouter",
            Self::Gemini => "gemini",
            Self::HuggingFace => "huggingface",
            Self::Ollama => "ollama",
            Self::LiteLlm => "litellm",
            Self::Onnx => LOCAL,
            Self::Custom => "custom",
        }
    }

    /// The kind of a provider that is named as its kind; a custom one never is, as it needs an address.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = canonical_name(name);
        let mut kinds = Self::ALL.into_iter().filter(|kind| *kind != Self::Custom);
        kinds.find(|kind| kind.name() == name)
    }

    /// Whether it answers nobody without a key.
    pub fn needs_key(self) -> bool {
        match self {
            Self::Anthropic
            | Self::OpenAi
            | Self::OpenRouter
            | Self::Gemini
            | Self::HuggingFace => true,
            Self::Ollama | Self::LiteLlm | Self::Onnx | Self::Custom => false,
        }
    }

    /// The variables that hold its key, of which the first that is set counts.
    pub fn key_variables(self) -> &'static [&'static str] {
        match self {
            Self::Anthropic => &["ANTHROPIC_API_KEY"],
            Self::OpenAi => &["OPENAI_API_KEY"],
            Self::OpenRouter => &["OPENROUTER_API_KEY"],
            Self::Gemini => &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
            Self::HuggingFace => &["HF_TOKEN", "HUGGINGFACE_API_KEY"],
            Self::Ollama => &["OLLAMA_API_KEY"],
            Self::LiteLlm => &["LITELLM_API_KEY"],
            Self::Onnx | Self::Custom => &[],
        }
    }

    /// The variable that holds its address.
    pub fn url_variable(self) -> Option<&'static str> {
        match self {
            Self::Anthropic => Some("ANTHROPIC_BASE_URL"),
            Self::OpenAi => Some("OPENAI_BASE_URL"),
            Self::OpenRouter => Some("OPENROUTER_BASE_URL"),
            Self::Gemini => Some("GEMINI_BASE_URL"),
            Self::HuggingFace => Some("HUGGINGFACE_BASE_URL"),
            Self::Ollama => Some("OLLAMA_HOST"),
            Self::LiteLlm => Some("LITELLM_BASE_URL"),
            Self::Onnx | Self::Custom => None,
        }
    }
}

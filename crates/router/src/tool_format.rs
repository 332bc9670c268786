//! In whose format tools are written, for configurations that do not want them translated.

use inhouse_chat::{Dialect, ModelName};
use inhouse_config::{ProviderKind, ToolCalling, ToolFormat};

use crate::member::Member;

/// The format that a model of a provider takes: as the configuration says of the provider or the model, else of everyone,
/// else that of the provider's protocol.
pub(crate) fn of(config: &ToolCalling, member: &Member, model: &ModelName) -> ToolFormat {
    let mapping = &config.format_mapping;
    let stated = mapping
        .get(member.name().as_str())
        .or_else(|| mapping.get(model.as_str()));
    let stated = stated.copied().or(config.default_format);
    stated.unwrap_or(match member.kind {
        ProviderKind::Anthropic => ToolFormat::Anthropic,
        ProviderKind::Gemini => ToolFormat::Gemini,
        ProviderKind::Ollama => ToolFormat::Ollama,
        ProviderKind::OpenAi
        | ProviderKind::OpenRouter
        | ProviderKind::HuggingFace
        | ProviderKind::LiteLlm
        | ProviderKind::Onnx
        | ProviderKind::Custom => ToolFormat::OpenAi,
    })
}

/// The format of a protocol; `None` for our own, which is nobody's and is written as everyone takes it.
pub(crate) fn of_dialect(dialect: Dialect) -> Option<ToolFormat> {
    match dialect {
        Dialect::Anthropic => Some(ToolFormat::Anthropic),
        Dialect::OpenAiChat | Dialect::OpenAiResponses => Some(ToolFormat::OpenAi),
        Dialect::Gemini => Some(ToolFormat::Gemini),
        Dialect::Ollama => Some(ToolFormat::Ollama),
        Dialect::Neutral => None,
    }
}

/// The name in the configuration.
pub(crate) fn name(format: ToolFormat) -> &'static str {
    match format {
        ToolFormat::Anthropic => "anthropic",
        ToolFormat::OpenAi => "openai",
        ToolFormat::Gemini => "gemini",
        ToolFormat::Ollama => "ollama",
    }
}

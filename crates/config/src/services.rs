//! What goes on around a request: tools, monitoring, the cache of answers.

use inhouse_chat::Money;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Table, money};

/// Tools, where the caller's protocol and the provider's differ.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ToolCalling {
    /// Whether tools are translated between protocols. Default: true.
    pub translation_enabled: bool,
    /// The format for providers that `formatMapping` does not name. Default: the provider's own.
    pub default_format: Option<ToolFormat>,
    /// The format by provider or model.
    pub format_mapping: Table<ToolFormat>,
    /// What to do where the model takes no tools. Default: `fail`.
    pub fallback_strategy: FallbackStrategy,
}

/// A format of tools.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolFormat {
    /// Anthropic's `tool_use`.
    Anthropic,
    /// OpenAI's `tool_calls`.
    OpenAi,
    /// Gemini's `functionCall`.
    Gemini,
    /// Ollama's `tool_calls`.
    Ollama,
}

/// What to do where the model takes no tools.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FallbackStrategy {
    /// Ask without tools.
    DisableTools,
    /// Describe the tools in the prompt and read calls from the text.
    UseText,
    /// Refuse.
    #[default]
    Fail,
}

/// Logs, metrics and alerts.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Monitoring {
    /// Whether anything is measured. Receipts and budgets do not depend on it. Default: true.
    pub enabled: bool,
    /// How much is logged. Default: `info`.
    pub log_level: LogLevel,
    /// What is measured.
    pub metrics: Metrics,
    /// When to warn.
    pub alerts: Alerts,
}

/// How much is logged. Bodies and keys never are.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What failed.
    Error,
    /// What may fail.
    Warn,
    /// What is done.
    #[default]
    Info,
    /// How it is done.
    Debug,
    /// Everything.
    Trace,
}

/// What is measured.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Metrics {
    /// Cost. Default: true.
    pub track_cost: bool,
    /// Latency. Default: true.
    pub track_latency: bool,
    /// Tokens. Default: true.
    pub track_tokens: bool,
    /// Errors. Default: true.
    pub track_errors: bool,
}

/// When to warn.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Alerts {
    /// When one request cost more, dollars.
    #[serde(with = "money::option")]
    #[schemars(with = "Option<f64>")]
    pub cost_threshold: Option<Money>,
    /// When a larger share of the last requests failed, 0 to 1.
    pub error_rate: Option<f64>,
    /// When one request took longer, milliseconds.
    pub latency_threshold: Option<u64>,
}

/// Answers that are kept and given again to exactly the same request under the same key.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Cache {
    /// Whether any are. Default: false.
    pub enabled: bool,
    /// For how many seconds. Default: 3600.
    pub ttl: u64,
    /// How many. Default: 1000.
    pub max_size: u64,
    /// Which goes when there are too many. Default: `lru`.
    pub strategy: CacheStrategy,
    /// What differs for single providers.
    pub providers: Table<ProviderCache>,
}

/// Which answer goes when there are too many.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheStrategy {
    /// The one not asked for the longest.
    #[default]
    Lru,
    /// The oldest.
    Fifo,
    /// The one asked for the least.
    Lfu,
}

/// What differs for answers of one provider.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ProviderCache {
    /// For how many seconds they are kept; 0: not at all. Default: `cache.ttl`.
    pub ttl: Option<u64>,
}

impl Cache {
    /// For how many seconds answers of this provider are kept.
    pub fn ttl_of(&self, provider: &str) -> u64 {
        let own = self.providers.get(provider);
        own.and_then(|provider| provider.ttl).unwrap_or(self.ttl)
    }
}

impl Default for ToolCalling {
    fn default() -> Self {
        Self {
            translation_enabled: true,
            default_format: None,
            format_mapping: Table::default(),
            fallback_strategy: FallbackStrategy::default(),
        }
    }
}

impl Default for Monitoring {
    fn default() -> Self {
        Self {
            enabled: true,
            log_level: LogLevel::default(),
            metrics: Metrics::default(),
            alerts: Alerts::default(),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            track_cost: true,
            track_latency: true,
            track_tokens: true,
            track_errors: true,
        }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            enabled: false,
            ttl: 3600,
            max_size: 1000,
            strategy: CacheStrategy::default(),
            providers: Table::default(),
        }
    }
}

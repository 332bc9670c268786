//! One provider.

mod computing;
mod kind;

use std::path::PathBuf;
use std::time::Duration;

use inhouse_chat::{ModelName, Money, Secret};
use inhouse_policy::Zone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Table, money, secret};
pub(crate) use computing::WORD;
pub use computing::{BackendChoice, EXECUTION_PROVIDERS, OptionValue, execution_provider};
pub use kind::{LOCAL, ProviderKind, canonical_name};

/// One provider: where it is, who we are to it, and how patient we are with it.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ProviderConfig {
    /// The kind of provider. Default: the provider's name, where that is a kind.
    #[serde(rename = "type")]
    pub kind: Option<ProviderKind>,
    /// Whether it is used. Default: true.
    pub enabled: bool,
    /// How far a request to it goes. Default: `device` for onnx; for Ollama what its address says; else `cloud`, also
    /// where the address is this machine, since a proxy may stand there.
    #[schemars(with = "Option<crate::schema::ZoneNames>")]
    pub zone: Option<Zone>,
    /// The key. Default: the provider's usual environment variable.
    #[serde(with = "secret::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub api_key: Option<Secret>,
    /// Further keys, used in turn with `apiKey`; one that is rate-limited or rejected is passed over.
    #[serde(with = "secret::list", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub api_keys: Vec<Secret>,
    /// The address that paths of the protocol are appended to. Needed for `custom`.
    #[schemars(with = "Option<String>")]
    pub base_url: Option<crate::BaseUrl>,
    /// The organisation to bill (OpenAI).
    pub organization: Option<String>,
    /// Headers sent with every request. Their values are never shown.
    #[serde(with = "secret::table", skip_serializing_if = "Table::is_empty")]
    #[schemars(with = "Table<String>")]
    pub headers: Table<Secret>,
    /// Models by use: `default`, `fast`, `advanced`, and any other name by which requests ask for them.
    #[schemars(with = "Table<String>")]
    pub models: Table<ModelName>,
    /// The most output tokens where a request does not say.
    pub max_tokens: Option<u32>,
    /// The temperature where a request does not say, 0 to 2.
    pub temperature: Option<f64>,
    /// The longest a request may take, milliseconds; the same as `timeouts.total`.
    pub timeout: Option<u64>,
    /// The longest single steps may take.
    pub timeouts: Timeouts,
    /// How often a failed attempt at this provider is repeated. Default: 2.
    pub max_retries: u32,
    /// The wait before the first repetition, milliseconds; later ones wait longer. Default: 500.
    pub retry_delay: u64,
    /// How much is sent at most.
    pub rate_limit: RateLimit,
    /// Whom OpenRouter may pass requests on to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferences: Option<Preferences>,
    /// onnx: the model's file or folder, relative to the working directory.
    pub model_path: Option<PathBuf>,
    /// onnx: the model's name in the catalogue or on the Hugging Face hub.
    pub model_id: Option<String>,
    /// onnx: which engine computes. Default: `auto`.
    pub backend: Option<BackendChoice>,
    /// onnx: what computes, the first of them that works: `cpu`, `cuda`, `tensorrt`, `nvtensorrtrtx`, `directml`,
    /// `webgpu`, `coreml`, `openvino`, `qnn`, or `auto` for those that run any model. Default: `cpu`.
    pub execution_providers: Vec<String>,
    /// onnx: options of single execution providers, as ONNX Runtime names them.
    pub execution_provider_options: Table<Table<OptionValue>>,
    /// onnx: the library of ONNX Runtime, a file or the folder it is in. Default: it is looked for.
    pub runtime_library: Option<PathBuf>,
    /// onnx: said by old files; inference is always local. `false` is an error.
    pub local_inference: Option<bool>,
    /// onnx: whether graphics processors are tried before what `executionProviders` names.
    pub gpu_acceleration: Option<bool>,
}

/// How long to wait for a provider, at every step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Deadlines {
    /// Until connected.
    pub connect: Duration,
    /// Until the first token.
    pub first_token: Option<Duration>,
    /// Between two pieces of a stream.
    pub idle: Option<Duration>,
    /// For everything.
    pub total: Option<Duration>,
}

/// The longest single steps may take, milliseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Timeouts {
    /// Until connected. Default: 10000.
    pub connect: Option<u64>,
    /// Until the first token. Default: 120000; none for onnx.
    pub first_token: Option<u64>,
    /// Between two pieces of a stream. Default: 60000; none for onnx.
    pub idle: Option<u64>,
    /// For everything. Default: 600000; none for onnx.
    pub total: Option<u64>,
}

/// How much is sent to a provider at most.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct RateLimit {
    /// Requests a minute. Default: no limit.
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute, of prompts and answers. Default: no limit.
    pub tokens_per_minute: Option<u64>,
}

/// Whom OpenRouter may pass requests on to; sent as its `provider` object.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Preferences {
    /// Whether those may be asked that keep what they are sent: `allow` or `deny`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_collection: Option<DataCollection>,
    /// Whether only those are asked that have agreed to keep nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zdr: Option<bool>,
    /// Whether only those are asked that know every parameter of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_parameters: Option<bool>,
    /// Whom to ask, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<String>,
    /// Whether others may be asked when these fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_fallbacks: Option<bool>,
    /// The only ones to ask.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Those not to ask.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// What to prefer: `price`, `throughput` or `latency`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    /// The highest prices to pay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_price: Option<MaxPrice>,
}

/// Whether those may be asked that keep what they are sent.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DataCollection {
    /// They may.
    Allow,
    /// They may not.
    Deny,
}

/// The highest prices to pay, dollars for a million tokens.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct MaxPrice {
    /// For the prompt.
    #[serde(with = "money::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub prompt: Option<Money>,
    /// For the answer.
    #[serde(with = "money::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub completion: Option<Money>,
}

impl ProviderConfig {
    /// The kind of provider. Every loaded configuration states it.
    pub fn kind(&self) -> ProviderKind {
        self.kind.unwrap_or(ProviderKind::Custom)
    }

    /// How far a request to it goes: what `zone` says, else the safest guess.
    pub fn effective_zone(&self) -> Zone {
        self.zone.unwrap_or(match (self.kind(), &self.base_url) {
            (ProviderKind::Onnx, _) | (ProviderKind::Ollama, None) => Zone::Device,
            (ProviderKind::Ollama, Some(address)) => address.nearest_zone(),
            (ProviderKind::OpenRouter, _) if self.keeps_nothing() => Zone::CloudNoRetention,
            _ => Zone::Cloud,
        })
    }

    /// Whether OpenRouter is told to pass requests on only to those who keep nothing.
    fn keeps_nothing(&self) -> bool {
        let preferences = self.preferences.as_ref();
        preferences.and_then(|preferences| preferences.zdr) == Some(true)
    }

    /// Its keys, the first one first.
    pub fn keys(&self) -> impl Iterator<Item = &Secret> {
        self.api_key.iter().chain(&self.api_keys)
    }

    /// How long to wait for it, defaults included. The engine inside has none: a long prompt takes its time there,
    /// and nobody else is kept waiting by it.
    pub fn deadlines(&self) -> Deadlines {
        let local = self.kind() == ProviderKind::Onnx;
        let or = |stated: Option<u64>, usual: u64| {
            let usual = (!local).then_some(usual);
            stated.or(usual).map(Duration::from_millis)
        };
        Deadlines {
            connect: Duration::from_millis(self.timeouts.connect.unwrap_or(10_000)),
            first_token: or(self.timeouts.first_token, 120_000),
            idle: or(self.timeouts.idle, 60_000),
            total: or(self.timeouts.total.or(self.timeout), 600_000),
        }
    }
}

impl Default for ProviderConfig {
    fn default() -> Self {
        Self {
            kind: None,
            enabled: true,
            zone: None,
            api_key: None,
            api_keys: Vec::new(),
            base_url: None,
            organization: None,
            headers: Table::default(),
            models: Table::default(),
            max_tokens: None,
            temperature: None,
            timeout: None,
            timeouts: Timeouts::default(),
            max_retries: 2,
            retry_delay: 500,
            rate_limit: RateLimit::default(),
            preferences: None,
            model_path: None,
            model_id: None,
            backend: None,
            execution_providers: Vec::new(),
            execution_provider_options: Table::default(),
            runtime_library: None,
            local_inference: None,
            gpu_acceleration: None,
        }
    }
}

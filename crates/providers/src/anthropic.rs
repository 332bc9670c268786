//! Anthropic.

use inhouse_chat::{ChatRequest, Dialect, Fields, ModelName, Secret};
use inhouse_config::{ProviderConfig, ProviderKind};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::Kind;
use crate::manner::{Manner, Probe, hidden, under_once};

/// Anthropic's Messages API.
pub(crate) const KIND: Kind = Kind {
    kind: ProviderKind::Anthropic,
    base_url: Some("https://api.anthropic.com"),
    zone: ProviderConfig::effective_zone,
    manner: |_| Box::new(Anthropic),
};

const VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const BETA: HeaderName = HeaderName::from_static("anthropic-beta");

struct Anthropic;

impl Manner for Anthropic {
    fn dialect(&self, _request: &ChatRequest, _model: &ModelName) -> Dialect {
        Dialect::Anthropic
    }

    fn chat_url(&self, base: &Url, _dialect: Dialect, _model: &ModelName, _stream: bool) -> Url {
        under_once(base, "v1", &["messages"])
    }

    fn probe(&self, base: &Url) -> Probe {
        Probe {
            url: under_once(base, "v1", &["models"]),
            tells_key: true,
        }
    }

    fn credentials(&self, key: &Secret) -> Option<(HeaderName, HeaderValue)> {
        Some((HeaderName::from_static("x-api-key"), hidden(key.reveal())?))
    }

    fn headers(&self) -> HeaderMap {
        HeaderMap::from_iter([(VERSION, HeaderValue::from_static("2023-06-01"))])
    }

    /// Beta features are asked for in a header. In a request's body they are the `betas` of the SDKs, which send them
    /// as that header too.
    fn amend(&self, _dialect: Dialect, body: &mut Fields, headers: &mut HeaderMap) {
        for name in ["betas", "anthropic_beta"] {
            let asked = body.shift_remove(name);
            for beta in asked.iter().filter_map(Value::as_array).flatten() {
                let value = beta
                    .as_str()
                    .and_then(|beta| HeaderValue::from_str(beta).ok());
                if let Some(value) = value {
                    headers.append(BETA, value);
                }
            }
        }
    }
}

//! Hugging Face Inference Providers.

use inhouse_chat::{ChatRequest, Dialect, Fields, ModelName};
use inhouse_config::ProviderKind;
use reqwest::Url;
use reqwest::header::HeaderMap;

use crate::Kind;
use crate::manner::{Manner, Probe};
use crate::openai::{Compatible, models};

/// The router of Hugging Face, which passes requests on to others. `ORG/MODEL:PROVIDER` names one of them.
pub(crate) const KIND: Kind = Kind {
    kind: ProviderKind::HuggingFace,
    base_url: Some("https://router.huggingface.co/v1"),
    zone: |config| config.effective_zone(),
    manner: |_| Box::new(HuggingFace),
};

struct HuggingFace;

impl Manner for HuggingFace {
    fn dialect(&self, request: &ChatRequest, model: &ModelName) -> Dialect {
        Compatible.dialect(request, model)
    }

    fn chat_url(&self, base: &Url, dialect: Dialect, model: &ModelName, stream: bool) -> Url {
        Compatible.chat_url(base, dialect, model, stream)
    }

    /// Its models are told to everybody, and who we are is told at another host.
    fn probe(&self, base: &Url) -> Probe {
        Probe {
            tells_key: false,
            ..models(base)
        }
    }

    fn amend(&self, dialect: Dialect, body: &mut Fields, headers: &mut HeaderMap) {
        Compatible.amend(dialect, body, headers);
    }
}

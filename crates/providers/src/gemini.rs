//! Google's Gemini.

use inhouse_chat::{ChatRequest, Dialect, ModelName, Secret};
use inhouse_config::{ProviderConfig, ProviderKind};
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

use crate::Kind;
use crate::manner::{Manner, Probe, hidden, under, under_once};

/// The Gemini API.
pub(crate) const KIND: Kind = Kind {
    kind: ProviderKind::Gemini,
    base_url: Some("https://generativelanguage.googleapis.com/v1beta"),
    zone: ProviderConfig::effective_zone,
    manner: |_| Box::new(Gemini),
};

struct Gemini;

impl Manner for Gemini {
    fn dialect(&self, _request: &ChatRequest, _model: &ModelName) -> Dialect {
        Dialect::Gemini
    }

    /// The model is in the path: `models/gemini-2.5-flash:generateContent`, or the name of a tuned one.
    fn chat_url(&self, base: &Url, _dialect: Dialect, model: &ModelName, stream: bool) -> Url {
        let (collection, name) = match model.as_str().split_once('/') {
            Some((collection @ ("models" | "tunedModels"), name)) => (collection, name),
            _ => ("models", model.as_str()),
        };
        let method = if stream {
            "streamGenerateContent"
        } else {
            "generateContent"
        };
        let mut url = under(&versioned(base), &[collection, &format!("{name}:{method}")]);
        if stream {
            url.query_pairs_mut().append_pair("alt", "sse");
        }
        url
    }

    fn probe(&self, base: &Url) -> Probe {
        Probe {
            url: under(&versioned(base), &["models"]),
            tells_key: true,
        }
    }

    /// Never in the address, where every log on the way would have it.
    fn credentials(&self, key: &Secret) -> Option<(HeaderName, HeaderValue)> {
        Some((
            HeaderName::from_static("x-goog-api-key"),
            hidden(key.reveal())?,
        ))
    }
}

/// An address without a version gets the one that has every model.
fn versioned(base: &Url) -> Url {
    match base.path().trim_end_matches('/').ends_with("/v1") {
        true => base.clone(),
        false => under_once(base, "v1beta", &[]),
    }
}

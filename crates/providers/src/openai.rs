//! OpenAI, and what those share that speak its protocol.

use inhouse_chat::{ChatRequest, Dialect, Fields, ModelName};
use inhouse_config::{ProviderConfig, ProviderKind};
use inhouse_policy::Zone;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName};
use serde_json::json;

use crate::Kind;
use crate::manner::{Manner, Probe, hidden, under, under_once};
use crate::ollama::is_relayed;

/// OpenAI: Chat Completions, and Responses where a model or a request has nothing else.
pub(crate) const KIND: Kind = Kind {
    kind: ProviderKind::OpenAi,
    base_url: Some("https://api.openai.com/v1"),
    zone: ProviderConfig::effective_zone,
    manner: |config| {
        let organization = config.organization.clone();
        Box::new(OpenAi { organization })
    },
};

struct OpenAi {
    organization: Option<String>,
}

impl Manner for OpenAi {
    /// Chat Completions, except where a request came in as Responses, whose items it may hold, and for models that
    /// OpenAI offers in Responses alone.
    fn dialect(&self, request: &ChatRequest, model: &ModelName) -> Dialect {
        let came_so = request.extra.of(Dialect::OpenAiResponses).is_some();
        match came_so || only_responds(model.as_str()) {
            true => Dialect::OpenAiResponses,
            false => Dialect::OpenAiChat,
        }
    }

    fn chat_url(&self, base: &Url, dialect: Dialect, _model: &ModelName, _stream: bool) -> Url {
        match dialect {
            Dialect::OpenAiResponses => under(base, &["responses"]),
            _ => completions(base),
        }
    }

    fn probe(&self, base: &Url) -> Probe {
        models(base)
    }

    fn headers(&self) -> HeaderMap {
        let organization = self.organization.as_deref().and_then(hidden);
        let name = HeaderName::from_static("openai-organization");
        organization
            .into_iter()
            .map(|value| (name.clone(), value))
            .collect()
    }

    fn amend(&self, dialect: Dialect, body: &mut Fields, _headers: &mut HeaderMap) {
        if dialect == Dialect::OpenAiChat {
            ask_for_usage(body);
        }
    }
}

/// Models that OpenAI's list of models gives the Responses endpoint alone.
fn only_responds(model: &str) -> bool {
    let words: Vec<_> = model.split('-').collect();
    let said = |word: &str| words.contains(&word);
    said("codex") || (said("deep") && said("research")) || model.starts_with("computer-use") || {
        // o1-pro, o3-pro, gpt-5-pro and their dated versions
        said("pro") && (model.starts_with('o') || model.starts_with("gpt-5"))
    }
}

/// What others share that speak OpenAI's Chat Completions.
pub(crate) struct Compatible {
    /// Whether they tell their models to everybody, so that the list says nothing about a key.
    pub(crate) lists_to_everybody: bool,
}

impl Manner for Compatible {
    fn dialect(&self, _request: &ChatRequest, _model: &ModelName) -> Dialect {
        Dialect::OpenAiChat
    }

    fn chat_url(&self, base: &Url, _dialect: Dialect, _model: &ModelName, _stream: bool) -> Url {
        completions(base)
    }

    fn probe(&self, base: &Url) -> Probe {
        Probe {
            tells_key: !self.lists_to_everybody,
            ..models(base)
        }
    }

    /// Ollama speaks this protocol too, and whoever calls it by another type near by still has it relay models of these
    /// names.
    fn zone(&self, zone: Zone, model: &ModelName) -> Zone {
        match zone <= Zone::Lan && is_relayed(model.as_str()) {
            true => Zone::Cloud,
            false => zone,
        }
    }

    /// Those that copy the protocol know the old name of the limit, and not all the new one.
    fn amend(&self, _dialect: Dialect, body: &mut Fields, _headers: &mut HeaderMap) {
        use_old_limit(body);
        ask_for_usage(body);
    }
}

pub(crate) fn completions(base: &Url) -> Url {
    under_once(base, "chat", &["completions"])
}

pub(crate) fn models(base: &Url) -> Probe {
    Probe {
        url: under(base, &["models"]),
        tells_key: true,
    }
}

/// A stream tells what it took only when asked to.
pub(crate) fn ask_for_usage(body: &mut Fields) {
    if body.get("stream").is_some_and(|stream| stream == true) {
        let options = body.entry("stream_options").or_insert_with(|| json!({}));
        if let Some(options) = options.as_object_mut() {
            options.insert("include_usage".to_owned(), json!(true));
        }
    }
}

/// `max_tokens`, as `max_completion_tokens` was called first.
pub(crate) fn use_old_limit(body: &mut Fields) {
    if let Some(limit) = body.shift_remove("max_completion_tokens") {
        body.entry("max_tokens").or_insert(limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_models_are_asked_by_responses() {
        let check = |model: &str, expected: bool| {
            assert_eq!(only_responds(model), expected, "{model}");
        };
        for model in [
            "o1-pro",
            "o3-pro-2025-06-10",
            "gpt-5-pro",
            "gpt-5.2-pro",
            "gpt-5-codex",
            "gpt-5.1-codex-mini",
            "codex-mini-latest",
            "o4-mini-deep-research",
            "computer-use-preview",
        ] {
            check(model, true);
        }
        for model in [
            "gpt-4o",
            "gpt-5",
            "gpt-5-mini",
            "o3",
            "o4-mini",
            "gpt-4.1",
            "prod-model",
        ] {
            check(model, false);
        }
    }
}

//! Ollama.

use inhouse_chat::{ChatRequest, Dialect, ModelName};
use inhouse_config::{ProviderConfig, ProviderKind};
use inhouse_policy::Zone;
use reqwest::Url;

use crate::Kind;
use crate::manner::{Manner, Probe, under_once};

/// Ollama, here or in the own network. Some of its models are relayed to ollama.com.
pub(crate) const KIND: Kind = Kind {
    kind: ProviderKind::Ollama,
    base_url: Some("http://127.0.0.1:11434"),
    zone: ProviderConfig::effective_zone,
    manner: |_| Box::new(Ollama),
};

struct Ollama;

impl Manner for Ollama {
    fn dialect(&self, _request: &ChatRequest, _model: &ModelName) -> Dialect {
        Dialect::Ollama
    }

    fn chat_url(&self, base: &Url, _dialect: Dialect, _model: &ModelName, _stream: bool) -> Url {
        under_once(base, "api", &["chat"])
    }

    fn probe(&self, base: &Url) -> Probe {
        Probe {
            url: under_once(base, "api", &["tags"]),
            tells_key: false,
        }
    }

    fn zone(&self, zone: Zone, model: &ModelName) -> Zone {
        match is_relayed(model.as_str()) {
            true => Zone::Cloud,
            false => zone,
        }
    }

    /// `ollama cp` gives a relayed model any name.
    fn relays_url(&self, base: &Url) -> Option<Url> {
        Some(self.probe(base).url)
    }
}

/// Whether a model's name says that it computes at ollama.com: `gpt-oss:120b-cloud`, `glm-4.6:cloud`.
pub(crate) fn is_relayed(model: &str) -> bool {
    let name = model.trim().to_ascii_lowercase();
    name.ends_with("-cloud") || name.ends_with(":cloud")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_is_relayed() {
        let check = |model: &str, zone: Zone| {
            assert_eq!(Ollama.zone(Zone::Device, &model.into()), zone, "{model}");
        };
        for model in [
            "gpt-oss:120b-cloud",
            "glm-4.6:cloud",
            "Qwen3-Coder:480B-Cloud",
            "x-cloud",
        ] {
            check(model, Zone::Cloud);
        }
        for model in [
            "llama3.2",
            "cloud",
            "clouds:7b",
            "cloud/llama3:8b",
            "stormcloud",
        ] {
            check(model, Zone::Device);
        }
    }
}

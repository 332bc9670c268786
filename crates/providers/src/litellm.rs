//! LiteLLM.

use inhouse_config::{ProviderConfig, ProviderKind};

use crate::Kind;
use crate::openai::Compatible;

/// A LiteLLM proxy. It passes requests on, so its own address says nothing about where they end up: its zone is `cloud`
/// unless configuration knows better.
pub(crate) const KIND: Kind = Kind {
    kind: ProviderKind::LiteLlm,
    base_url: Some("http://127.0.0.1:4000"),
    zone: ProviderConfig::effective_zone,
    manner: |_| {
        Box::new(Compatible {
            lists_to_everybody: false,
        })
    },
};

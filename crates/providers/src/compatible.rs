//! Any address that speaks OpenAI's Chat Completions.

use inhouse_config::{ProviderConfig, ProviderKind};

use crate::Kind;
use crate::openai::Compatible;

/// Type `custom`: llama.cpp, vLLM, LM Studio, a gateway. Who knows what stands behind an address: its zone is `cloud`
/// unless configuration says what is true.
pub(crate) const KIND: Kind = Kind {
    kind: ProviderKind::Custom,
    base_url: None,
    zone: ProviderConfig::effective_zone,
    manner: |_| {
        Box::new(Compatible {
            lists_to_everybody: false,
        })
    },
};

//! Hugging Face Inference Providers.

use inhouse_config::{ProviderConfig, ProviderKind};

use crate::Kind;
use crate::openai::Compatible;

/// The router of Hugging Face, which passes requests on to others. `ORG/MODEL:PROVIDER` names one of them.
pub(crate) const KIND: Kind = Kind {
    kind: ProviderKind::HuggingFace,
    base_url: Some("https://router.huggingface.co/v1"),
    zone: ProviderConfig::effective_zone,
    manner: |_| {
        Box::new(Compatible {
            lists_to_everybody: true, // who we are is told at another host
        })
    },
};

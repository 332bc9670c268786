//! A kind of upstream.

use std::fmt;

use inhouse_config::{ProviderConfig, ProviderKind};
use inhouse_policy::Zone;

use crate::manner::Manner;

/// A kind of upstream: what it is called, where it usually is, and how it is spoken to.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Its name in configuration.
    pub kind: ProviderKind,
    /// Its usual address; `None` where configuration has to name one.
    pub base_url: Option<&'static str>,
    pub(crate) zone: fn(&ProviderConfig) -> Zone,
    pub(crate) manner: fn(&ProviderConfig) -> Box<dyn Manner>,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kind")
            .field("kind", &self.kind)
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

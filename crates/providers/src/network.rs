//! Leave to build clients at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use inhouse_config::Env;

use crate::clock::{Clock, SystemClock};
use crate::transport::{Lookup, Proxies, SystemLookup};

/// The network, for whoever was given it. Every transport needs one, so where none was made, as with `--local-only`, no
/// client of a remote provider can exist.
#[derive(Clone)]
pub struct Network {
    /// Or the variable that names none.
    pub(crate) proxies: Arc<Result<Proxies, &'static str>>,
    pub(crate) lookup: Arc<dyn Lookup>,
    pub(crate) clock: Arc<dyn Clock>,
    n_clients: Arc<AtomicUsize>,
}

impl Network {
    /// The network with the proxies that the usual variables name: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`.
    /// Where one of them names no proxy that can be used, only providers that would need it cannot be built.
    pub fn new(env: &dyn Env) -> Self {
        Self {
            proxies: Arc::new(Proxies::from_env(env)),
            lookup: Arc::new(SystemLookup),
            clock: Arc::new(SystemClock),
            n_clients: Arc::default(),
        }
    }

    /// The same, with names looked up so.
    pub fn with_lookup(mut self, lookup: impl Lookup + 'static) -> Self {
        self.lookup = Arc::new(lookup);
        self
    }

    /// The same, with this clock.
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How many clients were built with it. A client is built when its provider is first called.
    pub fn n_clients(&self) -> usize {
        self.n_clients.load(Ordering::Relaxed)
    }

    pub(crate) fn count_client(&self) {
        self.n_clients.fetch_add(1, Ordering::Relaxed);
    }
}

//! A provider as the router keeps it: with its configuration, its limits and its patience.

use std::sync::Arc;
use std::time::Duration;

use inhouse_chat::{ModelName, ProviderName};
use inhouse_config::{Deadlines, ProviderConfig, ProviderKind, RouterConfig};
use inhouse_policy::Zone;
use tokio::time::Instant;

use crate::KnownModels;
use crate::limits::{RateLimit, RateLimiter};
use crate::provider::Provider;
use crate::retry::RetryPolicy;

/// A provider, with what the configuration says of it.
pub(crate) struct Member {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) kind: ProviderKind,
    pub(crate) config: ProviderConfig,
    pub(crate) retry: RetryPolicy,
    pub(crate) limiter: RateLimiter,
    pub(crate) deadlines: Deadlines,
}

impl Member {
    pub(crate) fn new(
        provider: Arc<dyn Provider>,
        kind: ProviderKind,
        config: ProviderConfig,
        routing: &RouterConfig,
        now: Instant,
    ) -> Self {
        let retry = RetryPolicy {
            max_retries: config.max_retries,
            delay: Duration::from_millis(config.retry_delay),
            max_delay: Duration::from_millis(routing.retries.max_delay),
        };
        let limit = RateLimit {
            requests_per_minute: config.rate_limit.requests_per_minute.map(u64::from),
            tokens_per_minute: config.rate_limit.tokens_per_minute,
        };
        Self {
            retry,
            limiter: RateLimiter::new(limit, now),
            deadlines: deadlines(&config, routing),
            provider,
            kind,
            config,
        }
    }

    pub(crate) fn name(&self) -> &ProviderName {
        self.provider.name()
    }

    pub(crate) fn zone(&self, model: &ModelName) -> Zone {
        self.provider.zone(model)
    }

    /// The model it answers with where what was asked for is not its own.
    pub(crate) fn default_model(&self) -> Option<ModelName> {
        let configured = self.config.models.get("default");
        configured.or(self.provider.default_model()).cloned()
    }

    /// What this provider calls `asked`; `None` where it does not have it.
    ///
    /// `auto` leaves it to the provider. Its own names for uses (`fast`, `advanced`) come first, then the table of known models. What nobody knows is
    /// passed on as it is where `insisted`: a new model must not wait for a new version of this program.
    pub(crate) fn model_for(&self, asked: &ModelName, insisted: bool) -> Option<ModelName> {
        if matches!(asked.as_str(), "" | "auto") {
            return self.default_model();
        }
        if let Some(by_use) = self.config.models.get(asked.as_str()) {
            return Some(by_use.clone());
        }
        if self.kind == ProviderKind::Onnx
            && (self.config.model_path.is_some() || self.config.model_id.is_some())
        {
            return self.default_model(); // it is configured with the one model it runs
        }
        let known = KnownModels::shipped();
        match known.name_at(asked, self.kind.name()) {
            Some(name) => Some(name),
            None if insisted || self.is_default(asked) => Some(asked.clone()),
            None => None,
        }
    }

    fn is_default(&self, model: &ModelName) -> bool {
        self.default_model().as_ref() == Some(model)
    }
}

/// Those of the provider; with a circuit breaker that has a time of its own, no later than that.
fn deadlines(config: &ProviderConfig, routing: &RouterConfig) -> Deadlines {
    let own = config.deadlines();
    let breaker = &routing.routing.performance.circuit_breaker;
    let bound = breaker
        .timeout
        .filter(|_| breaker.enabled)
        .map(Duration::from_millis);
    Deadlines {
        first_token: own.first_token.into_iter().chain(bound).min(),
        ..own
    }
}

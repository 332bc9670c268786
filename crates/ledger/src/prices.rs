//! What a model charges.
//!
//! The list that is shipped is a reduction of the `genai-prices` data (see `prices.json` and its licence beside it);
//! `scripts/make_prices.py` makes it. Nothing here fetches a newer one.

mod overrides;
mod price;
mod rate;
mod rule;
mod snapshot;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use inhouse_chat::{Money, Usage};
use jiff::Timestamp;

pub use overrides::Override;
pub use price::Price;
pub use snapshot::Source;

use snapshot::Snapshot;

const SHIPPED: &str = include_str!("../prices.json");

/// Names of the providers that run on this machine: what they do costs exactly nothing.
const LOCAL: [&str; 2] = ["onnx-local", "onnx"];

/// How many names are remembered. Clients choose them, so there must be an end.
const MEMO_LIMIT: usize = 4_096;

/// The prices of every model, with the user's own before those of the list.
#[derive(Debug, Default)]
pub struct PriceList {
    /// `None` is the shipped one, which is read when the first price is asked for.
    snapshot: Option<Snapshot>,
    overrides: Vec<Override>,
    /// Kinds of providers by the names that the user gave them.
    kinds: HashMap<String, String>,
    memo: RwLock<Memo>,
}

/// What is known of a provider's models, also that they have no price.
type Models = HashMap<Box<str>, Option<Arc<Price>>>;

#[derive(Debug, Default)]
struct Memo {
    /// By provider.
    known: HashMap<Box<str>, Models>,
    count: usize,
}

/// A file is not a list of prices.
#[derive(Debug, thiserror::Error)]
#[error("not a price list: {reason}; scripts/make_prices.py makes one")]
pub struct PriceListError {
    reason: String,
}

impl PriceList {
    /// The list that came with this build.
    pub fn shipped() -> Self {
        Self::default()
    }

    /// A list as `prices.json` has it.
    pub fn load(json: &str) -> Result<Self, PriceListError> {
        let snapshot = Snapshot::parse(json).map_err(|reason| PriceListError { reason })?;
        Ok(Self {
            snapshot: Some(snapshot),
            ..Self::default()
        })
    }

    /// With prices of the user's own: what an override names replaces what the list says, the rest of the entry stays.
    /// The first override that fits a model counts.
    pub fn with_overrides(mut self, overrides: impl IntoIterator<Item = Override>) -> Self {
        self.overrides.extend(overrides);
        self.memo = RwLock::default();
        self
    }

    /// With the kind of each provider whose name is the user's own, so that `eu` can have the prices of `anthropic`, and
    /// an override that names `eu` holds for it alone.
    pub fn with_names(mut self, kinds: impl IntoIterator<Item = (String, String)>) -> Self {
        self.kinds.extend(kinds);
        self.memo = RwLock::default();
        self
    }

    /// Where the list comes from.
    pub fn source(&self) -> &Source {
        &self.snapshot().source
    }

    /// The price of a model at a provider, or `None` where no list has it.
    ///
    /// The provider is a kind (`anthropic`, `openai`, `gemini`, `openrouter`) or any name the list has (`groq`, `x-ai`,
    /// `huggingface_novita`). For `huggingface`, the model's suffix says who runs it (`org/model:novita`); for `litellm`,
    /// its prefix (`anthropic/claude-..`).
    pub fn price(&self, provider: &str, model: &str) -> Option<Arc<Price>> {
        {
            let memo = self.memo.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = memo.known.get(provider).and_then(|of| of.get(model)) {
                return found.clone();
            }
        }
        let found = self.find(provider, model).map(Arc::new);
        self.remember(provider, model, found.clone());
        found
    }

    /// What a reply cost: what the provider itself says that it charged, else what the list makes of its usage.
    /// `None` where the price is unknown.
    pub fn cost(&self, provider: &str, model: &str, usage: &Usage, at: Timestamp) -> Option<Money> {
        match self.price(provider, model) {
            Some(price) => price.cost(usage, at),
            None => price::charged(usage),
        }
    }

    fn snapshot(&self) -> &Snapshot {
        static PARSED: OnceLock<Snapshot> = OnceLock::new();
        match &self.snapshot {
            Some(snapshot) => snapshot,
            // That the shipped list can be read is a test; were it not so, no price would be known.
            None => PARSED.get_or_init(|| Snapshot::parse(SHIPPED).unwrap_or_default()),
        }
    }

    fn find(&self, provider: &str, model: &str) -> Option<Price> {
        let kind = self.kinds.get(provider).map_or(provider, String::as_str);
        if LOCAL.contains(&kind) {
            return Some(Price::free());
        }
        let listed = self.snapshot().find(kind, model);
        let own = self
            .overrides
            .iter()
            .find(|own| own.applies(provider, model));
        match own {
            Some(own) => Some(own.over(listed, model)),
            None => listed,
        }
    }

    fn remember(&self, provider: &str, model: &str, found: Option<Arc<Price>>) {
        let mut memo = self.memo.write().unwrap_or_else(PoisonError::into_inner);
        if memo.count >= MEMO_LIMIT {
            *memo = Memo::default();
        }
        memo.count += 1;
        let of = memo.known.entry(provider.into()).or_default();
        of.insert(model.into(), found);
    }
}

#[cfg(test)]
mod tests;

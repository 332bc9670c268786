//! What the router asks of a provider, and what it gives for it.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::Stream;
use futures_util::future::BoxFuture;
use inhouse_chat::{Event, ModelName, ProviderError, ProviderName};
use inhouse_policy::{Cleared, Zone};

/// Someone who can answer: an upstream, or the engine on this machine.
///
/// A provider makes one attempt. Retrying, falling back, time limits, budgets and counting are the router's.
pub trait Provider: Send + Sync {
    /// Its name in configuration and answers.
    fn name(&self) -> &ProviderName;

    /// Where a request for `model` ends up. One address can reach two zones: Ollama on this machine relays models
    /// whose name ends in `cloud`.
    fn zone(&self, model: &ModelName) -> Zone;

    /// Answers `call`, as a stream. Dropping the future or the stream stops the upstream.
    fn chat(&self, call: Call) -> BoxFuture<'_, Result<Answering, ProviderError>>;

    /// How many keys it takes in turns; the router asks again when one is rejected.
    fn n_keys(&self) -> usize {
        1
    }

    /// The model it answers with where nobody names one.
    fn default_model(&self) -> Option<&ModelName> {
        None
    }
}

/// One attempt.
#[derive(Debug)]
pub struct Call {
    /// The request, and leave to send it to the zone of this provider and model.
    pub cleared: Cleared,
    /// The model, as this provider names it.
    pub model: ModelName,
    /// Counts what leaves.
    pub meter: Meter,
    /// The name of the key that the caller showed. What was computed for one must not speed up another: how long an answer
    /// takes would tell what was asked before.
    pub caller: Option<String>,
}

/// An answer that has begun.
pub struct Answering {
    /// Its events. The end of the stream without [`Event::End`] is a cut-off answer.
    pub events: EventStream,
    /// What was left out or changed because the provider cannot express it, in words for the caller.
    pub notes: Vec<String>,
    /// What computes it, where the provider says so: `cpu`, `cuda`.
    pub execution_providers: Vec<String>,
    /// What of this the provider knows better at the end.
    pub late: Late,
}

/// What a provider learns of an answer only while it makes it: a device may be lost in the middle, and another one go
/// on. Clones are the same: the provider keeps one, and tells it before the last event.
#[derive(Clone, Debug, Default)]
pub struct Late(Arc<Mutex<Option<Learned>>>);

/// What was learned of an answer while it was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Learned {
    /// Everything that there is to note by now; what was noted at the beginning is not shown twice.
    pub notes: Vec<String>,
    /// What really computed it.
    pub execution_providers: Vec<String>,
}

/// Events of an answer.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<Event, ProviderError>> + Send>>;

/// Counts the bytes of a request that were handed to the network, also when the attempt then fails.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    /// Counts `bytes` more.
    pub fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Late {
    /// Tells what is known by now, in place of what was told before.
    pub fn tell(&self, learned: Learned) {
        *crate::lock(&self.0) = Some(learned);
    }

    /// What was told so far.
    pub fn told(&self) -> Option<Learned> {
        crate::lock(&self.0).clone()
    }
}

impl Answering {
    /// An answer of which nothing is known but its events.
    pub fn new(events: EventStream) -> Self {
        Self {
            events,
            notes: Vec::new(),
            execution_providers: Vec::new(),
            late: Late::default(),
        }
    }
}

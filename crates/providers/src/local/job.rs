//! What the thread of a model is handed.

use std::sync::Arc;

use inhouse_chat::{ChatRequest, Event, Failure, ModelName, ProviderError, ProviderName};
use inhouse_engine::Cancel;
use inhouse_router::{Late, Meter};
use tokio::sync::{mpsc, oneshot};

use super::error::CannotRun;
use super::prompt::Prompt;

/// A request, and whom to answer.
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) reply: oneshot::Sender<Result<Begun, ProviderError>>,
}

/// A request, for the thread of its model.
pub(super) struct Work {
    pub(super) provider: ProviderName,
    pub(super) id: String,
    /// The model as answers name it.
    pub(super) model: ModelName,
    pub(super) request: Arc<ChatRequest>,
    pub(super) prompt: Prompt,
    pub(super) meter: Meter,
    /// The name of the key that the caller showed.
    pub(super) caller: Option<String>,
    pub(super) cancel: Cancel,
}

/// An answer that is being made.
pub(super) struct Begun {
    pub(super) events: mpsc::Receiver<Result<Event, ProviderError>>,
    pub(super) notes: Vec<String>,
    pub(super) execution_providers: Vec<String>,
    /// Told before the last event.
    pub(super) late: Late,
}

impl Job {
    /// The model cannot be loaded.
    pub(super) fn refuse(self, error: CannotRun) {
        let error = self.work.failed(Failure::Engine).because(error);
        // Nobody may be waiting any more.
        let _ = self.reply.send(Err(error));
    }
}

impl Work {
    pub(super) fn failed(&self, kind: Failure) -> ProviderError {
        ProviderError::new(&self.provider, kind)
    }
}

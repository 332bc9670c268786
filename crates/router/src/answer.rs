//! What the router gives back.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use inhouse_chat::{
    Assembler, Disorder, Event, ModelName, Money, ProviderError, ProviderName, Reply, Usage,
};
use inhouse_policy::Zone;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was answered.
    pub reply: Reply,
    /// Who answered, how fast, and what it cost.
    pub metadata: AnswerMetadata,
}

/// Who answered, how fast, and what it cost.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerMetadata {
    /// The request, in the ledger and in its receipt.
    pub request_id: String,
    /// Who answered: `onnx-local`, `anthropic`.
    pub provider: ProviderName,
    /// With which model, as the provider names it.
    pub model: ModelName,
    /// Where that is.
    pub zone: Zone,
    /// How far the request was allowed to go.
    pub ceiling: Zone,
    /// What decided that this provider was asked first.
    pub reason: String,
    /// What it took; nothing before the end of a stream.
    pub usage: Usage,
    /// What it cost: `None` where the price is unknown. Exactly $0.00 on this device and from the cache.
    pub cost: Option<Money>,
    /// From the request to the end of the answer.
    pub latency: Duration,
    /// From the request to the first piece of the answer.
    pub time_to_first_token: Duration,
    /// Tokens of the answer a second after the first; `None` where there was one piece.
    pub tokens_per_second: Option<f64>,
    /// What computed it, where the provider says so. It may change in the middle of an answer, so what really did is
    /// known at its end.
    pub execution_providers: Vec<String>,
    /// How many attempts it took, over all providers.
    pub attempts: u32,
    /// Whether the answer was kept from before and nobody was asked.
    pub cached: bool,
    /// What was left out or changed on the way, and what else a caller should know.
    pub notes: Vec<String>,
}

/// An answer, piece by piece. Dropping it stops the upstream.
pub struct AnswerStream {
    events: Pin<Box<dyn Stream<Item = Result<Event, StreamError>> + Send>>,
    metadata: Arc<Mutex<AnswerMetadata>>,
}

/// The answer broke off after it had begun. There is no second one: what was shown cannot be taken back.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The provider failed.
    #[error("the answer broke off: {0}")]
    Provider(#[source] ProviderError),
    /// The provider's events do not make an answer.
    #[error("the answer of {0} is out of order: {1}")]
    Disorder(ProviderName, Disorder),
}

impl AnswerStream {
    pub(crate) fn new(
        events: Pin<Box<dyn Stream<Item = Result<Event, StreamError>> + Send>>,
        metadata: Arc<Mutex<AnswerMetadata>>,
    ) -> Self {
        Self { events, metadata }
    }

    /// What is known of the answer now: who answers at once; tokens, cost and what really computed it after the last
    /// event.
    pub fn metadata(&self) -> AnswerMetadata {
        crate::lock(&self.metadata).clone()
    }

    /// Waits for the whole answer.
    ///
    /// # Errors
    ///
    /// Where it breaks off.
    pub async fn collect(mut self) -> Result<Answer, StreamError> {
        let mut assembler = Assembler::new();
        while let Some(event) = self.next().await {
            assembler
                .push(&event?)
                .map_err(|disorder| self.disorder(disorder))?;
        }
        let reply = assembler
            .finish()
            .map_err(|disorder| self.disorder(disorder))?;
        let metadata = self.metadata();
        Ok(Answer { reply, metadata })
    }

    fn disorder(&self, disorder: Disorder) -> StreamError {
        StreamError::Disorder(self.metadata().provider, disorder)
    }
}

impl Stream for AnswerStream {
    type Item = Result<Event, StreamError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.as_mut().poll_next(context)
    }
}

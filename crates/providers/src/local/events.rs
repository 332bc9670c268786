//! An answer on its way from the engine's thread.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use inhouse_chat::{Event, ProviderError};
use inhouse_engine::Cancel;
use tokio::sync::mpsc::Receiver;

/// The events of an answer. Dropping it stops the engine.
pub(super) struct Events {
    receiver: Receiver<Result<Event, ProviderError>>,
    _stop: Stop,
}

/// Tells the engine to stop when it is dropped, also while the request still waits for its turn.
pub(super) struct Stop(pub(super) Cancel);

impl Events {
    pub(super) fn new(receiver: Receiver<Result<Event, ProviderError>>, stop: Stop) -> Self {
        Self {
            receiver,
            _stop: stop,
        }
    }
}

impl Stream for Events {
    type Item = Result<Event, ProviderError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(context)
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

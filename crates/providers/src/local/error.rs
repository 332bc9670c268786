//! Why a model cannot be run.

use std::error::Error;
use std::iter;

/// Why a model cannot be run: in words, so that everyone who waits for it can be told.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub(super) struct CannotRun(String);

impl CannotRun {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }

    /// `error` and all that lies beneath it.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let chain: Vec<String> = iter::successors(Some(error), |&error| error.source())
            .map(ToString::to_string)
            .collect();
        Self(chain.join(": "))
    }

    /// A thread ended in the middle of its work, which is a defect.
    pub(super) fn stopped() -> Self {
        Self::new("the engine stopped in the middle of its work; asking again starts it anew")
    }
}

//! Why a request was not answered.

use std::fmt;

use inhouse_chat::{ModelName, ProviderError, ProviderName};
use inhouse_ledger::{BudgetExceeded, LedgerError};

use crate::StreamError;
use crate::candidate::{PassedOver, Skipped};

/// The most bytes that a name of a model, agent, session or user may have.
pub(crate) const MOST_NAME: usize = 512;

/// Why a request was not answered. Says nothing of what was in it.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// The detector found what must not be sent to anyone.
    #[error("refused: the request contains {found}; privacy.detector says block")]
    Blocked {
        /// What was found, by kind and number.
        found: String,
    },
    /// A name in the request is longer than any name is: it would be written to the ledger.
    #[error("{0} has {1} bytes, and no name may have more than {MOST_NAME}")]
    NameTooLong(&'static str, usize),
    /// Nobody may or can answer it. Nothing was sent.
    #[error(
        "nobody can answer this request under its ceiling {ceiling}{}",
        passed_over(skipped)
    )]
    Nobody {
        /// How far it may go, and who says so.
        ceiling: String,
        /// Who was passed over, and why.
        skipped: Vec<NotAsked>,
    },
    /// The provider that the request names cannot answer it; no other is asked.
    #[error("{provider} was asked for and cannot answer: {why}")]
    Named {
        /// The provider.
        provider: ProviderName,
        /// Why it cannot.
        why: PassedOver,
    },
    /// A budget is used up. Nothing was sent.
    #[error(transparent)]
    Budget(#[from] BudgetExceeded),
    /// Everyone who was asked failed; the last error is the cause.
    #[error("no provider answered{}", failures(attempts))]
    Failed {
        /// What each attempt came to, in order; never empty.
        attempts: Vec<ProviderError>,
    },
    /// It took longer altogether than `routing.performance.timeout`.
    #[error("no answer within {0:?} (routing.performance.timeout)")]
    TimedOut(std::time::Duration),
    /// The answer broke off after it had begun.
    #[error(transparent)]
    BrokenOff(#[from] StreamError),
    /// What was spent cannot be recorded, so nothing was sent.
    #[error("the ledger cannot be written")]
    Ledger(#[from] LedgerError),
}

/// A provider that was not asked, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct NotAsked {
    /// The provider.
    pub provider: ProviderName,
    /// The model it would have answered with, where that was clear.
    pub model: Option<ModelName>,
    /// Why it was not asked.
    pub why: PassedOver,
}

impl RouteError {
    /// The error of the provider that was asked last: its body is what a client of its protocol expects to read.
    pub fn last_attempt(&self) -> Option<&ProviderError> {
        match self {
            Self::Failed { attempts } => attempts.last(),
            Self::BrokenOff(StreamError::Provider(error)) => Some(error),
            _ => None,
        }
    }
}

impl From<Skipped> for NotAsked {
    fn from(skipped: Skipped) -> Self {
        Self {
            provider: skipped.provider,
            model: skipped.model,
            why: skipped.why,
        }
    }
}

fn passed_over(skipped: &[NotAsked]) -> String {
    if skipped.is_empty() {
        return ": no provider is configured".to_owned();
    }
    list(
        skipped
            .iter()
            .map(|one| format!("{}: {}", one.provider, one.why)),
    )
}

fn failures(attempts: &[ProviderError]) -> String {
    list(
        attempts
            .iter()
            .map(|error| match (&error.status, &error.cause) {
                (Some(status), _) => format!("{error} (status {status})"),
                (None, Some(cause)) => format!("{error}: {cause}"),
                (None, None) => error.to_string(),
            }),
    )
}

fn list(parts: impl Iterator<Item = impl fmt::Display>) -> String {
    parts
        .enumerate()
        .fold(String::new(), |mut text, (index, part)| {
            text.push_str(if index == 0 { ": " } else { "; " });
            text.push_str(&part.to_string());
            text
        })
}

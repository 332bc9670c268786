//! What went wrong with a provider: whose fault it is, whether trying again helps, and after how long.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::ProviderName;

/// Any error, as a cause.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A provider did not answer. Neither `Debug` nor `Display` shows what it said: answers quote prompts and keys.
#[derive(thiserror::Error)]
#[error("{provider} {kind}")]
pub struct ProviderError {
    /// Who did not answer.
    pub provider: ProviderName,
    /// What went wrong.
    pub kind: Failure,
    /// The HTTP status, where one came.
    pub status: Option<u16>,
    /// When the provider asks to be asked again (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// What the provider said, as it said it, for the caller only: clients match on the wording.
    pub body: Bytes,
    /// What lies beneath.
    #[source]
    pub cause: Option<BoxError>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum Failure {
    /// No connection.
    #[error("cannot be reached")]
    Unreachable,
    /// Too slow.
    #[error("took too long {0}")]
    TimedOut(Phase),
    /// 429.
    #[error("is rate-limiting us")]
    RateLimited,
    /// 503, 529: no room at the moment.
    #[error("is overloaded")]
    Overloaded,
    /// Other 5xx.
    #[error("failed")]
    Internal,
    /// Not what the protocol says.
    #[error("answered with something that is not its protocol")]
    Garbled,
    /// The stream stopped before its end.
    #[error("stopped in the middle of its answer")]
    CutOff,
    /// 401.
    #[error("rejected our key")]
    Key,
    /// 402, exhausted credit.
    #[error("wants to be paid first")]
    Payment,
    /// 403.
    #[error("does not allow this")]
    Forbidden,
    /// 404: the model, mostly.
    #[error("does not have this model")]
    NoSuchModel,
    /// The prompt does not fit the model.
    #[error("has no model with room for so long a prompt")]
    TooLong,
    /// 400 and its like.
    #[error("rejected the request")]
    BadRequest,
    /// Its filter declined to answer.
    #[error("declined to answer")]
    Declined,
    /// It cannot express what was asked: the reason is the cause.
    #[error("cannot do what was asked")]
    Unsupported,
    /// The local engine cannot load or run the model.
    #[error("cannot run the model")]
    Engine,
    /// The caller went away.
    #[error("was told to stop")]
    Cancelled,
    /// The permit was for another zone: a defect of ours, and nothing was sent.
    #[error("was not permitted")]
    NotPermitted,
}

/// In which part of a call time ran out.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum Phase {
    /// Before there was a connection.
    #[error("to connect")]
    Connect,
    /// Before anything of the answer came.
    #[error("to begin its answer")]
    FirstToken,
    /// Between two pieces of the answer.
    #[error("between pieces of its answer")]
    Idle,
    /// Altogether.
    #[error("altogether")]
    Total,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The provider's or the network's: another provider may do better.
    Provider,
    /// Ours: key, credit, configuration; another provider may do better, trying again will not.
    Ours,
    /// The request's: it will fail everywhere, or must not be sent anywhere.
    Request,
}

impl Failure {
    /// Whose fault it is.
    pub fn fault(self) -> Fault {
        match self {
            Self::Unreachable
            | Self::TimedOut(_)
            | Self::RateLimited
            | Self::Overloaded
            | Self::Internal
            | Self::Garbled
            | Self::CutOff
            | Self::Engine => Fault::Provider,
            Self::Key
            | Self::Payment
            | Self::Forbidden
            | Self::NoSuchModel
            | Self::TooLong
            | Self::Unsupported => Fault::Ours,
            Self::BadRequest | Self::Declined | Self::Cancelled | Self::NotPermitted => {
                Fault::Request
            }
        }
    }

    /// Whether the same provider may do better in a moment.
    pub fn worth_retrying(self) -> bool {
        match self {
            Self::Unreachable
            | Self::TimedOut(Phase::Connect | Phase::FirstToken)
            | Self::RateLimited
            | Self::Overloaded
            | Self::Internal
            | Self::CutOff => true,
            Self::TimedOut(Phase::Idle | Phase::Total)
            | Self::Garbled
            | Self::Key
            | Self::Payment
            | Self::Forbidden
            | Self::NoSuchModel
            | Self::TooLong
            | Self::BadRequest
            | Self::Declined
            | Self::Unsupported
            | Self::Engine
            | Self::Cancelled
            | Self::NotPermitted => false,
        }
    }

    /// Whether another provider may do better with the same request.
    pub fn worth_falling_back(self) -> bool {
        self.fault() != Fault::Request
    }

    /// Whether another of the provider's keys may do better.
    pub fn worth_another_key(self) -> bool {
        matches!(self, Self::Key | Self::Payment | Self::RateLimited)
    }

    /// Whether it tells that the provider is ill, for its circuit breaker. A wrong key or a long prompt does not.
    pub fn speaks_against_provider(self) -> bool {
        self.fault() == Fault::Provider && self != Self::RateLimited
    }
}

impl ProviderError {
    /// An error with nothing but its kind.
    pub fn new(provider: &ProviderName, kind: Failure) -> Self {
        Self {
            provider: provider.clone(),
            kind,
            status: None,
            retry_after: None,
            body: Bytes::new(),
            cause: None,
        }
    }

    /// With what lies beneath.
    pub fn because(mut self, cause: impl Into<BoxError>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

impl fmt::Debug for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderError")
            .field("provider", &self.provider)
            .field("kind", &self.kind)
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .finish_non_exhaustive()
    }
}

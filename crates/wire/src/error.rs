//! What cannot be read or written. Errors name fields and kinds, never values: values may be what a user wrote.

use std::time::Duration;

use bytes::Bytes;
use inhouse_chat::{Dialect, Failure};

/// A body that cannot be read, or a request that a protocol cannot express.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WireError {
    /// A field that must be there is not.
    #[error("{path} is missing")]
    Missing {
        /// Where, as in `messages[2].content[0].type`.
        path: String,
    },
    /// A field is something else than the protocol says.
    #[error("{path} is not {expected}")]
    Kind {
        /// Where.
        path: String,
        /// What it should be, with its article: `a string`.
        expected: &'static str,
    },
    /// A field that our own protocol does not have.
    #[error("{path} is not a field of this protocol; take it out or mend its name")]
    Unknown {
        /// Where.
        path: String,
    },
    /// What the model would have read cannot be said in the target's protocol, so nothing is sent.
    #[error("{path} cannot be expressed in {target}: {reason}")]
    Unsupported {
        /// Where in the neutral request.
        path: String,
        /// The protocol.
        target: Dialect,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// Not JSON at all.
    #[error("{what} is not JSON")]
    NotJson {
        /// Which part: `an event of the stream`.
        what: &'static str,
    },
    /// A line or event of a stream is longer than anything a provider sends.
    #[error("an event of the stream is longer than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// A stream's events are not in the protocol's order.
    #[error("the stream is out of order: {0}")]
    Disorder(&'static str),
}

/// A stream that ended otherwise than with its end.
#[derive(Clone, Eq, PartialEq, thiserror::Error)]
pub enum StreamError {
    /// It is not in the protocol.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The provider said in the stream that it failed.
    #[error("the provider {failure} while it answered")]
    Upstream {
        /// What went wrong.
        failure: Failure,
        /// When it asks to be asked again.
        retry_after: Option<Duration>,
        /// The event as it came, for the caller only.
        body: Bytes,
    },
    /// The bytes stopped before the end.
    #[error("the stream stopped before its end")]
    CutOff,
}

impl StreamError {
    /// What went wrong, as the router counts it.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Wire(_) => Failure::Garbled,
            Self::Upstream { failure, .. } => *failure,
            Self::CutOff => Failure::CutOff,
        }
    }
}

/// Without the body: it may quote the prompt.
impl std::fmt::Debug for StreamError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

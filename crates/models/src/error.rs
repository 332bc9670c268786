//! What went wrong, whose fault it is, and what to do about it.

use std::path::Path;

/// An error of the model store.
///
/// The message names the thing, the reason and what to do; [`kind`](Self::kind) is for code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
    #[source]
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What kind of error it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// No model or catalog entry has this name.
    UnknownModel,
    /// A source or a name is not written as it should be.
    BadSource,
    /// The other side does not have what was asked for.
    NotFound,
    /// A token is missing or refused, or a licence was not accepted.
    Login,
    /// The connection failed, was cut or stood still, more often than is tried again.
    Network,
    /// The other side answered with something that makes no sense or kept failing.
    Server,
    /// The bytes that came are not the bytes that were promised.
    Corrupt,
    /// There is not enough room on the disk.
    NoSpace,
    /// A file could not be read or written.
    Io,
    /// The network was needed and the store is offline.
    Offline,
    /// The user cancelled.
    Cancelled,
    /// `pip` is missing or failed.
    Pip,
    /// `npm` is missing or failed.
    Npm,
    /// No runtime of this name is here.
    UnknownRuntime,
    /// There is no such runtime for this platform.
    Unsupported,
    /// A model file could not be converted.
    Convert,
    /// The name already belongs to a model from another source.
    Conflict,
    /// An installed model is damaged.
    Damaged,
    /// A file name from outside would leave the model's folder.
    Unsafe,
}

impl StoreErrorKind {
    /// Whether the same call may succeed later with nothing changed here.
    #[must_use]
    pub fn worth_retrying(self) -> bool {
        matches!(self, Self::Network | Self::Server)
    }
}

impl StoreError {
    /// What kind of error it was.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    pub(crate) fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            cause: None,
        }
    }

    pub(crate) fn caused_by(
        mut self,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// A file operation that failed: `doing` is "read", "write", "create the folder".
    pub(crate) fn io(doing: &str, path: &Path, cause: std::io::Error) -> Self {
        if cause.kind() == std::io::ErrorKind::StorageFull {
            return Self::new(
                StoreErrorKind::NoSpace,
                format!(
                    "the disk is full: cannot {doing} {}; free some space and run the same command again, \
                     what has arrived is kept",
                    path.display()
                ),
            )
            .caused_by(cause);
        }
        Self::new(
            StoreErrorKind::Io,
            format!("cannot {doing} {}", path.display()),
        )
        .caused_by(cause)
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(
            StoreErrorKind::Cancelled,
            "cancelled; what has arrived is kept and the next pull goes on from there",
        )
    }
}

/// Adds the path to an I/O error.
pub(crate) trait IoContext<T> {
    fn at(self, doing: &str, path: &Path) -> Result<T, StoreError>;
}

impl<T> IoContext<T> for std::io::Result<T> {
    fn at(self, doing: &str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|cause| StoreError::io(doing, path, cause))
    }
}

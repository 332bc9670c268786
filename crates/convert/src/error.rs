//! The crate's one error: what stopped a conversion, and whose fault it is.

use std::error::Error;
use std::fmt::Display;
use std::path::Path;

type Source = Box<dyn Error + Send + Sync>;

/// Why a file could not be read or converted.
///
/// The message names the key, tensor or file, the reason, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ConvertError {
    kind: ConvertErrorKind,
    message: String,
    #[source]
    source: Option<Source>,
}

/// Whose fault a [`ConvertError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConvertErrorKind {
    /// The input contradicts its own format: cut off, overflowing, inconsistent.
    Damaged,
    /// The input is well formed, but holds something this crate does not convert.
    Unsupported,
    /// The input could not be read.
    Input,
    /// The output could not be written.
    Output,
}

impl ConvertError {
    /// Whose fault it is.
    pub fn kind(&self) -> ConvertErrorKind {
        self.kind
    }

    pub(crate) fn new(kind: ConvertErrorKind, message: impl Into<String>) -> Self {
        ConvertError {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn damaged(message: impl Into<String>) -> Self {
        Self::new(ConvertErrorKind::Damaged, message)
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ConvertErrorKind::Unsupported, message)
    }

    pub(crate) fn reading(path: &Path, source: impl Into<Source>) -> Self {
        ConvertError {
            kind: ConvertErrorKind::Input,
            message: format!("cannot read {}", path.display()),
            source: Some(source.into()),
        }
    }

    pub(crate) fn writing(what: impl Display, source: impl Into<Source>) -> Self {
        ConvertError {
            kind: ConvertErrorKind::Output,
            message: format!("cannot write {what}"),
            source: Some(source.into()),
        }
    }
}

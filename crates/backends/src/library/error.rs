//! What goes wrong with ONNX Runtime itself: its library, its providers, their options.

use inhouse_engine::{EngineError, ErrorKind};

/// An error about the runtime, its library or one of its execution providers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RuntimeError {
    kind: RuntimeErrorKind,
    message: String,
}

/// What a [`RuntimeError`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuntimeErrorKind {
    /// The library is missing, too old, not trusted or not loadable.
    Library,
    /// An execution provider is missing, or failed.
    Device,
    /// A name or an option is wrong.
    Options,
}

impl RuntimeError {
    pub(crate) fn library(message: impl Into<String>) -> Self {
        Self::new(RuntimeErrorKind::Library, message)
    }

    pub(crate) fn device(message: impl Into<String>) -> Self {
        Self::new(RuntimeErrorKind::Device, message)
    }

    pub(crate) fn options(message: impl Into<String>) -> Self {
        Self::new(RuntimeErrorKind::Options, message)
    }

    fn new(kind: RuntimeErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind, message }
    }

    /// What the error is about.
    pub fn kind(&self) -> RuntimeErrorKind {
        self.kind
    }
}

impl From<RuntimeError> for EngineError {
    fn from(error: RuntimeError) -> Self {
        let kind = match error.kind {
            RuntimeErrorKind::Library => ErrorKind::Library,
            RuntimeErrorKind::Device => ErrorKind::Device,
            RuntimeErrorKind::Options => ErrorKind::Options,
        };
        Self::new(kind, error.message)
    }
}

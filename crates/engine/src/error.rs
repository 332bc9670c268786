//! What can go wrong in the engine, and whose fault it is.

/// An error of the engine: a kind to match on and a message that names the thing, the reason and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    kind: ErrorKind,
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What kind of failure an [`EngineError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// `genai_config.json` is missing, broken or asks for something this engine does not do.
    Config,
    /// A file of the model cannot be read or is damaged.
    Load,
    /// The graph is sound but not one the native engine recognises.
    UnsupportedGraph,
    /// The caller's options or input ids are out of range.
    Options,
    /// Prompt and answer together are longer than the model's context.
    ContextOverflow {
        /// Tokens that would be needed.
        needed: usize,
        /// Tokens that the context holds.
        limit: usize,
    },
    /// The model does not fit into the memory there is.
    Memory,
    /// The library of ONNX Runtime is missing, or of a version that does not fit.
    Library,
    /// An execution provider is missing, or its device failed.
    Device,
    /// The caller cancelled.
    Cancelled,
    /// The tokenizer or the chat template failed.
    Text,
}

impl EngineError {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// An error of this kind with what caused it; the message does not repeat the cause.
    pub fn with_source(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            message: message.into(),
            source: Some(source.into()),
        }
    }

    /// What is wrong with `genai_config.json`.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// What is wrong with the caller's options or ids.
    pub fn options(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Options, message)
    }

    /// The caller cancelled.
    pub fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "cancelled")
    }

    /// `needed` tokens do not fit into a context of `limit`.
    pub fn context_overflow(needed: usize, limit: usize) -> Self {
        Self::new(
            ErrorKind::ContextOverflow { needed, limit },
            format!(
                "{needed} tokens are needed and the model's context holds {limit}; \
                 shorten the prompt or ask for fewer new tokens"
            ),
        )
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

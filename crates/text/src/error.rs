//! The one error of this crate.

use std::path::Path;

/// What went wrong with a tokenizer, a template or a text.
///
/// The message names the file or the template, the reason and what to do. It never holds text of a message.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct TextError {
    kind: TextErrorKind,
    message: String,
}

/// Whose fault a [`TextError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextErrorKind {
    /// A file of the model folder is missing or cannot be read.
    File,
    /// `tokenizer.json` or a file beside it is not what it should be.
    Tokenizer,
    /// The chat template is wrong, or went beyond its limits.
    Template,
    /// The template refuses these messages, or a message is not as it must be.
    Messages,
    /// The text cannot be turned into ids.
    Encode,
}

impl TextError {
    pub(crate) fn new(kind: TextErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(crate) fn file(path: &Path, error: &std::io::Error) -> Self {
        Self::new(
            TextErrorKind::File,
            format!("cannot read {}: {error}", path.display()),
        )
    }

    /// Whose fault it is.
    pub fn kind(&self) -> TextErrorKind {
        self.kind
    }
}

//! Why a model cannot be loaded or written.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::TensorError;

/// Why a model cannot be loaded: what to match on, the file, and a message that names the part at fault.
#[derive(Debug)]
pub struct LoadError {
    kind: LoadErrorKind,
    message: String,
    path: Option<PathBuf>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What went wrong in loading a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadErrorKind {
    /// A file could not be opened or mapped.
    Io,
    /// The bytes are not an ONNX model, or one that was cut off or damaged.
    Malformed,
    /// The file asks for more than a limit allows: size, nesting, or memory out of proportion to its size.
    Limit,
    /// The model is valid but uses a part of ONNX that this crate does not read.
    Unsupported,
    /// External data is missing, too short, or outside the model's folder.
    ExternalData,
}

impl LoadError {
    pub(crate) fn new(kind: LoadErrorKind, message: impl Into<String>) -> LoadError {
        LoadError {
            kind,
            message: message.into(),
            path: None,
            source: None,
        }
    }

    pub(crate) fn malformed(message: impl Into<String>) -> LoadError {
        LoadError::new(LoadErrorKind::Malformed, message)
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> LoadError {
        LoadError::new(LoadErrorKind::Unsupported, message)
    }

    pub(crate) fn io(path: &Path, doing: &str, source: io::Error) -> LoadError {
        LoadError::new(LoadErrorKind::Io, doing)
            .at(path)
            .because(source)
    }

    pub(crate) fn at(mut self, path: &Path) -> LoadError {
        // The innermost file is the one at fault: an external data file is named rather than its model.
        self.path.get_or_insert_with(|| path.to_owned());
        self
    }

    pub(crate) fn because(mut self, source: impl Error + Send + Sync + 'static) -> LoadError {
        self.source = Some(Box::new(source));
        self
    }

    /// What to match on.
    pub fn kind(&self) -> LoadErrorKind {
        self.kind
    }

    /// The file at fault, if the model came from one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{}: {}", path.display(), self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl Error for LoadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}

/// A tensor whose data does not fit its shape is damage in the file.
impl From<TensorError> for LoadError {
    fn from(error: TensorError) -> LoadError {
        LoadError::malformed(error.to_string())
    }
}

/// Why a model cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {message}", path.display())]
pub struct WriteError {
    kind: WriteErrorKind,
    message: String,
    path: PathBuf,
    source: Option<io::Error>,
}

/// What went wrong in writing a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteErrorKind {
    /// The file system refused: no space, no permission.
    Io,
    /// Another writer is at work on the same file.
    Busy,
    /// The caller's data does not fit the shape it announced, or calls came out of order.
    Misuse,
    /// The model without its external data would pass Protocol Buffers' limit of 2 GiB.
    TooLarge,
}

impl WriteError {
    pub(crate) fn new(kind: WriteErrorKind, path: &Path, message: impl Into<String>) -> WriteError {
        WriteError {
            kind,
            message: message.into(),
            path: path.to_owned(),
            source: None,
        }
    }

    pub(crate) fn io(path: &Path, doing: &str, source: io::Error) -> WriteError {
        WriteError {
            source: Some(source),
            ..WriteError::new(WriteErrorKind::Io, path, doing)
        }
    }

    /// What to match on.
    pub fn kind(&self) -> WriteErrorKind {
        self.kind
    }
}

/// A name from a file for use in a message: quoted, control characters escaped, cut where a hostile one goes on.
pub(crate) fn quote(name: &str) -> String {
    const LONGEST: usize = 120;
    let mut cut: String = name.chars().take(LONGEST).collect();
    if cut.len() < name.len() {
        cut.push('…');
    }
    format!("{cut:?}")
}

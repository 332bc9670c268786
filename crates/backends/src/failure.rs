//! What ONNX Runtime fails with, and what that means for whoever asked.

use inhouse_engine::{EngineError, ErrorKind};

use crate::provider::{Class, classify};

/// Why a run or a load failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The caller cancelled.
    Cancelled,
    /// The device has not enough memory.
    Memory(String),
    /// The host would not have enough, as reckoned before.
    NoRoom(EngineError),
    /// The device, its driver or its provider failed; another one may do.
    Device(String),
}

impl Failure {
    /// Reads the message of an error of `ort`: its codes say little.
    pub(crate) fn of(error: &ort::Error) -> Self {
        let message = error.message();
        match classify(message) {
            Class::Terminated => Self::Cancelled,
            Class::OutOfMemory => Self::Memory(message.to_owned()),
            Class::DeviceLost | Class::NotAvailable | Class::Other => {
                Self::Device(message.to_owned())
            }
        }
    }

    /// Whether the next execution provider may succeed where this one failed.
    pub(crate) fn may_go_elsewhere(&self) -> bool {
        !matches!(self, Self::Cancelled)
    }

    /// The error for the caller; `device` is the execution provider's name.
    pub(crate) fn on(self, device: &str) -> EngineError {
        match self {
            Self::Cancelled => EngineError::new(ErrorKind::Cancelled, "cancelled"),
            Self::Memory(why) => EngineError::new(
                ErrorKind::Memory,
                format!(
                    "{device} has not enough memory: {why}; take a shorter context, a smaller model, or another execution \
                     provider"
                ),
            ),
            Self::NoRoom(error) => error,
            Self::Device(why) => {
                EngineError::new(ErrorKind::Device, format!("{device} failed: {why}"))
            }
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cancelled => f.write_str("cancelled"),
            Self::Memory(why) => write!(f, "not enough memory: {why}"),
            Self::NoRoom(error) => error.fmt(f),
            Self::Device(why) => f.write_str(why),
        }
    }
}

impl<R> From<ort::Error<R>> for Failure
where
    ort::Error: From<ort::Error<R>>,
{
    fn from(error: ort::Error<R>) -> Self {
        Self::of(&ort::Error::from(error))
    }
}

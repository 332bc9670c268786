//! How a model is to be computed.

use inhouse_engine::LoadOptions;

use crate::library::Search;

/// What is to compute a model, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which backend.
    pub backend: Choice,
    /// What both backends heed.
    pub load: LoadOptions,
    /// What ONNX Runtime heeds.
    pub onnxruntime: RuntimeOptions,
}

/// Which backend computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The native one for the decoders it recognises, on the processor; ONNX Runtime for everything else.
    #[default]
    Auto,
    /// The native one.
    Native,
    /// ONNX Runtime.
    OnnxRuntime,
}

/// Where ONNX Runtime is, and what it computes with.
#[derive(Clone, Debug)]
pub struct RuntimeOptions {
    /// Where its library may be.
    pub search: Search,
}

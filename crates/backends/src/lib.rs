//! What computes a model: the native engine, or ONNX Runtime with any of its execution providers.
#![forbid(unsafe_code)]

mod batch;
mod device;
mod encoder;
mod failure;
mod fallback;
mod fixed;
mod graph;
mod kv;
mod layout;
pub mod library;
mod load;
mod loaded;
mod model;
mod noted;
mod opening;
mod options;
pub mod provider;
mod runner;
mod runtime;
mod sequence;
mod steps;
pub mod telemetry;
mod tiny;

#[cfg(test)]
mod tests;

pub use encoder::{Cut, EmbedOptions, Embeddings, Encoder, TooLong};
pub use library::Search;
pub use load::load;
pub use options::{Choice, Options, RuntimeOptions};
pub use provider::ExecutionProvider;

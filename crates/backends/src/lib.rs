//! What computes a model: the native engine, or ONNX Runtime with any of its execution providers.
//!
//! [`load`] gives a model with the backend that is to compute it ([`Choice`]); from there on both look alike, behind the
//! engine's [`Backend`](inhouse_engine::Backend). [`Encoder`] is for embeddings.
//!
//! ONNX Runtime is loaded, not linked: [`library`] finds it, and [`telemetry`] keeps it from reporting home. [`provider`] knows the
//! execution providers and tries them. A model's way: its graph is read and changed a little (`graph`), opened on the first
//! device that works (`fallback`, `runner`), its inputs and outputs are looked at (`layout`); then `sequence` and `batch` run it in
//! `steps`, with keys and values in `kv`.
//!
//! ```no_run
//! use inhouse_backends::{Choice, Options, RuntimeOptions, Search, load, telemetry};
//! use inhouse_engine::LoadOptions;
//!
//! telemetry::turn_off(); // first thing in main
//! let home = std::path::Path::new("home");
//! let options = Options {
//!     backend: Choice::Auto,
//!     load: LoadOptions::default(),
//!     onnxruntime: RuntimeOptions::new(Search::from_env(&|name| std::env::var_os(name), home, home)),
//! };
//! let model = load("models/phi-4-mini".as_ref(), &options, &mut |_| {})?;
//! println!("{}", model.info().computed_by);
//! # Ok::<(), inhouse_engine::EngineError>(())
//! ```
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

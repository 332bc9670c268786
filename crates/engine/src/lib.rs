//! Runs decoder models from ONNX Runtime GenAI folders: lifts the graph, keeps the KV cache, decodes and samples.
//!
//! The way of a prompt: [`Model::load`] reads `genai_config.json` ([`GenaiConfig`]), maps the graph and lifts it into
//! typed weights (`lift`, `decoder`); [`Model::sequence`] opens a [`Sequence`], whose keys and values grow by pages
//! (`kv`); [`Session::extend`] runs tokens through it and gives logits.
//!
//! [`Backend`] and [`Session`] are the seam to other engines: what is written above them, generation, [`verify`],
//! [`perplexity`], works on any.
//!
//! ```no_run
//! use inhouse_engine::{Cancel, LoadOptions, Model, Session, Want};
//!
//! let model = Model::load("models/smollm2-135m".as_ref(), &LoadOptions::default())?;
//! let mut sequence = model.sequence();
//! let logits = sequence.extend(&[1, 2, 3], Want::Last, &Cancel::new())?;
//! assert_eq!(logits.rows, 1);
//! # Ok::<(), inhouse_engine::EngineError>(())
//! ```

mod backend;
mod cancel;
mod config;
mod decoder;
mod error;
pub mod generate;
mod kv;
mod lift;
mod memory;
mod model;
pub mod pack;
mod packing;
pub mod perplexity;
pub mod sampling;
mod session;
pub mod stop;
pub mod verify;
mod weights;

pub use backend::{Backend, Batch, ModelInfo};
pub use cancel::{Cancel, CancelHook};
pub use config::{
    DecoderConfig, GenaiConfig, GraphOptimization, MarkTokens, NamedStrings, SearchConfig,
    SessionOptions,
};
pub use error::{EngineError, ErrorKind};
pub use generate::{
    Event, Finish, FinishReason, GenerateOptions, Generation, Timings, Usage, Words,
};
pub use inhouse_kernels::Isa;
pub use kv::KvType;
pub use memory::MemoryEstimate;
pub use model::{Cost, LoadOptions, Model, Precision, Sequence};
pub use packing::{LoadNote, PackedIn};
pub use sampling::SearchOptions;
pub use session::{Logits, Session, Want};

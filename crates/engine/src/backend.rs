//! The seam between a model and what computes it.

use std::path::{Path, PathBuf};

use crate::cancel::Cancel;
use crate::config::GenaiConfig;
use crate::error::EngineError;
use crate::model::Cost;
use crate::session::{Logits, Session};

/// A loaded model, whichever backend computes it.
///
/// Loading is each backend's own; from here on the native engine and ONNX Runtime look alike.
pub trait Backend: Send + Sync {
    /// The folder's configuration.
    fn config(&self) -> &GenaiConfig;

    /// The model folder.
    fn folder(&self) -> &Path;

    /// The folder with the tokenizer: the model folder, unless its configuration names another inside it.
    fn tokenizer_folder(&self) -> PathBuf {
        match &self.config().tokenizer_dir {
            Some(dir) => self.folder().join(dir),
            None => self.folder().to_owned(),
        }
    }

    /// Facts about the model as it was loaded.
    fn info(&self) -> ModelInfo;

    /// An empty sequence; it takes memory only as it grows.
    ///
    /// # Errors
    /// There is no room for it, or its device is gone.
    fn session(&self) -> Result<Box<dyn Session>, EngineError>;

    /// Sequences that are decoded in step.
    ///
    /// # Errors
    /// As [`session`](Self::session).
    fn batch(&self) -> Result<Box<dyn Batch>, EngineError>;

    /// The cost of a prompt of `tokens` tokens from an empty cache, without the head; `None` where the backend does not
    /// know its own arithmetic.
    fn prefill_cost(&self, tokens: usize) -> Option<Cost> {
        let _ = tokens;
        None
    }

    /// The cost of one decoded token of each of `sequences` sequences in one forward, with `before` tokens before it;
    /// `None` where the backend does not know its own arithmetic.
    fn decode_cost(&self, before: usize, sequences: usize) -> Option<Cost> {
        let _ = (before, sequences);
        None
    }

    /// What did not go as it was asked for, as readable lines: execution providers that were passed over or lost, and
    /// why. May grow while the model runs.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Sequences of one model that are decoded in step: a forward reads the weights once for all of them.
pub trait Batch: Send {
    /// Begins anew with a sequence for each of `prompts`, which may differ in length, and gives the last row of logits
    /// of each.
    ///
    /// # Errors
    /// No prompt, an empty one, an id or a length out of range, or the cancellation; the batch holds no sequence then.
    fn prefill(&mut self, prompts: &[&[u32]], cancel: &Cancel) -> Result<Logits, EngineError>;

    /// Runs one token of every sequence and gives a row of logits for each.
    ///
    /// # Errors
    /// Not as many ids as sequences, an id or a length out of range, or the cancellation; no sequence counts its token
    /// then.
    fn step(&mut self, ids: &[u32], cancel: &Cancel) -> Result<Logits, EngineError>;
}

/// Facts about a loaded model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    /// The type its configuration names.
    pub model_type: String,
    /// Blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Values of a head.
    pub head_dim: usize,
    /// Entries of a row of logits.
    pub vocab: usize,
    /// Most tokens of a sequence.
    pub context_length: usize,
    /// Bytes of weights that decoding one token reads; 0 where the backend does not know.
    pub bytes_per_token: usize,
    /// Bytes of keys and values that one token takes.
    pub kv_bytes_per_token: usize,
    /// Forms of the weights and how many matrices have each, most frequent first: `int4 block 32` (97). Empty where the
    /// backend does not know.
    pub weights: Vec<(String, usize)>,
    /// What computes: `native` or `onnxruntime`.
    pub backend: &'static str,
    /// What computes, for people: `avx512vnni`, or `ONNX Runtime 1.31.1 on cpu`.
    pub computed_by: String,
    /// The execution providers that are really used, the preferred one first, by the names that configuration gives
    /// them: `cpu`, `cuda`, ...
    pub execution_providers: Vec<String>,
    /// Instruction set in use, where the backend knows.
    pub isa: Option<&'static str>,
    /// Threads in use.
    pub threads: usize,
}

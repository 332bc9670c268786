//! A loaded model and the sequences that run on it.

mod cost;
mod native;
mod sequence;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use inhouse_kernels::{Isa, Kernels, Pool};

use crate::backend::{Backend, ModelInfo};
use crate::cancel::Cancel;
use crate::config::GenaiConfig;
use crate::decoder::Decoder;
use crate::decoder::apply::Machine;
use crate::decoder::forward::{Chunk, Scratch};
use crate::error::{EngineError, ErrorKind};
use crate::kv::{KvShape, KvType};
use crate::lift::lift;
use crate::memory::MemoryEstimate;
use crate::packing::{self, LoadNote, PackedIn, Source};
use crate::session::Logits;
use crate::weights::Release;

pub use cost::Cost;
pub use sequence::Sequence;

/// Which arithmetic a model runs with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// int8 activations where the graph allows them (accuracy_level 4), f32 elsewhere.
    #[default]
    Default,
    /// f32 everywhere: for comparing, not for speed.
    Exact,
}

/// How a model is loaded.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Threads; the cores this process may use where absent.
    pub threads: Option<usize>,
    /// Instruction set; the best this machine has where absent.
    pub isa: Option<Isa>,
    /// Arithmetic.
    pub precision: Precision,
    /// Type of the KV cache.
    pub kv: KvType,
    /// Memory that may be used, in bytes; a model that needs more is refused. Not checked where absent.
    pub available_memory: Option<u64>,
    /// Folder that packed weights are kept in (see [`pack`](crate::pack)); they are packed in memory where absent.
    pub packed: Option<PathBuf>,
}

impl LoadOptions {
    /// Threads to compute with; without a wish those that this process may use, affinity and cgroup quotas counted in.
    ///
    /// # Errors
    /// None were asked for.
    pub fn n_threads(&self) -> Result<usize, EngineError> {
        match self.threads {
            Some(0) => Err(EngineError::options(
                "0 threads were asked for; 1 is the least",
            )),
            Some(threads) => Ok(threads),
            None => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
        }
    }
}

/// A loaded model. Clones share the weights; forwards of all its sequences run one after the other.
#[derive(Clone)]
pub struct Model(Arc<Inner>);

struct Inner {
    config: GenaiConfig,
    decoder: Decoder,
    machine: Machine,
    scratch: Mutex<Scratch>,
    kv: KvShape,
    folder: PathBuf,
    packed: PackedIn,
}

impl Model {
    /// Loads the model in `folder`: parses its configuration, maps its graph and weights and lifts them.
    ///
    /// # Errors
    /// The folder lacks a file, a file is broken, the graph is not recognised, the instruction set is not there, or
    /// the memory does not suffice; each message names the thing and what to do.
    pub fn load(folder: &Path, options: &LoadOptions) -> Result<Self, EngineError> {
        Self::load_noting(folder, options, &mut |_| {})
    }

    /// As [`load`](Self::load), saying what takes long and what did not work as it was meant.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_noting(
        folder: &Path,
        options: &LoadOptions,
        note: &mut dyn FnMut(LoadNote),
    ) -> Result<Self, EngineError> {
        let config = GenaiConfig::of_folder(folder)?;
        let estimate = MemoryEstimate::of_folder(folder, options.kv)?;
        if let Some(available) = options.available_memory {
            estimate.check(available)?;
        }
        let machine = machine(options)?;
        let path = folder.join(&config.decoder.filename);
        let (graph, files) = inhouse_onnx::Model::load_with_sources(&path).map_err(|e| {
            EngineError::with_source(
                ErrorKind::Load,
                format!("cannot load {}", path.display()),
                e,
            )
        })?;
        let mut decoder = lift(&graph, &config)?;
        let source = Source {
            folder,
            config: &folder.join(crate::config::FILE),
            files: &files,
        };
        let packed = match options.precision {
            Precision::Default => {
                let packs = options.packed.as_deref();
                packing::pack(&mut decoder, &machine.pool, &source, packs, note)
            }
            Precision::Exact => PackedIn::Nowhere,
        };
        if !decoder.head.reads_in_place(&decoder.embedding.table) {
            decoder.embedding.release = Some(Release::new(files));
        }
        let kv = KvShape {
            layers: decoder.layers.len(),
            kv_heads: decoder.shape.kv_heads,
            head_dim: decoder.shape.head_dim,
            kind: options.kv,
        };
        let scratch = Mutex::default();
        Ok(Self(Arc::new(Inner {
            config,
            decoder,
            machine,
            scratch,
            kv,
            folder: folder.to_owned(),
            packed,
        })))
    }

    /// The folder's configuration.
    pub fn config(&self) -> &GenaiConfig {
        &self.0.config
    }

    /// Where its packed weights are.
    pub fn packed_in(&self) -> &PackedIn {
        &self.0.packed
    }

    /// The model folder.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// The folder with the tokenizer: the model folder, unless its configuration names another inside it.
    pub fn tokenizer_folder(&self) -> PathBuf {
        Backend::tokenizer_folder(self)
    }

    /// Facts about the model as it was lifted.
    pub fn info(&self) -> ModelInfo {
        let Inner {
            config,
            decoder,
            machine,
            kv,
            ..
        } = &*self.0;
        let mut weights: Vec<(String, usize)> = Vec::new();
        for form in decoder.linears().map(crate::weights::Linear::describe) {
            match weights.iter_mut().find(|(known, _)| *known == form) {
                Some((_, count)) => *count += 1,
                None => weights.push((form, 1)),
            }
        }
        weights.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let isa = machine.kernels.isa().name();
        ModelInfo {
            model_type: config.model_type.clone(),
            layers: decoder.layers.len(),
            hidden: decoder.shape.hidden,
            heads: decoder.shape.heads,
            kv_heads: decoder.shape.kv_heads,
            head_dim: decoder.shape.head_dim,
            vocab: decoder.shape.vocab,
            context_length: decoder.shape.context,
            bytes_per_token: decoder.bytes_per_token(),
            kv_bytes_per_token: kv.bytes_per_token(),
            weights,
            backend: "native",
            computed_by: isa.to_owned(),
            execution_providers: vec!["cpu".to_owned()],
            isa: Some(isa),
            threads: machine.pool.threads(),
        }
    }

    /// An empty sequence; it takes memory only as it grows.
    pub fn sequence(&self) -> Sequence {
        Sequence::new(self.clone())
    }

    /// Extends several sequences of this model in one forward and gives the last row of logits of each.
    ///
    /// Decoding a batch this way reads the weights once for all of it.
    ///
    /// # Errors
    /// As [`Session::extend`](crate::Session::extend), and where a sequence is another model's or has no new tokens;
    /// on an error no sequence counts its new tokens.
    pub fn extend_together(
        &self,
        batch: &mut [(&mut Sequence, &[u32])],
        cancel: &Cancel,
    ) -> Result<Logits, EngineError> {
        for (sequence, ids) in batch.iter_mut() {
            if !sequence.is_of(self) {
                return Err(EngineError::options(
                    "a sequence of the batch belongs to another model",
                ));
            }
            if ids.is_empty() {
                return Err(EngineError::options(
                    "a sequence of the batch has no new tokens, so there is no row of logits for it",
                ));
            }
            sequence.prepare(ids, cancel)?;
        }
        let mut chunks: Vec<Chunk<'_>> = batch
            .iter_mut()
            .map(|(sequence, ids)| sequence.chunk(ids))
            .collect();
        let data = self.0.forward(&mut chunks, cancel)?;
        for (sequence, ids) in batch.iter_mut() {
            sequence.ran(ids);
        }
        let vocab = self.0.decoder.shape.vocab;
        Ok(Logits {
            rows: data.len() / vocab,
            vocab,
            data,
        })
    }
}

impl Inner {
    fn forward(&self, chunks: &mut [Chunk<'_>], cancel: &Cancel) -> Result<Vec<f32>, EngineError> {
        // A forward that panicked leaves nothing in the buffers that a later one reads.
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        self.decoder
            .forward(&self.machine, &mut scratch, chunks, cancel)
            .map(<[f32]>::to_vec)
    }
}

fn machine(options: &LoadOptions) -> Result<Machine, EngineError> {
    let isa = options.isa.unwrap_or_else(Isa::best);
    let kernels = Kernels::new(isa).ok_or_else(|| {
        let there: Vec<_> = Isa::available().map(Isa::name).collect();
        EngineError::options(format!(
            "this machine has no {}; it has {}",
            isa.name(),
            there.join(", ")
        ))
    })?;
    Ok(Machine {
        kernels,
        pool: Pool::new(options.n_threads()?),
        exact: options.precision == Precision::Exact,
    })
}

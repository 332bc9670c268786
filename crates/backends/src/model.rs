//! A model that ONNX Runtime computes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use inhouse_engine::{
    Backend, Batch, EngineError, GenaiConfig, LoadOptions, MemoryEstimate, ModelInfo, Session,
};

use crate::batch::Together;
use crate::device::Device;
use crate::failure::Failure;
use crate::fallback::Fallback;
use crate::graph::Prepared;
use crate::layout::layer_of;
use crate::library::Library;
use crate::loaded::Loaded;
use crate::opening;
use crate::provider::ExecutionProvider;
use crate::runner::Opening;
use crate::sequence::Sequence;

/// Prompt tokens that run in one forward: the buffers of a longer one would be as much longer.
const PREFILL_CHUNK: usize = 512;

/// A model on the first of its devices that works; where that one fails, the next goes on.
pub(crate) struct OrtModel(Arc<Shared>);

/// What a model's sequences share.
pub(crate) struct Shared {
    folder: PathBuf,
    source: Source,
    place: Fallback<Loaded>,
}

/// What a model is loaded from, on any device.
struct Source {
    config: GenaiConfig,
    /// The graph's own folder, with its weights.
    folder: PathBuf,
    prepared: Prepared,
    opening: Opening,
    library: &'static Library,
    room: Room,
}

/// Which devices a model may be loaded on; when one is lost later, any may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtLoad {
    AnyDevice,
    NotTheProcessor,
    TheProcessor,
}

impl AtLoad {
    pub(crate) fn may_use(self, device: &Device) -> bool {
        match self {
            Self::AnyDevice => true,
            Self::NotTheProcessor => !device.is_cpu(),
            Self::TheProcessor => device.is_cpu(),
        }
    }
}

impl OrtModel {
    /// Loads the model in `folder` on the first of `devices` that works; `notes` say which were passed over before.
    ///
    /// # Errors
    /// The folder is damaged, the graph is no decoder, the memory does not suffice, or no device works.
    pub(crate) fn load(
        folder: &Path,
        config: GenaiConfig,
        options: &LoadOptions,
        library: &'static Library,
        devices: Vec<Device>,
        at_load: AtLoad,
        notes: Vec<String>,
    ) -> Result<Self, EngineError> {
        let room = Room::of(folder, options)?;
        let mut begin = devices.iter().filter(|device| at_load.may_use(device));
        if let Some(first) = begin.next()
            && !begin.any(|device| room.check(device).is_ok())
        {
            room.check(first)?; // before any of it is read
        }
        let path = folder.join(&config.decoder.filename);
        let names = [
            config.decoder.past_key_names.clone(),
            config.decoder.past_value_names.clone(),
        ];
        let is_past = |name: &str| {
            names
                .iter()
                .any(|pattern| layer_of(pattern, name).is_some())
        };
        let logits = &config.decoder.logits;
        let prepared = Prepared::decoder(&path, logits, &is_past, options.precision)?;
        let (opening, more_notes) = opening::of(&config, options)?;
        let source = Source {
            folder: path.parent().unwrap_or(folder).to_owned(),
            config,
            prepared,
            opening,
            library,
            room,
        };
        let notes = [notes, more_notes].concat();
        let place = Fallback::load(
            devices,
            notes,
            |device| at_load.may_use(device),
            &|device| source.load_on(device),
        )?;
        let mut source = source;
        if place.is_on_the_last() {
            source.prepared.bytes = Vec::new(); // weights may be in it
        }
        Ok(Self(Arc::new(Shared {
            folder: folder.to_owned(),
            source,
            place,
        })))
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl Source {
    /// Fails where another device may do; gives an error where none would.
    fn load_on(&self, device: &Device) -> Result<Result<Loaded, EngineError>, Failure> {
        self.room.check(device).map_err(Failure::NoRoom)?;
        if !device.captures() {
            return self.load_as_told(device);
        }
        // To record is to be faster, not to be right: what cannot be recorded is run as it is.
        let why = match self.prepared.not_recorded() {
            Some(why) => why.to_owned(),
            None => match self.load_as_told(device) {
                Err(failure) => failure.to_string(),
                loaded => return loaded,
            },
        };
        let loaded = self.load_as_told(&device.without_capture())?;
        Ok(loaded.map(|mut loaded| {
            loaded.note = Some(format!("{}: steps are not recorded: {why}", device.name()));
            loaded
        }))
    }

    fn load_as_told(&self, device: &Device) -> Result<Result<Loaded, EngineError>, Failure> {
        let loaded = Loaded::new(
            &self.library.environment,
            &self.prepared,
            &self.folder,
            device,
            &self.opening,
            &self.config,
        )?;
        if let Ok(loaded) = &loaded {
            let mut placements = loaded.runner.placements.iter();
            if !placements.any(|placement| placement.provider == device.provider.ort_name()) {
                let why = "it takes none of the graph's operators";
                return Err(Failure::Device(why.to_owned()));
            }
        }
        Ok(loaded)
    }
}

impl Shared {
    pub(crate) fn context_length(&self) -> usize {
        self.source.config.context_length
    }

    /// Prompt tokens that run in one forward.
    pub(crate) fn chunk(&self) -> usize {
        self.source
            .config
            .search
            .chunk_size
            .unwrap_or(PREFILL_CHUNK)
    }

    pub(crate) fn current(&self) -> Arc<Loaded> {
        self.place.current()
    }

    /// Where to go on after `failed` failed with `failure`: another sequence may have gone on already.
    pub(crate) fn next_after(
        &self,
        failed: &Arc<Loaded>,
        failure: Failure,
    ) -> Result<Arc<Loaded>, EngineError> {
        self.place
            .next_after(failed, failure, &|device| self.source.load_on(device))?;
        Ok(self.place.current())
    }

    /// Checks tokens that are to make a sequence `total` long.
    pub(crate) fn check(&self, ids: &[u32], total: usize) -> Result<(), EngineError> {
        if total > self.context_length() {
            return Err(EngineError::context_overflow(total, self.context_length()));
        }
        let limit = self.source.config.vocab_size;
        match ids.iter().find(|&&id| id as usize >= limit) {
            Some(id) => Err(EngineError::options(format!(
                "token id {id} is not below {limit}, the size of the vocabulary"
            ))),
            None => Ok(()),
        }
    }

    fn info(&self) -> ModelInfo {
        let loaded = self.current();
        let config = &self.source.config;
        let decoder = &config.decoder;
        let caches = &loaded.layout.caches;
        let providers = used(&loaded);
        ModelInfo {
            model_type: config.model_type.clone(),
            layers: caches.len() / 2,
            hidden: decoder.hidden_size,
            heads: decoder.num_attention_heads,
            kv_heads: caches.first().map_or(0, |cache| cache.heads),
            head_dim: caches.first().map_or(0, |cache| cache.width),
            vocab: loaded.layout.logits.vocab,
            context_length: self.context_length(),
            bytes_per_token: 0,
            kv_bytes_per_token: loaded.layout.bytes_per_token(),
            weights: Vec::new(),
            backend: "onnxruntime",
            computed_by: format!(
                "{} on {}",
                self.source.library.name(),
                providers.join(" and ")
            ),
            execution_providers: providers,
            isa: None,
            threads: self.source.opening.threads,
        }
    }
}

/// The providers that took operators, the device's own first; the processor takes what it leaves.
fn used(loaded: &Loaded) -> Vec<String> {
    let placements = loaded.runner.placements.iter();
    let others = placements.filter_map(|placement| {
        let mut all = ExecutionProvider::ALL.iter();
        all.find(|provider| provider.ort_name() == placement.provider)
    });
    let mut names: Vec<String> = Vec::new();
    for provider in std::iter::once(&loaded.device.provider).chain(others) {
        if !names.iter().any(|known| known == provider.name()) {
            names.push(provider.name().to_owned());
        }
    }
    names
}

/// The host's memory: what a model takes of it, and what is free, where that is known.
struct Room {
    estimate: MemoryEstimate,
    available: Option<u64>,
}

impl Room {
    /// ONNX Runtime lays most weights out anew while those of the file are mapped: full-size Phi-4-mini took 1.7 times its
    /// files at its peak.
    fn of(folder: &Path, options: &LoadOptions) -> Result<Self, EngineError> {
        let mut estimate = MemoryEstimate::of_folder(folder, options.kv)?;
        estimate.weights = estimate.weights / 10 * 17;
        Ok(Self {
            estimate,
            available: options.available_memory,
        })
    }

    /// What other devices have is theirs to say.
    fn check(&self, device: &Device) -> Result<(), EngineError> {
        match self.available {
            Some(available) if device.is_in_host_memory() => self.estimate.check(available),
            _ => Ok(()),
        }
    }
}

impl Backend for OrtModel {
    fn config(&self) -> &GenaiConfig {
        &self.0.source.config
    }

    fn folder(&self) -> &Path {
        &self.0.folder
    }

    fn info(&self) -> ModelInfo {
        self.0.info()
    }

    fn session(&self) -> Result<Box<dyn Session>, EngineError> {
        Ok(Box::new(Sequence::new(Arc::clone(&self.0))?))
    }

    fn batch(&self) -> Result<Box<dyn Batch>, EngineError> {
        Ok(Box::new(Together::new(Arc::clone(&self.0))))
    }

    fn notes(&self) -> Vec<String> {
        let note = self.0.current().note.clone();
        self.0.place.notes().into_iter().chain(note).collect()
    }
}

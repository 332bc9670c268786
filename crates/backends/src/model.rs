//! A model that ONNX Runtime computes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::batch::Together;
use crate::device::Device;
use crate::failure::Failure;
use crate::graph::Prepared;
use crate::library::Library;
use crate::loaded::Loaded;
use crate::opening;
use crate::provider::ExecutionProvider;
use crate::runner::{Opening, lock};
use crate::sequence::Sequence;
use inhouse_engine::{
    Backend, Batch, EngineError, ErrorKind, GenaiConfig, LoadOptions, MemoryEstimate, ModelInfo,
    Session,
};

/// Prompt tokens that run in one forward: the buffers of a longer one would be as much longer.
const PREFILL_CHUNK: usize = 512;

/// A model on the first of its devices that works; where that one fails, the next goes on.
pub(crate) struct OrtModel(Arc<Shared>);

/// What a model's sequences share.
pub(crate) struct Shared {
    config: GenaiConfig,
    folder: PathBuf,
    prepared: Prepared,
    opening: Opening,
    library: &'static Library,
    /// In the order they are tried in.
    devices: Vec<Device>,
    current: Mutex<Current>,
    notes: Mutex<Vec<String>>,
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

struct Current {
    /// Place of the device among all.
    device: usize,
    loaded: Arc<Loaded>,
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
        check_memory(folder, options)?;
        let path = folder.join(&config.decoder.filename);
        let names = [
            config.decoder.past_key_names.clone(),
            config.decoder.past_value_names.clone(),
        ];
        let is_past = |name: &str| names.iter().any(|pattern| matches(pattern, name));
        let logits = &config.decoder.logits;
        let prepared = Prepared::decoder(&path, logits, &is_past, options.precision)?;
        let (opening, more_notes) = opening::of(&config, options)?;
        let place = Place {
            folder: path.parent().unwrap_or(folder),
            config: &config,
            prepared: &prepared,
            opening: &opening,
            library,
        };
        let mut notes = [notes, more_notes].concat();
        let usable = devices
            .iter()
            .enumerate()
            .filter(|(_, device)| at_load.may_use(device));
        let (device, loaded) = place.first_that_works(usable, &mut notes)?;
        let loaded = Arc::new(loaded);
        Ok(Self(Arc::new(Shared {
            folder: folder.to_owned(),
            current: Mutex::new(Current { device, loaded }),
            notes: Mutex::new(notes),
            config,
            prepared,
            opening,
            library,
            devices,
        })))
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }
}

/// What a device is tried with.
struct Place<'a> {
    folder: &'a Path,
    config: &'a GenaiConfig,
    prepared: &'a Prepared,
    opening: &'a Opening,
    library: &'static Library,
}

impl Place<'_> {
    fn first_that_works<'d>(
        &self,
        devices: impl Iterator<Item = (usize, &'d Device)>,
        notes: &mut Vec<String>,
    ) -> Result<(usize, Loaded), EngineError> {
        let mut last = None;
        for (index, device) in devices {
            match self.try_on(device) {
                Ok(loaded) => return loaded.map(|loaded| (index, loaded)),
                Err(failure) => {
                    notes.push(format!("{} passed over: {failure}", device.name()));
                    last = Some((failure, device.name()));
                }
            }
        }
        Err(match last {
            Some((failure, device)) => failure.on(device),
            None => EngineError::new(
                ErrorKind::Device,
                "there is no execution provider to run on",
            ),
        })
    }

    /// Fails where another device may do; gives an error where none would.
    fn try_on(&self, device: &Device) -> Result<Result<Loaded, EngineError>, Failure> {
        let loaded = Loaded::new(
            &self.library.environment,
            self.prepared,
            self.folder,
            device,
            self.opening,
            self.config,
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
        self.config.context_length
    }

    /// Prompt tokens that run in one forward.
    pub(crate) fn chunk(&self) -> usize {
        self.config.search.chunk_size.unwrap_or(PREFILL_CHUNK)
    }

    pub(crate) fn current(&self) -> Arc<Loaded> {
        Arc::clone(&lock(&self.current).loaded)
    }

    /// Where to go on after `failed` failed with `failure`: another sequence may have gone on already.
    pub(crate) fn next_after(
        &self,
        failed: &Arc<Loaded>,
        failure: Failure,
    ) -> Result<Arc<Loaded>, EngineError> {
        let mut current = lock(&self.current);
        if !Arc::ptr_eq(&current.loaded, failed) {
            return Ok(Arc::clone(&current.loaded));
        }
        let lost = failed.device.name();
        if current.device + 1 >= self.devices.len() {
            return Err(failure.on(lost));
        }
        let mut notes = vec![format!("{lost} lost: {failure}")];
        let place = Place {
            folder: &self.folder,
            config: &self.config,
            prepared: &self.prepared,
            opening: &self.opening,
            library: self.library,
        };
        let left = self.devices.iter().enumerate().skip(current.device + 1);
        let next = place.first_that_works(left, &mut notes);
        if let Ok((_, loaded)) = &next {
            notes.push(format!("went on with {}", loaded.device.name()));
        }
        lock(&self.notes).append(&mut notes);
        let (device, loaded) = next?;
        let loaded = Arc::new(loaded);
        *current = Current {
            device,
            loaded: Arc::clone(&loaded),
        };
        Ok(loaded)
    }

    /// Checks tokens that are to make a sequence `total` long.
    pub(crate) fn check(&self, ids: &[u32], total: usize) -> Result<(), EngineError> {
        if total > self.context_length() {
            return Err(EngineError::context_overflow(total, self.context_length()));
        }
        let limit = self.config.vocab_size;
        match ids.iter().find(|&&id| id as usize >= limit) {
            Some(id) => Err(EngineError::options(format!(
                "token id {id} is not below {limit}, the size of the vocabulary"
            ))),
            None => Ok(()),
        }
    }

    fn info(&self) -> ModelInfo {
        let loaded = self.current();
        let decoder = &self.config.decoder;
        let caches = &loaded.layout.caches;
        let providers = used(&loaded);
        ModelInfo {
            model_type: self.config.model_type.clone(),
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
            computed_by: format!("{} on {}", self.library.name(), providers.join(" and ")),
            execution_providers: providers,
            isa: None,
            threads: self.opening.threads,
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

/// ONNX Runtime lays most weights out anew while those of the file are mapped: full-size Phi-4-mini took 1.7 times its
/// files at its peak.
fn check_memory(folder: &Path, options: &LoadOptions) -> Result<(), EngineError> {
    let Some(available) = options.available_memory else {
        return Ok(());
    };
    let mut estimate = MemoryEstimate::of_folder(folder, options.kv)?;
    estimate.weights = estimate.weights / 10 * 17;
    estimate.check(available)
}

/// Whether `name` is `pattern` at some layer.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once("%d") else {
        return pattern == name;
    };
    let layer = name
        .strip_prefix(before)
        .and_then(|name| name.strip_suffix(after));
    layer.is_some_and(|layer| !layer.is_empty() && layer.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Backend for OrtModel {
    fn config(&self) -> &GenaiConfig {
        &self.0.config
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
        lock(&self.0.notes).clone()
    }
}

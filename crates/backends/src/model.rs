//! A model that ONNX Runtime computes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use inhouse_engine::{
    Backend, Batch, EngineError, ErrorKind, GenaiConfig, LoadOptions, MemoryEstimate, ModelInfo,
    Session,
};
use ort::environment::Environment;

use crate::batch::Together;
use crate::device::Device;
use crate::failure::Failure;
use crate::graph::Prepared;
use crate::loaded::Loaded;
use crate::opening;
use crate::runner::{Opening, lock};
use crate::sequence::Sequence;

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
    runtime: Runtime,
    /// In the order they are tried in.
    devices: Vec<Device>,
    current: Mutex<Current>,
    notes: Mutex<Vec<String>>,
}

/// The library that computes.
#[derive(Clone)]
pub(crate) struct Runtime {
    pub(crate) environment: Environment,
    /// As people read it: `ONNX Runtime 1.31.1`.
    pub(crate) version: String,
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
        options: &LoadOptions,
        runtime: Runtime,
        devices: Vec<Device>,
        notes: Vec<String>,
    ) -> Result<Self, EngineError> {
        let config = GenaiConfig::of_folder(folder)?;
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
        };
        let mut notes = [notes, more_notes].concat();
        let (device, loaded) = place.first_that_works(&runtime, &devices, 0, &mut notes)?;
        let loaded = Arc::new(loaded);
        Ok(Self(Arc::new(Shared {
            folder: folder.to_owned(),
            current: Mutex::new(Current { device, loaded }),
            notes: Mutex::new(notes),
            config,
            prepared,
            opening,
            runtime,
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
}

impl Place<'_> {
    /// Tries the devices from the `from`th on.
    fn first_that_works(
        &self,
        runtime: &Runtime,
        devices: &[Device],
        from: usize,
        notes: &mut Vec<String>,
    ) -> Result<(usize, Loaded), EngineError> {
        let mut last = None;
        for (index, device) in devices.iter().enumerate().skip(from) {
            match self.try_on(runtime, device) {
                Ok(loaded) => return loaded.map(|loaded| (index, loaded)),
                Err(failure) => {
                    notes.push(format!("{} passed over: {failure}", device.name));
                    last = Some((failure, device.name));
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
    fn try_on(
        &self,
        runtime: &Runtime,
        device: &Device,
    ) -> Result<Result<Loaded, EngineError>, Failure> {
        let loaded = Loaded::new(
            &runtime.environment,
            self.prepared,
            self.folder,
            device,
            self.opening,
            self.config,
        )?;
        if let Ok(loaded) = &loaded {
            let mut placements = loaded.runner.placements.iter();
            if !placements.any(|placement| placement.provider == device.ort_name) {
                let why = "it takes none of the graph's operators";
                return Err(Failure::Device(why.to_owned()));
            }
        }
        Ok(loaded)
    }
}

impl Shared {
    pub(crate) fn config(&self) -> &GenaiConfig {
        &self.config
    }

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
        let lost = failed.device.name;
        if current.device + 1 >= self.devices.len() {
            return Err(failure.on(lost));
        }
        let mut notes = vec![format!("{lost} lost: {failure}")];
        let place = Place {
            folder: &self.folder,
            config: &self.config,
            prepared: &self.prepared,
            opening: &self.opening,
        };
        let next =
            place.first_that_works(&self.runtime, &self.devices, current.device + 1, &mut notes);
        if let Ok((_, loaded)) = &next {
            notes.push(format!("went on with {}", loaded.device.name));
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
        let providers = used(&loaded, &self.devices);
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
            computed_by: format!("{} on {}", self.runtime.version, providers.join(" and ")),
            execution_providers: providers,
            isa: None,
            threads: self.opening.threads,
        }
    }
}

/// The providers that took operators, the device's own first; the processor takes what it leaves.
fn used(loaded: &Loaded, devices: &[Device]) -> Vec<String> {
    let own = std::iter::once(loaded.device.name);
    let others = loaded.runner.placements.iter().filter_map(|placement| {
        let provider = placement.provider.as_str();
        if provider == loaded.device.ort_name {
            return None;
        }
        let known = devices.iter().find(|device| device.ort_name == provider);
        Some(known.map_or("cpu", |device| device.name))
    });
    let mut names: Vec<String> = Vec::new();
    for name in own.chain(others) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
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

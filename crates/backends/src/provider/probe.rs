//! What there is to compute with on this machine, found by trying.

use std::path::PathBuf;

use super::{
    companions, dispatch,
    machine::{self, Machine},
    name::ExecutionProvider,
    options::Options,
    reason::{self, Missing, Reason},
    trial, webgpu,
};
use crate::library::{CUT_OFF, Library, RuntimeError, Search, children, is_cut_off};

/// What came of trying a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The provider.
    pub provider: ExecutionProvider,
    /// Whether it works.
    pub state: State,
    /// What was tried and seen, as a sentence.
    pub why: String,
    /// What to do about it; empty where it works.
    pub advice: String,
}

/// Whether a provider works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It multiplied two matrices, on this device as far as it has a name.
    Works {
        /// The device.
        device: Option<String>,
    },
    /// It cannot be used, for want of this.
    Missing(Missing),
}

impl Probe {
    /// Whether it works.
    pub fn works(&self) -> bool {
        matches!(self.state, State::Works { .. })
    }
}

/// Tries every provider, in the order of [`ExecutionProvider::ALL`]. It takes a moment, as drivers are woken up.
pub fn probe(library: &Library, search: &Search) -> Vec<Probe> {
    ExecutionProvider::ALL
        .iter()
        .map(|provider| probe_one(*provider, library, search))
        .collect()
}

/// Tries one provider: is it in the library, are the libraries there that it needs, a driver and a device, and does a
/// graph run on it and nowhere else.
pub fn probe_one(provider: ExecutionProvider, library: &Library, search: &Search) -> Probe {
    let outcome = prepare(provider, library, search).and_then(|()| {
        trial::run(provider, &options(provider), library)
            .map_err(|message| reason::of_message(provider, &message, &Machine::look(search)))
    });
    match outcome {
        Ok(()) => {
            let device = device(provider, library);
            Probe {
                provider,
                why: match &device {
                    Some(device) => format!("a graph ran on {device}"),
                    None => "a graph ran on it".to_owned(),
                },
                state: State::Works { device },
                advice: String::new(),
            }
        }
        Err(reason) => Probe {
            provider,
            state: State::Missing(reason.missing),
            why: reason.why,
            advice: reason.advice,
        },
    }
}

/// Makes a provider ready to be [attached](super::attach) to sessions: finds and loads the libraries that it needs,
/// registers WebGPU's plugin. What is ready already stays so.
///
/// # Errors
/// The provider cannot be had here, with the reason and what to do.
pub fn ready(
    provider: ExecutionProvider,
    library: &Library,
    search: &Search,
) -> Result<(), RuntimeError> {
    prepare(provider, library, search).map_err(|reason| error(provider, &reason))
}

/// What a message means that ONNX Runtime gave when a session with this provider was made.
pub fn explain(provider: ExecutionProvider, message: &str, search: &Search) -> RuntimeError {
    let reason = reason::of_message(provider, message, &Machine::look(search));
    error(provider, &reason)
}

fn error(provider: ExecutionProvider, reason: &Reason) -> RuntimeError {
    RuntimeError::device(format!(
        "{provider} cannot be used: {}; {}",
        reason.why, reason.advice
    ))
}

fn prepare(provider: ExecutionProvider, library: &Library, search: &Search) -> Result<(), Reason> {
    if !provider.is_for(search.os) {
        return Err(reason::of_system(provider));
    }
    if provider == ExecutionProvider::WebGpu {
        return prepare_webgpu(library, search);
    }
    let of_message = |message: &str| reason::of_message(provider, message, &Machine::look(search));
    match dispatch::is_compiled_in(provider) {
        Ok(true) => {}
        Ok(false) => {
            return Err(match elsewhere(provider, library, search) {
                Some(other) => reason::of_another(provider, library, &other),
                None => reason::of_build(provider, &library.name()),
            });
        }
        Err(error) => return Err(of_message(error.message())),
    }
    if provider == ExecutionProvider::Cpu {
        return Ok(());
    }
    if let Some(file) = cut_off_beside(library) {
        return Err(of_message(&format!("{} {CUT_OFF}", file.display())));
    }
    let folders = companions::folders(library, search);
    let options = options(provider);
    companions::load_before(provider, &folders);
    companions::try_with(
        || trial::attach(provider, &options, library),
        |name| companions::find(name, &folders),
        companions::load,
    )
    .map_err(|message| of_message(&message))?;
    companions::load_after(provider, &folders);
    Ok(())
}

/// Another library that has the provider and could have been loaded.
fn elsewhere(provider: ExecutionProvider, library: &Library, search: &Search) -> Option<PathBuf> {
    let companion = provider.companion(search.os)?;
    let has_it = |path: &PathBuf| path.with_file_name(&companion).is_file();
    let others = crate::library::find(search).into_iter();
    others
        .filter(|other| other.verdict.is_usable() && other.path != library.path)
        .map(|other| other.path)
        .find(has_it)
}

/// A file with a provider, or with what providers share, that would end the process.
fn cut_off_beside(library: &Library) -> Option<PathBuf> {
    children(library.folder(), |name| {
        name.contains("onnxruntime_providers_")
    })
    .into_iter()
    .find(|file| is_cut_off(file))
}

fn prepare_webgpu(library: &Library, search: &Search) -> Result<(), Reason> {
    let machine = Machine::look(search);
    let plugin = webgpu::register(library, search);
    if let Some(reason) = reason::of_plugin(&plugin, &machine) {
        return Err(reason);
    }
    if webgpu::has_device(&plugin, library, &machine) {
        Ok(())
    } else {
        Err(reason::of_no_device(&machine))
    }
}

/// Our own options: a probe is about the machine.
fn options(provider: ExecutionProvider) -> Options {
    Options::new(provider, &[], &[]).map_or_else(|_| Options::default(), |(options, _)| options)
}

/// The name of the device that a provider computes on.
fn device(provider: ExecutionProvider, library: &Library) -> Option<String> {
    match provider {
        ExecutionProvider::Cuda
        | ExecutionProvider::TensorRt
        | ExecutionProvider::NvTensorRtRtx => machine::nvidia_name(),
        ExecutionProvider::WebGpu => webgpu::name_of_device(library),
        _ => None,
    }
}

//! ONNX Runtime's library: where it may be, which one is taken, and loading it, once a process.
//!
//! Nothing is linked; where there is no library there is merely no such backend. Places are looked at in this
//! order: the configuration, `ORT_DYLIB_PATH`, inhouse's own folder, Python's packages, Node's packages, the
//! system's folders. A file that was named is used or refused with the reason, never replaced by another one.

mod elf;
mod error;
mod folders;
mod log;
mod place;
mod search;
mod trust;
mod version;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use ort::{LoadDynamicError, environment::Environment};

pub(crate) use elf::{CUT_OFF, is_cut_off};
pub use error::{RuntimeError, RuntimeErrorKind};
pub(crate) use folders::children;
pub use folders::{Env, Os};
pub use log::Log;
pub use place::{Candidate, Flavour, Place, Verdict};
pub(crate) use search::Trust;
pub use search::{Official, Search};
pub use version::{OLDEST, Version};

use crate::telemetry;

/// The loaded library, and ONNX Runtime's environment in it.
#[derive(Debug)]
pub struct Library {
    /// The file.
    pub path: PathBuf,
    /// Where it was found.
    pub place: Place,
    /// Its version, as far as it is known.
    pub version: Option<Version>,
    /// What it says about how it was built.
    pub build: String,
    /// The environment that sessions are made in.
    pub environment: Environment,
    /// Its last warnings.
    pub log: Arc<Log>,
}

impl Library {
    /// The folder that the library lies in, and its companions with it.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// How answers name it: `ONNX Runtime 1.31.1`.
    pub fn name(&self) -> String {
        match self.version {
            Some(version) => format!("ONNX Runtime {version}"),
            None => "ONNX Runtime".to_owned(),
        }
    }
}

/// What came of loading: a library cannot be unloaded, nor another one be loaded beside it.
static OUTCOME: Mutex<Option<Result<&'static Library, RuntimeError>>> = Mutex::new(None);

/// Every library that there is, the best first.
pub fn find(search: &Search) -> Vec<Candidate> {
    search.find()
}

/// The library that this process has loaded, if it has.
pub fn loaded() -> Option<&'static Library> {
    let outcome = OUTCOME.lock().unwrap_or_else(PoisonError::into_inner);
    outcome
        .as_ref()
        .and_then(|outcome| outcome.as_ref().ok().copied())
}

/// Loads the first library that can be used, or gives the one that this process has loaded already.
///
/// # Errors
/// Where reporting home is not [turned off](telemetry::turn_off), where a named file cannot be used, where another
/// one was loaded before, and where there is none: then with the places that were looked at.
pub fn load(search: &Search) -> Result<&'static Library, RuntimeError> {
    telemetry::check(std::env::var_os(telemetry::VARIABLE).as_deref())?;
    let mut outcome = OUTCOME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(outcome) = &*outcome {
        let library = outcome.clone()?;
        return same(library, search);
    }
    let (candidate, environment) = open(search)?;
    let made = make(candidate, environment);
    *outcome = Some(made.clone());
    made
}

/// The loaded library, unless another one was asked for by name.
fn same(library: &'static Library, search: &Search) -> Result<&'static Library, RuntimeError> {
    match search.named() {
        Some(asked) if asked.path != library.path => Err(RuntimeError::library(format!(
            "{} names {}, and this process has loaded {} already; a process can load one",
            asked.place,
            asked.path.display(),
            library.path.display()
        ))),
        _ => Ok(library),
    }
}

/// Opens the first library that lets itself be opened; of a named one, that one.
fn open(
    search: &Search,
) -> Result<(Candidate, ort::environment::EnvironmentBuilder), RuntimeError> {
    if let Some(candidate) = search.named() {
        let environment = try_open(&candidate).map_err(|reason| {
            let (place, path) = (candidate.place, candidate.path.display());
            RuntimeError::library(format!("{place} names {path}, which {reason}"))
        })?;
        return Ok((candidate, environment));
    }
    let mut refused = Vec::new();
    for candidate in search.candidates() {
        match try_open(&candidate) {
            Ok(environment) => return Ok((candidate, environment)),
            Err(reason) => refused.push(format!("{} {reason}", candidate.path.display())),
        }
    }
    Err(nothing(search, &refused))
}

/// Opens one library, or says what is wrong with it, so that it follows on the file's name.
fn try_open(candidate: &Candidate) -> Result<ort::environment::EnvironmentBuilder, String> {
    if !candidate.verdict.is_usable() {
        return Err(candidate.verdict.to_string());
    }
    ort::init_from(&candidate.path).map_err(refusal)
}

/// What is wrong with a library that was not opened.
fn refusal(error: LoadDynamicError) -> String {
    match error {
        LoadDynamicError::BadVersion { version_str, .. } => place::too_old(&version_str),
        LoadDynamicError::MissingApi { .. } => {
            "is not ONNX Runtime: it does not export OrtGetApiBase".to_owned()
        }
        LoadDynamicError::InvalidVersionString => {
            "does not tell its version in readable characters".to_owned()
        }
        LoadDynamicError::Dlopen { error, path } => {
            let said = cause(&error);
            let named = format!("{}: ", path.display());
            format!(
                "cannot be loaded: {}",
                said.strip_prefix(&named).unwrap_or(&said)
            )
        }
    }
}

/// The innermost cause of an error: the system's own words.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn make(
    candidate: Candidate,
    environment: ort::environment::EnvironmentBuilder,
) -> Result<&'static Library, RuntimeError> {
    let log = Arc::new(Log::default());
    let environment = environment
        .with_name("inhouse")
        .with_telemetry(false)
        .with_logger(log.writer())
        .build()
        .map_err(|error| {
            RuntimeError::library(format!(
                "{} was loaded, and ONNX Runtime's environment cannot be made: {error}; \
                 another part of this program may have made one",
                candidate.path.display()
            ))
        })?;
    // A custom logger is otherwise given everything there is to say, which costs time in every run.
    environment.set_log_level(ort::logging::LogLevel::Warning);
    let version = candidate.version.or_else(|| {
        let minor = ort::util::probe(&candidate.path)?;
        Some(Version {
            major: 1,
            minor,
            patch: None,
        })
    });
    // It stays to the end of the process, as ONNX Runtime's own state does.
    Ok(Box::leak(Box::new(Library {
        path: candidate.path,
        place: candidate.place,
        version,
        build: ort::info().to_owned(),
        environment,
        log,
    })))
}

/// What is said where there is nothing to load.
fn nothing(search: &Search, refused: &[String]) -> RuntimeError {
    let mut looked = Vec::new();
    if let Some(runtimes) = &search.runtimes {
        looked.push(format!("{}", runtimes.display()));
    }
    for (count, what) in [
        (search.python.len(), "Python packages (onnxruntime)"),
        (
            search.node_of_project.len() + search.node.len(),
            "Node packages (onnxruntime-node)",
        ),
        (search.system.len(), "the system's folders"),
    ] {
        if count > 0 {
            looked.push(what.to_owned());
        }
    }
    let refused: String = refused.iter().map(|line| format!("; {line}")).collect();
    RuntimeError::library(format!(
        "no usable ONNX Runtime was found in {}{refused}; `inhouse runtime install` fetches one, \
         or set ORT_DYLIB_PATH to its library",
        looked.join(", ")
    ))
}

#[cfg(test)]
mod tests;

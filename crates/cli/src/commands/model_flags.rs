//! What the commands that run a model have in common: which model, and how it is computed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use inhouse_backends::{Choice, Options};
use inhouse_engine::{Backend, EngineError, KvType, LoadNote, LoadOptions};

use super::backend_flags::RuntimeFlags;
use super::{Context, store};
use crate::machine;

/// The model that is meant when none is named.
pub(crate) const DEFAULT_MODEL: &str = "smollm2-135m";

/// How a model is computed.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ComputeFlags {
    /// Threads to compute with [default: every one this process may use]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Number type of the KV cache: f32 is exact, f16 takes half its memory and i8 half of that
    #[arg(long, value_name = "TYPE", default_value = "f16")]
    pub(crate) kv: KvFlag,
}

impl Default for ComputeFlags {
    fn default() -> Self {
        Self {
            threads: None,
            kv: KvFlag::F16,
        }
    }
}

/// Values of `--kv`.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum KvFlag {
    F16,
    F32,
    I8,
}

/// A model on the disk.
pub(super) struct Located {
    /// What it is called in what is shown.
    pub(super) name: String,
    pub(super) folder: PathBuf,
}

/// Finds the model that `-m` names: what has a separator is a folder; else a model of the store goes before a folder
/// of that name. The default model is pulled where it is missing.
pub(super) fn locate(model: &str, context: &Context) -> anyhow::Result<Located> {
    let path = Path::new(model);
    let is_path = model.contains(['/', '\\']) || matches!(model, "." | "..");
    if is_path && !path.is_dir() {
        anyhow::bail!("there is no folder {model}; inhouse list shows the models that have a name");
    }
    let folder = if is_path {
        path.to_owned()
    } else {
        store::resolve_or_pull(model, context)?
    };
    let name = match path.file_name() {
        Some(name) if is_path => name.to_string_lossy().into_owned(),
        _ => model.to_owned(),
    };
    Ok(Located { name, folder })
}

/// What the flags come to.
///
/// # Errors
/// Flags do not fit together.
pub(super) fn options(
    backend: impl Into<Choice>,
    compute: ComputeFlags,
    runtime: &RuntimeFlags,
    context: &Context,
) -> anyhow::Result<Options> {
    let backend = backend.into();
    runtime.check(backend)?;
    Ok(Options {
        backend,
        load: LoadOptions {
            threads: compute.threads.map(usize::from),
            isa: context.settings.isa,
            kv: match compute.kv {
                KvFlag::F16 => KvType::F16,
                KvFlag::F32 => KvType::F32,
                KvFlag::I8 => KvType::I8,
            },
            packed: context.settings.packed.for_loading(),
            ..LoadOptions::default()
        },
        onnxruntime: runtime.options(context)?,
    })
}

/// Loads the model in `folder`, unless it would not fit into the memory that is free.
pub(super) fn load(folder: &Path, options: &Options) -> Result<Arc<dyn Backend>, EngineError> {
    let mut options = options.clone();
    options.load.available_memory = Some(machine::memory().available_bytes);
    load_with(folder, &options)
}

/// The one place where a model is loaded.
pub(super) fn load_with(folder: &Path, options: &Options) -> Result<Arc<dyn Backend>, EngineError> {
    inhouse_backends::load(folder, options, &mut say)
}

/// Packing is told of only where somebody would wonder what takes so long.
fn say(note: LoadNote) {
    const LONG: u64 = 256 << 20;
    match note {
        LoadNote::Packing { bytes, .. } if bytes < LONG => {}
        LoadNote::Packing { bytes, why } => {
            let again = why.map_or(String::new(), |why| format!(" again ({why})"));
            let size = crate::output::bytes(bytes);
            eprintln!("packing the weights for this processor{again}: {size}, this once");
        }
        LoadNote::InMemory { why } => {
            eprintln!("the weights are packed in memory, at every start anew: {why}");
        }
    }
}

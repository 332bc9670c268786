//! Which backend would compute a model, found without loading its weights.

use std::path::Path;

use inhouse_backends::ExecutionProvider;
use inhouse_engine::{ErrorKind, GenaiConfig, LoadOptions, Model, Precision};

use super::onnxruntime::OnnxRuntime;

/// What would compute a model where nothing is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Chosen {
    pub(super) backend: &'static str,
    pub(super) provider: ExecutionProvider,
}

/// As `--backend auto` chooses.
///
/// # Errors
/// Nothing would compute it, and why.
pub(super) fn choose(folder: &Path, onnxruntime: &OnnxRuntime) -> Result<Chosen, String> {
    let config = GenaiConfig::of_folder(folder).map_err(|error| error.to_string())?;
    let named = config.decoder.session.providers.iter();
    let mut named = named.filter_map(|(name, _)| ExecutionProvider::parse(name).ok());
    let device = named
        .find(|provider| *provider != ExecutionProvider::Cpu && onnxruntime.works_on(*provider));
    if let Some(provider) = device {
        return Ok(Chosen {
            backend: "onnxruntime",
            provider,
        });
    }
    // In exact arithmetic nothing is packed: the graph is read, and weights stay where they are mapped.
    let options = LoadOptions {
        threads: Some(1),
        precision: Precision::Exact,
        ..LoadOptions::default()
    };
    let provider = ExecutionProvider::Cpu;
    match (Model::load(folder, &options), onnxruntime.problem()) {
        (Ok(_), _) => Ok(Chosen {
            backend: "native",
            provider,
        }),
        (Err(error), None) if error.kind() == ErrorKind::UnsupportedGraph => Ok(Chosen {
            backend: "onnxruntime",
            provider,
        }),
        (Err(error), Some(problem)) if error.kind() == ErrorKind::UnsupportedGraph => {
            Err(format!("{error}; and for ONNX Runtime: {problem}"))
        }
        (Err(error), _) => Err(error.to_string()),
    }
}

//! Loading a model with the backend that is to compute it.

use std::path::Path;
use std::sync::Arc;

use inhouse_engine::{Backend, EngineError, LoadNote, Model};

use crate::device::Device;
use crate::library;
use crate::model::{OrtModel, Runtime};
use crate::options::{Choice, Options};

/// Loads the model in `folder`; `note` hears what takes long.
///
/// # Errors
/// The folder is damaged, the memory does not suffice, or nothing that was asked for can compute the model; the message
/// says what was tried.
pub fn load(
    folder: &Path,
    options: &Options,
    note: &mut dyn FnMut(LoadNote),
) -> Result<Arc<dyn Backend>, EngineError> {
    match options.backend {
        Choice::Native | Choice::Auto => {
            Ok(Arc::new(Model::load_noting(folder, &options.load, note)?))
        }
        Choice::OnnxRuntime => onnxruntime(folder, options),
    }
}

fn onnxruntime(folder: &Path, options: &Options) -> Result<Arc<dyn Backend>, EngineError> {
    let library = library::load(&options.onnxruntime.search)?;
    let runtime = Runtime {
        environment: library.environment.clone(),
        version: library.name(),
    };
    let devices = vec![Device::cpu()];
    let model = OrtModel::load(folder, &options.load, runtime, devices, Vec::new())?;
    Ok(Arc::new(model))
}

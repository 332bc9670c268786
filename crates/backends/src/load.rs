//! Loading a model with the backend that is to compute it.

use std::path::Path;
use std::sync::Arc;

use inhouse_engine::{Backend, EngineError, ErrorKind, GenaiConfig, LoadNote, Model};

use crate::model::{AtLoad, OrtModel};
use crate::noted::Noted;
use crate::options::{Choice, Options};
use crate::provider::ExecutionProvider;
use crate::runtime::{self, OfFolder, Runtime};

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
    let wanted = Wanted {
        folder,
        config: GenaiConfig::of_folder(folder)?,
        options,
    };
    match options.backend {
        Choice::Native => wanted.native(Vec::new(), note).map_err(with_way_out),
        Choice::OnnxRuntime => wanted.onnxruntime(AtLoad::AnyDevice, Vec::new()),
        Choice::Auto => wanted.auto(note),
    }
}

/// A model that is to be loaded.
struct Wanted<'a> {
    folder: &'a Path,
    config: GenaiConfig,
    options: &'a Options,
}

impl Wanted<'_> {
    /// What stands before the processor first; on the processor the native engine where it knows the graph.
    fn auto(&self, note: &mut dyn FnMut(LoadNote)) -> Result<Arc<dyn Backend>, EngineError> {
        let order = runtime::order(&self.options.onnxruntime, self.of_folder());
        let others: Vec<&str> = order
            .iter()
            .take_while(|provider| **provider != ExecutionProvider::Cpu)
            .map(|provider| provider.name())
            .collect();
        let mut notes = Vec::new();
        if !others.is_empty() {
            match self.onnxruntime(AtLoad::NotTheProcessor, Vec::new()) {
                Ok(model) => return Ok(model),
                Err(error) if !order.contains(&ExecutionProvider::Cpu) => return Err(error),
                Err(error) if !is_about_the_device(&error) => return Err(error),
                // What a device lacks names it already.
                Err(error) if error.kind() == ErrorKind::Device => notes.push(error.to_string()),
                Err(error) => notes.push(format!("{} passed over: {error}", others.join(", "))),
            }
        }
        match self.native(notes.clone(), note) {
            Err(native) if native.kind() == ErrorKind::UnsupportedGraph => {
                notes.push(native.to_string());
                self.onnxruntime(AtLoad::TheProcessor, notes)
                    .map_err(|error| {
                        let message = format!("{native}; and ONNX Runtime cannot run it: {error}");
                        EngineError::new(error.kind(), message)
                    })
            }
            model => model,
        }
    }

    fn native(
        &self,
        notes: Vec<String>,
        note: &mut dyn FnMut(LoadNote),
    ) -> Result<Arc<dyn Backend>, EngineError> {
        let model = Model::load_noting(self.folder, &self.options.load, note)?;
        Ok(match notes.is_empty() {
            true => Arc::new(model),
            false => Arc::new(Noted::new(model, notes)),
        })
    }

    fn onnxruntime(
        &self,
        at_load: AtLoad,
        mut notes: Vec<String>,
    ) -> Result<Arc<dyn Backend>, EngineError> {
        let runtime = Runtime::find(&self.options.onnxruntime, self.of_folder())?;
        // Those that are left at loading are what this is about.
        runtime.check(|device| at_load.may_use(device))?;
        for why in runtime.notes() {
            // It may have been looked for before, and not been there then.
            if !notes.iter().any(|note| note.contains(&why)) {
                notes.push(why);
            }
        }
        let config = self.config.clone();
        let load = &self.options.load;
        let (library, devices) = (runtime.library, runtime.devices);
        let model = OrtModel::load(self.folder, config, load, library, devices, at_load, notes)?;
        Ok(Arc::new(model))
    }

    fn of_folder(&self) -> &OfFolder {
        &self.config.decoder.session.providers
    }
}

/// What the native engine does not know, the other one may.
fn with_way_out(error: EngineError) -> EngineError {
    match error.kind() {
        ErrorKind::UnsupportedGraph => EngineError::new(
            error.kind(),
            format!("{error}; the backend onnxruntime may run it"),
        ),
        _ => error,
    }
}

/// Whether another backend may do where this one failed so.
fn is_about_the_device(error: &EngineError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Device | ErrorKind::Library | ErrorKind::Memory
    )
}

#[cfg(test)]
mod tests {
    use super::{EngineError, ErrorKind, with_way_out};

    #[test]
    fn the_other_backend_is_named_where_it_may_do() {
        let check = |kind: ErrorKind, expected: &str| {
            let error = with_way_out(EngineError::new(kind, "no"));
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.kind(), kind);
        };
        check(
            ErrorKind::UnsupportedGraph,
            "no; the backend onnxruntime may run it",
        );
        check(ErrorKind::Memory, "no");
    }
}

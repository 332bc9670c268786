//! Loading a model with the backend that is to compute it.

use std::path::Path;
use std::sync::Arc;

use inhouse_engine::{Backend, EngineError, ErrorKind, GenaiConfig, LoadNote, Model, NamedStrings};

use crate::device::Device;
use crate::library::{self, Library};
use crate::model::{AtLoad, OrtModel};
use crate::noted::Noted;
use crate::options::{Choice, Options};
use crate::provider::{self, ExecutionProvider};

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
        Choice::Native => wanted.native(Vec::new(), note),
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
    /// GPUs first where some were asked for; on the processor the native engine where it knows the graph.
    fn auto(&self, note: &mut dyn FnMut(LoadNote)) -> Result<Arc<dyn Backend>, EngineError> {
        let order = self.order();
        let mut notes = Vec::new();
        if order
            .iter()
            .any(|provider| *provider != ExecutionProvider::Cpu)
        {
            match self.onnxruntime(AtLoad::NotTheProcessor, Vec::new()) {
                Ok(model) => return Ok(model),
                Err(error) if !order.contains(&ExecutionProvider::Cpu) => return Err(error),
                Err(error) if !is_about_the_device(&error) => return Err(error),
                Err(error) => notes.push(error.to_string()),
            }
        }
        match self.native(notes.clone(), note) {
            Err(native) if native.kind() == ErrorKind::UnsupportedGraph => {
                notes.push(format!("the native engine does not run it: {native}"));
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
        let library = library::load(&self.options.onnxruntime.search)?;
        let mut devices = Vec::new();
        let mut refused = Vec::new();
        for provider in self.order() {
            match self.device(provider, library, &mut notes) {
                Ok(device) => devices.push(device),
                Err(error) => refused.push(error),
            }
        }
        // Those that are left at loading are what this is about; without any, the reasons are the error.
        let left = devices
            .iter()
            .filter(|device| at_load.may_use(device))
            .count();
        if left == 0 {
            let reasons: Vec<String> = refused.iter().map(ToString::to_string).collect();
            let message = match reasons.is_empty() {
                true => "there is no execution provider to run on".to_owned(),
                false => reasons.join("; "),
            };
            return Err(EngineError::new(ErrorKind::Device, message));
        }
        notes.extend(refused.iter().map(ToString::to_string));
        let config = self.config.clone();
        let load = &self.options.load;
        let model = OrtModel::load(self.folder, config, load, library, devices, at_load, notes)?;
        Ok(Arc::new(model))
    }

    fn order(&self) -> Vec<ExecutionProvider> {
        let named = self.config.decoder.session.providers.iter();
        let of_folder: Vec<_> = named
            .filter_map(|(name, _)| ExecutionProvider::parse(name).ok())
            .collect();
        self.options.onnxruntime.order(&of_folder)
    }

    /// The provider with what it needs and its options, if it can be had.
    fn device(
        &self,
        provider: ExecutionProvider,
        library: &'static Library,
        notes: &mut Vec<String>,
    ) -> Result<Device, EngineError> {
        let runtime = &self.options.onnxruntime;
        provider::ready(provider, library, &runtime.search)?;
        let of_user: NamedStrings = runtime
            .options
            .get(&provider)
            .map(|options| options.clone().into_iter().collect())
            .unwrap_or_default();
        let of_folder = self.config.decoder.session.providers.iter();
        let of_folder: NamedStrings = of_folder
            .filter(|(name, _)| ExecutionProvider::parse(name) == Ok(provider))
            .flat_map(|(_, options)| options.clone())
            .collect();
        let (options, more) = provider::Options::new(provider, &of_folder, &of_user)?;
        notes.extend(more);
        Ok(Device::new(provider, options, library))
    }
}

/// Whether another backend may do where this one failed so.
fn is_about_the_device(error: &EngineError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Device | ErrorKind::Library | ErrorKind::Memory
    )
}

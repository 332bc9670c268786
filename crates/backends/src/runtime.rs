//! ONNX Runtime, ready to load a graph: its library, and the execution providers that can be had with it.

use inhouse_engine::{EngineError, ErrorKind, NamedStrings};

use crate::device::Device;
use crate::library::{self, Library, Search};
use crate::options::RuntimeOptions;
use crate::provider::{self, ExecutionProvider};

/// The library, and devices in the order they are tried in.
pub(crate) struct Runtime {
    pub(crate) library: &'static Library,
    pub(crate) devices: Vec<Device>,
    /// Why others cannot be had.
    refused: Vec<EngineError>,
    notes: Vec<String>,
}

/// Execution providers that a model's folder names, with their options.
pub(crate) type OfFolder = [(String, NamedStrings)];

impl Runtime {
    /// Loads the library and makes what was asked for ready.
    ///
    /// # Errors
    /// There is no library that can be used. Without a device there is no error yet.
    pub(crate) fn find(
        options: &RuntimeOptions,
        of_folder: &OfFolder,
    ) -> Result<Self, EngineError> {
        let order = order(options, of_folder);
        let search = Search {
            wanted: order.clone(),
            ..options.search.clone()
        };
        let mut runtime = Self {
            library: library::load(&search)?,
            devices: Vec::new(),
            refused: Vec::new(),
            notes: Vec::new(),
        };
        if options.providers.is_empty() && !options.gpu {
            runtime.notes.extend(unknown(of_folder));
        }
        for provider in order {
            match runtime.device(provider, options, of_folder) {
                Ok(device) => runtime.devices.push(device),
                Err(error) => runtime.refused.push(error),
            }
        }
        Ok(runtime)
    }

    /// Refuses to go on where no device passes; the reasons are the error then.
    pub(crate) fn check(&self, passes: impl Fn(&Device) -> bool) -> Result<(), EngineError> {
        if self.devices.iter().any(passes) {
            return Ok(());
        }
        let reasons = self.reasons();
        let message = match reasons.is_empty() {
            true => "there is no execution provider to run on".to_owned(),
            false => reasons.join("; "),
        };
        Err(EngineError::new(ErrorKind::Device, message))
    }

    /// What did not go as asked for.
    pub(crate) fn notes(&self) -> Vec<String> {
        [self.notes.clone(), self.reasons()].concat()
    }

    fn reasons(&self) -> Vec<String> {
        self.refused.iter().map(ToString::to_string).collect()
    }

    /// The provider with what it needs and its options, if it can be had.
    fn device(
        &mut self,
        provider: ExecutionProvider,
        options: &RuntimeOptions,
        of_folder: &OfFolder,
    ) -> Result<Device, EngineError> {
        provider::ready(provider, self.library, &options.search)?;
        let of_user: NamedStrings = options
            .options
            .get(&provider)
            .map(|options| options.clone().into_iter().collect())
            .unwrap_or_default();
        let of_folder: NamedStrings = of_folder
            .iter()
            .filter(|(name, _)| ExecutionProvider::parse(name) == Ok(provider))
            .flat_map(|(_, options)| options.clone())
            .collect();
        let (options, notes) = provider::Options::new(provider, &of_folder, &of_user)?;
        self.notes.extend(notes);
        Ok(Device::new(provider, options, self.library))
    }
}

/// The execution providers to try.
pub(crate) fn order(options: &RuntimeOptions, of_folder: &OfFolder) -> Vec<ExecutionProvider> {
    let of_folder: Vec<_> = of_folder
        .iter()
        .filter_map(|(name, _)| ExecutionProvider::parse(name).ok())
        .collect();
    options.order(&of_folder)
}

/// Providers of the folder that nobody here knows.
fn unknown(of_folder: &OfFolder) -> impl Iterator<Item = String> {
    let names = of_folder.iter().map(|(name, _)| name);
    let unknown = names.filter(|name| ExecutionProvider::parse(name).is_err());
    unknown.map(|name| {
        format!(
            "genai_config.json: the execution provider {name:?} is not known and was passed over"
        )
    })
}

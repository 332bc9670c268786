//! The store: models by name.

mod address;
mod hub;
mod local;
mod package;
mod pull;
mod remove;
mod update;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde::Serialize;

use crate::catalog::{Catalog, Entry};
use crate::error::{IoContext, StoreError, StoreErrorKind};
use crate::http::{Client, Context};
use crate::name::model_name;
use crate::options::StoreOptions;
use crate::progress::ProgressSink;
use crate::record::{Installed, Record, State};
use crate::source::Source;
use crate::staging::{self, Staging};

pub use pull::PullRequest;
pub use remove::Removed;
pub use update::Updated;

/// The models on this machine.
///
/// They are below `models` in the program's data folder: one folder a model, named as it is, with the record
/// `inhouse.json` and either the model's files or, in the record, the place of a model folder elsewhere (the hub's
/// cache, or the user's own). Methods take `&self` and may be called from several threads and processes at once.
pub struct Store {
    options: StoreOptions,
    client: Client,
}

/// All that is known of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Details {
    /// Its name.
    pub name: String,
    /// What the catalog says, where the name is in it.
    pub catalog: Option<Entry>,
    /// What is here of it.
    pub installed: Option<Installed>,
}

impl Store {
    /// Opens the store. Nothing is written before a pull.
    pub fn open(mut options: StoreOptions) -> Result<Self, StoreError> {
        // Records hold absolute paths, and so does the answer to `resolve`.
        for path in [&mut options.home, &mut options.hf_cache] {
            *path = std::path::absolute(&*path).at("use", path)?;
        }
        let client = Client::new(&options);
        Ok(Self { options, client })
    }

    /// How it was set up.
    #[must_use]
    pub fn options(&self) -> &StoreOptions {
        &self.options
    }

    /// The folder with a folder for each model.
    #[must_use]
    pub fn models_folder(&self) -> PathBuf {
        self.options.home.join("models")
    }

    /// The model folder of a name, or of a path to a model folder.
    pub fn resolve(&self, name: &str) -> Result<PathBuf, StoreError> {
        if let Ok(name) = model_name(name)
            && let Some(installed) = self.installed(&name)?
        {
            return match installed.state {
                State::Ready => Ok(installed.folder),
                State::Damaged(why) => Err(damaged(&name, &why)),
            };
        }
        let path = Path::new(name);
        if path.join("genai_config.json").is_file() {
            return std::path::absolute(path).at("use", path);
        }
        Err(self.unknown(name))
    }

    /// The models that are here, by name.
    pub fn list(&self) -> Result<Vec<Installed>, StoreError> {
        let folder = self.models_folder();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(StoreError::io("read", &folder, cause)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.at("read", &folder)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            match self.installed(&name) {
                Ok(installed) => found.extend(installed),
                // One unreadable record does not hide the others.
                Err(error) => found.push(unreadable(&name, entry.path(), &error)),
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// All that is known of a model, pulled or not.
    pub fn show(&self, name: &str) -> Result<Details, StoreError> {
        let catalog = Catalog::builtin().get(name).cloned();
        let lower = model_name(name)?;
        let installed = self.installed(&lower)?;
        if catalog.is_none() && installed.is_none() {
            return Err(self.unknown(name));
        }
        Ok(Details {
            name: lower,
            catalog,
            installed,
        })
    }

    fn installed(&self, name: &str) -> Result<Option<Installed>, StoreError> {
        let home = self.home_of(name);
        Record::read(&home)?
            .map(|record| record.installed(&home))
            .transpose()
    }

    fn record(&self, name: &str) -> Result<Option<Record>, StoreError> {
        Record::read(&self.home_of(name))
    }

    fn home_of(&self, name: &str) -> PathBuf {
        self.models_folder().join(name)
    }

    fn staging(&self, name: &str) -> Staging {
        Staging::new(&self.models_folder(), name)
    }

    /// Removes what pulls that were given up have left. With `all` even what a pull could go on with soon.
    /// Returns the bytes that became free.
    pub fn clean(&self, all: bool) -> Result<u64, StoreError> {
        staging::clean(&self.models_folder(), all)
    }

    fn context<'a>(&'a self, sink: &'a dyn ProgressSink) -> Context<'a> {
        Context {
            options: &self.options,
            client: &self.client,
            sink,
            stop: AtomicBool::new(false),
        }
    }

    fn unknown(&self, name: &str) -> StoreError {
        let catalog = Catalog::builtin();
        if let Some(entry) = catalog.get(name) {
            let message = format!(
                "{} is not here: run `inhouse pull {}`",
                entry.name, entry.name
            );
            return StoreError::new(StoreErrorKind::UnknownModel, message);
        }
        let here: Vec<_> = self
            .list()
            .unwrap_or_default()
            .into_iter()
            .map(|model| model.name)
            .collect();
        let here = if here.is_empty() {
            "nothing yet".to_owned()
        } else {
            here.join(", ")
        };
        StoreError::new(
            StoreErrorKind::UnknownModel,
            format!(
                "there is no model {name:?}; here: {here}; to pull: {}",
                catalog.names()
            ),
        )
    }
}

fn damaged(name: &str, why: &str) -> StoreError {
    StoreError::new(
        StoreErrorKind::Damaged,
        format!("{name} is damaged: {why}; run `inhouse pull {name}` to mend it"),
    )
}

fn unreadable(name: &str, folder: PathBuf, error: &StoreError) -> Installed {
    Installed {
        name: name.to_owned(),
        source: Source::Local(folder.clone()),
        folder,
        revision: None,
        licence: None,
        pulled_at: String::new(),
        files: Vec::new(),
        converted_from: None,
        size: 0,
        state: State::Damaged(error.to_string()),
    }
}

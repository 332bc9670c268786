//! ONNX Runtime's libraries: known by name, fetched by pip or npm, checked, and kept in folders of their own.

pub(crate) mod catalog;
pub(crate) mod flavour;
pub(crate) mod install;
pub(crate) mod record;
pub(crate) mod remove;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use self::catalog::{RuntimeCatalog, RuntimePackage};
use self::flavour::{Flavour, Platform};
use self::record::{InstalledRuntime, Look};
use crate::error::{IoContext, StoreError};
use crate::http::{Client, Context};
use crate::lock::Lock;
use crate::options::StoreOptions;
use crate::progress::{Event, ProgressSink};
use crate::record::State;
use crate::staging::Staging;

/// The runtimes on this machine.
///
/// They are below `runtimes` in the program's data folder: one folder a flavour, with its libraries and the record
/// `record.json`. Nothing here loads them. Methods take `&self` and may be called from several threads and processes at
/// once.
pub struct Runtimes {
    options: StoreOptions,
    client: Client,
    catalog: RuntimeCatalog,
    platform: Platform,
}

impl Runtimes {
    /// Opens the runtimes of the program's data folder. Nothing is written before an installation.
    pub fn open(options: StoreOptions) -> Result<Self, StoreError> {
        Self::with_catalog(options, RuntimeCatalog::builtin().clone(), Platform::here())
    }

    /// As [`open`](Self::open), with another catalogue and for another platform.
    pub fn with_catalog(
        mut options: StoreOptions,
        catalog: RuntimeCatalog,
        platform: Platform,
    ) -> Result<Self, StoreError> {
        options.home = std::path::absolute(&options.home).at("use", &options.home)?;
        Ok(Self {
            client: Client::new(&options),
            options,
            catalog,
            platform,
        })
    }

    /// The folder with a folder for each runtime.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.options.home.join("runtimes")
    }

    /// The packages that are known.
    #[must_use]
    pub fn catalog(&self) -> &RuntimeCatalog {
        &self.catalog
    }

    /// The platform that packages are chosen for.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// The runtimes that are here. Every byte of them is read.
    pub fn list(&self) -> Result<Vec<InstalledRuntime>, StoreError> {
        let each = Flavour::ALL.into_iter().map(|flavour| self.get(flavour));
        each.filter_map(Result::transpose).collect()
    }

    /// The runtime of this flavour, if it is here. Every byte of it is read.
    pub fn get(&self, flavour: Flavour) -> Result<Option<InstalledRuntime>, StoreError> {
        let look = Look::Hashes(&self.options.cancel);
        InstalledRuntime::read(&self.home(flavour), flavour, look)
    }

    /// The library of a runtime, if that is here and its files have their sizes. Quick: for a look before each load.
    pub fn library(&self, flavour: Flavour) -> Result<Option<PathBuf>, StoreError> {
        let here = InstalledRuntime::read(&self.home(flavour), flavour, Look::Sizes)?;
        let ready = here.filter(|here| here.state == State::Ready);
        Ok(ready.map(|here| here.library))
    }

    /// The packages that an installation would fetch first, of flavours that are not among those `here` or are here in
    /// another version.
    #[must_use]
    pub fn available(&self, here: &[InstalledRuntime]) -> Vec<&RuntimePackage> {
        let is_here = |package: &RuntimePackage| here.iter().any(|here| here.is_of(package));
        let of = |flavour| {
            let mut packages = self.catalog.packages_of(flavour, &self.platform).peekable();
            let first = *packages.peek()?;
            (!packages.any(is_here)).then_some(first)
        };
        Flavour::ALL.into_iter().filter_map(of).collect()
    }

    fn home(&self, flavour: Flavour) -> PathBuf {
        self.folder().join(flavour.name())
    }

    fn staging(&self, flavour: Flavour) -> Staging {
        Staging::new(&self.folder(), flavour.name())
    }

    fn lock(
        &self,
        staging: &Staging,
        flavour: Flavour,
        sink: &dyn ProgressSink,
    ) -> Result<Lock, StoreError> {
        staging.lock(&self.options, || {
            sink.event(&Event::Note(&format!(
                "waiting: the {flavour} runtime is being installed or removed by another process"
            )));
        })
    }

    fn context<'a>(&'a self, sink: &'a dyn ProgressSink) -> Context<'a> {
        Context {
            options: &self.options,
            client: &self.client,
            sink,
            stop: AtomicBool::new(false),
        }
    }
}

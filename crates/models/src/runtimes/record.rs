//! What is known of an installed runtime, and the file that keeps it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::catalog::{PackageClient, RuntimePackage};
use super::flavour::Flavour;
use crate::error::{StoreError, StoreErrorKind};
use crate::hash;
use crate::hub::cache::write_atomically;
use crate::name;
use crate::progress::Cancel;
use crate::record::{self, FileRecord, State};

/// The record's name in a runtime's folder.
const FILE: &str = "record.json";

/// The format this program writes; a later one is not guessed at.
const FORMAT: u32 = 1;

/// A runtime that is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstalledRuntime {
    /// What it computes on.
    pub flavour: Flavour,
    /// The package it came from; empty where the record of it cannot be read.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// When it was installed, in RFC 3339.
    pub installed_at: String,
    /// Its folder.
    pub folder: PathBuf,
    /// The library to load.
    pub library: PathBuf,
    /// The files of the folder.
    pub files: Vec<FileRecord>,
    /// The size of the files together.
    pub size: u64,
    /// Whether the files are as they were installed.
    pub state: State,
}

/// The shape of `record.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    format: u32,
    flavour: Flavour,
    package: String,
    version: String,
    client: PackageClient,
    installed_at: String,
    /// The library's path below the folder.
    library: String,
    files: Vec<FileRecord>,
}

/// How closely files are looked at.
#[derive(Clone, Copy)]
pub(super) enum Look<'a> {
    /// Whether they are there, in their sizes.
    Sizes,
    /// Every byte.
    Hashes(&'a Cancel),
}

impl Record {
    pub(super) fn new(package: &RuntimePackage, installed_at: String) -> Self {
        Self {
            format: FORMAT,
            flavour: package.flavour,
            package: package.package.clone(),
            version: package.version.clone(),
            client: package.client,
            installed_at,
            library: package.library().to_owned(),
            files: files_of(package),
        }
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), StoreError> {
        let mut text = serde_json::to_vec_pretty(self).map_err(|cause| {
            let message = format!("the record of {} cannot be written", self.flavour);
            StoreError::new(StoreErrorKind::Io, message).caused_by(cause)
        })?;
        text.push(b'\n');
        write_atomically(&folder.join(FILE), &text)
    }

    /// What is wrong with a record is said in words, for it is shown as the runtime's state.
    fn read(folder: &Path, flavour: Flavour) -> Result<Self, String> {
        let text = fs::read(folder.join(FILE)).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => format!("{FILE} is missing"),
            _ => format!("{FILE} cannot be read: {cause}"),
        })?;
        let record: Self = serde_json::from_slice(&text)
            .map_err(|cause| format!("{FILE} cannot be read: {cause}"))?;
        if record.format != FORMAT {
            let format = record.format;
            return Err(format!(
                "{FILE} has format {format}, this program knows {FORMAT}"
            ));
        }
        if record.flavour != flavour {
            return Err(format!("{FILE} is of {}", record.flavour));
        }
        // Its files are looked at, so what is loaded is.
        let is_its_own = record.files.iter().any(|file| file.path == record.library);
        if !is_its_own {
            return Err(format!("{FILE} names no library of its own"));
        }
        Ok(record)
    }
}

impl InstalledRuntime {
    /// The runtime in a folder; `None` where there is no folder.
    pub(super) fn read(
        folder: &Path,
        flavour: Flavour,
        look: Look<'_>,
    ) -> Result<Option<Self>, StoreError> {
        if !folder.is_dir() {
            return Ok(None);
        }
        let mut here = Self {
            flavour,
            package: String::new(),
            version: String::new(),
            installed_at: String::new(),
            folder: folder.to_owned(),
            library: PathBuf::new(),
            files: Vec::new(),
            size: 0,
            state: State::Ready,
        };
        match Record::read(folder, flavour) {
            Err(why) => here.state = State::Damaged(why),
            Ok(record) => {
                here.package = record.package;
                here.version = record.version;
                here.installed_at = record.installed_at;
                here.library = folder.join(record.library);
                let sizes = record.files.iter().map(|file| file.size);
                here.size = sizes.fold(0, u64::saturating_add);
                here.state = state(folder, &record.files, look)?;
                here.files = record.files;
            }
        }
        Ok(Some(here))
    }

    /// Whether it is this package.
    pub(super) fn is_of(&self, package: &RuntimePackage) -> bool {
        self.flavour == package.flavour
            && self.package == package.package
            && self.version == package.version
            && self.files == files_of(package)
    }
}

fn files_of(package: &RuntimePackage) -> Vec<FileRecord> {
    let record = |file: &crate::catalog::CatalogFile| FileRecord {
        path: file.name().to_owned(),
        size: file.size,
        sha256: Some(file.sha256.to_ascii_lowercase()),
    };
    package.files.iter().map(record).collect()
}

fn state(folder: &Path, files: &[FileRecord], look: Look<'_>) -> Result<State, StoreError> {
    let sizes = record::state(folder, files);
    let Look::Hashes(cancel) = look else {
        return Ok(sizes);
    };
    if sizes != State::Ready {
        return Ok(sizes);
    }
    for file in files {
        let path = folder.join(name::inside(&file.path)?);
        let found = match hash::of_file(&path, None, cancel) {
            Ok(hashes) => hashes.sha256,
            Err(error) if error.kind() == StoreErrorKind::Cancelled => return Err(error),
            Err(error) => return Ok(State::Damaged(error.to_string())),
        };
        if file.sha256.as_ref() != Some(&found) {
            return Ok(State::Damaged(format!("{} was changed", file.path)));
        }
    }
    Ok(State::Ready)
}

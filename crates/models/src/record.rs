//! What the store knows of an installed model, and the file it keeps that in.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{IoContext, StoreError, StoreErrorKind};
use crate::hash;
use crate::hub::cache::write_atomically;
use crate::name;
use crate::progress::Cancel;
use crate::source::Source;

/// The record's name in a model's folder.
pub(crate) const FILE: &str = "inhouse.json";

/// A model that is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Installed {
    /// Its name.
    pub name: String,
    /// The model folder.
    pub folder: PathBuf,
    /// Where it came from.
    pub source: Source,
    /// The commit, version or etag it came as.
    pub revision: Option<String>,
    /// Its licence, where that is known.
    pub licence: Option<String>,
    /// When it was pulled, in RFC 3339.
    pub pulled_at: String,
    /// The files of the folder.
    pub files: Vec<FileRecord>,
    /// The file that was fetched and converted, where that was so.
    pub converted_from: Option<FileRecord>,
    /// The size of the files together.
    pub size: u64,
    /// Whether the files are as they were pulled.
    pub state: State,
}

/// Whether an installed model's files are as they were pulled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Every file is there in its size.
    Ready,
    /// With what is wrong; pulling it again mends it.
    Damaged(String),
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its path below the model folder, with `/`.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its sha256, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// The shape of `inhouse.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) format: u32,
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) revision: Option<String>,
    pub(crate) licence: Option<String>,
    pub(crate) pulled_at: String,
    /// The model folder, where that is not the record's own.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) files: Vec<FileRecord>,
    pub(crate) converted_from: Option<FileRecord>,
    /// What of the hub's cache belongs to this model.
    pub(crate) hub: Option<HubFiles>,
}

/// Files in the hub's cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HubFiles {
    pub(crate) cache: PathBuf,
    pub(crate) repo: String,
    pub(crate) commit: String,
    /// Their paths in the repository.
    pub(crate) files: Vec<String>,
}

impl HubFiles {
    /// Whether these files and those may be the same ones.
    pub(crate) fn is_of_the_same_snapshot(&self, other: &Self) -> bool {
        self.cache == other.cache && self.repo == other.repo && self.commit == other.commit
    }
}

/// The format this program writes; a later one is not guessed at.
pub(crate) const FORMAT: u32 = 1;

impl Record {
    /// Reads the record of the model in `home`; `None` when there is none.
    pub(crate) fn read(home: &Path) -> Result<Option<Self>, StoreError> {
        let path = home.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(StoreError::io("read", &path, cause)),
        };
        let damaged = |why: String| {
            StoreError::new(
                StoreErrorKind::Damaged,
                format!(
                    "{} {why}; remove that folder and pull the model again",
                    path.display()
                ),
            )
        };
        let record: Self = serde_json::from_slice(&text)
            .map_err(|cause| damaged("cannot be read".to_owned()).caused_by(cause))?;
        if record.format != FORMAT {
            return Err(damaged(format!(
                "has format {}, this program knows {FORMAT}",
                record.format
            )));
        }
        Ok(Some(record))
    }

    /// Writes the record into `home`.
    pub(crate) fn write(&self, home: &Path) -> Result<(), StoreError> {
        let mut text = serde_json::to_vec_pretty(self).map_err(|cause| {
            let message = format!("the record of {} cannot be written", self.name);
            StoreError::new(StoreErrorKind::Io, message).caused_by(cause)
        })?;
        text.push(b'\n');
        write_atomically(&home.join(FILE), &text)
    }

    /// What it tells, with a look at the files.
    pub(crate) fn installed(self, home: &Path) -> Result<Installed, StoreError> {
        let folder = self.folder.unwrap_or_else(|| home.to_owned());
        let state = state(&folder, &self.files);
        Ok(Installed {
            size: self.files.iter().map(|file| file.size).sum(),
            source: self
                .source
                .parse()
                .unwrap_or_else(|_| Source::Local(self.source.clone().into())),
            state,
            folder,
            name: self.name,
            revision: self.revision,
            licence: self.licence,
            pulled_at: self.pulled_at,
            files: self.files,
            converted_from: self.converted_from,
        })
    }
}

/// Whether files are there in their sizes.
pub(crate) fn state(folder: &Path, files: &[FileRecord]) -> State {
    for file in files {
        let Ok(relative) = name::inside(&file.path) else {
            return State::Damaged(format!("{:?} is no file name", file.path));
        };
        let wrong = match fs::metadata(folder.join(relative)) {
            Err(_) => "is missing".to_owned(),
            Ok(metadata) if metadata.len() != file.size => {
                format!("has {} bytes instead of {}", metadata.len(), file.size)
            }
            Ok(_) => continue,
        };
        return State::Damaged(format!("{} {wrong}", file.path));
    }
    State::Ready
}

/// The files below a folder, hashed where `hashed` says so. Links to files count as files.
pub(crate) fn scan(
    folder: &Path,
    hashed: bool,
    cancel: &Cancel,
) -> Result<Vec<FileRecord>, StoreError> {
    let mut files = Vec::new();
    scan_into(folder, folder, hashed, cancel, &mut files)?;
    files.retain(|file| file.path != FILE);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn scan_into(
    root: &Path,
    folder: &Path,
    hashed: bool,
    cancel: &Cancel,
    files: &mut Vec<FileRecord>,
) -> Result<(), StoreError> {
    for entry in fs::read_dir(folder).at("read", folder)? {
        let path = entry.at("read", folder)?.path();
        // A link to a folder is not followed: it could lead in a circle.
        let link = path.symlink_metadata().at("read", &path)?;
        if link.is_dir() {
            scan_into(root, &path, hashed, cancel, files)?;
            continue;
        }
        let Ok(metadata) = fs::metadata(&path) else {
            continue;
        };
        if !metadata.is_file() {
            continue;
        }
        let sha256 = if hashed {
            Some(hash::of_file(&path, None, cancel)?.sha256)
        } else {
            None
        };
        let relative = path.strip_prefix(root).unwrap_or(&path);
        files.push(FileRecord {
            path: name::with_slashes(relative),
            size: metadata.len(),
            sha256,
        });
    }
    Ok(())
}

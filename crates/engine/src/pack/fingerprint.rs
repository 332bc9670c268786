//! What tells one state of a model's files from another.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use inhouse_onnx::SourceFiles;
use serde::{Deserialize, Serialize};

use super::{PackError, PackErrorKind};

/// A model folder and the sizes and times of the files that its weights come from.
///
/// Two are equal where nothing has been written to the files in between. Their contents are not read: that would take as
/// long as packing. So a file that was replaced by one of the same size and with the same time, to the nanosecond,
/// passes for the old one; what copies files with their times and swaps them does that, and should remove the pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Links resolved.
    folder: PathBuf,
    files: Vec<SourceFile>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SourceFile {
    /// Below the folder where it lies there, absolute where not.
    path: PathBuf,
    size: u64,
    /// Nanoseconds since 1970; those of what the path leads to, where it is a link.
    modified: i64,
}

/// What has become of the files since a fingerprint was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// Nothing.
    Current,
    /// A file is not as it was; the text says which and how.
    Changed(String),
    /// The folder is not there any more.
    Gone,
}

impl Fingerprint {
    /// The fingerprint of `files`, which decide the weights of the model in `folder`: graph, external data, configuration.
    ///
    /// # Errors
    /// A file is not there, or a path is not Unicode.
    pub fn of(
        folder: &Path,
        files: impl IntoIterator<Item = impl AsRef<Path>>,
    ) -> Result<Self, PackError> {
        let folder = canonical(folder)?;
        let files = files.into_iter().map(|path| {
            let path = path.as_ref();
            SourceFile::of(&folder, path, std::fs::metadata(path))
        });
        let files = files.collect::<Result<Vec<_>, _>>()?;
        Ok(Self::sorted(folder, files))
    }

    /// The fingerprint of a model that was read from `sources`, with `also` in it (its configuration).
    ///
    /// It is of the files as they are mapped: one that another took the place of since does not lend its weights the
    /// other's size and time.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn of_model(
        folder: &Path,
        sources: &SourceFiles,
        also: impl IntoIterator<Item = impl AsRef<Path>>,
    ) -> Result<Self, PackError> {
        let Self { folder, mut files } = Self::of(folder, also)?;
        for (path, file) in sources.files() {
            files.push(SourceFile::of(&folder, path, Ok(file.metadata().clone()))?);
        }
        Ok(Self::sorted(folder, files))
    }

    fn sorted(folder: PathBuf, mut files: Vec<SourceFile>) -> Self {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup();
        Self { folder, files }
    }

    /// The model folder, links resolved.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What has become of the files since.
    pub fn state(&self) -> SourceState {
        if !self.folder.is_dir() {
            return SourceState::Gone;
        }
        let changed = self.files.iter().find_map(|then| {
            let now = std::fs::metadata(self.folder.join(&then.path));
            match now.and_then(|now| SourceFile::new(then.path.clone(), &now)) {
                Ok(now) => then.change(&now),
                Err(_) => Some(format!("{} is gone", then.path.display())),
            }
        });
        changed.map_or(SourceState::Current, SourceState::Changed)
    }

    /// How `now` differs, in words; `None` where it does not.
    pub(super) fn change(&self, now: &Self) -> Option<String> {
        if self.folder != now.folder {
            return Some(format!("it was made for {}", self.folder.display()));
        }
        let named = |print: &Self, path: &Path| print.files.iter().any(|file| file.path == path);
        if let Some(gone) = self.files.iter().find(|file| !named(now, &file.path)) {
            return Some(format!("{} is no longer used", gone.path.display()));
        }
        if let Some(new) = now.files.iter().find(|file| !named(self, &file.path)) {
            return Some(format!("{} is new", new.path.display()));
        }
        let mut pairs = self.files.iter().zip(&now.files);
        pairs.find_map(|(then, now)| then.change(now))
    }
}

impl SourceFile {
    fn of(folder: &Path, path: &Path, metadata: io::Result<Metadata>) -> Result<Self, PackError> {
        let failed = |cause| PackError::source(format!("cannot read {}", path.display()), cause);
        // The folder is resolved and the name kept: in the hub's cache, the file is a link with a meaningless target.
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let name = path.file_name().unwrap_or_default();
        let place = parent.canonicalize().map_err(failed)?.join(name);
        let path = place.strip_prefix(folder).unwrap_or(&place).to_owned();
        unicode(&path)?;
        metadata
            .and_then(|metadata| Self::new(path, &metadata))
            .map_err(failed)
    }

    fn new(path: PathBuf, metadata: &Metadata) -> io::Result<Self> {
        let modified = metadata.modified()?;
        let modified = match modified.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
        };
        Ok(Self {
            path,
            size: metadata.len(),
            modified,
        })
    }

    fn change(&self, now: &Self) -> Option<String> {
        let name = self.path.display();
        if self.size != now.size {
            return Some(format!(
                "{name} has {} bytes and had {}",
                now.size, self.size
            ));
        }
        (self.modified != now.modified).then(|| format!("{name} was written since"))
    }
}

pub(super) fn canonical(folder: &Path) -> Result<PathBuf, PackError> {
    let folder = folder
        .canonicalize()
        .map_err(|cause| PackError::source(format!("cannot read {}", folder.display()), cause))?;
    unicode(&folder)?;
    Ok(folder)
}

/// The table holds text, and a name that was bent into text would be that of another folder.
fn unicode(path: &Path) -> Result<(), PackError> {
    if path.to_str().is_some() {
        return Ok(());
    }
    let message = format!("the path {} is not Unicode", path.display());
    Err(PackError::new(PackErrorKind::Source, message))
}

//! The folder with the packs.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use inhouse_kernels::Pool;

use super::format::checksum;
use super::reader::Unread;
use super::{PackError, SourceState, Unusable, fingerprint};

/// How packs end.
const EXTENSION: &str = "pack";
/// How packs end that are not complete.
pub(super) const TEMPORARY: &str = "tmp";

/// A folder in which each model has its pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackFolder(PathBuf);

/// A pack in the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackInfo {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The model folder it was made of, where it can still tell.
    pub model: Option<PathBuf>,
    /// Whether it would be used.
    pub state: PackState,
}

/// Whether a pack would be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackState {
    /// Whole and current.
    Ready,
    /// The model folder is not there any more.
    SourceGone,
    /// It would be made anew.
    Unusable(Unusable),
    /// A writer is at work on it, or was killed.
    Unfinished,
}

impl PackFolder {
    /// The folder `path`, which need not be there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the pack of the model in `folder` is, or would be.
    ///
    /// # Errors
    /// The model folder is not there, or its path is not Unicode.
    pub fn path_of(&self, folder: &Path) -> Result<PathBuf, PackError> {
        let folder = fingerprint::canonical(folder)?;
        let whole = folder.as_os_str().as_encoded_bytes();
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let safe = |c: char| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => c,
            _ => '-',
        };
        let name: String = name
            .trim_start_matches('.')
            .chars()
            .take(64)
            .map(safe)
            .collect();
        Ok(self
            .0
            .join(format!("{name}-{:016x}.{EXTENSION}", checksum(whole))))
    }

    /// The files of all packs, unfinished ones too, by name. A folder that is not there has none.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut found = files(&self.0)?;
        found.retain(|path| is_unfinished(path) || path.extension() == Some(OsStr::new(EXTENSION)));
        found.sort();
        Ok(found)
    }

    /// What is to be known of all packs, each read and verified as at a load.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self, pool: &Pool) -> io::Result<Vec<PackInfo>> {
        let info = |path: PathBuf| {
            let bytes = path.metadata().ok()?.len();
            let (model, state) = match is_unfinished(&path) {
                true => (None, PackState::Unfinished),
                false => examine(&path, pool),
            };
            Some(PackInfo {
                path,
                bytes,
                model,
                state,
            })
        };
        // Without what was removed, or got its name, in this moment.
        Ok(self.files()?.into_iter().filter_map(info).collect())
    }

    /// Removes a pack and says how many bytes it had; 0 where there is none. Programs that have it mapped keep it.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove(path: &Path) -> io::Result<u64> {
        let removed = path.symlink_metadata().and_then(|metadata| {
            fs::remove_file(path)?;
            Ok(metadata.len())
        });
        match removed {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
            other => other,
        }
    }

    /// Removes what writers have left that were killed, and says how many bytes that was.
    pub fn remove_unfinished(&self) -> u64 {
        remove_unfinished(&self.0, None)
    }
}

fn examine(path: &Path, pool: &Pool) -> (Option<PathBuf>, PackState) {
    let unread = match Unread::open(path) {
        Ok(unread) => unread,
        Err(why) => return (None, PackState::Unusable(why)),
    };
    let source = unread.table.source.clone();
    let state = match (source.state(), unread.verify(pool)) {
        (SourceState::Gone, _) => PackState::SourceGone,
        (_, Err(why)) => PackState::Unusable(why),
        (SourceState::Changed(how), Ok(_)) => PackState::Unusable(Unusable::Stale(how)),
        (SourceState::Current, Ok(_)) => PackState::Ready,
    };
    (Some(source.folder().to_owned()), state)
}

/// Removes temporary files that nobody holds, those of the pack `of` or all.
pub(super) fn remove_unfinished(folder: &Path, of: Option<&OsStr>) -> u64 {
    let belongs = |path: &PathBuf| {
        // `a-0.pack.12-3.tmp` belongs to `a-0.pack`.
        let pack = path
            .file_stem()
            .and_then(|stem| Path::new(stem).file_stem());
        is_unfinished(path) && (of.is_none() || pack == of)
    };
    // Whoever can only write where nothing can be listed leaves the rest to others.
    let left = files(folder)
        .unwrap_or_default()
        .into_iter()
        .filter(belongs);
    left.filter_map(|path| {
        let file = File::open(&path).ok()?;
        file.try_lock().ok()?;
        PackFolder::remove(&path).ok()
    })
    .sum()
}

fn is_unfinished(path: &Path) -> bool {
    let stem = path.file_stem().map(Path::new);
    let pack = stem.and_then(Path::file_stem).map(Path::new);
    path.extension() == Some(OsStr::new(TEMPORARY))
        && pack.and_then(Path::extension) == Some(OsStr::new(EXTENSION))
}

/// The regular files in a folder; none where it is not there.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            files.push(entry.path());
        }
    }
    Ok(files)
}

//! The folder in which a model is put together, and how it takes its place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Store;
use crate::error::{IoContext, StoreError};
use crate::lock::Lock;
use crate::space;

/// What a pull that was given up has left is kept so long for the next one.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// A model's folder below `.staging`: on the file system of its final place, so that taking it is one rename.
#[derive(Debug)]
pub(super) struct Staging {
    root: PathBuf,
}

impl Staging {
    pub(super) fn of(store: &Store, name: &str) -> Self {
        Self {
            root: store.models_folder().join(".staging").join(name),
        }
    }

    /// Where downloads are kept until the pull is done: a later pull goes on with them.
    pub(super) fn downloads(&self) -> PathBuf {
        self.root.join("download")
    }

    /// An empty folder, whatever was there.
    pub(super) fn fresh(&self, name: &str) -> Result<PathBuf, StoreError> {
        let folder = self.root.join(name);
        remove_all(&folder)?;
        fs::create_dir_all(&folder).at("create the folder", &folder)?;
        Ok(folder)
    }

    /// Puts a folder in a model's place. What was there goes only after the new one is complete; after a kill in
    /// between, [`recover`](Self::recover) puts the old one back.
    pub(super) fn put_in_place(&self, folder: &Path, home: &Path) -> Result<(), StoreError> {
        if let Some(parent) = home.parent() {
            fs::create_dir_all(parent).at("create the folder", parent)?;
        }
        let old = self.root.join("old");
        remove_all(&old)?;
        if home.exists() {
            fs::rename(home, &old).at("move away", home)?;
        }
        fs::rename(folder, home).at("put in its place", home)
    }

    /// Puts back the model that a kill in the middle of [`put_in_place`](Self::put_in_place) left here.
    pub(super) fn recover(&self, home: &Path) -> Result<(), StoreError> {
        let old = self.root.join("old");
        if home.exists() || !old.exists() {
            return Ok(());
        }
        fs::rename(&old, home).at("put in its place", home)
    }

    /// Removes everything.
    pub(super) fn clear(&self) -> Result<(), StoreError> {
        remove_all(&self.root)
    }

    /// Moves a folder here to be removed: it disappears at once, however long removing takes.
    pub(super) fn discard(&self, home: &Path) -> Result<(), StoreError> {
        fs::create_dir_all(&self.root).at("create the folder", &self.root)?;
        let old = self.root.join("removed");
        remove_all(&old)?;
        fs::rename(home, &old).at("remove", home)?;
        self.clear()
    }
}

impl Store {
    /// Removes what pulls that were given up have left. With `all` even what a pull could go on with soon.
    /// Returns the bytes that became free.
    pub fn clean(&self, all: bool) -> Result<u64, StoreError> {
        let root = self.models_folder().join(".staging");
        let entries = match fs::read_dir(&root) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(cause) => return Err(StoreError::io("read", &root, cause)),
        };
        let mut freed = 0;
        for entry in entries {
            let entry = entry.at("read", &root)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // Held by whoever is pulling this model now.
            let Some(_lock) = Lock::attempt(&self.lock_path(&name))? else {
                continue;
            };
            if all || age(&entry.path()).is_some_and(|age| age > KEPT) {
                freed += space::size_of(&entry.path());
                remove_all(&entry.path())?;
            }
        }
        Ok(freed)
    }
}

/// The time since the newest file below a folder was written.
fn age(folder: &Path) -> Option<Duration> {
    let mut youngest = fs::metadata(folder).ok()?.modified().ok()?.elapsed().ok()?;
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let metadata = entry.metadata().ok()?;
        let this = if metadata.is_dir() {
            age(&entry.path())?
        } else {
            metadata.modified().ok()?.elapsed().ok()?
        };
        youngest = youngest.min(this);
    }
    Some(youngest)
}

fn remove_all(path: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io("remove", path, cause))
        }
        _ => Ok(()),
    }
}

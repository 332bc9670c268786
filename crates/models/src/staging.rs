//! The folder in which something is put together, and how it takes its place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{IoContext, StoreError};
use crate::lock::Lock;
use crate::options::StoreOptions;
use crate::space;

/// What was given up is kept so long for the next try.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// A thing's folder below `.staging`: on the file system of its final place, so that taking it is one rename.
#[derive(Debug)]
pub(crate) struct Staging {
    root: PathBuf,
    /// The final place.
    home: PathBuf,
    lock: PathBuf,
}

impl Staging {
    /// For the folder `name` in `parent`.
    pub(crate) fn new(parent: &Path, name: &str) -> Self {
        Self {
            root: parent.join(".staging").join(name),
            home: parent.join(name),
            lock: lock_path(parent, name),
        }
    }

    /// Waits until nobody else changes the thing, and mends what a kill has left; `waiting` is called once if it has to
    /// wait.
    pub(crate) fn lock(
        &self,
        options: &StoreOptions,
        waiting: impl FnOnce(),
    ) -> Result<Lock, StoreError> {
        let lock = Lock::wait(&self.lock, options, waiting)?;
        self.recover()?;
        Ok(lock)
    }

    /// Where downloads are kept until all is done: a later try goes on with them.
    pub(crate) fn downloads(&self) -> PathBuf {
        self.root.join("download")
    }

    /// An empty folder, whatever was there.
    pub(crate) fn fresh(&self, name: &str) -> Result<PathBuf, StoreError> {
        let folder = self.root.join(name);
        remove_all(&folder)?;
        fs::create_dir_all(&folder).at("create the folder", &folder)?;
        Ok(folder)
    }

    /// Puts a folder in its place. What was there goes only after the new one is complete; after a kill in between,
    /// [`recover`](Self::recover) puts the old one back.
    pub(crate) fn put_in_place(&self, folder: &Path) -> Result<(), StoreError> {
        let home = &self.home;
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

    /// Puts back what a kill in the middle of [`put_in_place`](Self::put_in_place) left here.
    fn recover(&self) -> Result<(), StoreError> {
        let old = self.root.join("old");
        if self.home.exists() || !old.exists() {
            return Ok(());
        }
        fs::rename(&old, &self.home).at("put in its place", &self.home)
    }

    /// Removes everything of the staging folder.
    pub(crate) fn clear(&self) -> Result<(), StoreError> {
        remove_all(&self.root)
    }

    /// Moves the thing here to be removed: it disappears at once, however long removing takes.
    pub(crate) fn discard(&self) -> Result<(), StoreError> {
        fs::create_dir_all(&self.root).at("create the folder", &self.root)?;
        let old = self.root.join("removed");
        remove_all(&old)?;
        fs::rename(&self.home, &old).at("remove", &self.home)?;
        self.clear()
    }
}

/// Removes what was given up below `parent`. With `all` even what could be gone on with soon. Returns the bytes that
/// became free.
pub(crate) fn clean(parent: &Path, all: bool) -> Result<u64, StoreError> {
    let root = parent.join(".staging");
    let entries = match fs::read_dir(&root) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(cause) => return Err(StoreError::io("read", &root, cause)),
    };
    let mut freed = 0;
    for entry in entries {
        let entry = entry.at("read", &root)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Held by whoever is at work on it now.
        let Some(_lock) = Lock::attempt(&lock_path(parent, &name))? else {
            continue;
        };
        if all || age(&entry.path()).is_some_and(|age| age > KEPT) {
            freed += space::size_of(&entry.path());
            remove_all(&entry.path())?;
        }
    }
    Ok(freed)
}

fn lock_path(parent: &Path, name: &str) -> PathBuf {
    parent.join(".locks").join(format!("{name}.lock"))
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

//! The hub's cache on the disk, in the form that its Python library gives it.
//!
//! ```text
//! models--owner--repo/
//!   blobs/<hash>                       the bytes, named by sha256 (LFS) or by git's name for a small file
//!   blobs/<hash>.incomplete            the bytes so far
//!   refs/main                          the commit that the branch stood for
//!   snapshots/<commit>/folder/file  -> ../../../blobs/<hash>
//! .locks/models--owner--repo/<hash>.lock
//! ```

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::download::partial_of;
use crate::error::{IoContext, StoreError};
use crate::hash::{self, Expected};
use crate::hub::TreeFile;
use crate::name;

/// One repository's part of the cache.
#[derive(Debug)]
pub(crate) struct RepoCache {
    root: PathBuf,
    locks: PathBuf,
}

impl RepoCache {
    pub(crate) fn new(cache: &Path, repo: &str) -> Self {
        let folder = format!("models--{}", repo.replace('/', "--"));
        Self {
            root: cache.join(&folder),
            locks: cache.join(".locks").join(&folder),
        }
    }

    pub(crate) fn blob(&self, id: &str) -> PathBuf {
        self.root.join("blobs").join(id)
    }

    pub(crate) fn lock(&self, id: &str) -> PathBuf {
        self.locks.join(format!("{id}.lock"))
    }

    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    /// How many bytes of a blob are here.
    pub(crate) fn present(&self, id: &str, size: u64) -> u64 {
        let length = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
        let blob = self.blob(id);
        if length(&blob) == size && blob.exists() {
            return size;
        }
        let partial = length(&partial_of(&blob));
        if partial <= size { partial } else { 0 }
    }

    /// Whether a blob is here, whole as far as its size tells.
    pub(crate) fn has(&self, id: &str, size: u64) -> bool {
        fs::metadata(self.blob(id)).is_ok_and(|metadata| metadata.len() == size)
    }

    /// The commit that a branch or tag stood for when it was last looked up.
    pub(crate) fn commit_of(&self, revision: &str) -> Option<String> {
        if hash::is_hex(revision, 40) {
            return Some(revision.to_owned());
        }
        let relative = name::inside(revision).ok()?;
        let text = fs::read_to_string(self.root.join("refs").join(relative)).ok()?;
        let commit = text.trim();
        hash::is_hex(commit, 40).then(|| commit.to_owned())
    }

    /// Remembers which commit a branch or tag stands for.
    pub(crate) fn set_commit(&self, revision: &str, commit: &str) -> Result<(), StoreError> {
        if revision == commit || self.commit_of(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.root.join("refs").join(name::inside(revision)?);
        write_atomically(&path, commit.as_bytes())
    }

    /// Makes a file of a snapshot point at its blob.
    pub(crate) fn link(&self, commit: &str, file: &str, id: &str) -> Result<(), StoreError> {
        let relative = name::inside(file)?;
        let pointer = self.snapshot(commit).join(&relative);
        if let Some(folder) = pointer.parent() {
            fs::create_dir_all(folder).at("create the folder", folder)?;
        }
        let up = "../".repeat(relative.components().count() + 1);
        let target = format!("{up}blobs/{id}");
        if fs::read_link(&pointer).is_ok_and(|found| found == Path::new(&target)) {
            return Ok(());
        }
        remove_if_there(&pointer)?;
        link(Path::new(&target), &self.blob(id), &pointer).at("link", &pointer)
    }

    /// The files of a commit: from the listing that the Python library may have left, else those that are here.
    pub(crate) fn listing(&self, commit: &str) -> Vec<TreeFile> {
        self.left_listing(commit)
            .unwrap_or_else(|| self.linked_files(commit))
    }

    fn left_listing(&self, commit: &str) -> Option<Vec<TreeFile>> {
        let text = fs::read(self.root.join("trees").join(format!("{commit}.json"))).ok()?;
        let tree: LeftTree = serde_json::from_slice(&text)
            .ok()
            .filter(|tree: &LeftTree| tree.format_version == 1)?;
        let file = |(path, left): (String, LeftFile)| {
            let blob = Expected::of_blob(left.lfs_sha256.as_ref().unwrap_or(&left.blob_id))?;
            Some(TreeFile {
                path,
                size: left.lfs_size.unwrap_or(left.size),
                blob,
            })
        };
        tree.files.into_iter().map(file).collect()
    }

    fn linked_files(&self, commit: &str) -> Vec<TreeFile> {
        let snapshot = self.snapshot(commit);
        let file = |pointer: &PathBuf| {
            let id = self.target(pointer)?;
            let path = name::with_slashes(pointer.strip_prefix(&snapshot).ok()?);
            // A link to nothing is listed with a size that it cannot have, so that it counts as missing.
            let size = fs::metadata(self.blob(&id)).map_or(u64::MAX, |metadata| metadata.len());
            Some(TreeFile {
                path,
                size,
                blob: Expected::of_blob(&id)?,
            })
        };
        files_below(&snapshot).iter().filter_map(file).collect()
    }

    /// Removes these files of a snapshot, and then whatever nothing points at any more.
    pub(crate) fn remove(&self, commit: &str, files: &[String]) -> Result<(), StoreError> {
        let snapshot = self.snapshot(commit);
        let mut blobs = HashSet::new();
        for file in files {
            let pointer = snapshot.join(name::inside(file)?);
            blobs.extend(self.target(&pointer));
            remove_if_there(&pointer)?;
        }
        remove_empty_folders(&snapshot);
        let used = self.used_blobs();
        for id in blobs.difference(&used) {
            remove_if_there(&self.blob(id))?;
            remove_if_there(&partial_of(&self.blob(id)))?;
            remove_if_there(&self.lock(id))?;
        }
        if !snapshot.exists() {
            self.forget_commit(commit);
        }
        Ok(())
    }

    /// Removes what names a commit of which no file is left, and the repository when it was the last.
    fn forget_commit(&self, commit: &str) {
        let snapshots = self.root.join("snapshots");
        remove_empty_folders(&snapshots);
        if !snapshots.exists() {
            // Best effort: what stays is small, and nothing points at it.
            fs::remove_dir_all(&self.root).ok();
            fs::remove_dir_all(&self.locks).ok();
            return;
        }
        fs::remove_file(self.root.join("trees").join(format!("{commit}.json"))).ok();
        let refs = self.root.join("refs");
        for path in files_below(&refs) {
            if fs::read_to_string(&path).is_ok_and(|text| text.trim() == commit) {
                fs::remove_file(&path).ok();
            }
        }
    }

    /// The blobs that some snapshot points at.
    fn used_blobs(&self) -> HashSet<String> {
        let snapshots = self.root.join("snapshots");
        files_below(&snapshots)
            .iter()
            .filter_map(|pointer| self.target(pointer))
            .collect()
    }

    /// The blob that a pointer points at.
    fn target(&self, pointer: &Path) -> Option<String> {
        let target = fs::read_link(pointer).ok()?;
        if target.parent()?.file_name()? != "blobs" {
            return None;
        }
        let id = target.file_name()?.to_str()?;
        (hash::is_hex(id, 40) || hash::is_hex(id, 64)).then(|| id.to_owned())
    }
}

/// The listing of a commit as the Python library keeps it.
#[derive(Deserialize)]
struct LeftTree {
    format_version: u32,
    files: HashMap<String, LeftFile>,
}

#[derive(Deserialize)]
struct LeftFile {
    size: u64,
    blob_id: String,
    lfs_sha256: Option<String>,
    lfs_size: Option<u64>,
}

/// Writes a file so that nobody ever reads half of it.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).at("create the folder", folder)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = PathBuf::from(name);
    fs::write(&temporary, bytes).at("write to", &temporary)?;
    fs::rename(&temporary, path).at("put in its place", path)
}

pub(crate) fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io("remove", path, cause))
        }
        _ => Ok(()),
    }
}

/// Removes a folder and those in it as far as they hold no file.
fn remove_empty_folders(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty_folders(&entry.path());
        }
    }
    // Refused by the system while anything is inside, which is what is wanted.
    fs::remove_dir(folder).ok();
}

/// The files and links below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let below = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => files_below(&entry.path()),
        _ => vec![entry.path()],
    };
    entries.flatten().flat_map(below).collect()
}

#[cfg(unix)]
fn link(target: &Path, _: &Path, pointer: &Path) -> io::Result<()> {
    match std::os::unix::fs::symlink(target, pointer) {
        // Another process was quicker with the same link.
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
            if fs::read_link(pointer)? == target {
                Ok(())
            } else {
                Err(cause)
            }
        }
        other => other,
    }
}

/// Windows may refuse links; the Python library then has the file itself in the snapshot.
#[cfg(windows)]
fn link(target: &Path, blob: &Path, pointer: &Path) -> io::Result<()> {
    let target = PathBuf::from(target.to_string_lossy().replace('/', "\\"));
    std::os::windows::fs::symlink_file(target, pointer)
        .or_else(|_| fs::copy(blob, pointer).map(|_| ()))
}

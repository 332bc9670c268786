//! A file under a temporary name until it is complete.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::temporary;
use crate::{WriteError, WriteErrorKind};

/// A file that is written as `<target>.tmp`, removed when dropped, and kept by [`publish`](StagedFile::publish).
pub(super) struct StagedFile {
    file: BufWriter<File>,
    temporary: PathBuf,
    target: PathBuf,
    published: bool,
}

impl StagedFile {
    /// Creates the temporary file, taking over one that a killed writer left.
    pub(super) fn create(target: PathBuf) -> Result<StagedFile, WriteError> {
        let temporary = temporary(&target);
        let error = |e: io::Error| WriteError::io(&temporary, "cannot be created", e);
        // Not truncated before it is known that nobody else is writing it.
        let open = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&temporary);
        let file = open.map_err(error)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = "is being written by another process; wait for it to end";
                return Err(WriteError::new(WriteErrorKind::Busy, &target, message));
            }
            // Some network file systems have no locks; two writers are the user's to avoid there.
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => return Err(error(e)),
        }
        if !is_still(&file, &temporary).map_err(error)? {
            return Err(WriteError::new(
                WriteErrorKind::Busy,
                &target,
                "was just written by another process",
            ));
        }
        file.set_len(0).map_err(error)?;
        let file = BufWriter::with_capacity(1 << 20, file);
        Ok(StagedFile {
            file,
            temporary,
            target,
            published: false,
        })
    }

    pub(super) fn file(&mut self) -> &mut BufWriter<File> {
        &mut self.file
    }

    /// Where the bytes are now.
    pub(super) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Where they will be.
    pub(super) fn final_path(&self) -> &Path {
        &self.target
    }

    /// Makes the file as long as its last tensor reaches: one without data writes nothing there, and one that was given up
    /// may have written further.
    pub(super) fn set_len(&mut self, len: u64) -> Result<(), WriteError> {
        let set = self
            .file
            .flush()
            .and_then(|()| self.file.get_ref().set_len(len));
        set.map_err(|e| self.error(e))
    }

    /// Brings everything to the disk.
    pub(super) fn sync(&mut self) -> Result<(), WriteError> {
        let synced = self
            .file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(|e| self.error(e))
    }

    /// Removes the file that this one replaces, if there is one.
    pub(super) fn remove_old(&self) -> Result<(), WriteError> {
        match std::fs::remove_file(&self.target) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(WriteError::io(&self.target, "cannot be replaced", e))
            }
            _ => Ok(()),
        }
    }

    /// Gives the file its name.
    pub(super) fn publish(mut self) -> Result<(), WriteError> {
        std::fs::rename(&self.temporary, &self.target)
            .map_err(|e| WriteError::io(&self.target, "cannot be put in place", e))?;
        self.published = true;
        sync_folder(&self.target);
        Ok(())
    }

    fn error(&self, e: io::Error) -> WriteError {
        WriteError::io(&self.temporary, "cannot be written", e)
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.published {
            // Nobody is there to hear of a failure, and the next writer takes the file over.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Whether `path` still names this open file: between opening and locking it, another writer may have finished with it
/// and given it its final name, and then it must not be truncated.
#[cfg(unix)]
fn is_still(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let ours = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(named) => Ok((ours.dev(), ours.ino()) == (named.dev(), named.ino())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// Elsewhere an open file is not renamed by another process.
#[cfg(not(unix))]
fn is_still(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

/// Brings a rename to the disk. Not every system lets a folder be opened, and the file itself is safe: so no error.
fn sync_folder(path: &Path) {
    if let Some(folder) = path.parent() {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
}

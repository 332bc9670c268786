//! One pull of a model at a time, and one download of a hub's file, across processes.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::error::{IoContext, StoreError};
use crate::options::StoreOptions;

/// A lock that is held until it is dropped, or until the process ends in whatever way.
#[derive(Debug)]
pub(crate) struct Lock(#[allow(dead_code, reason = "it is held, not read")] File);

/// How often a lock that someone else holds is tried again.
const POLL: Duration = Duration::from_millis(100);

impl Lock {
    /// Takes the lock, waiting for whoever holds it; `waiting` is called once if it has to wait.
    pub(crate) fn wait(
        path: &Path,
        options: &StoreOptions,
        waiting: impl FnOnce(),
    ) -> Result<Self, StoreError> {
        let mut waiting = Some(waiting);
        loop {
            if let Some(lock) = Self::attempt(path)? {
                return Ok(lock);
            }
            if let Some(waiting) = waiting.take() {
                waiting();
            }
            if options.cancel.is_cancelled() {
                return Err(StoreError::cancelled());
            }
            // Someone else's work takes real time, whatever clock the tests set.
            std::thread::sleep(POLL);
        }
    }

    /// Takes the lock if nobody holds it.
    pub(crate) fn attempt(path: &Path) -> Result<Option<Self>, StoreError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).at("create the folder", folder)?;
        }
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path);
        let file = file.at("open", path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(cause)) => Err(StoreError::io("lock", path, cause)),
        }
    }
}

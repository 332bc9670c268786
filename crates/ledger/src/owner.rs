//! Who holds reservations, and whether it still lives.
//!
//! A process that is killed cannot settle. So each holds the lock of a file of its own for as long as it lives; the
//! system gives the lock back however the process ends, and whoever gets it knows that the owner is gone. A process id
//! alone would not do: it may be another's by now, or belong to another container.

use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

/// The right to hold reservations in a ledger.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) id: String,
    /// `None` for a ledger in memory, which nobody else can see.
    file: Option<(File, PathBuf)>,
}

impl Owner {
    pub(crate) fn of_memory() -> Self {
        Self {
            id: "memory".to_owned(),
            file: None,
        }
    }

    /// A new owner with its lock. To be called before its row is written: a row without a lock is a dead owner.
    pub(crate) fn of_file(ledger: &Path) -> io::Result<Self> {
        let folder = folder(ledger);
        std::fs::create_dir_all(&folder)?;
        let random = || RandomState::new().hash_one(std::process::id());
        let id = format!("{}-{:016x}{:016x}", std::process::id(), random(), random());
        let path = folder.join(&id);
        let file = File::create_new(&path)?;
        file.lock()?;
        Ok(Self {
            id,
            file: Some((file, path)),
        })
    }

    /// Takes its file away, once its row is gone.
    pub(crate) fn leave(&mut self) {
        if let Some((file, path)) = self.file.take() {
            // A file that stays is only litter: no row names it.
            drop(std::fs::remove_file(path));
            drop(file);
        }
    }
}

/// Whether the owner of a ledger's row is gone. In doubt it lives: what it reserved stays reserved.
pub(crate) fn is_dead(ledger: &Path, id: &str) -> bool {
    // Names come from the database, and must not lead elsewhere.
    let letters = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    if !id.bytes().all(letters) {
        return true;
    }
    let path = folder(ledger).join(id);
    match OpenOptions::new().write(true).open(&path) {
        Err(error) => error.kind() == io::ErrorKind::NotFound,
        Ok(file) => match file.try_lock() {
            Ok(()) => {
                drop(std::fs::remove_file(&path));
                true
            }
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
        },
    }
}

fn folder(ledger: &Path) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push("-owners");
    name.into()
}

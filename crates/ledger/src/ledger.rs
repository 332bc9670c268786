//! The ledger: one file, one connection, one thread that writes what can wait.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior, params};

use crate::budgets::{self, Alert, Budget, Tabs};
use crate::database;
use crate::error::{LedgerError, LedgerErrorKind};
use crate::owner::Owner;
use crate::writer::{self, Queue};

/// After so many commits the write-ahead log goes into the database.
const CHECKPOINT_AFTER: u32 = 250;

/// Budgets, usage and receipts in one SQLite file, which several processes may share.
///
/// Reservations are written when [`reserve`](Self::reserve) returns. Attempts and receipts are handed to a thread that
/// writes many at once, some milliseconds later; [`flush`](Self::flush) waits for it, and dropping the ledger does.
pub struct Ledger {
    pub(crate) shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

/// What the ledger, its writer and its reservations have in common.
pub(crate) struct Shared {
    pub(crate) name: Arc<str>,
    /// `None` in memory.
    pub(crate) path: Option<PathBuf>,
    pub(crate) owner: Owner,
    db: Mutex<Connection>,
    commits: AtomicU32,
    pub(crate) budgets: RwLock<Arc<[Arc<Budget>]>>,
    pub(crate) tabs: Mutex<Tabs>,
    /// Alerts of reservations that were dropped.
    pub(crate) alerts: Mutex<Vec<Alert>>,
    pub(crate) queue: Queue,
}

impl Ledger {
    /// Opens a file, and makes it and its folder where they are missing.
    ///
    /// Reservations that a process left behind when it was killed are settled here: in full where bytes had been sent,
    /// else at nothing. A process lives as long as it holds the lock of its file in the folder `<file>-owners`; that
    /// works on local disks, not on every network's.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LedgerError> {
        let path = path.as_ref();
        let name: Arc<str> = path.display().to_string().into();
        let db = database::open(path, &name)?;
        // By whatever name the file is opened, its owners must find each other.
        let path = path.canonicalize();
        let owner = path.and_then(|path| Ok((Owner::of_file(&path)?, path)));
        let (owner, path) = owner
            .map_err(|error| LedgerError::new(&name, LedgerErrorKind::Unopenable).because(error))?;
        Self::start(name, Some(path), db, owner)
    }

    /// A ledger that is gone when it is dropped.
    pub fn in_memory() -> Result<Self, LedgerError> {
        let name: Arc<str> = "in memory".into();
        let db = database::in_memory(&name)?;
        Self::start(name, None, db, Owner::of_memory())
    }

    fn start(
        name: Arc<str>,
        path: Option<PathBuf>,
        db: Connection,
        owner: Owner,
    ) -> Result<Self, LedgerError> {
        let shared = Arc::new(Shared {
            name: name.clone(),
            path,
            owner,
            db: Mutex::new(db),
            commits: AtomicU32::new(0),
            budgets: RwLock::new(Arc::new([])),
            tabs: Mutex::default(),
            alerts: Mutex::default(),
            queue: Queue::default(),
        });
        shared.recover()?;
        shared.write(|db| {
            let sql = "INSERT INTO owners (id, pid) VALUES (?1, ?2)";
            db.execute(sql, params![shared.owner.id, std::process::id()])
        })?;
        let writer = writer::spawn(&shared)
            .map_err(|error| LedgerError::new(&name, LedgerErrorKind::Failed).because(error))?;
        Ok(Self {
            shared,
            writer: Some(writer),
        })
    }

    /// Waits until every attempt and receipt that was recorded is in the file.
    pub fn flush(&self) -> Result<(), LedgerError> {
        self.shared.queue.flush()
    }

    /// Reads the whole file and looks whether its structure is sound. Opening it does not: that would take long.
    pub fn check(&self) -> Result<(), LedgerError> {
        let sql = "PRAGMA quick_check(1)";
        let sound = self
            .shared
            .study(|db| db.query_row(sql, [], |row| row.get::<_, String>(0)))?;
        match sound.as_str() {
            "ok" => Ok(()),
            _ => Err(LedgerError::new(
                &self.shared.name,
                LedgerErrorKind::Damaged,
            )),
        }
    }

    /// Alerts of reservations that were dropped rather than settled, since this was last asked.
    pub fn take_alerts(&self) -> Vec<Alert> {
        std::mem::take(&mut lock(&self.shared.alerts))
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has nothing more to say.
            drop(writer.join());
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let id = self.owner.id.clone();
        // Should it fail, the next one who opens the file finds the lock free and does the same.
        if self.write(|db| budgets::leave(db, &id)).is_ok() {
            self.owner.leave();
        }
    }
}

impl Shared {
    /// Does all of something or nothing of it, with no other writer in between.
    pub(crate) fn write<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        let mut db = lock(&self.db);
        let done = db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .and_then(|transaction| {
                let done = work(&transaction)?;
                transaction.commit()?;
                Ok(done)
            });
        drop(db);
        if self.commits.fetch_add(1, Ordering::Relaxed) >= CHECKPOINT_AFTER {
            self.commits.store(0, Ordering::Relaxed);
            self.queue.ask_for_checkpoint();
        }
        done.map_err(|error| LedgerError::of_sqlite(&self.name, error))
    }

    /// Does something while nobody in this process writes.
    pub(crate) fn pause(&self, work: impl FnOnce(&Connection)) {
        work(&lock(&self.db));
    }

    /// Looks at one state of everything.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        let mut db = lock(&self.db);
        let done = db.transaction().and_then(|transaction| work(&transaction));
        done.map_err(|error| LedgerError::of_sqlite(&self.name, error))
    }

    /// Looks at one state of everything for as long as it takes, without keeping others waiting.
    pub(crate) fn study<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        let Some(path) = &self.path else {
            return self.read(work);
        };
        let mut db = database::again(path, &self.name)?;
        let done = db.transaction().and_then(|transaction| work(&transaction));
        done.map_err(|error| LedgerError::of_sqlite(&self.name, error))
    }

    pub(crate) fn budgets(&self) -> Arc<[Arc<Budget>]> {
        let budgets = self.budgets.read();
        budgets.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Takes a lock. A thread that panicked while it held it has left nothing half-done: transactions roll back.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ledger").field(&self.shared.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_can_share_a_ledger_and_pass_reservations_on() {
        fn check<T: Send + Sync>() {}
        check::<Ledger>();
        check::<crate::Reservation>();
        check::<crate::PriceList>();
    }
}

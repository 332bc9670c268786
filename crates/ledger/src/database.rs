//! The database file: opened, checked, brought up to date.

mod migrations;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::error::{LedgerError, LedgerErrorKind};
use migrations::MIGRATIONS;

/// How long to wait for another process to finish its transaction.
const PATIENCE: Duration = Duration::from_secs(10);

/// Stands in the file's header, so that another program's database is not taken for a ledger.
const APPLICATION: i32 = i32::from_be_bytes(*b"inhs");

/// Opens a file, makes it if it is not there, and brings it up to date.
pub(crate) fn open(path: &Path, name: &Arc<str>) -> Result<Connection, LedgerError> {
    make_private(path)
        .map_err(|error| LedgerError::new(name, LedgerErrorKind::Unopenable).because(error))?;
    let sqlite = |error| LedgerError::of_sqlite(name, error);
    let mut db = Connection::open(path).map_err(sqlite)?;
    db.busy_timeout(PATIENCE).map_err(sqlite)?;
    check(&db, name)?;
    write_ahead(&db).map_err(sqlite)?;
    settings(&db).map_err(sqlite)?;
    migrate(&mut db, name)?;
    Ok(db)
}

/// A database that lives as long as its connection.
pub(crate) fn in_memory(name: &Arc<str>) -> Result<Connection, LedgerError> {
    let sqlite = |error| LedgerError::of_sqlite(name, error);
    let mut db = Connection::open_in_memory().map_err(sqlite)?;
    settings(&db).map_err(sqlite)?;
    migrate(&mut db, name)?;
    Ok(db)
}

/// Another connection to a file that is open already.
pub(crate) fn again(path: &Path, name: &Arc<str>) -> Result<Connection, LedgerError> {
    let sqlite = |error| LedgerError::of_sqlite(name, error);
    let db = Connection::open(path).map_err(sqlite)?;
    db.busy_timeout(PATIENCE).map_err(sqlite)?;
    Ok(db)
}

/// Moves as much of the write-ahead log into the database as can be without waiting, and answers the log's pages.
pub(crate) fn checkpoint(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1))
}

/// Only the user may read who spent what: the file is made before SQLite would make it for everyone.
fn make_private(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Whether the file is a ledger, or nothing yet, before anything is written to it.
fn check(db: &Connection, name: &Arc<str>) -> Result<(), LedgerError> {
    let sqlite = |error| LedgerError::of_sqlite(name, error);
    // One look: another process may be making it at this moment.
    let db = db.unchecked_transaction().map_err(sqlite)?;
    let number = |pragma| db.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let application = number("application_id").map_err(sqlite)?;
    let tables = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = db.query_row(tables, [], |row| row.get(0)).map_err(sqlite)?;
    if application != APPLICATION && (application != 0 || tables > 0) {
        return Err(LedgerError::new(name, LedgerErrorKind::Foreign));
    }
    layout(&db, name).map(drop)
}

/// The file's layout, if this build knows it.
fn layout(db: &Connection, name: &Arc<str>) -> Result<usize, LedgerError> {
    let found: i64 = db
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| LedgerError::of_sqlite(name, error))?;
    match usize::try_from(found) {
        Ok(found) if found <= MIGRATIONS.len() => Ok(found),
        _ => {
            let (found, known) = (u32::try_from(found), u32::try_from(MIGRATIONS.len()));
            let kind = LedgerErrorKind::Newer {
                found: found.unwrap_or(u32::MAX),
                known: known.unwrap_or(u32::MAX),
            };
            Err(LedgerError::new(name, kind))
        }
    }
}

/// While one connection changes the journal's mode, SQLite tells others that the file is busy without waiting.
fn write_ahead(db: &Connection) -> rusqlite::Result<()> {
    let began = Instant::now();
    loop {
        match db.pragma_update(None, "journal_mode", "wal") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && began.elapsed() < PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}

fn settings(db: &Connection) -> rusqlite::Result<()> {
    // A commit is in the file when it returns, so it outlives the process; it is on the disk after the next
    // checkpoint, so the last ones may not outlive the machine.
    db.pragma_update(None, "synchronous", "normal")?;
    db.pragma_update(None, "foreign_keys", true)?;
    // Checkpoints wait for the disk: the writer's thread makes them, not who happens to commit.
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Brings the layout up to date: all of it, or nothing.
fn migrate(db: &mut Connection, name: &Arc<str>) -> Result<(), LedgerError> {
    let sqlite = |error| LedgerError::of_sqlite(name, error);
    if layout(db, name)? == MIGRATIONS.len() {
        return Ok(());
    }
    let transaction = db
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(sqlite)?;
    // Another process may have been faster.
    let from = layout(&transaction, name)?;
    for step in MIGRATIONS.iter().skip(from) {
        transaction.execute_batch(step).map_err(sqlite)?;
    }
    transaction
        .pragma_update(None, "application_id", APPLICATION)
        .and_then(|()| transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64))
        .and_then(|()| transaction.commit())
        .map_err(sqlite)
}

#[cfg(test)]
mod tests;

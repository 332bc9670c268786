//! The thread that writes what can wait: many rows in one transaction, and checkpoints.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use crate::database;
use crate::error::{LedgerError, LedgerErrorKind};
use crate::ledger::{Shared, lock};
use crate::receipts::{self, Receipt};
use crate::usage::{self, Attempt};

/// How long the first row waits for others.
const LINGER: Duration = Duration::from_millis(20);

/// So many rows do not wait any longer.
const BATCH: usize = 64;

/// How long to wait after a write that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How many rows may wait. What comes then is refused, so that a full disk does not fill the memory too.
const MOST_WAITING: usize = 65_536;

/// So long may the write-ahead log get: 16 MiB.
const MOST_PAGES: i64 = 4_096;

/// Something to write.
#[derive(Debug)]
pub(crate) enum Row {
    Attempt(Box<Attempt>),
    Receipt(Box<Receipt>),
}

/// What waits to be written.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// For the writer: there is something to do.
    wake: Condvar,
    /// For those who flush: a batch was written, or could not be.
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rows: Vec<Row>,
    /// How many rows were ever handed in, and how many of them were written.
    accepted: u64,
    written: u64,
    failures: u64,
    last_failure: Option<LedgerError>,
    flush: bool,
    checkpoint: bool,
    closed: bool,
}

impl Queue {
    /// Hands a row in.
    pub(crate) fn push(&self, row: Row) -> Result<(), LedgerErrorKind> {
        let mut state = lock(&self.state);
        if state.rows.len() >= MOST_WAITING {
            return Err(LedgerErrorKind::Overrun);
        }
        state.rows.push(row);
        state.accepted += 1;
        // The writer lingers after the first row: the others need not wake it.
        if state.rows.len() == 1 || state.rows.len() == BATCH {
            self.wake.notify_one();
        }
        Ok(())
    }

    pub(crate) fn flush(&self) -> Result<(), LedgerError> {
        let mut state = lock(&self.state);
        let (target, failures) = (state.accepted, state.failures);
        while state.written < target {
            if state.failures != failures {
                return state.last_failure.clone().map_or(Ok(()), Err);
            }
            state.flush = true;
            self.wake.notify_one();
            state = self
                .done
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    pub(crate) fn ask_for_checkpoint(&self) {
        lock(&self.state).checkpoint = true;
        self.wake.notify_one();
    }

    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        self.wake.notify_one();
    }

    /// Waits for work. `None` when there will be no more.
    fn next(&self) -> Option<Work> {
        let mut state = lock(&self.state);
        while state.rows.is_empty() && !state.checkpoint && !state.closed {
            state = self
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let enough = |state: &mut State| {
            !(state.flush || state.closed || state.checkpoint || state.rows.len() >= BATCH)
        };
        let waited = self.wake.wait_timeout_while(state, LINGER, enough);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.closed && state.rows.is_empty() {
            return None;
        }
        state.flush = false;
        Some(Work {
            rows: std::mem::take(&mut state.rows),
            checkpoint: std::mem::take(&mut state.checkpoint),
        })
    }

    fn succeeded(&self, count: usize) {
        let mut state = lock(&self.state);
        state.written += count as u64;
        self.done.notify_all();
    }

    /// Puts rows back that could not be written, and waits a moment. `false` when there is no later.
    fn failed(&self, mut rows: Vec<Row>, error: LedgerError) -> bool {
        let mut state = lock(&self.state);
        rows.append(&mut state.rows);
        state.rows = rows;
        state.failures += 1;
        state.last_failure = Some(error);
        self.done.notify_all();
        let waiting = |state: &mut State| !(state.closed || state.flush);
        let waited = self.wake.wait_timeout_while(state, AFTER_FAILURE, waiting);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.closed
    }
}

struct Work {
    rows: Vec<Row>,
    checkpoint: bool,
}

/// Starts the writer. It ends when the queue is closed and empty.
pub(crate) fn spawn(shared: &Arc<Shared>) -> std::io::Result<JoinHandle<()>> {
    let shared = shared.clone();
    let writer = std::thread::Builder::new().name("ledger".to_owned());
    writer.spawn(move || run(&shared))
}

fn run(shared: &Shared) {
    let mut own = None;
    while let Some(work) = shared.queue.next() {
        if work.checkpoint {
            checkpoint(shared, &mut own);
        }
        if work.rows.is_empty() {
            continue;
        }
        match shared.write(|db| work.rows.iter().try_for_each(|row| insert(db, row))) {
            Ok(()) => shared.queue.succeeded(work.rows.len()),
            Err(error) => {
                if !shared.queue.failed(work.rows, error) {
                    return;
                }
            }
        }
    }
}

fn insert(db: &Connection, row: &Row) -> rusqlite::Result<()> {
    match row {
        Row::Attempt(attempt) => usage::insert(db, attempt),
        Row::Receipt(receipt) => receipts::append(db, receipt),
    }
}

/// Moves the write-ahead log into the database, on a connection of its own so that nobody waits for the disk. One that
/// fails is made up for by the next.
fn checkpoint(shared: &Shared, own: &mut Option<Connection>) {
    let Some(path) = &shared.path else {
        return;
    };
    if own.is_none() {
        *own = database::again(path, &shared.name).ok();
    }
    let Some(db) = own else {
        return;
    };
    let pages = database::checkpoint(db).unwrap_or_default();
    // The log begins anew only after a moment in which all of it was moved. Under steady load there is none: make one.
    if pages > MOST_PAGES {
        shared.pause(|db| drop(database::checkpoint(db)));
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{By, Ledger};
    use inhouse_chat::{ModelName, ProviderName};
    use inhouse_policy::Zone;

    fn attempt() -> Attempt {
        let at = "2026-11-22T12:00:00Z".parse::<Timestamp>().unwrap();
        let (provider, model) = (ProviderName::from("p"), ModelName::from("m"));
        Attempt::new(at, "r", provider, model, Zone::Cloud)
    }

    fn attempts(ledger: &Ledger) -> u64 {
        let report = ledger.report(By::Day, Timestamp::MIN, Timestamp::MAX);
        report.unwrap().total.attempts
    }

    #[test]
    fn rows_that_cannot_be_written_are_kept_and_the_failure_is_told() {
        let ledger = Ledger::in_memory().unwrap();
        let full =
            "CREATE TRIGGER full BEFORE INSERT ON attempts BEGIN SELECT RAISE(FAIL, 'full'); END";
        ledger.shared.write(|db| db.execute_batch(full)).unwrap();
        (0..3).for_each(|_| ledger.record(attempt()).unwrap());
        assert_eq!(ledger.flush().unwrap_err().kind(), LedgerErrorKind::Failed);
        assert!(ledger.flush().is_err());
        ledger
            .shared
            .write(|db| db.execute_batch("DROP TRIGGER full"))
            .unwrap();
        ledger.record(attempt()).unwrap();
        ledger.flush().unwrap();
        assert_eq!(attempts(&ledger), 4);
    }

    #[test]
    fn what_waits_has_an_end() {
        let queue = Queue::default();
        for _ in 0..MOST_WAITING {
            queue.push(Row::Attempt(Box::new(attempt()))).unwrap();
        }
        let more = queue.push(Row::Attempt(Box::new(attempt())));
        assert_eq!(more, Err(LedgerErrorKind::Overrun));
    }
}

//! What can be wrong with a ledger's file.

use std::sync::Arc;

use rusqlite::ErrorCode;

/// The ledger could not be read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the ledger {path} {kind}")]
pub struct LedgerError {
    path: Arc<str>,
    kind: LedgerErrorKind,
    #[source]
    cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LedgerErrorKind {
    /// No such folder, no permission.
    #[error("cannot be opened; name another file or allow this one")]
    Unopenable,
    /// A newer build has been here.
    #[error(
        "was written by a newer inhouse (layout {found}, this one knows {known}); update inhouse or name another file"
    )]
    Newer {
        /// The layout of the file.
        found: u32,
        /// The newest layout that this build knows.
        known: u32,
    },
    /// The bytes make no sense.
    #[error("is damaged; move it away, and put back a copy if there is one")]
    Damaged,
    /// Another program's database.
    #[error("is another program's database; name another file")]
    Foreign,
    /// Another process holds it.
    #[error("is held by another process for too long; try again")]
    Busy,
    /// The disk is full.
    #[error("has no room left on its disk; make room")]
    NoRoom,
    /// More rows wait than can be kept in memory.
    #[error("cannot be written as fast as rows come; see the last error of its disk")]
    Overrun,
    /// Anything else that SQLite says.
    #[error("cannot be used")]
    Failed,
}

impl LedgerError {
    pub(crate) fn new(path: &Arc<str>, kind: LedgerErrorKind) -> Self {
        Self {
            path: path.clone(),
            kind,
            cause: None,
        }
    }

    pub(crate) fn because(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }

    pub(crate) fn of_sqlite(path: &Arc<str>, error: rusqlite::Error) -> Self {
        Self::new(path, kind_of(&error)).because(error)
    }

    /// What is wrong.
    pub fn kind(&self) -> LedgerErrorKind {
        self.kind
    }
}

fn kind_of(error: &rusqlite::Error) -> LedgerErrorKind {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
    match error {
        FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) => {
            return LedgerErrorKind::Damaged;
        }
        _ => {}
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => LedgerErrorKind::Damaged,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => LedgerErrorKind::Busy,
        Some(ErrorCode::DiskFull) => LedgerErrorKind::NoRoom,
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            LedgerErrorKind::Unopenable
        }
        _ => LedgerErrorKind::Failed,
    }
}

use std::fs;

use super::*;
use crate::{By, Ledger};

struct File {
    _folder: tempfile::TempDir,
    path: std::path::PathBuf,
}

fn file() -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new").join("ledger.db");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    File {
        _folder: folder,
        path,
    }
}

/// A file with the layout of a released version.
fn of_layout(layout: usize, more: &str) -> File {
    let file = file();
    let db = Connection::open(&file.path).unwrap();
    MIGRATIONS[..layout]
        .iter()
        .for_each(|step| db.execute_batch(step).unwrap());
    db.pragma_update(None, "application_id", APPLICATION)
        .unwrap();
    db.pragma_update(None, "user_version", layout as i64)
        .unwrap();
    db.execute_batch(more).unwrap();
    file
}

fn kind(path: &Path) -> LedgerErrorKind {
    Ledger::open(path).unwrap_err().kind()
}

#[test]
fn a_file_of_layout_1_keeps_what_it_has() {
    let attempt =
        "INSERT INTO attempts VALUES (1, 0, 'r', 'openai', 'm', NULL, 'cloud', NULL, '', 'ok',
        1, 2, 3, 4, 5, 0, 0, 0, '0.5', 0, NULL, NULL, NULL, NULL, 1, NULL, 0, 0, NULL)";
    let file = of_layout(1, attempt);
    let ledger = Ledger::open(&file.path).unwrap();
    let report = ledger
        .report(By::Day, jiff::Timestamp::MIN, jiff::Timestamp::MAX)
        .unwrap();
    assert_eq!((report.total.attempts, report.total.output), (1, 2));
    assert_eq!(ledger.verify().unwrap(), 0);
    ledger.check().unwrap();
    drop(ledger);
    let db = Connection::open(&file.path).unwrap();
    let version: i64 = db
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 2);
}

#[test]
fn a_step_that_fails_changes_nothing() {
    // What the step wants to make second is there already.
    let file = of_layout(1, "CREATE TABLE receipts_head (x)");
    assert_eq!(kind(&file.path), LedgerErrorKind::Failed);
    let db = Connection::open(&file.path).unwrap();
    let version: i64 = db
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 1);
    let receipts = "SELECT count(*) FROM sqlite_schema WHERE name = 'receipts'";
    assert_eq!(
        db.query_row(receipts, [], |row| row.get::<_, i64>(0))
            .unwrap(),
        0
    );
}

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let file = of_layout(2, "PRAGMA user_version = 99");
    let before = fs::read(&file.path).unwrap();
    assert_eq!(
        kind(&file.path),
        LedgerErrorKind::Newer {
            found: 99,
            known: 2
        }
    );
    assert_eq!(fs::read(&file.path).unwrap(), before);
    let error = Ledger::open(&file.path).unwrap_err().to_string();
    assert!(error.ends_with("was written by a newer inhouse (layout 99, this one knows 2); update inhouse or name another file"), "{error}");
}

#[test]
fn what_is_no_ledger_is_refused_and_left_alone() {
    let check = |bytes: &[u8], expected: LedgerErrorKind| {
        let file = file();
        fs::write(&file.path, bytes).unwrap();
        assert_eq!(kind(&file.path), expected);
        assert_eq!(fs::read(&file.path).unwrap(), bytes);
    };
    check(&[7; 5_000], LedgerErrorKind::Damaged);
    check(b"notes of mine", LedgerErrorKind::Damaged);
    let whole = fs::read(of_layout(2, "").path).unwrap();
    check(&whole[..whole.len() / 2], LedgerErrorKind::Damaged);
    let mut scribbled = whole.clone();
    scribbled[110..4_000].fill(0xAB);
    check(&scribbled, LedgerErrorKind::Damaged);

    let other = file();
    Connection::open(&other.path)
        .unwrap()
        .execute_batch("CREATE TABLE t (x)")
        .unwrap();
    assert_eq!(kind(&other.path), LedgerErrorKind::Foreign);
}

#[test]
fn an_empty_file_and_a_missing_folder_become_a_ledger() {
    let file = file();
    fs::write(&file.path, []).unwrap();
    drop(Ledger::open(&file.path).unwrap());
    drop(Ledger::open(&file.path).unwrap());
    let deeper = file.path.parent().unwrap().join("a").join("b.db");
    drop(Ledger::open(&deeper).unwrap());
    assert_eq!(
        kind(file.path.parent().unwrap()),
        LedgerErrorKind::Unopenable
    );
}

#[test]
#[cfg(unix)]
fn only_the_user_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let file = file();
    let ledger = Ledger::open(&file.path).unwrap();
    let folder = file.path.parent().unwrap();
    for found in fs::read_dir(folder).unwrap() {
        let found = found.unwrap();
        if found.file_type().unwrap().is_file() {
            let mode = found.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{:?}", found.path());
        }
    }
    drop(ledger);
}

#[test]
fn several_open_a_new_file_at_once() {
    let file = file();
    std::thread::scope(|threads| {
        for _ in 0..16 {
            threads.spawn(|| drop(Ledger::open(&file.path).unwrap()));
        }
    });
}

#[test]
fn damage_further_in_is_told_when_it_is_met() {
    let file = file();
    let ledger = Ledger::open(&file.path).unwrap();
    let rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
        INSERT INTO attempts SELECT i, i, 'r', 'openai', 'm', NULL, 'cloud', NULL, 'because', 'ok',
            1, 2, 3, 4, 5, 0, 0, 0, '0.5', 0, NULL, NULL, NULL, NULL, 1, NULL, 0, 0, NULL FROM n";
    ledger.shared.write(|db| db.execute_batch(rows)).unwrap();
    drop(ledger);
    let mut bytes = fs::read(&file.path).unwrap();
    let (from, to) = (bytes.len() / 3, bytes.len() * 2 / 3);
    bytes[from..to].fill(0xAB);
    fs::write(&file.path, bytes).unwrap();
    let ledger = Ledger::open(&file.path).unwrap();
    let report = ledger.report(By::Day, jiff::Timestamp::MIN, jiff::Timestamp::MAX);
    assert_eq!(report.unwrap_err().kind(), LedgerErrorKind::Damaged);
    assert_eq!(ledger.check().unwrap_err().kind(), LedgerErrorKind::Damaged);
}

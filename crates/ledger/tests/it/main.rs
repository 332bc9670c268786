//! Budgets across processes, and when one of them is killed.
//!
//! The test starts itself again as another process: that one finds [`LEDGER`] set, and spends until it is stopped.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use inhouse_chat::{Money, ProviderName};
use inhouse_ledger::{Ask, Budget, Ledger, Receipt, Recipient, Refusal, Scope, Window};
use inhouse_policy::Zone;
use rust_decimal::Decimal;

/// Where the other process finds its ledger, and what it may spend.
const LEDGER: &str = "INHOUSE_TEST_LEDGER";
const LIMIT: &str = "INHOUSE_TEST_LIMIT";
const N_THREADS: &str = "INHOUSE_TEST_THREADS";

const THREADS: i64 = 8;
const MOST: i64 = 10;
const ACTUAL: i64 = 3;
/// More than any test reaches, however long it waits for its turn.
const NO_LIMIT: i64 = 1_000_000_000_000;

fn dollars(amount: i64) -> Money {
    Money::dollars(Decimal::from(amount))
}

fn open(path: &Path, limit: i64) -> Ledger {
    let ledger = Ledger::open(path).unwrap();
    ledger.set_budgets([Budget {
        id: "all".into(),
        scope: Scope::Everything,
        window: Window::Total,
        limit: dollars(limit),
        hard_stop: true,
        alert_at: Vec::new(),
    }]);
    ledger
}

fn balance(ledger: &Ledger) -> (Money, Money) {
    let balances = ledger.balances("2026-11-22T12:00:00Z".parse().unwrap());
    let balances = balances.unwrap();
    (balances[0].spent, balances[0].reserved)
}

/// Where the mock provider writes down each request that it received: a byte.
fn mock(path: &Path) -> PathBuf {
    path.with_extension("mock")
}

fn received(path: &Path) -> i64 {
    fs::metadata(mock(path)).map_or(0, |mock| mock.len() as i64)
}

/// Asks the mock provider until the budget refuses.
fn spend(ledger: &Ledger, path: &Path) {
    let mut mock = OpenOptions::new()
        .append(true)
        .create(true)
        .open(mock(path))
        .unwrap();
    let mut turn = 0;
    loop {
        turn += 1;
        let asked = ledger.reserve(&ask(&turn.to_string(), MOST, false));
        match asked {
            Ok(mut held) => {
                held.mark_sent().unwrap();
                mock.write_all(b".").unwrap();
                held.settle(Some(dollars(ACTUAL))).unwrap();
            }
            Err(Refusal::Exceeded(full)) if full.reserved == Money::ZERO => return,
            Err(Refusal::Exceeded(_)) => std::thread::yield_now(),
            Err(other) => panic!("{other}"),
        }
    }
}

fn spend_with_threads(ledger: &Ledger, path: &Path, n_threads: i64) {
    std::thread::scope(|threads| {
        for _ in 0..n_threads {
            threads.spawn(|| spend(ledger, path));
        }
    });
}

/// What the other process does. As a test of its own it has nothing to do.
#[test]
fn other_process() {
    if let Some(path) = std::env::var_os(LEDGER) {
        let path = PathBuf::from(path);
        let number = |name| std::env::var(name).unwrap().parse().unwrap();
        spend_with_threads(&open(&path, number(LIMIT)), &path, number(N_THREADS));
    }
}

/// Another: it makes reservations, says so, and waits to be killed.
#[test]
fn other_process_that_waits() {
    let Some(path) = std::env::var_os(LEDGER) else {
        return;
    };
    let path = PathBuf::from(path);
    let ledger = open(&path, NO_LIMIT);
    let reserve = |most: i64, sent: bool| ledger.reserve(&ask("r", most, sent)).unwrap();
    let _unsent = reserve(1_000, false);
    let mut marked = reserve(200, false);
    marked.mark_sent().unwrap();
    let _sent = reserve(30, true);
    reserve(4, true).settle(Some(dollars(2))).unwrap();
    fs::write(mock(&path), ".").unwrap();
    loop {
        std::thread::park();
    }
}

fn ask(request: &str, most: i64, sent: bool) -> Ask<'_> {
    Ask {
        request,
        key: None,
        agent: None,
        provider: "mock",
        model: "m",
        most: Some(dollars(most)),
        at: "2026-11-22T12:00:00Z".parse().unwrap(),
        sent,
    }
}

#[test]
fn a_kill_settles_what_was_sent_and_releases_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let limit = 4_000;
    let before = open(&path, limit);
    let other = start(&path, "other_process_that_waits", limit);
    kill_after(other, &path, 1);
    // One that was open all the time finds out when it would refuse.
    assert_eq!(balance(&before), (dollars(2), dollars(1_230)));
    let held = before.reserve(&ask("s", limit - 232, true)).unwrap();
    assert_eq!(balance(&before), (dollars(232), dollars(limit - 232)));
    assert!(before.reserve(&ask("s", 1, true)).is_err());
    assert_eq!(balance(&before), (dollars(232), dollars(limit - 232)));
    // Another name of the file is no other file: its owners live.
    #[cfg(unix)]
    {
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let same = open(&link, limit);
        assert_eq!(balance(&same), (dollars(232), dollars(limit - 232)));
    }
    held.release().unwrap();
}

fn start(path: &Path, test: &str, limit: i64) -> Child {
    start_with(path, test, limit, THREADS)
}

fn start_with(path: &Path, test: &str, limit: i64, n_threads: i64) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test]).env(LEDGER, path);
    command.env(LIMIT, limit.to_string());
    command.env(N_THREADS, n_threads.to_string());
    command.stdout(Stdio::null()).spawn().unwrap()
}

/// Kills the other process once the mock has heard of so many requests, or it has spent everything.
fn kill_after(mut other: Child, path: &Path, requests: i64) {
    while received(path) < requests && other.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    other.kill().unwrap(); // SIGKILL
    other.wait().unwrap();
}

/// Whether what was spent is what the mock received, some of it in full because a kill came before its settlement.
fn check_sum(spent: Money, received: i64, kills: i64) {
    // A kill finds each thread at most once between telling the ledger that it sends and hearing what it cost; and
    // before that request has reached the mock, or after.
    let torn = 0..=kills * THREADS;
    let unheard = 0..=kills * THREADS;
    let fits = unheard.into_iter().any(|unheard| {
        torn.clone().any(|torn| {
            let whole = received + unheard - torn;
            torn >= unheard && spent == dollars(whole * ACTUAL + torn * MOST)
        })
    });
    assert!(fits, "{spent} spent for {received} received");
}

#[test]
fn a_killed_process_neither_overshoots_nor_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let mut kills = 0;
    let check = |ledger: &Ledger, kills: i64| {
        let (spent, reserved) = balance(ledger);
        assert_eq!(reserved, Money::ZERO);
        check_sum(spent, received(&path), kills);
        spent
    };
    for requests in [50, 150, 250] {
        let other = start(&path, "other_process", NO_LIMIT);
        kill_after(other, &path, requests);
        kills += 1;
        check(&open(&path, NO_LIMIT), kills);
    }
    // Two more processes, one of which is killed, beside this one; and now there is a limit.
    let spent = check(&open(&path, NO_LIMIT), kills);
    let limit = i64::try_from(spent.amount().trunc().mantissa()).unwrap() + 4_000;
    let ledger = open(&path, limit);
    let killed = start(&path, "other_process", limit);
    let mut other = start(&path, "other_process", limit);
    std::thread::scope(|threads| {
        threads.spawn(|| kill_after(killed, &path, received(&path) + 50));
        threads.spawn(|| spend_with_threads(&ledger, &path, THREADS));
    });
    assert!(other.wait().unwrap().success());
    kills += 1;
    ledger.recover().unwrap();
    let spent = check(&ledger, kills);
    assert!(spent <= dollars(limit), "{spent}");
    assert!(
        spent > dollars(limit - MOST),
        "refused too early, at {spent}"
    );
}

/// Two processes with a hundred threads each; one is killed while it spends, and started again.
#[test]
fn two_hundred_at_once_stay_within_the_cap_through_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let limit = 6_000;
    let half = || start_with(&path, "other_process", limit, 100);
    let (killed, mut other) = (half(), half());
    kill_after(killed, &path, 300);
    assert!(half().wait().unwrap().success());
    assert!(other.wait().unwrap().success());
    let ledger = open(&path, limit);
    let (spent, reserved) = balance(&ledger);
    assert_eq!(reserved, Money::ZERO);
    assert!(spent <= dollars(limit), "{spent}");
    assert!(
        spent > dollars(limit - MOST),
        "refused too early, at {spent}"
    );
    let received = received(&path);
    assert!(
        spent >= dollars(received * ACTUAL),
        "{spent} for {received} received"
    );
    assert!(received > 300, "{received} received");
}

#[test]
fn receipts_of_several_processes_are_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    // Each ledger has its own connection and lock, as another process would.
    let ledgers = [
        open(&path, NO_LIMIT),
        open(&path, NO_LIMIT),
        open(&path, NO_LIMIT),
    ];
    std::thread::scope(|threads| {
        for ledger in &ledgers {
            threads.spawn(move || {
                for number in 0..50 {
                    ledger.record_receipt(receipt(number)).unwrap();
                    if number % 7 == 0 {
                        ledger.flush().unwrap();
                    }
                }
            });
        }
    });
    ledgers.iter().for_each(|ledger| ledger.flush().unwrap());
    assert_eq!(ledgers[0].verify().unwrap(), 150);
}

fn receipt(number: i64) -> Receipt {
    Receipt {
        at: "2026-11-22T12:00:00Z".parse().unwrap(),
        request: number.to_string(),
        rule: None,
        ceiling: Zone::Cloud,
        used: Some(Zone::Cloud),
        recipients: vec![Recipient {
            provider: ProviderName::from("mock"),
            zone: Zone::Cloud,
            bytes: 1,
        }],
        cost: None,
    }
}

#[test]
fn a_ledger_that_is_dropped_has_written_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let ledger = open(&path, NO_LIMIT);
    (0..100).for_each(|number| ledger.record_receipt(receipt(number)).unwrap());
    drop(ledger);
    assert_eq!(open(&path, NO_LIMIT).verify().unwrap(), 100);
    let left = fs::read_dir(folder.path().join("ledger.db-owners"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "owners that are gone leave no file");
}

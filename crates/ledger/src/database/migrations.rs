//! Every layout that the file has had. What is here has been released: only add.

/// The step to layout N+1 is at place N.
pub(super) const MIGRATIONS: &[&str] = &[BUDGETS_AND_USAGE, RECEIPTS];

/// Layout 1.
const BUDGETS_AND_USAGE: &str = "
-- Processes that hold reservations. A row is there only while its process holds the lock on a file of that name.
CREATE TABLE owners (
    id TEXT PRIMARY KEY,
    pid INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What was spent and is reserved of a budget, for one subject (a key, an agent) in one window (a day, a month).
CREATE TABLE counters (
    id INTEGER PRIMARY KEY,
    budget TEXT NOT NULL,
    subject TEXT NOT NULL,
    period TEXT NOT NULL,
    spent TEXT NOT NULL,
    reserved TEXT NOT NULL,
    alerted TEXT NOT NULL,
    UNIQUE (budget, subject, period)
) STRICT;

-- What is reserved at the moment. `counters` are the ids of those that hold it, with commas between.
CREATE TABLE reservations (
    id INTEGER PRIMARY KEY,
    owner TEXT NOT NULL REFERENCES owners (id),
    request TEXT NOT NULL,
    amount TEXT NOT NULL,
    sent INTEGER NOT NULL,
    counters TEXT NOT NULL
) STRICT;

-- Every attempt. Money is decimal text, and NULL where it is unknown; times are microseconds.
CREATE TABLE attempts (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    request TEXT NOT NULL,
    provider TEXT NOT NULL,
    asked TEXT NOT NULL,
    answered TEXT,
    zone TEXT NOT NULL,
    rule TEXT,
    reason TEXT NOT NULL,
    outcome TEXT NOT NULL,
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    input_audio INTEGER NOT NULL,
    output_audio INTEGER NOT NULL,
    cost TEXT,
    estimated INTEGER NOT NULL,
    key TEXT,
    agent TEXT,
    session TEXT,
    user TEXT,
    latency INTEGER NOT NULL,
    first_token INTEGER,
    streamed INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    saved TEXT
) STRICT;
CREATE INDEX attempts_by_time ON attempts (at);
";

/// Layout 2.
const RECEIPTS: &str = "
CREATE TABLE receipts (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    request TEXT NOT NULL,
    rule TEXT,
    ceiling TEXT NOT NULL,
    used TEXT,
    recipients TEXT NOT NULL,
    cost TEXT,
    hash BLOB NOT NULL
) STRICT;

-- The chain's last link, apart from it, so that a chain that was cut short shows.
CREATE TABLE receipts_head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;
";

//! Attempts, added up.

use std::collections::BTreeMap;

use inhouse_chat::Money;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::{Connection, Row, params};

use crate::column::{count, optional_money, time};
use crate::error::LedgerError;
use crate::ledger::Ledger;

/// By what to add up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum By {
    /// Who was asked.
    Provider,
    /// Who asked.
    Agent,
    /// Which model answered, or was asked where none did.
    Model,
    /// On which day, in UTC.
    Day,
}

/// What the attempts of some time come to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// One for each name, the dearest first; days in their order.
    pub rows: Vec<ReportRow>,
    /// All of them together.
    pub total: ReportRow,
}

/// What some attempts come to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ReportRow {
    /// What they have in common: a provider, an agent, a model, a day. Empty where there is no name.
    pub name: String,
    /// How many there were.
    pub attempts: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How many of them our own cache answered.
    pub cached: u64,
    /// Tokens of prompts that were computed.
    pub input: u64,
    /// Tokens of answers.
    pub output: u64,
    /// Tokens of prompts that the providers' caches had.
    pub cache_read: u64,
    /// Tokens of prompts that were written to the providers' caches.
    pub cache_write: u64,
    /// What those cost whose cost is known.
    pub cost: Money,
    /// How many there are whose cost is unknown, so that [`cost`](Self::cost) is too low.
    pub unknown_cost: u64,
    /// How many there are whose cost is an estimate.
    pub estimated: u64,
    /// What the cloud would have charged for what was answered here.
    pub saved: Money,
}

impl By {
    fn column(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Agent => "coalesce(agent, '')",
            Self::Model => "coalesce(answered, asked)",
            Self::Day => "''",
        }
    }
}

impl Ledger {
    /// Adds up the attempts that began from one time until just before another, those included that this process has
    /// not written yet.
    pub fn report(&self, by: By, from: Timestamp, to: Timestamp) -> Result<Report, LedgerError> {
        self.flush()?;
        self.shared.study(|db| report(db, by, from, to))
    }
}

fn report(db: &Connection, by: By, from: Timestamp, to: Timestamp) -> rusqlite::Result<Report> {
    let sql = format!(
        "SELECT {}, at, outcome = 'ok', cached, input, output, cache_read, cache_write_5m, cache_write_1h,
             cost, estimated, saved
         FROM attempts WHERE at >= ?1 AND at < ?2",
        by.column()
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut found = statement.query(params![from.as_microsecond(), to.as_microsecond()])?;
    let mut rows = BTreeMap::<String, ReportRow>::new();
    let mut total = ReportRow::default();
    while let Some(row) = found.next()? {
        let name = match by {
            By::Day => time(row, 1)?.to_zoned(TimeZone::UTC).date().to_string(),
            By::Provider | By::Agent | By::Model => row.get(0)?,
        };
        rows.entry(name).or_default().add(row)?;
        total.add(row)?;
    }
    let named = rows
        .into_iter()
        .map(|(name, row)| ReportRow { name, ..row });
    let mut rows = named.collect::<Vec<_>>();
    if by != By::Day {
        rows.sort_by_key(|row| std::cmp::Reverse(row.cost));
    }
    Ok(Report { rows, total })
}

impl ReportRow {
    fn add(&mut self, row: &Row<'_>) -> rusqlite::Result<()> {
        let write = count(row, 7)?.saturating_add(count(row, 8)?);
        let cost = optional_money(row, 9)?;
        let flag = |column| row.get::<_, bool>(column).map(u64::from);
        self.attempts += 1;
        self.failed += 1 - flag(2)?;
        self.cached += flag(3)?;
        self.input = self.input.saturating_add(count(row, 4)?);
        self.output = self.output.saturating_add(count(row, 5)?);
        self.cache_read = self.cache_read.saturating_add(count(row, 6)?);
        self.cache_write = self.cache_write.saturating_add(write);
        self.cost += cost.unwrap_or_default();
        self.unknown_cost += u64::from(cost.is_none());
        self.estimated += flag(10)?;
        self.saved += optional_money(row, 11)?.unwrap_or_default();
        Ok(())
    }
}

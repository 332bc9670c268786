//! A reservation, until it is settled or released.

use std::fmt;
use std::sync::Arc;

use inhouse_chat::Money;
use rusqlite::{Connection, params};
use rust_decimal::Decimal;

use super::counter::{self, Count, less};
use super::reserve::Share;
use super::{Alert, Ask, Budget};
use crate::LedgerError;
use crate::ledger::{Shared, lock};

/// Leave to spend an amount.
///
/// One that is dropped is settled in full if it was marked as sent, and released if not: a request whose future is
/// dropped is still paid for.
#[must_use = "what is dropped is settled or released at once"]
pub struct Reservation {
    shared: Arc<Shared>,
    pub(super) request: String,
    pub(super) amount: Money,
    /// Counters in the database.
    pub(super) shares: Vec<Share>,
    /// Budgets of the request alone.
    pub(super) tabs: Vec<Share>,
    /// `None` where nothing was written.
    pub(super) row: Option<i64>,
    pub(super) sent: bool,
    done: bool,
}

impl Reservation {
    pub(super) fn new(
        shared: &Arc<Shared>,
        ask: &Ask<'_>,
        amount: Money,
        shares: Vec<Share>,
    ) -> Self {
        Self {
            shared: shared.clone(),
            request: ask.request.to_owned(),
            amount,
            shares,
            tabs: Vec::new(),
            row: None,
            sent: ask.sent,
            done: true,
        }
    }

    /// From now on there is something to settle.
    pub(super) fn hold_good(mut self) -> Self {
        self.done = false;
        self
    }

    /// What is reserved.
    pub fn amount(&self) -> Money {
        self.amount
    }

    /// To be called before the first byte is sent: from then on it is settled in full should this process be killed.
    pub fn mark_sent(&mut self) -> Result<(), LedgerError> {
        if let (Some(row), false) = (self.row, self.sent) {
            let sql = "UPDATE reservations SET sent = 1 WHERE id = ?1";
            self.shared
                .write(|db| db.prepare_cached(sql)?.execute([row]).map(drop))?;
        }
        self.sent = true;
        Ok(())
    }

    /// Replaces what is reserved by what it cost, or by what was reserved where that is unknown (a stream that was
    /// cancelled before it said its usage). It counts for the window in which it was reserved.
    pub fn settle(mut self, actual: Option<Money>) -> Result<Vec<Alert>, LedgerError> {
        let spent = actual.unwrap_or(self.amount).max(Money::ZERO);
        self.finish(spent)
    }

    /// Gives back what is reserved: nothing was sent, or it cost nothing.
    pub fn release(mut self) -> Result<(), LedgerError> {
        self.finish(Money::ZERO).map(drop)
    }

    fn finish(&mut self, spent: Money) -> Result<Vec<Alert>, LedgerError> {
        self.done = true;
        let mut alerts = self.close_tab(spent);
        if self.row.is_some() || (spent > Money::ZERO && !self.shares.is_empty()) {
            alerts.extend(self.shared.write(|db| self.give_back(db, spent))?);
        }
        Ok(alerts)
    }

    pub(super) fn close_tab(&self, spent: Money) -> Vec<Alert> {
        if self.tabs.is_empty() {
            return Vec::new();
        }
        let mut open = lock(&self.shared.tabs);
        let before = open.read(&self.request).spent;
        open.settle(&self.request, self.amount, spent);
        drop(open);
        let crossed = self.tabs.iter().flat_map(|share| {
            let past = reached(&share.budget, before).last().unwrap_or_default();
            share.alerts(past, before + spent)
        });
        crossed.collect()
    }

    fn give_back(&self, db: &Connection, spent: Money) -> rusqlite::Result<Vec<Alert>> {
        let mut reserved = Money::ZERO;
        if let Some(row) = self.row {
            let sql = "DELETE FROM reservations WHERE id = ?1";
            if db.prepare_cached(sql)?.execute(params![row])? == 0 {
                return Ok(Vec::new()); // someone took us for dead and has settled it
            }
            reserved = self.amount;
        }
        let mut alerts = Vec::new();
        for share in &self.shares {
            let count = counter::read(db, share.key())?;
            let spent = count.spent + spent;
            let crossed = share.alerts(count.alerted, spent);
            let count = Count {
                spent,
                reserved: less(count.reserved, reserved),
                alerted: crossed
                    .last()
                    .map_or(count.alerted, |alert| alert.threshold),
                ..count
            };
            counter::write(db, share.key(), &count)?;
            alerts.extend(crossed);
        }
        Ok(alerts)
    }
}

impl Share {
    /// What to warn of, if the highest threshold that was warned of is `past`.
    fn alerts(&self, past: Decimal, spent: Money) -> Vec<Alert> {
        let new = reached(&self.budget, spent).filter(|threshold| *threshold > past);
        let alert = |threshold| Alert {
            budget: self.budget.id.clone(),
            subject: self.subject.clone(),
            period: self.period.clone(),
            threshold,
            spent,
            limit: self.budget.limit,
        };
        new.map(alert).collect()
    }
}

/// The thresholds that so much spent has reached, ascending.
fn reached(budget: &Budget, spent: Money) -> impl Iterator<Item = Decimal> {
    let mut reached = budget.alert_at.clone();
    reached.retain(|threshold| {
        let at = budget.limit.amount().checked_mul(*threshold);
        spent > Money::ZERO && at.is_some_and(|at| spent.amount() >= at)
    });
    reached.sort_unstable();
    reached.into_iter()
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let spent = if self.sent { self.amount } else { Money::ZERO };
        // If the file cannot be written, the row stays and is settled when this owner has gone.
        if let Ok(alerts) = self.finish(spent) {
            lock(&self.shared.alerts).extend(alerts);
        }
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("request", &self.request)
            .field("amount", &self.amount)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

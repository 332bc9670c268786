//! Asking for leave to spend.

use std::sync::Arc;

use inhouse_chat::Money;
use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::counter::{self, Count, Key};
use super::{Ask, Balance, Budget, BudgetExceeded, Refusal, Reservation, Window};
use crate::column::{money, money_text};
use crate::ledger::{Ledger, Shared, lock};
use crate::{LedgerError, owner};

/// One counter that a reservation is held in.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) budget: Arc<Budget>,
    pub(super) subject: String,
    pub(super) period: String,
}

impl Share {
    pub(super) fn key(&self) -> Key<'_> {
        Key {
            budget: &self.budget.id,
            subject: &self.subject,
            period: &self.period,
        }
    }

    /// Whether the budget refuses to have so much more reserved. What costs nothing is never refused.
    fn refuses(&self, spent: Money, reserved: Money, asked: Money) -> Result<(), BudgetExceeded> {
        let fits = spent + reserved + asked <= self.budget.limit;
        if fits || asked == Money::ZERO || !self.budget.hard_stop {
            return Ok(());
        }
        Err(BudgetExceeded {
            budget: self.budget.id.clone(),
            subject: self.subject.clone(),
            limit: self.budget.limit,
            spent,
            reserved,
            asked,
        })
    }
}

impl Ledger {
    /// The budgets that count from now on. What was spent is kept by their names, also by those that are not here.
    pub fn set_budgets(&self, budgets: impl IntoIterator<Item = Budget>) {
        let budgets = budgets.into_iter().map(Arc::new).collect();
        let mut held = self.shared.budgets.write();
        let held = held
            .as_deref_mut()
            .unwrap_or_else(|poisoned| &mut **poisoned.get_mut());
        *held = budgets;
    }

    /// Takes the most that an attempt can cost out of every budget it falls under, or out of none.
    ///
    /// When this returns, the reservation is in the file: it holds for other processes, and when this one is killed.
    /// What costs nothing is never refused and never written.
    pub fn reserve(&self, ask: &Ask<'_>) -> Result<Reservation, Refusal> {
        let shares = self.shared.shares(ask);
        let Some(most) = ask.most else {
            let stops = shares.iter().find(|share| share.budget.hard_stop);
            return match stops {
                Some(share) => Err(Refusal::Unpriced {
                    budget: share.budget.id.clone(),
                    model: ask.model.to_owned(),
                }),
                None => Ok(Reservation::new(&self.shared, ask, Money::ZERO, shares).hold_good()),
            };
        };
        let mut reservation = Reservation::new(&self.shared, ask, most.max(Money::ZERO), shares);
        self.shared.open_tab(&mut reservation)?;
        match self.shared.hold(&reservation) {
            Ok(row) => {
                reservation.row = row;
                Ok(reservation.hold_good())
            }
            Err(refusal) => {
                reservation.close_tab(Money::ZERO);
                Err(refusal)
            }
        }
    }

    /// What each budget has seen in the windows that a time is in.
    pub fn balances(&self, at: Timestamp) -> Result<Vec<Balance>, LedgerError> {
        let mut balances = Vec::new();
        for budget in self.shared.budgets().iter() {
            let period = budget.window.period(at);
            let found = self
                .shared
                .read(|db| balances_of(db, &budget.id, &period))?;
            balances.extend(found);
        }
        Ok(balances)
    }

    /// Settles what processes that are gone have left reserved: in full where bytes had been sent, at nothing where not.
    /// Opening a ledger does this, and so does a request that would be refused.
    pub fn recover(&self) -> Result<usize, LedgerError> {
        self.shared.recover()
    }
}

fn balances_of(db: &Connection, budget: &str, period: &str) -> rusqlite::Result<Vec<Balance>> {
    let sql = "SELECT subject, spent, reserved FROM counters
               WHERE budget = ?1 AND period = ?2 ORDER BY subject";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params![budget, period], |row| {
        Ok(Balance {
            budget: budget.to_owned(),
            subject: row.get(0)?,
            period: period.to_owned(),
            spent: money(row, 1)?,
            reserved: money(row, 2)?,
        })
    })?;
    rows.collect()
}

impl Shared {
    fn shares(&self, ask: &Ask<'_>) -> Vec<Share> {
        let share = |budget: &Arc<Budget>| {
            Some(Share {
                subject: budget.scope.subject(ask)?.to_owned(),
                period: budget.window.period(ask.at),
                budget: budget.clone(),
            })
        };
        self.budgets().iter().filter_map(share).collect()
    }

    /// Looks at the budgets of single requests, and writes the amount down for the request if all allow it.
    fn open_tab(&self, reservation: &mut Reservation) -> Result<(), BudgetExceeded> {
        let shares = std::mem::take(&mut reservation.shares);
        let (tabs, counters) = shares
            .into_iter()
            .partition::<Vec<_>, _>(|share| share.budget.window == Window::Request);
        reservation.shares = counters;
        if tabs.is_empty() {
            return Ok(());
        }
        let mut open = lock(&self.tabs);
        let tab = open.read(&reservation.request);
        for share in &tabs {
            share.refuses(tab.spent, tab.reserved, reservation.amount)?;
        }
        open.reserve(&reservation.request, reservation.amount);
        reservation.tabs = tabs;
        Ok(())
    }

    /// Takes the amount out of all budgets in one transaction and answers the reservation's row.
    fn hold(&self, reservation: &Reservation) -> Result<Option<i64>, Refusal> {
        if reservation.amount == Money::ZERO || reservation.shares.is_empty() {
            return Ok(None);
        }
        let held = self.write(|db| reservation.hold(db, &self.owner.id))?;
        match held {
            Ok(row) => Ok(Some(row)),
            // A process that is gone may be what keeps it from fitting.
            Err(exceeded) if exceeded.reserved > Money::ZERO && self.recover()? > 0 => {
                drop(exceeded);
                Ok(Some(
                    self.write(|db| reservation.hold(db, &self.owner.id))??,
                ))
            }
            Err(exceeded) => Err(exceeded.into()),
        }
    }

    pub(crate) fn recover(&self) -> Result<usize, LedgerError> {
        let Some(path) = &self.path else {
            return Ok(0);
        };
        self.write(|db| counter::recover(db, |id| owner::is_dead(path, id)))
    }
}

impl Reservation {
    fn hold(&self, db: &Connection, owner: &str) -> rusqlite::Result<Result<i64, BudgetExceeded>> {
        let mut counts = Vec::with_capacity(self.shares.len());
        for share in &self.shares {
            let count = counter::read(db, share.key())?;
            if let Err(exceeded) = share.refuses(count.spent, count.reserved, self.amount) {
                return Ok(Err(exceeded));
            }
            counts.push(count);
        }
        let mut ids = String::new();
        for (share, count) in self.shares.iter().zip(counts) {
            let reserved = count.reserved + self.amount;
            let id = counter::write(db, share.key(), &Count { reserved, ..count })?;
            let comma = if ids.is_empty() { "" } else { "," };
            ids += &format!("{comma}{id}");
        }
        let sql = "INSERT INTO reservations (owner, request, amount, sent, counters)
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        let amount = money_text(self.amount);
        db.prepare_cached(sql)?
            .insert(params![owner, self.request, amount, self.sent, ids])
            .map(Ok)
    }
}

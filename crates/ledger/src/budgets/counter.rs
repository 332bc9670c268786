//! Counters in the database. Everything here happens inside a transaction of the caller's.

use inhouse_chat::Money;
use rusqlite::{Connection, OptionalExtension, params};
use rust_decimal::Decimal;

use crate::column::{money, money_text, parse};

/// What a counter says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    /// `None` until there is a row.
    pub(super) id: Option<i64>,
    pub(super) spent: Money,
    pub(super) reserved: Money,
    /// The highest part of the limit that was warned of.
    pub(super) alerted: Decimal,
}

/// Which counter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    pub(super) budget: &'a str,
    pub(super) subject: &'a str,
    pub(super) period: &'a str,
}

pub(super) fn read(db: &Connection, key: Key<'_>) -> rusqlite::Result<Count> {
    let sql = "SELECT id, spent, reserved, alerted FROM counters
               WHERE budget = ?1 AND subject = ?2 AND period = ?3";
    let found =
        db.prepare_cached(sql)?
            .query_row(params![key.budget, key.subject, key.period], |row| {
                Ok(Count {
                    id: Some(row.get(0)?),
                    spent: money(row, 1)?,
                    reserved: money(row, 2)?,
                    alerted: parse(row, 3)?,
                })
            });
    Ok(found.optional()?.unwrap_or_default())
}

/// Writes a counter and answers its id.
pub(super) fn write(db: &Connection, key: Key<'_>, count: &Count) -> rusqlite::Result<i64> {
    let spent = money_text(count.spent);
    let reserved = money_text(count.reserved);
    let alerted = count.alerted.normalize().to_string();
    match count.id {
        Some(id) => {
            let sql = "UPDATE counters SET spent = ?2, reserved = ?3, alerted = ?4 WHERE id = ?1";
            db.prepare_cached(sql)?
                .execute(params![id, spent, reserved, alerted])?;
            Ok(id)
        }
        None => {
            let sql = "INSERT INTO counters (budget, subject, period, spent, reserved, alerted)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let Key {
                budget,
                subject,
                period,
            } = key;
            db.prepare_cached(sql)?
                .insert(params![budget, subject, period, spent, reserved, alerted])
        }
    }
}

/// Settles what dead owners have left, and answers how many reservations that were.
pub(crate) fn recover(db: &Connection, is_dead: impl Fn(&str) -> bool) -> rusqlite::Result<usize> {
    let mut owners = db.prepare_cached("SELECT id FROM owners")?;
    let owners = owners.query_map([], |row| row.get::<_, String>(0))?;
    let owners = owners.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut settled = 0;
    for owner in owners.iter().filter(|owner| is_dead(owner)) {
        settled += leave(db, owner)?;
    }
    Ok(settled)
}

/// Settles what an owner has left: in full where bytes had been sent, else at nothing. Then its row goes.
pub(crate) fn leave(db: &Connection, owner: &str) -> rusqlite::Result<usize> {
    let sql = "SELECT amount, sent, counters FROM reservations WHERE owner = ?1";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([owner])?;
    let mut settled = 0;
    while let Some(row) = rows.next()? {
        let (amount, sent) = (money(row, 0)?, row.get::<_, bool>(1)?);
        let counters: String = row.get(2)?;
        for id in counters.split(',').filter(|id| !id.is_empty()) {
            settle_by_id(db, id, amount, sent)?;
        }
        settled += 1;
    }
    db.prepare_cached("DELETE FROM reservations WHERE owner = ?1")?
        .execute([owner])?;
    db.prepare_cached("DELETE FROM owners WHERE id = ?1")?
        .execute([owner])?;
    Ok(settled)
}

fn settle_by_id(db: &Connection, id: &str, amount: Money, sent: bool) -> rusqlite::Result<()> {
    let sql = "SELECT spent, reserved FROM counters WHERE id = CAST(?1 AS INTEGER)";
    let count = db.prepare_cached(sql)?;
    let count = { count }
        .query_row([id], |row| Ok((money(row, 0)?, money(row, 1)?)))
        .optional()?;
    let Some((spent, reserved)) = count else {
        return Ok(());
    };
    let spent = if sent { spent + amount } else { spent };
    let reserved = less(reserved, amount);
    let sql = "UPDATE counters SET spent = ?2, reserved = ?3 WHERE id = CAST(?1 AS INTEGER)";
    db.prepare_cached(sql)?
        .execute(params![id, money_text(spent), money_text(reserved)])?;
    Ok(())
}

/// A difference that does not go below nothing.
pub(super) fn less(from: Money, amount: Money) -> Money {
    (from - amount).max(Money::ZERO)
}

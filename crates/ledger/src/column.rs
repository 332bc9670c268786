//! What Rust's values look like in the database, and back.

use std::str::FromStr;

use inhouse_chat::Money;
use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::Type;
use rust_decimal::Decimal;

/// Money is text, because a sum of floats is not exact and a sum of integers has no room for the finest prices.
pub(crate) fn money_text(money: Money) -> String {
    money.amount().normalize().to_string()
}

pub(crate) fn money(row: &Row<'_>, column: usize) -> rusqlite::Result<Money> {
    parse::<Decimal>(row, column).map(Money::dollars)
}

pub(crate) fn optional_money(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Money>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => money(row, column).map(Some),
    }
}

/// A text that says a value of another type.
pub(crate) fn parse<T: FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row
        .get_ref(column)?
        .as_str()
        .map_err(|error| wrong(column, error))?;
    text.parse().map_err(|_| wrong(column, Unreadable))
}

#[derive(Debug, thiserror::Error)]
#[error("a value is not of its kind")]
struct Unreadable;

fn wrong(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// SQLite's integers are signed.
pub(crate) fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count that was stored by [`integer`].
pub(crate) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column)
        .map(|count| count.max(0).unsigned_abs())
}

/// Times are microseconds since 1970.
pub(crate) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?).map_err(|error| wrong(column, error))
}

//! The chain in the database. Everything here happens inside a transaction of the caller's.

use inhouse_chat::{Money, ProviderName};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

use super::{BrokenAt, Entry, Head, Receipt, Recipient, Tampering};
use crate::column::{count, integer, money_text, optional_money, parse, time};

/// What comes before the first receipt, and says what is hashed and how.
const BEFORE_FIRST: &[u8; 32] = b"inhouse chain of receipts, v1\0\0\0";

const COLUMNS: &str = "seq, at, request, rule, ceiling, used, recipients, cost, hash";

/// Puts a receipt at the end, and moves the head in the same transaction.
pub(crate) fn append(db: &Connection, receipt: &Receipt) -> rusqlite::Result<()> {
    let (last, previous) = match head(db)? {
        Some(head) => (head.seq, head.hash),
        None => (0, *BEFORE_FIRST),
    };
    let seq = last + 1;
    let hash = hash(&previous, seq, receipt);
    let sql = "INSERT INTO receipts (seq, at, request, rule, ceiling, used, recipients, cost, hash)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    db.prepare_cached(sql)?.execute(params![
        integer(seq),
        receipt.at.as_microsecond(),
        receipt.request,
        receipt.rule,
        receipt.ceiling.name(),
        receipt.used.map(|zone| zone.name()),
        recipients_text(&receipt.recipients),
        receipt.cost.map(money_text),
        hash,
    ])?;
    let sql = "INSERT INTO receipts_head (id, seq, hash) VALUES (1, ?1, ?2)
               ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash";
    db.prepare_cached(sql)?
        .execute(params![integer(seq), hash])?;
    Ok(())
}

pub(super) fn head(db: &Connection) -> rusqlite::Result<Option<Head>> {
    let sql = "SELECT seq, hash FROM receipts_head WHERE id = 1";
    db.prepare_cached(sql)?
        .query_row([], |row| {
            Ok(Head {
                seq: count(row, 0)?,
                hash: row.get(1)?,
            })
        })
        .optional()
}

pub(super) fn last(db: &Connection, limit: usize) -> rusqlite::Result<Vec<Entry>> {
    let sql = format!("SELECT {COLUMNS} FROM receipts ORDER BY seq DESC LIMIT ?1");
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map([integer(limit as u64)], entry)?;
    rows.collect()
}

pub(super) fn verify(
    db: &Connection,
    kept: Option<&Head>,
) -> rusqlite::Result<Result<u64, BrokenAt>> {
    let broken = |seq, why| Ok(Err(BrokenAt { seq, why }));
    let sql = format!("SELECT {COLUMNS} FROM receipts ORDER BY seq");
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let end = head(db)?;
    let (mut seq, mut previous) = (0, *BEFORE_FIRST);
    while let Some(row) = rows.next()? {
        if count(row, 0)? != seq + 1 {
            return broken(seq + 1, Tampering::Missing);
        }
        seq += 1;
        // What cannot be read is not what was written.
        let Ok(found) = entry(row) else {
            return broken(seq, Tampering::Changed);
        };
        if found.hash != hash(&previous, seq, &found.receipt) {
            return broken(seq, Tampering::Changed);
        }
        previous = found.hash;
        if end.is_none_or(|end| seq > end.seq) {
            return broken(seq, Tampering::Added);
        }
        if kept.is_some_and(|kept| kept.seq == seq && kept.hash != previous) {
            return broken(seq, Tampering::Rewritten);
        }
    }
    let least = end.map_or(0, |end| end.seq);
    let least = kept.map_or(least, |kept| kept.seq.max(least));
    if seq < least {
        return broken(seq + 1, Tampering::Missing);
    }
    if end.is_some_and(|end| end.hash != previous) {
        return broken(seq, Tampering::Changed);
    }
    Ok(Ok(seq))
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        seq: count(row, 0)?,
        receipt: Receipt {
            at: time(row, 1)?,
            request: row.get(2)?,
            rule: row.get(3)?,
            ceiling: parse(row, 4)?,
            used: match row.get_ref(5)? {
                rusqlite::types::ValueRef::Null => None,
                _ => Some(parse(row, 5)?),
            },
            recipients: recipients(row, 6)?,
            cost: optional_money(row, 7)?,
        },
        hash: row.get(8)?,
    })
}

/// `[["anthropic","cloud",1234]]`
fn recipients_text(recipients: &[Recipient]) -> String {
    let rows = recipients
        .iter()
        .map(|to| (to.provider.as_str(), to.zone.name(), to.bytes));
    serde_json::Value::from_iter(rows.map(|(provider, zone, bytes)| {
        serde_json::Value::from(vec![
            serde_json::Value::from(provider),
            zone.into(),
            bytes.into(),
        ])
    }))
    .to_string()
}

fn recipients(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<Recipient>> {
    let wrong = |error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error)
    };
    let text: String = row.get(column)?;
    let rows: Vec<(String, String, u64)> =
        serde_json::from_str(&text).map_err(|error| wrong(error.into()))?;
    let recipient = |(provider, zone, bytes): (String, String, u64)| {
        Ok(Recipient {
            provider: ProviderName::from(provider),
            zone: zone.parse().map_err(|error: String| wrong(error.into()))?,
            bytes,
        })
    };
    rows.into_iter().map(recipient).collect()
}

/// SHA-256 of the hash before, then every field in order: integers as eight bytes, little end first; texts after their
/// length; what may be missing after a byte that says whether it is there.
fn hash(previous: &[u8; 32], seq: u64, receipt: &Receipt) -> [u8; 32] {
    let mut hasher = Hasher(Sha256::new());
    hasher.0.update(previous);
    hasher.integer(seq);
    hasher.0.update(receipt.at.as_microsecond().to_le_bytes());
    hasher.text(&receipt.request);
    hasher.optional(receipt.rule.as_deref());
    hasher.text(receipt.ceiling.name());
    hasher.optional(receipt.used.map(|zone| zone.name()));
    hasher.integer(receipt.recipients.len() as u64);
    for to in &receipt.recipients {
        hasher.text(to.provider.as_str());
        hasher.text(to.zone.name());
        hasher.integer(to.bytes);
    }
    let cost: Option<Money> = receipt.cost;
    hasher.optional(cost.map(money_text).as_deref());
    hasher.0.finalize().into()
}

struct Hasher(Sha256);

impl Hasher {
    fn integer(&mut self, value: u64) {
        self.0.update(value.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.integer(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        self.0.update([u8::from(text.is_some())]);
        if let Some(text) = text {
            self.text(text);
        }
    }
}

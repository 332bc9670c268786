//! Where each request went: a chain of hashes in which no link can be changed, taken out or put in unseen.
//!
//! Whoever can write the file can also make a whole new chain. Against that, keep a [`Head`] elsewhere and compare:
//! [`Ledger::verify_against`].

mod chain;

use std::fmt;
use std::str::FromStr;

use inhouse_chat::{Money, ProviderName};
use inhouse_policy::Zone;
use jiff::Timestamp;

use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::writer::Row;

pub(crate) use chain::append;

/// What happened to one request. Without content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// When it came, to the microsecond.
    pub at: Timestamp,
    /// Which it was.
    pub request: String,
    /// The rule that decided.
    pub rule: Option<String>,
    /// The farthest zone that it was allowed to.
    pub ceiling: Zone,
    /// The zone that answered, if one did.
    pub used: Option<Zone>,
    /// Everyone who received bytes of it, also those who did not answer.
    pub recipients: Vec<Recipient>,
    /// What all attempts cost together, if that is known.
    pub cost: Option<Money>,
}

/// Who received bytes of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recipient {
    /// Who.
    pub provider: ProviderName,
    /// Where that is.
    pub zone: Zone,
    /// How many bytes of body were sent there.
    pub bytes: u64,
}

/// A receipt with its place in the chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// From 1, without gaps.
    pub seq: u64,
    /// What happened.
    pub receipt: Receipt,
    /// The SHA-256 of this and all before it.
    pub hash: [u8; 32],
}

/// The end of a chain at some time. `Display` and `FromStr` write it as `seq:hash`, to be kept elsewhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    /// How many receipts there were.
    pub seq: u64,
    /// The hash of the last one.
    pub hash: [u8; 32],
}

/// The chain is not as it was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("receipt {seq} {why}")]
pub struct BrokenAt {
    /// The first place where it shows.
    pub seq: u64,
    /// How it shows.
    pub why: Tampering,
}

/// How a broken chain shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Tampering {
    /// Something in it, in one before it, or their order was changed.
    #[error("does not have the hash that its content gives")]
    Changed,
    /// It should be there.
    #[error("is missing")]
    Missing,
    /// It comes after the last one.
    #[error("was put in after the chain's end")]
    Added,
    /// It is whole, but not the one that was there when the head was kept.
    #[error("is not the one whose hash was kept")]
    Rewritten,
}

/// The receipts could not be verified, or were and are not right.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VerifyError {
    /// They are not as they were written.
    #[error(transparent)]
    Broken(#[from] BrokenAt),
    /// The file could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Ledger {
    /// Hands a receipt to the writer, which puts it at the end of the chain some milliseconds later.
    pub fn record_receipt(&self, receipt: Receipt) -> Result<(), LedgerError> {
        self.push(Row::Receipt(Box::new(receipt)))
    }

    /// The last receipts, the newest first.
    pub fn receipts(&self, limit: usize) -> Result<Vec<Entry>, LedgerError> {
        self.flush()?;
        self.shared.study(|db| chain::last(db, limit))
    }

    /// The end of the chain, to be kept elsewhere. `None` while it is empty.
    pub fn head(&self) -> Result<Option<Head>, LedgerError> {
        self.flush()?;
        self.shared.read(chain::head)
    }

    /// Goes through the whole chain and answers how many receipts there are.
    pub fn verify(&self) -> Result<u64, VerifyError> {
        self.verify_with(None)
    }

    /// As [`verify`](Self::verify), and the chain must still have the head that was kept.
    pub fn verify_against(&self, kept: &Head) -> Result<u64, VerifyError> {
        self.verify_with(Some(kept))
    }

    fn verify_with(&self, kept: Option<&Head>) -> Result<u64, VerifyError> {
        self.flush()?;
        Ok(self.shared.study(|db| chain::verify(db, kept))??)
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.seq)?;
        self.hash
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (seq, digits) = text.trim().split_once(':')?;
            let mut hash = [0; 32];
            if digits.len() != 64 || !digits.is_ascii() {
                return None;
            }
            for (place, byte) in hash.iter_mut().enumerate() {
                let pair = digits.get(2 * place..2 * place + 2)?;
                *byte = u8::from_str_radix(pair, 16).ok()?;
            }
            let seq = seq.parse().ok()?;
            Some(Self { seq, hash })
        };
        parse().ok_or_else(|| {
            "not the head of a chain of receipts: a number, a colon, 64 hexadecimal digits".into()
        })
    }
}

#[cfg(test)]
mod tests;

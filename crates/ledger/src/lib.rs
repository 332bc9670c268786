//! What it cost and where it went: prices, usage, budgets, receipts, kept in SQLite.
//!
//! [`PriceList`] turns [`Usage`](inhouse_chat::Usage) into money. A [`Ledger`] is one database file: budgets are reserved
//! in it before a request is sent and settled after it, every attempt becomes a row, every request a [`Receipt`] in a chain
//! of hashes. All of it blocks, for microseconds; nothing of it is asynchronous. Several processes may share the file.
//!
//! ```
//! use inhouse_chat::Usage;
//! use inhouse_ledger::PriceList;
//!
//! let prices = PriceList::shipped();
//! let usage = Usage { input: 1_000, output: 200, ..Usage::default() };
//! let at = "2026-11-22T12:00:00Z".parse()?;
//! let cost = prices.cost("anthropic", "claude-haiku-4-5", &usage, at);
//! assert_eq!(cost.map(|cost| cost.to_string()), Some("$0.002".into()));
//! assert_eq!(prices.cost("anthropic", "no-such-model", &usage, at), None);
//! # Ok::<(), jiff::Error>(())
//! ```
#![forbid(unsafe_code)]

pub mod budgets;
mod column;
mod database;
mod error;
mod fingerprint;
mod ledger;
mod owner;
pub mod prices;
pub mod receipts;
pub mod usage;
mod writer;

pub use budgets::{
    Alert, Ask, Balance, Budget, BudgetExceeded, Refusal, Reservation, Scope, Which, Window,
};
pub use error::{LedgerError, LedgerErrorKind};
pub use fingerprint::fingerprint;
pub use ledger::Ledger;
pub use prices::{Override, Price, PriceList, PriceListError};
pub use receipts::{BrokenAt, Head, Receipt, Recipient, Tampering, VerifyError};
pub use usage::{Attempt, By, Report, ReportRow};

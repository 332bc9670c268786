//! What it cost and where it went: prices, usage, budgets, receipts, kept in SQLite.
#![forbid(unsafe_code)]

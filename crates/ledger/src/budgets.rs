//! What may be spent: reserved before a request is sent, settled when its cost is known.
//!
//! A reservation is made in one transaction that no other can come between, so that any number of requests at once stay
//! within the limit, in one process or several. It outlives a process that is killed: see [`Ledger::open`](crate::Ledger::open).

mod counter;
mod reservation;
mod reserve;
mod tabs;

use inhouse_chat::Money;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;

use crate::LedgerError;

pub(crate) use counter::leave;
pub use reservation::Reservation;
pub(crate) use tabs::Tabs;

/// How much may be spent on what, in which time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Budget {
    /// Its name. What was spent is remembered by it.
    pub id: String,
    /// On what.
    pub scope: Scope,
    /// In which time.
    pub window: Window,
    /// How much.
    pub limit: Money,
    /// Whether a request that could exceed the limit is refused. If not, the budget only warns.
    pub hard_stop: bool,
    /// At which parts of the limit to warn, once each in a window: 0.8 and 1.
    pub alert_at: Vec<Decimal>,
}

/// What a budget is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Scope {
    /// Everything that is spent.
    Everything,
    /// One of the keys that clients show, or each.
    Key(Which),
    /// One agent, or each.
    Agent(Which),
    /// One provider, or each.
    Provider(Which),
    /// One model, or each.
    Model(Which),
}

/// One of a kind, or each of them for itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Which {
    /// Each has the whole limit. Those without a name share one.
    Each,
    /// The one of this name.
    One(String),
}

/// In which time a budget's limit may be spent. Days and months are those of the calendar, in UTC.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Window {
    /// One request with all its attempts. Kept in memory: a request does not outlive its process.
    Request,
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the next one's.
    Month,
    /// For ever.
    Total,
}

/// What someone wants to spend.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The request. Its attempts share what the request may cost.
    pub request: &'a str,
    /// The key that the client showed: its name or its [`fingerprint`](crate::fingerprint), never the key.
    pub key: Option<&'a str>,
    /// The agent that asks.
    pub agent: Option<&'a str>,
    /// The provider that would be asked.
    pub provider: &'a str,
    /// The model that would be asked.
    pub model: &'a str,
    /// The most that it can cost ([`Price::upper_bound`](crate::Price::upper_bound)); `None` where its price is unknown.
    pub most: Option<Money>,
    /// Now.
    pub at: Timestamp,
    /// Whether sending begins at once, so that [`Reservation::mark_sent`] is not needed.
    pub sent: bool,
}

/// A budget does not allow it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the budget {budget:?}{} allows {limit}: {spent} is spent, {reserved} reserved, and this could cost {asked}",
    of(.subject)
)]
pub struct BudgetExceeded {
    /// Which budget.
    pub budget: String,
    /// Whose share of it, where each has one.
    pub subject: String,
    /// What may be spent.
    pub limit: Money,
    /// What has been spent.
    pub spent: Money,
    /// What requests under way may spend.
    pub reserved: Money,
    /// What this request could cost.
    pub asked: Money,
}

/// Nothing was reserved, and nothing may be sent.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    /// It could cost more than is left.
    #[error(transparent)]
    Exceeded(#[from] BudgetExceeded),
    /// Nobody knows what it could cost.
    #[error(
        "the budget {budget:?} stops what exceeds it, and the price of {model:?} is unknown; state its price or lift the stop"
    )]
    Unpriced {
        /// The budget that would have to decide.
        budget: String,
        /// The model without a price.
        model: String,
    },
    /// The ledger could not be asked.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A part of a budget has been spent, for the first time in its window.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alert {
    /// Which budget.
    pub budget: String,
    /// Whose share of it, where each has one.
    pub subject: String,
    /// The day (`2026-11-22`) or the month (`2026-11`), empty where there is no end.
    pub period: String,
    /// The part of the limit that was reached.
    pub threshold: Decimal,
    /// What has been spent.
    pub spent: Money,
    /// What may be.
    pub limit: Money,
}

/// What a budget has seen in the window that is now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Balance {
    /// Which budget.
    pub budget: String,
    /// Whose share of it, where each has one.
    pub subject: String,
    /// The window: a day, a month, or empty.
    pub period: String,
    /// What has been spent.
    pub spent: Money,
    /// What requests under way may spend.
    pub reserved: Money,
}

fn of(subject: &str) -> String {
    match subject {
        "" => String::new(),
        subject => format!(" of {subject:?}"),
    }
}

impl Scope {
    /// Whose share an attempt would be charged to, if to anyone's.
    fn subject<'a>(&self, ask: &Ask<'a>) -> Option<&'a str> {
        let (which, is) = match self {
            Self::Everything => return Some(""),
            Self::Key(which) => (which, ask.key.unwrap_or_default()),
            Self::Agent(which) => (which, ask.agent.unwrap_or_default()),
            Self::Provider(which) => (which, ask.provider),
            Self::Model(which) => (which, ask.model),
        };
        match which {
            Which::Each => Some(is),
            Which::One(name) => (name == is).then_some(""),
        }
    }
}

impl Window {
    /// The name of the window that a time is in.
    fn period(self, at: Timestamp) -> String {
        let date = at.to_zoned(TimeZone::UTC).date();
        match self {
            Self::Day => date.to_string(),
            Self::Month => format!("{:04}-{:02}", date.year(), date.month()),
            Self::Request | Self::Total => String::new(),
        }
    }
}

#[cfg(test)]
mod tests;

//! Every attempt, and what they come to.

mod report;

use std::time::Duration;

use inhouse_chat::{Failure, ModelName, Money, Phase, ProviderName, Usage};
use inhouse_policy::Zone;
use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::column::{integer, money_text};
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::writer::Row;

pub use report::{By, Report, ReportRow};

/// One attempt of a request at one provider. Without content: no prompt, no answer, no key.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// The request that it was for. One request may have several attempts.
    pub request: String,
    /// Who was asked.
    pub provider: ProviderName,
    /// For which model.
    pub asked: ModelName,
    /// Which model says that it answered.
    pub answered: Option<ModelName>,
    /// Where the provider is.
    pub zone: Zone,
    /// The rule that decided.
    pub rule: Option<String>,
    /// Why it was this provider.
    pub reason: String,
    /// What went wrong, if anything did.
    pub failure: Option<Failure>,
    /// Tokens of all classes.
    pub usage: Usage,
    /// What it cost, if that is known.
    pub cost: Option<Money>,
    /// Whether usage or cost is our own estimate, because the provider said nothing.
    pub estimated: bool,
    /// The key that the client showed: its name or its [`fingerprint`](crate::fingerprint).
    pub key: Option<String>,
    /// The agent that asked.
    pub agent: Option<String>,
    /// The session that it was part of.
    pub session: Option<String>,
    /// The [`fingerprint`](crate::fingerprint) of the user.
    pub user: Option<String>,
    /// How long it took.
    pub latency: Duration,
    /// How long until the answer began.
    pub first_token: Option<Duration>,
    /// Whether the answer was streamed.
    pub streamed: bool,
    /// Whether the answer was in our own cache, so that nobody was asked.
    pub cached: bool,
    /// What the cheapest provider in the cloud would have cost, when it was answered here or from the cache.
    pub saved: Option<Money>,
}

impl Attempt {
    /// An attempt that has just begun, with nothing known of how it ends.
    pub fn new(
        at: Timestamp,
        request: impl Into<String>,
        provider: ProviderName,
        asked: ModelName,
        zone: Zone,
    ) -> Self {
        Self {
            at,
            request: request.into(),
            provider,
            asked,
            answered: None,
            zone,
            rule: None,
            reason: String::new(),
            failure: None,
            usage: Usage::default(),
            cost: None,
            estimated: false,
            key: None,
            agent: None,
            session: None,
            user: None,
            latency: Duration::ZERO,
            first_token: None,
            streamed: false,
            cached: false,
            saved: None,
        }
    }
}

impl Ledger {
    /// Hands an attempt to the writer. It is in the file some milliseconds later.
    pub fn record(&self, attempt: Attempt) -> Result<(), LedgerError> {
        self.push(Row::Attempt(Box::new(attempt)))
    }

    pub(crate) fn push(&self, row: Row) -> Result<(), LedgerError> {
        let pushed = self.shared.queue.push(row);
        pushed.map_err(|kind| LedgerError::new(&self.shared.name, kind))
    }
}

pub(crate) fn insert(db: &Connection, attempt: &Attempt) -> rusqlite::Result<()> {
    let sql = "INSERT INTO attempts (at, request, provider, asked, answered, zone, rule, reason, outcome,
                   input, output, cache_read, cache_write_5m, cache_write_1h, reasoning, input_audio, output_audio,
                   cost, estimated, key, agent, session, user, latency, first_token, streamed, cached, saved)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    let usage = &attempt.usage;
    db.prepare_cached(sql)?.execute(params![
        attempt.at.as_microsecond(),
        attempt.request,
        attempt.provider.as_str(),
        attempt.asked.as_str(),
        attempt.answered.as_ref().map(ModelName::as_str),
        attempt.zone.name(),
        attempt.rule,
        attempt.reason,
        attempt.failure.map_or("ok", name_of),
        integer(usage.input),
        integer(usage.output),
        integer(usage.cache_read),
        integer(usage.cache_write_5m),
        integer(usage.cache_write_1h),
        integer(usage.reasoning),
        integer(usage.input_audio),
        integer(usage.output_audio),
        attempt.cost.map(money_text),
        attempt.estimated,
        attempt.key,
        attempt.agent,
        attempt.session,
        attempt.user,
        micros(attempt.latency),
        attempt.first_token.map(micros),
        attempt.streamed,
        attempt.cached,
        attempt.saved.map(money_text),
    ])?;
    Ok(())
}

/// What a failure is called in the file.
fn name_of(failure: Failure) -> &'static str {
    match failure {
        Failure::Unreachable => "unreachable",
        Failure::TimedOut(Phase::Connect) => "timed-out-connect",
        Failure::TimedOut(Phase::FirstToken) => "timed-out-first-token",
        Failure::TimedOut(Phase::Idle) => "timed-out-idle",
        Failure::TimedOut(Phase::Total) => "timed-out-total",
        Failure::RateLimited => "rate-limited",
        Failure::Overloaded => "overloaded",
        Failure::Internal => "internal",
        Failure::Garbled => "garbled",
        Failure::CutOff => "cut-off",
        Failure::Key => "key",
        Failure::Payment => "payment",
        Failure::Forbidden => "forbidden",
        Failure::NoSuchModel => "no-such-model",
        Failure::TooLong => "too-long",
        Failure::BadRequest => "bad-request",
        Failure::Declined => "declined",
        Failure::Unsupported => "unsupported",
        Failure::Engine => "engine",
        Failure::Cancelled => "cancelled",
        Failure::NotPermitted => "not-permitted",
    }
}

#[cfg(test)]
mod tests;

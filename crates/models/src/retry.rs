//! What is tried again, how often, and how long it waits.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

use crate::error::{StoreError, StoreErrorKind};
use crate::http::Context;
use crate::options::StoreOptions;
use crate::progress::Event;

/// Why one attempt failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It may pass: the connection, or a server that is busy. With the wait that the server asks for.
    Passing {
        kind: StoreErrorKind,
        why: String,
        wait: Option<Duration>,
    },
    /// Trying again would not help.
    Final(StoreError),
}

impl Failure {
    pub(crate) fn network(why: impl Into<String>) -> Self {
        Self::Passing {
            kind: StoreErrorKind::Network,
            why: why.into(),
            wait: None,
        }
    }

    /// Try again at once; it still counts as an attempt.
    pub(crate) fn again(why: impl Into<String>) -> Self {
        let wait = Some(Duration::ZERO);
        Self::Passing {
            kind: StoreErrorKind::Server,
            why: why.into(),
            wait,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Final(error)
    }
}

/// Counts the attempts at one thing.
pub(crate) struct Attempts<'a> {
    context: &'a Context<'a>,
    what: &'a str,
    made: u32,
    of: u32,
    /// What to say of what has arrived.
    kept: &'static str,
}

impl<'a> Attempts<'a> {
    /// Attempts at a transfer.
    pub(crate) fn at_transfer(context: &'a Context<'a>, what: &'a str) -> Self {
        let of = context.options.retry.attempts.max(1);
        Self {
            context,
            what,
            made: 0,
            of,
            kept: ", what has arrived is kept",
        }
    }

    /// Attempts at a question. A person waits for its answer, so there are fewer of them.
    fn at_question(context: &'a Context<'a>, what: &'a str) -> Self {
        let of = context.options.retry.attempts.clamp(1, 4);
        Self {
            context,
            what,
            made: 0,
            of,
            kept: "",
        }
    }

    /// The transfer got further: the count begins again, so that only a row of failures ends it.
    pub(crate) fn progressed(&mut self) {
        self.made = 0;
    }

    /// Waits before the next attempt, or gives up.
    pub(crate) fn failed(&mut self, failure: Failure) -> Result<(), StoreError> {
        let (kind, why, asked) = match failure {
            Failure::Final(error) => return Err(error),
            Failure::Passing { kind, why, wait } => (kind, why, wait),
        };
        self.made += 1;
        if self.made >= self.of {
            let times = if self.made == 1 {
                "once".to_owned()
            } else {
                format!("{} times", self.made)
            };
            let message = format!("{}: {why}; tried {times}{}", self.what, self.kept);
            return Err(StoreError::new(kind, message));
        }
        let wait = self.wait(asked);
        self.context.sink.event(&Event::Retrying {
            what: self.what,
            attempt: self.made + 1,
            of: self.of,
            wait,
            why: &why,
        });
        sleep(self.context, wait)
    }

    fn wait(&self, asked: Option<Duration>) -> Duration {
        let policy = &self.context.options.retry;
        let doubled = policy
            .first_wait
            .saturating_mul(1 << (self.made - 1).min(16));
        asked.unwrap_or(doubled).min(policy.longest_wait)
    }
}

/// Sleeps in slices so that a cancelled pull does not sit out its wait.
fn sleep(context: &Context<'_>, wait: Duration) -> Result<(), StoreError> {
    const SLICE: Duration = Duration::from_millis(200);
    let mut left = wait;
    loop {
        context.check()?;
        if left.is_zero() {
            return Ok(());
        }
        let slice = left.min(SLICE);
        context.options.system.sleep(slice);
        left -= slice;
    }
}

/// Tries a question a few times.
pub(crate) fn asking<T>(
    context: &Context<'_>,
    what: &str,
    mut ask: impl FnMut() -> Result<T, Failure>,
) -> Result<T, StoreError> {
    let mut attempts = Attempts::at_question(context, what);
    loop {
        context.check()?;
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(failure) => attempts.failed(failure)?,
        }
    }
}

/// Reads `Retry-After`: seconds, or a date.
pub(crate) fn retry_after(value: &str, options: &StoreOptions) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date: Timestamp = rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    let seconds = date.duration_since(options.system.now()).as_secs();
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

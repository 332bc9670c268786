//! How many requests at once, and how many requests and tokens a minute.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// What a provider allows a minute, as the configuration says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct RateLimit {
    /// Requests a minute; `None` sets no limit.
    pub(crate) requests_per_minute: Option<u64>,
    /// Tokens a minute, of prompts and answers; `None` sets no limit.
    pub(crate) tokens_per_minute: Option<u64>,
}

/// For so many minutes at most a provider is left alone for what one answer took.
const MOST_DEBT_MINUTES: f64 = 10.0;

/// Buckets of one provider.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

impl RateLimiter {
    pub(crate) fn new(limit: RateLimit, now: Instant) -> Self {
        let bucket = |per_minute| Bucket::full(per_minute, now);
        Self {
            requests: limit.requests_per_minute.map(bucket),
            tokens: limit.tokens_per_minute.map(bucket),
        }
    }

    /// Takes one request of about `n_tokens`, or says how long until it can be taken.
    pub(crate) fn take(&self, n_tokens: u64, now: Instant) -> Result<(), Duration> {
        if let Some(tokens) = &self.tokens {
            tokens.take(n_tokens, now)?;
        }
        let taken = self.requests.as_ref().map_or(Ok(()), |r| r.take(1, now));
        if taken.is_err() {
            self.settle(n_tokens, 0, now);
        }
        taken
    }

    /// Sets right what [`take`](Self::take) estimated.
    pub(crate) fn settle(&self, estimated: u64, used: u64, now: Instant) {
        if let Some(tokens) = &self.tokens {
            tokens.give(estimated as f64 - used as f64, now);
        }
    }
}

/// A bucket that a minute fills.
#[derive(Debug)]
struct Bucket {
    per_minute: f64,
    state: Mutex<(f64, Instant)>,
}

impl Bucket {
    fn full(per_minute: u64, now: Instant) -> Self {
        let per_minute = per_minute as f64;
        Self {
            per_minute,
            state: Mutex::new((per_minute, now)),
        }
    }

    fn take(&self, amount: u64, now: Instant) -> Result<(), Duration> {
        // A request larger than a whole minute's worth waits for a full bucket, and leaves a debt.
        let amount = amount as f64;
        let needed = amount.min(self.per_minute);
        let mut state = crate::lock(&self.state);
        self.refill(&mut state, now);
        if state.0 < needed {
            let minutes = (needed - state.0) / self.per_minute.max(f64::MIN_POSITIVE);
            return Err(Duration::from_secs_f64((minutes * 60.0).min(3600.0)));
        }
        state.0 -= amount;
        Ok(())
    }

    fn give(&self, amount: f64, now: Instant) {
        let mut state = crate::lock(&self.state);
        self.refill(&mut state, now);
        // A provider that claims more than it can have taken must not keep itself from being asked for ever.
        let most_debt = -MOST_DEBT_MINUTES * self.per_minute;
        state.0 = (state.0 + amount).clamp(most_debt, self.per_minute);
    }

    fn refill(&self, state: &mut (f64, Instant), now: Instant) {
        let minutes = now.saturating_duration_since(state.1).as_secs_f64() / 60.0;
        *state = (
            (state.0 + minutes * self.per_minute).min(self.per_minute),
            now,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(requests: Option<u64>, tokens: Option<u64>) -> (RateLimiter, Instant) {
        let now = Instant::now();
        let limit = RateLimit {
            requests_per_minute: requests,
            tokens_per_minute: tokens,
        };
        (RateLimiter::new(limit, now), now)
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_minute_brings_so_many_requests() {
        let (limiter, now) = limiter(Some(2), None);
        assert_eq!(limiter.take(9, now), Ok(()));
        assert_eq!(limiter.take(9, now), Ok(()));
        assert_eq!(limiter.take(9, now), Err(seconds(30)));
        assert_eq!(limiter.take(9, now + seconds(30)), Ok(()));
        assert!(limiter.take(9, now + seconds(31)).is_err());
    }

    #[test]
    fn a_minute_brings_so_many_tokens() {
        let (limiter, now) = limiter(None, Some(600));
        assert_eq!(limiter.take(500, now), Ok(()));
        assert_eq!(limiter.take(200, now), Err(seconds(10)));
        limiter.settle(500, 400, now); // it took less than was thought
        assert_eq!(limiter.take(200, now), Ok(()));
    }

    #[test]
    fn a_request_above_a_whole_minute_waits_for_a_full_bucket_and_leaves_a_debt() {
        let (limiter, now) = limiter(None, Some(600));
        assert_eq!(limiter.take(1200, now), Ok(()));
        assert_eq!(limiter.take(600, now), Err(seconds(120)));
    }

    #[test]
    fn a_request_that_is_refused_takes_no_tokens() {
        let (limiter, now) = limiter(Some(1), Some(600));
        assert_eq!(limiter.take(100, now), Ok(()));
        for _ in 0..100 {
            assert_eq!(limiter.take(100, now), Err(seconds(60)));
        }
        assert_eq!(limiter.take(500, now + seconds(60)), Ok(()));
    }
}

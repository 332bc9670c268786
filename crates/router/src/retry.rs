//! How often and after how long an attempt is made again.

use std::sync::Mutex;
use std::time::Duration;

use inhouse_chat::ProviderError;
use inhouse_config::Retries;
use tokio::time::Instant;

use crate::random::Random;

/// How attempts at one provider are repeated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RetryPolicy {
    /// Attempts after the first.
    pub(crate) max_retries: u32,
    /// The pause before the first of them; it doubles from one to the next.
    pub(crate) delay: Duration,
    /// No pause is longer. A provider that asks for a longer one is left alone, and the next is asked.
    pub(crate) max_delay: Duration,
}

impl RetryPolicy {
    /// The pause before the next attempt, after `n_failed` that failed with `error` at last; `None` where there is to be
    /// no other. What a provider asks for (`Retry-After`) is kept to; elsewhere the pause is drawn between nothing and
    /// its bound, so that callers who failed together do not come back together (Brooker, "Exponential Backoff And
    /// Jitter", 2015).
    pub(crate) fn pause(
        &self,
        n_failed: u32,
        error: &ProviderError,
        random: &Random,
    ) -> Option<Duration> {
        if n_failed > self.max_retries || !error.kind.worth_retrying() {
            return None;
        }
        if let Some(asked) = error.retry_after {
            return (asked <= self.max_delay).then_some(asked);
        }
        let doublings = n_failed.saturating_sub(1).min(16);
        let bound = self
            .delay
            .saturating_mul(1 << doublings)
            .min(self.max_delay);
        Some(bound.mul_f64(random.fraction()))
    }
}

/// Keeps retries a fraction of requests, so that an outage is not made worse: every request pays in a fraction, every
/// retry takes one out, and some are always allowed (the retry budget of Finagle and Linkerd).
#[derive(Debug)]
pub(crate) struct RetryBudget {
    per_request: f64,
    per_second: f64,
    most: f64,
    balance: Mutex<(f64, Instant)>,
}

impl RetryBudget {
    pub(crate) fn new(config: &Retries, now: Instant) -> Self {
        let always = f64::from(config.min_per_minute);
        // What was not used adds up to no more than one busy minute's worth.
        let most = always.max(100.0 * config.budget);
        Self {
            per_request: config.budget,
            per_second: always / 60.0,
            most,
            balance: Mutex::new((always, now)),
        }
    }

    /// A request came.
    pub(crate) fn deposit(&self) {
        let mut balance = crate::lock(&self.balance);
        balance.0 = (balance.0 + self.per_request).min(self.most);
    }

    /// Whether a retry may be made now.
    pub(crate) fn withdraw(&self, now: Instant) -> bool {
        let mut balance = crate::lock(&self.balance);
        let passed = now.saturating_duration_since(balance.1).as_secs_f64();
        let grown = (balance.0 + passed * self.per_second).min(self.most);
        let enough = grown >= 1.0;
        *balance = (if enough { grown - 1.0 } else { grown }, now);
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inhouse_chat::Failure;

    fn policy() -> RetryPolicy {
        RetryPolicy {
            max_retries: 2,
            delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(20),
        }
    }

    fn pause(n_failed: u32, kind: Failure, retry_after: Option<u64>) -> Option<Duration> {
        let mut error = ProviderError::new(&"p".into(), kind);
        error.retry_after = retry_after.map(Duration::from_secs);
        policy().pause(n_failed, &error, &Random::seeded(1))
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        assert!(pause(1, Failure::Overloaded, None).is_some());
        assert!(pause(2, Failure::Overloaded, None).is_some());
        assert_eq!(pause(3, Failure::Overloaded, None), None);
        assert_eq!(pause(1, Failure::BadRequest, None), None);
        assert_eq!(pause(1, Failure::Key, None), None);
    }

    #[test]
    fn pauses_grow_to_their_bound() {
        for n_failed in 1..=2 {
            let bound = Duration::from_millis(500 << (n_failed - 1));
            assert!(pause(n_failed, Failure::Internal, None).unwrap() < bound);
        }
    }

    #[test]
    fn a_provider_says_when_to_come_back() {
        let check = |asked, pause_is| {
            let asked = pause(1, Failure::RateLimited, Some(asked));
            assert_eq!(asked, pause_is);
        };
        check(3, Some(Duration::from_secs(3)));
        check(0, Some(Duration::ZERO));
        check(21, None); // longer than anyone is to wait: the next provider is asked
    }

    #[test]
    fn retries_are_a_share_of_requests_and_some_a_minute() {
        let now = Instant::now();
        let budget = RetryBudget::new(&Retries::default(), now);
        let taken = |at| (0..100).filter(|_| budget.withdraw(at)).count();
        assert_eq!(taken(now), 10);
        (0..20).for_each(|_| budget.deposit());
        assert!((3..=4).contains(&taken(now)), "a fifth of twenty");
        assert!((9..=10).contains(&taken(now + Duration::from_secs(60))));
    }
}

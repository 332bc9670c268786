//! How fast providers have been lately.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use inhouse_chat::{ModelName, ProviderName};
use tokio::time::Instant;

/// Measured time to the first token and tokens a second for every model of every provider, older measurements counting
/// for less.
#[derive(Debug, Default)]
pub(crate) struct Speeds {
    known: Mutex<HashMap<(ProviderName, ModelName), Speed>>,
}

/// After this long a measurement counts half.
const HALF_LIFE: Duration = Duration::from_secs(300);

/// What has been measured of one model at one provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speed {
    first_token: Average,
    tokens_per_second: Average,
    in_flight: u32,
}

/// A mean whose older values fade.
#[derive(Clone, Copy, Debug)]
struct Average {
    sum: f64,
    weight: f64,
    at: Instant,
}

impl Speeds {
    /// How many are kept in mind.
    pub(crate) fn len(&self) -> usize {
        crate::lock(&self.known).len()
    }

    /// A request is under way.
    pub(crate) fn started(&self, provider: &ProviderName, model: &ModelName, now: Instant) {
        self.update(provider, model, now, |speed| speed.in_flight += 1);
    }

    /// It came to its end, one way or the other.
    pub(crate) fn finished(&self, provider: &ProviderName, model: &ModelName, now: Instant) {
        self.update(provider, model, now, |speed| {
            speed.in_flight = speed.in_flight.saturating_sub(1);
        });
    }

    /// Its first token came after `waited`, or it failed after so long.
    pub(crate) fn first_token(
        &self,
        provider: &ProviderName,
        model: &ModelName,
        waited: Duration,
        now: Instant,
    ) {
        self.update(provider, model, now, |speed| {
            speed.first_token.add(waited.as_secs_f64(), now);
        });
    }

    /// Tokens came at this rate after the first.
    pub(crate) fn rate(
        &self,
        provider: &ProviderName,
        model: &ModelName,
        tokens_per_second: f64,
        now: Instant,
    ) {
        self.update(provider, model, now, |speed| {
            speed.tokens_per_second.add(tokens_per_second, now);
        });
    }

    /// How long an answer of `n_tokens` would take; `None` where nothing was measured lately.
    pub(crate) fn expected(
        &self,
        provider: &ProviderName,
        model: &ModelName,
        n_tokens: u64,
        now: Instant,
    ) -> Option<Duration> {
        let known = crate::lock(&self.known);
        known
            .get(&(provider.clone(), model.clone()))?
            .expected(n_tokens, now)
    }

    fn update(
        &self,
        provider: &ProviderName,
        model: &ModelName,
        now: Instant,
        change: impl FnOnce(&mut Speed),
    ) {
        let mut known = crate::lock(&self.known);
        let key = (provider.clone(), model.clone());
        // Callers choose names of models, so there must be an end: what has faded is not known anyway.
        if known.len() >= crate::MOST_NAMES && !known.contains_key(&key) {
            known.retain(|_, speed| speed.in_flight > 0 || speed.first_token.value(now).is_some());
            if known.len() >= crate::MOST_NAMES {
                known.retain(|_, speed| speed.in_flight > 0);
            }
        }
        change(known.entry(key).or_insert_with(|| Speed::unknown(now)));
    }
}

impl Speed {
    fn unknown(now: Instant) -> Self {
        let nothing = Average {
            sum: 0.0,
            weight: 0.0,
            at: now,
        };
        Self {
            first_token: nothing,
            tokens_per_second: nothing,
            in_flight: 0,
        }
    }

    fn expected(&self, n_tokens: u64, now: Instant) -> Option<Duration> {
        let first = self.first_token.value(now)?;
        let rest = match self.tokens_per_second.value(now) {
            Some(rate) if rate > 0.0 => n_tokens as f64 / rate,
            _ => 0.0,
        };
        // Requests under way share what the provider has; without this all would go to the one that was fast last.
        let shared = (first + rest) * (1.0 + 0.1 * f64::from(self.in_flight));
        Duration::try_from_secs_f64(shared).ok()
    }
}

impl Average {
    fn faded(&self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.at).as_secs_f64();
        0.5f64.powf(age / HALF_LIFE.as_secs_f64())
    }

    fn add(&mut self, value: f64, now: Instant) {
        let faded = self.faded(now);
        // Each newer value counts for almost half as much again, so a change shows within a few requests.
        *self = Self {
            sum: self.sum.mul_add(0.7 * faded, value),
            weight: self.weight.mul_add(0.7 * faded, 1.0),
            at: now,
        };
    }

    /// `None` where everything known has faded: the provider may have changed since.
    fn value(&self, now: Instant) -> Option<f64> {
        (self.weight * self.faded(now) > 0.01).then(|| self.sum / self.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    struct Bench {
        speeds: Speeds,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                speeds: Speeds::default(),
                now: Instant::now(),
            }
        }

        fn measured(&self, first: u64, rate: f64) {
            let (p, m) = ("p".into(), "m".into());
            self.speeds.first_token(&p, &m, secs(first), self.now);
            self.speeds.rate(&p, &m, rate, self.now);
        }

        fn expected(&self) -> Option<Duration> {
            self.speeds
                .expected(&"p".into(), &"m".into(), 100, self.now)
        }
    }

    #[test]
    fn an_answer_takes_its_first_token_and_the_rest() {
        let bench = Bench::new();
        assert_eq!(bench.expected(), None);
        bench.measured(1, 50.0);
        assert_eq!(bench.expected(), Some(secs(3)));
    }

    #[test]
    fn the_latest_counts_most() {
        let bench = Bench::new();
        (0..10).for_each(|_| bench.measured(1, 100.0));
        (0..5).for_each(|_| bench.measured(9, 100.0));
        assert!(bench.expected().unwrap() > secs(7));
    }

    #[test]
    fn what_was_measured_long_ago_is_not_known() {
        let mut bench = Bench::new();
        bench.measured(1, 50.0);
        bench.now += secs(600);
        assert_eq!(bench.expected(), Some(secs(3)));
        bench.now += secs(3000);
        assert_eq!(bench.expected(), None);
    }

    #[test]
    fn requests_under_way_make_it_slower() {
        let bench = Bench::new();
        bench.measured(1, 50.0);
        bench.speeds.started(&"p".into(), &"m".into(), bench.now);
        assert!(bench.expected().unwrap() > secs(3));
        bench.speeds.finished(&"p".into(), &"m".into(), bench.now);
        assert_eq!(bench.expected(), Some(secs(3)));
    }
}

//! The keys of one provider, in turn.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use inhouse_chat::{Failure, ProviderError, Secret};

use crate::clock::Clock;

/// For how long a key rests that was turned away without a word about how long.
const RATE_LIMITED: Duration = Duration::from_secs(60);

/// For how long a key rests that was rejected or has nothing left: somebody has to do something first.
const REJECTED: Duration = Duration::from_secs(600);

/// The keys of one provider. Each call takes the next; one that was turned away is passed over for a while.
pub(crate) struct Keys {
    slots: Vec<Slot>,
    next: AtomicUsize,
    clock: Arc<dyn Clock>,
}

struct Slot {
    key: Secret,
    rests_until: Mutex<Option<Instant>>,
}

/// A key that was taken.
#[derive(Clone, Copy)]
pub(crate) struct Taken<'a> {
    slot: &'a Slot,
}

impl Keys {
    pub(crate) fn new(keys: impl IntoIterator<Item = Secret>, clock: Arc<dyn Clock>) -> Self {
        let slots = keys.into_iter().map(|key| Slot {
            key,
            rests_until: Mutex::new(None),
        });
        Self {
            slots: slots.collect(),
            next: AtomicUsize::new(0),
            clock,
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The next key; where all rest, the one that has rested longest of what it has to. `None` where there is none.
    pub(crate) fn take(&self) -> Option<Taken<'_>> {
        let n = self.slots.len();
        let from = self.next.fetch_add(1, Ordering::Relaxed);
        let now = self.clock.now();
        // The first of those whose rest ends first; rests that are over have all ended now.
        let turn = (0..n).filter_map(|step| self.slots.get(from.wrapping_add(step) % n));
        let slot =
            turn.min_by_key(|slot| slot.rests_until().map_or(now, |until| until.max(now)))?;
        Some(Taken { slot })
    }

    /// Lets a key rest, where `error` speaks against it.
    pub(crate) fn turned_away(&self, taken: Taken<'_>, error: &ProviderError) {
        if !error.kind.worth_another_key() {
            return;
        }
        let usual = match error.kind {
            Failure::RateLimited => RATE_LIMITED,
            _ => REJECTED,
        };
        let rest = error.retry_after.unwrap_or(usual);
        if let Some(until) = self.clock.now().checked_add(rest) {
            *taken.slot.lock() = Some(until);
        }
    }
}

impl<'a> Taken<'a> {
    pub(crate) fn key(self) -> &'a Secret {
        &self.slot.key
    }
}

impl Slot {
    fn rests_until(&self) -> Option<Instant> {
        *self.lock()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        // Nothing panics while it holds the lock, and what is in it is whole at any time.
        self.rests_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    struct Stopped(Mutex<Instant>);

    impl Clock for Stopped {
        fn now(&self) -> Instant {
            *self.0.lock().unwrap()
        }
        fn date(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH
        }
    }

    fn keys(n: usize) -> (Keys, Arc<Stopped>) {
        let clock = Arc::new(Stopped(Mutex::new(Instant::now())));
        let keys = (0..n).filter_map(|i| Secret::new(&format!("key-{i}")));
        (Keys::new(keys, Arc::clone(&clock) as _), clock)
    }

    fn turned_away(kind: Failure, retry_after: Option<u64>) -> ProviderError {
        let mut error = ProviderError::new(&"p".into(), kind);
        error.retry_after = retry_after.map(Duration::from_secs);
        error
    }

    /// Takes keys one after another; the first is turned away with `error` after its first use.
    fn check(error: &ProviderError, later: u64, expected: &[&str]) {
        let (keys, clock) = keys(3);
        let first = keys.take().unwrap();
        assert_eq!(first.key().reveal(), "key-0");
        keys.turned_away(first, error);
        *clock.0.lock().unwrap() += Duration::from_secs(later);
        let taken: Vec<_> = expected
            .iter()
            .map(|_| keys.take().unwrap().key().reveal())
            .collect();
        assert_eq!(taken, expected);
    }

    #[test]
    fn keys_take_turns_and_rest() {
        let all = ["key-1", "key-2", "key-0", "key-1"];
        let without = ["key-1", "key-2", "key-1", "key-1"];
        check(&turned_away(Failure::Internal, None), 0, &all);
        check(&turned_away(Failure::Key, None), 0, &without);
        check(&turned_away(Failure::Key, None), 599, &without);
        check(&turned_away(Failure::Payment, None), 600, &all);
        check(&turned_away(Failure::RateLimited, None), 60, &all);
        check(&turned_away(Failure::RateLimited, Some(61)), 60, &without);
        check(&turned_away(Failure::RateLimited, Some(5)), 5, &all);
    }

    #[test]
    fn the_first_to_wake_serves_where_all_rest() {
        let (keys, _) = keys(2);
        keys.turned_away(
            keys.take().unwrap(),
            &turned_away(Failure::RateLimited, Some(30)),
        );
        keys.turned_away(
            keys.take().unwrap(),
            &turned_away(Failure::RateLimited, Some(20)),
        );
        for _ in 0..3 {
            assert_eq!(keys.take().unwrap().key().reveal(), "key-1");
        }
    }

    #[test]
    fn without_keys_there_is_none() {
        let (keys, _) = keys(0);
        assert!(keys.take().is_none());
    }
}

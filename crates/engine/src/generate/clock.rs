//! Time, as something a test can hold still.

use std::time::{Duration, Instant};

/// Tells how much time has passed since some fixed moment.
pub trait Clock {
    /// Time since that moment; never runs backwards.
    fn now(&self) -> Duration;
}

/// The system's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

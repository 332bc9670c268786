//! The time, as it is given.

use std::time::{Instant, SystemTime};

/// Tells the time. Tests give one that stands still.
pub trait Clock: Send + Sync {
    /// Now, for how long something lasts.
    fn now(&self) -> Instant;

    /// Now, on the calendar.
    fn date(&self) -> SystemTime;
}

/// The clock of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn date(&self) -> SystemTime {
        SystemTime::now()
    }
}

//! Ctrl-C: it stops what can be stopped, such as an answer being written, and otherwise ends the program.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;

use crate::failure::INTERRUPTED;

/// What Ctrl-C stops at the moment.
#[derive(Clone, Default)]
pub(crate) struct Interrupt(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    stop: Option<Box<dyn Fn() + Send>>,
    pressed: bool,
}

impl Interrupt {
    /// Takes over Ctrl-C. Called once.
    pub(crate) fn install() -> anyhow::Result<Self> {
        let interrupt = Self::default();
        let seen = interrupt.clone();
        let pressed = move || {
            if !seen.pressed() {
                std::process::exit(INTERRUPTED.into());
            }
        };
        ctrlc::set_handler(pressed).context("cannot listen for Ctrl-C")?;
        Ok(interrupt)
    }

    /// The first press stops what is being done. `false` where there is nothing to stop, or that was asked before.
    fn pressed(&self) -> bool {
        let mut state = self.state();
        if std::mem::replace(&mut state.pressed, true) {
            return false;
        }
        state.stop.as_ref().is_some_and(|stop| {
            stop();
            true
        })
    }

    /// Does `work`, which ends soon after `stop` was called. Answers with its result and whether Ctrl-C was pressed.
    pub(crate) fn during<T>(
        &self,
        stop: impl Fn() + Send + 'static,
        work: impl FnOnce() -> T,
    ) -> (T, bool) {
        *self.state() = State {
            stop: Some(Box::new(stop)),
            pressed: false,
        };
        let result = work();
        let state = std::mem::take(&mut *self.state());
        (result, state.pressed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn the_first_press_stops_the_work_and_the_second_ends_the_program() {
        let interrupt = Interrupt::default();
        let stops = Arc::new(AtomicUsize::new(0));
        let stop = {
            let stops = stops.clone();
            move || drop(stops.fetch_add(1, Ordering::SeqCst))
        };
        let (presses, pressed) =
            interrupt.during(stop, || [interrupt.pressed(), interrupt.pressed()]);
        assert_eq!(
            (presses, pressed, stops.load(Ordering::SeqCst)),
            ([true, false], true, 1)
        );
    }

    #[test]
    fn a_press_between_two_works_stops_neither() {
        let interrupt = Interrupt::default();
        let (_, pressed) = interrupt.during(|| (), || ());
        assert!(!pressed);
        assert!(!interrupt.pressed(), "nothing to stop, so the program ends");
    }
}

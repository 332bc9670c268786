//! Ctrl-C: it stops what can be stopped, such as an answer being written, and otherwise ends the program.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;

use crate::failure::INTERRUPTED;

/// What Ctrl-C stops at the moment.
#[derive(Clone, Default)]
pub(crate) struct Interrupt(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// What is being done, each inside the one before it: a model may be pulled for an answer.
    stops: Vec<(u64, Box<dyn Fn() + Send>)>,
    /// The name of the next one.
    next: u64,
    pressed: bool,
    /// The program goes on whatever is pressed: a conversation has other ways to end.
    goes_on: bool,
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

    /// From now on Ctrl-C stops what is being done at most, and never the program.
    pub(crate) fn never_end(&self) {
        self.state().goes_on = true;
    }

    /// The first press stops what is being done. Answers whether the program goes on: not where there is nothing to
    /// stop, nor where that was asked before.
    fn pressed(&self) -> bool {
        let mut state = self.state();
        let again = std::mem::replace(&mut state.pressed, true);
        let stops = !again && !state.stops.is_empty();
        if stops {
            state.stops.iter().for_each(|(_, stop)| stop());
        }
        stops || state.goes_on
    }

    /// Does `work`, which ends soon after `stop` was called. Answers with its result and whether Ctrl-C was pressed.
    pub(crate) fn during<T>(
        &self,
        stop: impl Fn() + Send + 'static,
        work: impl FnOnce() -> T,
    ) -> (T, bool) {
        let id = self.begin(Box::new(stop));
        let result = work();
        (result, self.end(id))
    }

    fn begin(&self, stop: Box<dyn Fn() + Send>) -> u64 {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        if state.stops.is_empty() {
            state.pressed = false;
        }
        state.stops.push((id, stop));
        id
    }

    /// Answers whether Ctrl-C was pressed. What is still being done around it will hear of it too.
    fn end(&self, id: u64) -> bool {
        let mut state = self.state();
        state.stops.retain(|(other, _)| *other != id);
        let pressed = state.pressed;
        if state.stops.is_empty() {
            state.pressed = false;
        }
        pressed
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
            move || {
                stops.fetch_add(1, Ordering::SeqCst);
            }
        };
        let (presses, pressed) =
            interrupt.during(stop, || [interrupt.pressed(), interrupt.pressed()]);
        assert_eq!(
            (presses, pressed, stops.load(Ordering::SeqCst)),
            ([true, false], true, 1)
        );
    }

    #[test]
    fn a_press_stops_what_is_done_inside_and_around() {
        let interrupt = Interrupt::default();
        let stops = Arc::new(AtomicUsize::new(0));
        let stop = || {
            let stops = stops.clone();
            move || {
                stops.fetch_add(1, Ordering::SeqCst);
            }
        };
        let inside = || interrupt.during(stop(), || interrupt.pressed());
        let (inner, outer) = interrupt.during(stop(), inside);
        assert_eq!((inner, outer), ((true, true), true));
        assert_eq!(stops.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_press_between_two_works_stops_neither() {
        let interrupt = Interrupt::default();
        let (_, pressed) = interrupt.during(|| (), || ());
        assert!(!pressed);
        assert!(!interrupt.pressed(), "nothing to stop, so the program ends");
        interrupt.never_end();
        assert!(
            interrupt.pressed() && interrupt.pressed(),
            "a conversation goes on"
        );
    }
}

//! Asking what runs to stop.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Asks a running generation to stop; clones share the one flag, and a set flag stays set.
#[derive(Clone, Default)]
pub struct Cancel(Arc<State>);

#[derive(Default)]
struct State {
    set: AtomicBool,
    /// Those to be called when the flag is set.
    hooks: Mutex<Vec<Arc<Hook>>>,
}

/// Emptied when it is called, and when its guard is dropped, whichever comes first.
struct Hook(Mutex<Option<Action>>);

type Action = Box<dyn Fn() + Send + Sync>;

/// Keeps what was handed to [`Cancel::on_cancel`] in place; dropping it takes it away.
///
/// A drop while the hook is being called waits for it: after the drop it does not run any more.
#[must_use = "dropping it takes the hook away at once"]
pub struct CancelHook {
    state: Weak<State>,
    hook: Arc<Hook>,
}

impl Cancel {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag: whoever works under it stops at the next point where it can, within one token.
    ///
    /// The hooks are called here, on the canceller's thread.
    pub fn cancel(&self) {
        self.0.set.store(true, Ordering::Relaxed);
        let hooks = std::mem::take(&mut *lock(&self.0.hooks));
        // Not under the lock of the list: a hook may ask for another, or cancel once more.
        hooks.iter().for_each(|hook| hook.call());
    }

    /// Whether the flag was set.
    pub fn is_cancelled(&self) -> bool {
        self.0.set.load(Ordering::Relaxed)
    }

    /// Has `hook` called once when the flag is set, at once if it is set already: for work that cannot look at the
    /// flag while it runs, but can be stopped from outside.
    ///
    /// A hook must not drop its own guard.
    pub fn on_cancel(&self, hook: Box<dyn Fn() + Send + Sync>) -> CancelHook {
        let hook = Arc::new(Hook(Mutex::new(Some(hook))));
        let mut hooks = lock(&self.0.hooks);
        // Whoever cancels sets the flag and takes this lock then: a hook is in the list that is taken, or sees the flag.
        if self.is_cancelled() {
            drop(hooks);
            hook.call();
        } else {
            hooks.push(Arc::clone(&hook));
        }
        CancelHook {
            state: Arc::downgrade(&self.0),
            hook,
        }
    }
}

impl Hook {
    fn call(&self) {
        let mut action = lock(&self.0);
        if let Some(action) = action.take() {
            action();
        }
    }
}

impl Drop for CancelHook {
    fn drop(&mut self) {
        if let Some(state) = self.state.upgrade() {
            lock(&state.hooks).retain(|hook| !Arc::ptr_eq(hook, &self.hook));
        }
        drop(lock(&self.hook.0).take());
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}

impl fmt::Debug for CancelHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelHook").finish_non_exhaustive()
    }
}

/// The lock, also where a hook panicked while it was called: both values are whole after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// A hook that counts its calls.
    fn counting(cancel: &Cancel) -> (Arc<AtomicUsize>, CancelHook) {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let hook = cancel.on_cancel(Box::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        }));
        (calls, hook)
    }

    #[test]
    fn clones_share_the_flag_and_the_hooks() {
        let cancel = Cancel::new();
        let clone = cancel.clone();
        let (calls, _hook) = counting(&cancel);
        assert!(!clone.is_cancelled());
        clone.cancel();
        assert!(cancel.is_cancelled());
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_hook_is_called_once() {
        let cancel = Cancel::new();
        let (first, _first) = counting(&cancel);
        let (second, _second) = counting(&cancel);
        cancel.cancel();
        cancel.cancel();
        let calls = [first, second].map(|calls| calls.load(Ordering::Relaxed));
        assert_eq!(calls, [1, 1]);
    }

    #[test]
    fn a_hook_that_comes_late_is_called_at_once() {
        let cancel = Cancel::new();
        cancel.cancel();
        let (calls, _hook) = counting(&cancel);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        cancel.cancel();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_hook_is_not_called_without_its_guard() {
        let cancel = Cancel::new();
        let (dropped, hook) = counting(&cancel);
        let (kept, _kept) = counting(&cancel);
        drop(hook);
        assert_eq!(lock(&cancel.0.hooks).len(), 1, "nothing is left of it");
        cancel.cancel();
        let calls = [dropped, kept].map(|calls| calls.load(Ordering::Relaxed));
        assert_eq!(calls, [0, 1]);
    }

    #[test]
    fn a_hook_may_cancel_and_ask_for_another() {
        let cancel = Cancel::new();
        let inner = cancel.clone();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let _hook = cancel.on_cancel(Box::new(move || {
            inner.cancel();
            let (late, _late) = counting(&inner);
            counted.fetch_add(1 + late.load(Ordering::Relaxed), Ordering::Relaxed);
        }));
        cancel.cancel();
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_guard_may_outlive_its_flag() {
        let (calls, hook) = counting(&Cancel::new());
        drop(hook);
        assert_eq!(calls.load(Ordering::Relaxed), 0);
    }
}

//! The threads that a model is computed on.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crew::{Crew, is_busy, lock};

mod crew;

/// A fixed number of threads that share out the tasks of one job at a time.
///
/// The thread that brings a job works on it too, so a pool of one starts none. Threads without work
/// sleep, after a moment of spinning, and waking them takes longer than many a job: whoever brings
/// jobs one after the other keeps them [awake](Pool::awake).
pub struct Pool {
    crew: Arc<Crew>,
    workers: Vec<JoinHandle<()>>,
    /// Held by the thread whose job is being worked on.
    turn: Mutex<()>,
}

/// Keeps the threads of a pool [awake](Pool::awake) until it is dropped.
#[must_use = "the threads may sleep again when this is dropped"]
pub struct Awake<'a> {
    crew: &'a Crew,
}

impl Pool {
    /// A pool in which `threads` threads work, the caller's among them; at least one does. Where
    /// the system refuses to start as many, there are fewer.
    pub fn new(threads: usize) -> Pool {
        let wanted = threads.saturating_sub(1);
        let crew = Arc::new(Crew::new(wanted));
        let start = |number: usize| {
            let crew = Arc::clone(&crew);
            thread::Builder::new()
                .name(format!("kernels-{number}"))
                .spawn(move || crew.serve(number))
                .ok()
        };
        let workers = (1..=wanted).map_while(start).collect();
        Pool {
            crew,
            workers,
            turn: Mutex::new(()),
        }
    }

    /// How many threads work on a job.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Wakes all threads, and has them wait for jobs without sleeping as long as anyone holds what
    /// this returns. A job then begins within a microsecond on each of them, at the price of
    /// processors that are never idle, so it is for the time of one forward.
    pub fn awake(&self) -> Awake<'_> {
        self.crew.keep_awake();
        Awake { crew: &self.crew }
    }

    /// Calls `f` once with each number below `tasks`, on any thread and in any order, and returns
    /// when all calls have. A panic in one of them is passed on, and the tasks not yet begun are
    /// left out.
    ///
    /// Called from inside a task it runs everything on the spot; called from several threads at
    /// once, the jobs take turns.
    pub fn for_each(&self, tasks: usize, f: impl Fn(usize) + Sync) {
        if tasks <= 1 || self.workers.is_empty() || is_busy() {
            return (0..tasks).for_each(f);
        }
        for start in (0..tasks).step_by(Crew::MOST_TASKS) {
            let turn = lock(&self.turn);
            let tasks = (tasks - start).min(Crew::MOST_TASKS);
            // SAFETY: we hold `turn`, and the number of tasks was just limited.
            let panic = unsafe { self.crew.run(tasks, &|task| f(start + task)) };
            drop(turn);
            if let Some(panic) = panic {
                resume_unwind(panic);
            }
        }
    }

    /// Calls `f` with each piece of `data` of length `chunk`, the last maybe shorter, and its number.
    ///
    /// # Panics
    /// When `chunk` is 0, and when `f` does.
    pub fn chunks_mut<T: Send>(
        &self,
        data: &mut [T],
        chunk: usize,
        f: impl Fn(usize, &mut [T]) + Sync,
    ) {
        assert!(chunk > 0, "chunks have at least one element");
        let len = data.len();
        let base = Base(data.as_mut_ptr());
        self.for_each(len.div_ceil(chunk), |i| {
            let start = i * chunk;
            // SAFETY: `i * chunk < len` by the number of tasks; pieces do not overlap, each number
            // comes once, and `data` is borrowed until all calls have returned.
            let piece = unsafe {
                std::slice::from_raw_parts_mut(base.get().add(start), chunk.min(len - start))
            };
            f(i, piece);
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.crew.stop();
        for worker in self.workers.drain(..) {
            // A worker catches the panics of tasks and has none of its own.
            let _ = worker.join();
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("threads", &self.threads())
            .finish()
    }
}

impl Drop for Awake<'_> {
    fn drop(&mut self) {
        self.crew.rest();
    }
}

impl std::fmt::Debug for Awake<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Awake").finish_non_exhaustive()
    }
}

/// A pointer that tasks may share; each takes another part of what it points to.
struct Base<T>(*mut T);

impl<T> Base<T> {
    // A method, so that closures capture the wrapper and not the pointer in it.
    fn get(&self) -> *mut T {
        self.0
    }
}

// SAFETY: all that is done with it is to make slices that do not overlap, each for one thread.
unsafe impl<T: Send> Sync for Base<T> {}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests;

#[cfg(all(test, target_family = "wasm"))]
#[test]
fn without_threads_the_caller_does_it_all() {
    let pool = Pool::new(4);
    let _awake = pool.awake();
    assert_eq!(pool.threads(), 1);
    let mut data = [0; 10];
    pool.chunks_mut(&mut data, 3, |i, piece| piece.fill(i));
    assert_eq!(data, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]);
}

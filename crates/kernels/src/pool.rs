//! The threads that a model is computed on.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a thread without work spins before it is parked. The pauses between the products of
/// one token are shorter, those between tokens mostly longer.
const SPIN: Duration = Duration::from_micros(150);

/// A fixed number of threads that share out the tasks of one job at a time.
///
/// The thread that brings a job works on it too, so a pool of one starts none. Threads spin for a
/// moment after a job, since the next product of the same token follows at once, and are then
/// parked: an idle pool costs nothing.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held by the thread whose job is being worked on.
    turn: Mutex<()>,
}

struct Shared {
    /// The number of the latest job, whether it may still be joined, and how many have joined it.
    state: AtomicU64,
    /// Written only while no job may be joined and none who joined is left.
    job: UnsafeCell<Job>,
    next_task: AtomicUsize,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    parked: Vec<AtomicBool>,
    stop: AtomicBool,
}

/// A closure whose type is forgotten, with the number of tasks to call it for.
#[derive(Clone, Copy)]
struct Job {
    data: *const (),
    call: unsafe fn(*const (), usize),
    tasks: usize,
}

// SAFETY: `job` is written by the one thread that holds `turn`, while the state lets nobody join and
// nobody is joined, and read only by those who joined. Its closure is `Sync`.
unsafe impl Sync for Shared {}
// SAFETY: as above; the pointer in `job` is not tied to a thread.
unsafe impl Send for Shared {}

const OPEN: u64 = 1 << 31;
const JOINED: u64 = OPEN - 1;
const NUMBER: u64 = !(OPEN | JOINED);
const NEXT_NUMBER: u64 = OPEN << 1;

thread_local! {
    /// Set while this thread works on a task: jobs brought from inside one run at once and alone.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

impl Pool {
    /// A pool in which `threads` threads work, the caller's among them; at least one does. Where
    /// the system refuses to start as many, there are fewer.
    pub fn new(threads: usize) -> Pool {
        let wanted = threads.saturating_sub(1);
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            job: UnsafeCell::new(Job {
                data: std::ptr::null(),
                call: no_task,
                tasks: 0,
            }),
            next_task: AtomicUsize::new(0),
            panic: Mutex::new(None),
            parked: (0..wanted).map(|_| AtomicBool::new(false)).collect(),
            stop: AtomicBool::new(false),
        });
        let start = |index: usize| {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name(format!("kernels-{index}"))
                .spawn(move || shared.work(index))
                .ok()
        };
        let workers = (0..wanted).map_while(start).collect();
        Pool {
            shared,
            workers,
            turn: Mutex::new(()),
        }
    }

    /// How many threads work on a job.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `f` once with each number below `tasks`, on any thread and in any order, and returns
    /// when all calls have. A panic in one of them is passed on, and the tasks not yet begun are
    /// left out.
    ///
    /// Called from inside a task it runs everything on the spot; called from several threads at
    /// once, the jobs take turns.
    pub fn for_each(&self, tasks: usize, f: impl Fn(usize) + Sync) {
        if tasks <= 1 || self.workers.is_empty() || BUSY.get() {
            (0..tasks).for_each(f);
        } else {
            self.share(tasks, &f);
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

    fn share<F: Fn(usize) + Sync>(&self, tasks: usize, f: &F) {
        // SAFETY (of the calls): `data` is the `F` that the job was made of, borrowed until `share` returns.
        unsafe fn call<F: Fn(usize)>(data: *const (), task: usize) {
            // SAFETY: see above.
            unsafe { (*data.cast::<F>())(task) }
        }
        let turn = lock(&self.turn);
        let shared = &*self.shared;
        let job = Job {
            data: (&raw const *f).cast(),
            call: call::<F>,
            tasks,
        };
        // SAFETY: we hold `turn`, and the last job was closed and left by all before `turn` was given up.
        unsafe { *shared.job.get() = job };
        shared.next_task.store(0, Ordering::Relaxed);
        let number = (shared.state.load(Ordering::Relaxed) & NUMBER).wrapping_add(NEXT_NUMBER);
        shared.state.store(number | OPEN, Ordering::SeqCst);
        self.wake(tasks - 1);

        shared.run_tasks(job);

        shared.state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut spins = 0_u32;
        while shared.state.load(Ordering::Acquire) & JOINED != 0 {
            spins += 1;
            pause(spins);
        }
        let panic = lock(&shared.panic).take();
        drop(turn);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    fn wake(&self, at_most: usize) {
        for (worker, parked) in self.workers.iter().zip(&self.shared.parked).take(at_most) {
            if parked.load(Ordering::SeqCst) {
                worker.thread().unpark();
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
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

impl Shared {
    /// What a worker does until the pool is dropped.
    fn work(&self, index: usize) {
        let mut seen = 0;
        while let Some(number) = self.wait(index, seen) {
            seen = number;
            if self.join(number) {
                // SAFETY: whoever joined holds the job back from being overwritten until they leave.
                self.run_tasks(unsafe { *self.job.get() });
                self.state.fetch_sub(1, Ordering::Release);
            }
        }
    }

    /// Waits for a job after number `seen`; `None` when the pool is dropped.
    fn wait(&self, index: usize, seen: u64) -> Option<u64> {
        let parked = &self.parked[index];
        let mut spins = 0_u32;
        let mut since = None;
        loop {
            if self.stop.load(Ordering::SeqCst) {
                return None;
            }
            let state = self.state.load(Ordering::SeqCst);
            if state & OPEN != 0 && state & NUMBER != seen {
                parked.store(false, Ordering::Relaxed);
                return Some(state & NUMBER);
            }
            if parked.load(Ordering::Relaxed) {
                // Whoever opens a job after the look above sees the flag and unparks, and unparking
                // before parking is not lost.
                thread::park();
                continue;
            }
            spins += 1;
            pause(spins);
            if spins.is_multiple_of(64) && since.get_or_insert_with(Instant::now).elapsed() > SPIN {
                parked.store(true, Ordering::SeqCst);
            }
        }
    }

    /// Joins the job with this number unless it has been closed.
    fn join(&self, number: u64) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        while state & NUMBER == number && state & OPEN != 0 {
            match self.state.compare_exchange_weak(
                state,
                state + 1,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    fn run_tasks(&self, job: Job) {
        BUSY.set(true);
        let result = catch_unwind(AssertUnwindSafe(|| {
            loop {
                let task = self.next_task.fetch_add(1, Ordering::Relaxed);
                if task >= job.tasks {
                    break;
                }
                // SAFETY: the job is joined, or our own, so its closure is still borrowed.
                unsafe { (job.call)(job.data, task) };
            }
        }));
        BUSY.set(false);
        if let Err(panic) = result {
            self.next_task.store(job.tasks, Ordering::Relaxed);
            lock(&self.panic).get_or_insert(panic);
        }
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

/// The job before the first.
fn no_task(_: *const (), _: usize) {}

/// Spins, and lets other threads have the processor now and then, for there may be fewer
/// processors than threads.
fn pause(spins: u32) {
    if spins.is_multiple_of(256) {
        thread::yield_now();
    } else {
        std::hint::spin_loop();
    }
}

/// Poisoning says nothing here: no lock is held while a task runs that could leave data half made.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

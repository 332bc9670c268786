//! What the threads of a pool share: the job at hand, and who of them sleeps.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long a thread without work spins before it sleeps, unless it is kept awake.
const SPIN: Duration = Duration::from_micros(20);

/// The threads are numbered from 0, which is whoever brings the job.
///
/// What is written often lies apart from what is read often: threads that spin would otherwise slow
/// down the ones that work.
pub(super) struct Crew {
    job: Apart<Job>,
    finished: Apart<Finished>,
    orders: Apart<Orders>,
    /// Of every thread but number 0.
    beds: Box<[Apart<Bed>]>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// Alone in its cache lines: processors fetch them in pairs, or have lines of 128 bytes.
#[repr(align(128))]
struct Apart<T>(T);

struct Job {
    tickets: AtomicU64,
    /// Written only when all tasks of the job before are finished.
    work: UnsafeCell<Work>,
}

/// How many tasks the job has, and below it the number of the next one to be claimed. It grows past
/// the end by no more than there are threads.
#[derive(Clone, Copy)]
struct Tickets(u64);

/// A closure whose type is forgotten.
#[derive(Clone, Copy)]
struct Work {
    data: *const (),
    call: unsafe fn(*const (), usize),
}

struct Finished {
    /// Of the tasks of this job.
    tasks: AtomicU32,
    panicked: AtomicBool,
}

struct Orders {
    /// How many hold the threads awake.
    awake: AtomicUsize,
    stop: AtomicBool,
}

struct Bed {
    asleep: AtomicBool,
    thread: OnceLock<Thread>,
}

// SAFETY: `work` is written by the one thread that brings a job, while no task is left of the one before,
// and read only by threads with a task of the job that is not finished. Its closure is `Sync`.
unsafe impl Sync for Crew {}
// SAFETY: as above; the pointer in `work` is not tied to a thread.
unsafe impl Send for Crew {}

thread_local! {
    /// Set while this thread works on a task: jobs brought from inside one run at once and alone.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread works on a task.
pub(super) fn is_busy() -> bool {
    BUSY.get()
}

impl Crew {
    /// Of a thread that brings jobs and `workers` others.
    pub(super) fn new(workers: usize) -> Crew {
        let bed = |_| {
            Apart(Bed {
                asleep: AtomicBool::new(false),
                thread: OnceLock::new(),
            })
        };
        Crew {
            job: Apart(Job {
                tickets: AtomicU64::new(0),
                work: UnsafeCell::new(Work {
                    data: std::ptr::null(),
                    call: no_task,
                }),
            }),
            finished: Apart(Finished {
                tasks: AtomicU32::new(0),
                panicked: AtomicBool::new(false),
            }),
            orders: Apart(Orders {
                awake: AtomicUsize::new(0),
                stop: AtomicBool::new(false),
            }),
            beds: (0..workers).map(bed).collect(),
            panic: Mutex::new(None),
        }
    }

    /// The most tasks that a job can have.
    pub(super) const MOST_TASKS: usize = 1 << 31;

    /// Works through a job of at least one task with all threads, and returns when it is done, with what
    /// a task panicked with.
    ///
    /// # Safety
    /// No other thread is in here, and there are at most [`MOST_TASKS`](Crew::MOST_TASKS).
    pub(super) unsafe fn run<F: Fn(usize) + Sync>(
        &self,
        tasks: usize,
        f: &F,
    ) -> Option<Box<dyn Any + Send>> {
        // SAFETY (of the calls): `data` is the `F` that the job was made of, borrowed until `run` returns.
        unsafe fn call<F: Fn(usize)>(data: *const (), task: usize) {
            // SAFETY: see above.
            unsafe { (*data.cast::<F>())(task) }
        }
        let work = Work {
            data: (&raw const *f).cast(),
            call: call::<F>,
        };
        // SAFETY: the caller lets nobody else bring a job, and all tasks of the last were finished.
        unsafe { *self.job.0.work.get() = work };
        let finished = &self.finished.0;
        finished.tasks.store(0, Ordering::Relaxed);
        // The first task is our own.
        let tickets = Tickets::new(tasks as u32, 1);
        self.job.0.tickets.store(tickets.0, Ordering::SeqCst);
        self.wake_next(0, tasks);

        self.work_from(0);

        let mut spins = Spins::default();
        while finished.tasks.load(Ordering::Acquire) != tasks as u32 {
            spins.spin();
        }
        if !finished.panicked.load(Ordering::Relaxed) {
            return None;
        }
        finished.panicked.store(false, Ordering::Relaxed);
        lock(&self.panic).take()
    }

    /// What each thread but number 0 does until it is told to stop.
    pub(super) fn serve(&self, number: usize) {
        // Set before the bed is used, and never twice.
        let _ = self.bed(number).thread.set(thread::current());
        while let Some(tickets) = self.wait(number) {
            if tickets.left() > 1 {
                self.wake_next(number, tickets.tasks());
            }
            self.work_from(tickets.next());
        }
    }

    /// Wakes all threads and has them spin until as many calls of [`rest`](Crew::rest) came.
    pub(super) fn keep_awake(&self) {
        if self.orders.0.awake.fetch_add(1, Ordering::SeqCst) == 0 {
            self.wake_next(0, usize::MAX);
        }
    }

    pub(super) fn rest(&self) {
        self.orders.0.awake.fetch_sub(1, Ordering::SeqCst);
    }

    pub(super) fn stop(&self) {
        self.orders.0.stop.store(true, Ordering::SeqCst);
        for number in 1..=self.beds.len() {
            self.wake(number);
        }
    }

    /// How many threads sleep.
    #[cfg(all(test, not(target_family = "wasm")))]
    pub(super) fn asleep(&self) -> usize {
        let asleep = |bed: &&Apart<Bed>| bed.0.asleep.load(Ordering::SeqCst);
        self.beds.iter().filter(asleep).count()
    }

    /// Waits for a task for thread `number` and claims it; `None` when it is to stop.
    fn wait(&self, number: usize) -> Option<Tickets> {
        let orders = &self.orders.0;
        let (mut spins, mut kept_awake) = (Spins::default(), false);
        loop {
            if orders.stop.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(tickets) = self.claim(number) {
                return Some(tickets);
            }
            if orders.awake.load(Ordering::Relaxed) > 0 {
                // Again and again, for they may have fallen asleep between two who hold us awake.
                if spins.count.is_multiple_of(64) {
                    self.wake_next(number, usize::MAX);
                }
                kept_awake = true;
            } else if kept_awake || spins.are_over() {
                self.sleep(number);
                (spins, kept_awake) = (Spins::default(), false);
                continue;
            }
            spins.spin();
        }
    }

    /// Claims the next task, if there is one, for thread `number`: a job of few tasks is for the
    /// first threads, which then find in their caches what they worked on before.
    #[inline]
    fn claim(&self, number: usize) -> Option<Tickets> {
        let tickets = &self.job.0.tickets;
        let is_for_us = |tickets: Tickets| tickets.left() > 0 && tickets.tasks() > number;
        // A look first, which leaves the line with everyone who looks.
        if !is_for_us(Tickets(tickets.load(Ordering::Relaxed))) {
            return None;
        }
        // Whatever came between, what was claimed is what the same access found.
        let claimed = Tickets(tickets.fetch_add(1, Ordering::Acquire));
        (claimed.left() > 0).then_some(claimed)
    }

    /// Works on a task that was claimed and on all that can be claimed after it, and then counts them.
    fn work_from(&self, first: usize) {
        // SAFETY: the job stays until all its tasks are counted, and the first is not yet.
        let work = unsafe { *self.job.0.work.get() };
        let (mut task, mut done) = (first, 0);
        BUSY.set(true);
        let result = catch_unwind(AssertUnwindSafe(|| {
            loop {
                done += 1;
                // SAFETY: the job's closure is borrowed until all tasks are counted.
                unsafe { (work.call)(work.data, task) };
                match self.claim(0) {
                    Some(next) => task = next.next(),
                    None => break,
                }
            }
        }));
        BUSY.set(false);
        if let Err(panic) = result {
            // Nobody gets the rest of the tasks, so they count as finished.
            let none = Tickets::new(0, 0);
            let before = Tickets(self.job.0.tickets.swap(none.0, Ordering::Relaxed));
            done += before.left();
            lock(&self.panic).get_or_insert(panic);
            self.finished.0.panicked.store(true, Ordering::Relaxed);
        }
        self.finished.0.tasks.fetch_add(done, Ordering::Release);
    }

    fn sleep(&self, number: usize) {
        let bed = self.bed(number);
        bed.asleep.store(true, Ordering::SeqCst);
        // Whoever gives an order or brings a job after the look at them sees that we are asleep.
        // Unparking that comes before parking is not lost.
        while bed.asleep.load(Ordering::SeqCst) {
            if self.is_wanted(number) {
                bed.asleep.store(false, Ordering::SeqCst);
            } else {
                thread::park();
            }
        }
    }

    fn is_wanted(&self, number: usize) -> bool {
        let tickets = Tickets(self.job.0.tickets.load(Ordering::SeqCst));
        self.orders.0.stop.load(Ordering::SeqCst)
            || self.orders.0.awake.load(Ordering::SeqCst) > 0
            || (tickets.left() > 0 && tickets.tasks() > number)
    }

    /// Each thread wakes two others, so that many are up soon; of those below `end`.
    fn wake_next(&self, number: usize, end: usize) {
        let next = 2 * number + 1;
        for number in next..end.min(next + 2).min(self.beds.len() + 1) {
            self.wake(number);
        }
    }

    fn wake(&self, number: usize) {
        let bed = self.bed(number);
        if bed.asleep.load(Ordering::SeqCst)
            && bed.asleep.swap(false, Ordering::SeqCst)
            && let Some(thread) = bed.thread.get()
        {
            thread.unpark();
        }
    }

    fn bed(&self, number: usize) -> &Bed {
        &self.beds[number - 1].0
    }
}

impl Tickets {
    fn new(tasks: u32, next: u32) -> Tickets {
        Tickets(u64::from(tasks) << 32 | u64::from(next))
    }

    fn tasks(self) -> usize {
        (self.0 >> 32) as usize
    }

    fn next(self) -> usize {
        self.0 as u32 as usize
    }

    fn left(self) -> u32 {
        ((self.0 >> 32) as u32).saturating_sub(self.0 as u32)
    }
}

/// How long a thread has been waiting.
#[derive(Default)]
struct Spins {
    count: u32,
    since: Option<Instant>,
}

impl Spins {
    /// Waits a moment. There may be fewer processors than threads, so others get ours now and then,
    /// and soon more often: whoever waits for long waits for one that does not run.
    fn spin(&mut self) {
        self.count = self.count.saturating_add(1);
        let turns = if self.count < 4096 { 256 } else { 32 };
        if self.count.is_multiple_of(turns) {
            thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    }

    /// Whether that was long enough; the clock is asked now and then.
    fn are_over(&mut self) -> bool {
        self.count.is_multiple_of(32)
            && self.since.get_or_insert_with(Instant::now).elapsed() > SPIN
    }
}

/// The job before the first.
fn no_task(_: *const (), _: usize) {}

/// Poisoning says nothing here: no lock is held while a task runs that could leave data half made.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

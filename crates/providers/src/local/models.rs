//! Loaded models: a thread for each, and no more of them than there is room for.

use std::iter;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use inhouse_backends::Options;
use inhouse_engine::MemoryEstimate;

use super::choice::Place;
use super::error::CannotRun;
use super::job::Job;
use super::loaded::Loaded;

/// So many models are kept at most.
const MOST: usize = 2;

/// Tokens of the conversation that a model's need is counted with.
const CONVERSATION: usize = 4096;

/// Bytes of a thread's stack: what the main thread of a program usually has. Templates nest.
const STACK: usize = 8 << 20;

/// The models that are loaded, or being loaded.
pub(super) struct Models {
    options: Options,
    workers: Workers,
}

/// The one that was asked last is the first.
type Workers = Arc<Mutex<Vec<Worker>>>;

/// The thread of a model. It ends when nobody can hand it jobs any more and all that it has are done.
struct Worker {
    key: PathBuf,
    /// Bytes the model takes, as estimated.
    bytes: u64,
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

/// What a thread begins with.
struct Start {
    place: Place,
    options: Options,
    /// Threads of models that make room.
    leaving: Vec<JoinHandle<()>>,
    jobs: Receiver<Job>,
    /// To leave them where loading fails. They hold the sender of these jobs, which are to end some time.
    workers: Weak<Mutex<Vec<Worker>>>,
}

impl Models {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            workers: Workers::default(),
        }
    }

    /// Hands `job` to the thread of the model in `place`, which loads it where nobody has yet.
    ///
    /// # Errors
    ///
    /// Where there cannot be another thread.
    pub(super) fn hand(&self, place: Place, job: Job) -> Result<(), CannotRun> {
        let mut workers = lock(&self.workers);
        let at = workers.iter().position(|worker| worker.key == place.key);
        let job = match at.map(|at| workers.remove(at)) {
            None => job,
            Some(worker) => match worker.jobs.send(job) {
                Ok(()) => {
                    workers.insert(0, worker);
                    return Ok(());
                }
                Err(mpsc::SendError(job)) => job, // its thread died: another one begins anew
            },
        };
        let worker = self.begin(place, &mut workers)?;
        // The thread cannot end before it was handed a job: it holds the receiver until it has this lock.
        let _ = worker.jobs.send(job);
        workers.insert(0, worker);
        Ok(())
    }

    /// The folders of the models, the one that was asked last first.
    #[cfg(test)]
    pub(super) fn kept(&self) -> Vec<PathBuf> {
        let workers = lock(&self.workers);
        workers.iter().map(|worker| worker.key.clone()).collect()
    }

    fn begin(&self, place: Place, workers: &mut Vec<Worker>) -> Result<Worker, CannotRun> {
        let bytes = self.estimate(&place.folder);
        let key = place.key.clone();
        let (jobs, received) = mpsc::channel();
        let start = Start {
            leaving: self.make_room(workers, bytes),
            options: self.options.clone(),
            jobs: received,
            workers: Arc::downgrade(&self.workers),
            place,
        };
        let named = thread::Builder::new()
            .name("inhouse-model".to_owned())
            .stack_size(STACK);
        let thread = named.spawn(|| start.run());
        let thread = thread.map_err(|error| {
            CannotRun::new(format!("there cannot be another thread for it: {error}"))
        })?;
        Ok(Worker {
            key,
            bytes,
            jobs,
            thread,
        })
    }

    /// Lets go of those that were not asked for longest; their memory is free when their threads have ended.
    fn make_room(&self, workers: &mut Vec<Worker>, bytes: u64) -> Vec<JoinHandle<()>> {
        let available = self.options.load.available_memory.unwrap_or(u64::MAX);
        let mut leaving = Vec::new();
        while workers.len() >= MOST || in_all(workers, bytes) > available {
            let Some(worker) = workers.pop() else { break };
            leaving.push(worker.thread);
        }
        leaving
    }

    /// A folder that cannot be read takes nothing: loading it will say what is wrong.
    fn estimate(&self, folder: &Path) -> u64 {
        MemoryEstimate::of_folder(folder, self.options.load.kv)
            .map_or(0, |estimate| estimate.total(CONVERSATION))
    }
}

impl Start {
    fn run(self) {
        let Self {
            place,
            options,
            leaving,
            jobs,
            workers,
        } = self;
        for thread in leaving {
            let _ = thread.join(); // that it panicked is not this model's concern
        }
        let mut waiting = jobs.recv().ok();
        while let Some(first) = waiting {
            waiting = match Loaded::open(&place, &options) {
                Ok(loaded) => answer_all(loaded, first, &jobs),
                Err(error) => {
                    first.refuse(error.clone());
                    refuse_all(&error, &jobs, &workers);
                    None
                }
            };
        }
    }
}

/// Answers until nobody can ask any more, or the model must be loaded anew: then for the job that is given back.
fn answer_all(mut loaded: Loaded, first: Job, jobs: &Receiver<Job>) -> Option<Job> {
    for job in iter::once(first).chain(jobs) {
        if loaded.answer(job).is_break() {
            drop(loaded); // its memory is not to wait for the next one to ask
            return jobs.recv().ok();
        }
    }
    None
}

/// The next one to ask tries again.
fn refuse_all(error: &CannotRun, jobs: &Receiver<Job>, workers: &Weak<Mutex<Vec<Worker>>>) {
    let workers = workers.upgrade();
    let mut workers = workers.as_deref().map(lock);
    if let Some(workers) = &mut workers {
        let own = thread::current().id();
        workers.retain(|worker| worker.thread.thread().id() != own);
    }
    // Jobs are handed over under the lock, so none comes after these.
    jobs.try_iter().for_each(|job| job.refuse(error.clone()));
}

fn in_all(workers: &[Worker], bytes: u64) -> u64 {
    workers
        .iter()
        .map(|worker| worker.bytes)
        .fold(bytes, u64::saturating_add)
}

/// The lock, also where a thread panicked while it had it: the list is whole after every statement.
fn lock(workers: &Mutex<Vec<Worker>>) -> MutexGuard<'_, Vec<Worker>> {
    workers.lock().unwrap_or_else(PoisonError::into_inner)
}

//! What a pull tells whoever watches it, and how it is stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Something that happened during a pull.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// What is about to be fetched: how many files, how many bytes in all, and how many of these are here already.
    Plan {
        /// Number of files.
        files: usize,
        /// Their size together.
        bytes: u64,
        /// How many of these bytes are on the disk already.
        present: u64,
    },
    /// A file's download begins.
    FileStarted {
        /// The file's name.
        file: &'a str,
        /// Its size, where that is known.
        size: Option<u64>,
        /// How many bytes of it are here already.
        present: u64,
    },
    /// More bytes of a file have arrived.
    Bytes {
        /// The file's name.
        file: &'a str,
        /// How many more.
        count: u64,
    },
    /// What was here of a file is of no use: it is counted from nothing again.
    FileRestarted {
        /// The file's name.
        file: &'a str,
        /// Why.
        why: &'a str,
    },
    /// A file on the disk is read to check it.
    Verifying {
        /// The file's name.
        file: &'a str,
        /// How many bytes are read.
        size: u64,
    },
    /// A file is complete, verified and in its place.
    FileDone {
        /// The file's name.
        file: &'a str,
    },
    /// A model file is being converted.
    Converting {
        /// Bytes done.
        done: u64,
        /// Bytes in all; 0 before that is known.
        total: u64,
        /// What is being worked on.
        what: &'a str,
    },
    /// Something failed and is tried again after a wait.
    Retrying {
        /// What is tried again: a file's name or a question to the hub.
        what: &'a str,
        /// The attempt that comes next, counted from 1.
        attempt: u32,
        /// How many attempts there are at most.
        of: u32,
        /// How long it waits before.
        wait: Duration,
        /// What failed.
        why: &'a str,
    },
    /// Something worth saying.
    Note(&'a str),
}

/// Hears [`Event`]s. Several threads call it, so it takes `&self`.
pub trait ProgressSink: Sync {
    /// Called for each event, from the thread on which it happened. It should return quickly.
    fn event(&self, event: &Event<'_>);
}

impl<F: Fn(&Event<'_>) + Sync> ProgressSink for F {
    fn event(&self, event: &Event<'_>) {
        self(event);
    }
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl ProgressSink for Silent {
    fn event(&self, _: &Event<'_>) {}
}

/// A flag that stops a pull at its next read. Clones share the flag.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the flag is set.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

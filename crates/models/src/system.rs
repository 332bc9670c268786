//! What the store needs of the machine, so that tests can stand in for it.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

/// Clock, sleep, free space and file writing.
pub trait System: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Waits.
    fn sleep(&self, time: Duration);

    /// Bytes that may still be written to the file system of `path`, which exists.
    fn free_space(&self, path: &Path) -> io::Result<u64>;

    /// Opens a file for writing at its end, creating it when it is not there.
    fn append(&self, path: &Path) -> io::Result<Box<dyn Write + Send>> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Box::new(file))
    }
}

/// The machine itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealSystem;

impl System for RealSystem {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        fs4::available_space(path)
    }
}

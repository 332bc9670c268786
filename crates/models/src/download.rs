//! One file: fetched from where it stopped, checked, and only then put in its place.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{IoContext, StoreError, StoreErrorKind};
use crate::hash::{Expected, Hasher, Hashes};
use crate::http::{self, Context, Reply, Subject};
use crate::progress::Event;
use crate::retry::{Attempts, Failure};

/// A file to fetch.
pub(crate) struct Job<'a> {
    /// Its name, for events and errors.
    pub(crate) label: &'a str,
    pub(crate) url: String,
    pub(crate) subject: Subject<'a>,
    /// Where it grows, and where it goes when it is whole. On one file system.
    pub(crate) partial: PathBuf,
    pub(crate) place: PathBuf,
    /// Its size, which is held to.
    pub(crate) size: Option<u64>,
    /// Its size as far as one was told, for those who watch.
    pub(crate) likely_size: Option<u64>,
    pub(crate) expected: Option<Expected>,
}

/// A file that is in its place.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) size: u64,
    pub(crate) sha256: String,
    /// What the server called this version of it.
    pub(crate) etag: Option<String>,
}

/// So many more bytes and a connection counts as having got further.
const PROGRESS: u64 = 1 << 20;

/// Fetches a file, verifies it and puts it in its place.
pub(crate) fn fetch(context: &Context<'_>, job: &Job<'_>) -> Result<Fetched, StoreError> {
    let mut transfer = Transfer::open(context, job)?;
    context.sink.event(&Event::FileStarted {
        file: job.label,
        size: job.size.or(job.likely_size),
        present: transfer.offset,
    });
    loop {
        transfer.run()?;
        let hashes = transfer.hashes();
        let Some(wrong) = mismatch(job, &hashes) else {
            return transfer.put_in_place(hashes);
        };
        let resumed = transfer.resumed;
        transfer.restart("what was here of it was damaged")?;
        if !resumed {
            transfer.forget();
            return Err(wrong);
        }
    }
}

fn mismatch(job: &Job<'_>, hashes: &Hashes) -> Option<StoreError> {
    let expected = job.expected.as_ref()?;
    let found = hashes.like(expected);
    (found != expected.text()).then(|| {
        StoreError::new(
            StoreErrorKind::Corrupt,
            format!(
                "{} came with the wrong {}: expected {}, found {found}; the file was removed, pull again, \
                 and do not trust the source if this stays",
                job.label,
                expected.algorithm(),
                expected.text(),
            ),
        )
    })
}

/// Makes a whole file a partial one again, so that the next pull asks whether it is still current instead of fetching
/// it again. Best effort: without it the next pull fetches more.
pub(crate) fn keep(job: &Job<'_>, fetched: &Fetched) {
    let known = fetched
        .etag
        .as_ref()
        .is_some_and(|etag| fs::write(validator_path(job), etag).is_ok());
    if known || job.expected.is_some() {
        fs::rename(&job.place, &job.partial).ok();
    }
}

/// The partial file of a place: the hub's Python library calls it so as well.
pub(crate) fn partial_of(place: &Path) -> PathBuf {
    with_suffix(place, ".incomplete")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

struct Transfer<'a> {
    context: &'a Context<'a>,
    job: &'a Job<'a>,
    offset: u64,
    hasher: Hasher,
    file: Box<dyn Write + Send>,
    /// The version that the bytes so far belong to.
    validator: Option<String>,
    /// Whether bytes of an earlier run are among those so far.
    resumed: bool,
}

impl<'a> Transfer<'a> {
    fn open(context: &'a Context<'a>, job: &'a Job<'a>) -> Result<Self, StoreError> {
        if let Some(folder) = job.partial.parent() {
            fs::create_dir_all(folder).at("create the folder", folder)?;
        }
        let validator = fs::read_to_string(validator_path(job)).ok();
        let left = fs::metadata(&job.partial).map_or(0, |metadata| metadata.len());
        let too_long = job.size.is_some_and(|size| left > size);
        // Without a hash to check in the end, only a known version can be continued.
        let useless = too_long || (job.expected.is_none() && validator.is_none());
        if left > 0 && useless {
            fs::remove_file(&job.partial).at("remove", &job.partial)?;
        }
        let mut hasher = Hasher::new(job.expected.as_ref(), job.size);
        let mut offset = 0;
        if left > 0 && !useless {
            context.sink.event(&Event::Verifying {
                file: job.label,
                size: left,
            });
            offset = hasher.update_from(&job.partial, &context.options.cancel)?;
        }
        let file = open(context, &job.partial)?;
        Ok(Self {
            context,
            job,
            offset,
            hasher,
            file,
            validator,
            resumed: offset > 0,
        })
    }

    /// Fetches until the file is whole.
    fn run(&mut self) -> Result<(), StoreError> {
        let mut attempts = Attempts::at_transfer(self.context, self.job.label);
        while self.job.size != Some(self.offset) {
            self.context.check()?;
            let before = self.offset;
            match self.attempt() {
                Ok(()) => break,
                Err(failure) => {
                    if self.offset >= before.saturating_add(PROGRESS) {
                        attempts.progressed();
                    }
                    attempts.failed(failure)?;
                }
            }
        }
        self.file.flush().at("write to", &self.job.partial)
    }

    fn attempt(&mut self) -> Result<(), Failure> {
        let mut headers = Vec::new();
        if self.offset > 0 {
            headers.push(("Range", format!("bytes={}-", self.offset)));
            if let Some(validator) = &self.validator {
                headers.push(("If-Range", format!("\"{validator}\"")));
            }
        }
        let reply = self
            .context
            .client
            .get(&self.job.url, &headers, self.context.options)?;
        if self.offset > 0 && reply.status == 416 {
            return self.beyond_the_end(&reply);
        }
        if let Some(failure) =
            http::status_failure(&reply, &self.job.subject, &self.job.url, self.context)
        {
            return Err(failure);
        }
        self.same_file(&reply)?;
        let end = match reply.status {
            206 => self.continue_at(&reply)?,
            _ => self.begin(&reply)?,
        };
        self.read(reply, end)
    }

    /// Nothing comes after what is here: it is whole, or it is not of this file.
    fn beyond_the_end(&mut self, reply: &Reply) -> Result<(), Failure> {
        let whole = http::text(&reply.headers, "content-range")
            .and_then(|range| range.trim().strip_prefix("bytes */")?.parse().ok());
        if whole == Some(self.offset) {
            return Ok(());
        }
        self.restart("the server has no more of it than is here")?;
        Err(Failure::again("the range is beyond the end"))
    }

    /// The hub's own name for the file must be the one it listed.
    fn same_file(&self, reply: &Reply) -> Result<(), StoreError> {
        let Subject::Hub { .. } = self.job.subject else {
            return Ok(());
        };
        let linked = reply.linked_etag.clone();
        let Some(named) = linked.filter(|etag| Expected::of_blob(etag).is_some()) else {
            return Ok(());
        };
        match &self.job.expected {
            Some(expected) if !expected.text().eq_ignore_ascii_case(&named) => {
                Err(StoreError::new(
                    StoreErrorKind::Server,
                    format!(
                        "{} changed on the hub: listed as {}, offered as {named}; pull again",
                        self.job.label,
                        expected.text()
                    ),
                ))
            }
            _ => Ok(()),
        }
    }

    /// The server goes on where it was asked to. Returns where the file ends.
    fn continue_at(&mut self, reply: &Reply) -> Result<Option<u64>, Failure> {
        let range = http::text(&reply.headers, "content-range").and_then(content_range);
        let version = strong_etag(reply);
        let other = version.is_some() && self.validator.is_some() && version != self.validator;
        match range {
            Some((start, total)) if start == self.offset && !other => {
                self.check_size(total)?;
                self.keep_validator(version)?;
                Ok(total.or(self.job.size))
            }
            _ => {
                let why = if other {
                    "it has changed on the server"
                } else {
                    "the server sent another range"
                };
                self.restart(why)?;
                Err(Failure::again(why))
            }
        }
    }

    /// The server sends the file from its beginning. Returns where the file ends.
    fn begin(&mut self, reply: &Reply) -> Result<Option<u64>, Failure> {
        let length = http::number(&reply.headers, "content-length");
        self.check_size(length)?;
        if self.offset > 0 {
            self.restart("the server sends it from the beginning")?;
        }
        self.keep_validator(strong_etag(reply))?;
        Ok(length.or(self.job.size))
    }

    fn check_size(&self, total: Option<u64>) -> Result<(), StoreError> {
        match (self.job.size, total) {
            (Some(listed), Some(total)) if listed != total => Err(StoreError::new(
                StoreErrorKind::Server,
                format!(
                    "{} should have {listed} bytes, the server offers {total}",
                    self.job.label
                ),
            )),
            _ => Ok(()),
        }
    }

    fn read(&mut self, reply: Reply, end: Option<u64>) -> Result<(), Failure> {
        let mut body = reply.body.into_reader();
        let mut buffer = vec![0; 256 << 10];
        loop {
            self.context.check()?;
            let stall = self.context.options.retry.stall;
            let count = body
                .read(&mut buffer)
                .map_err(|cause| Failure::network(http::io_reason(&cause, stall)))?;
            if count == 0 {
                break;
            }
            self.take(&buffer[..count])?;
        }
        match end {
            Some(end) if self.offset < end => Err(Failure::network(format!(
                "the connection was cut after {} of {end} bytes",
                self.offset
            ))),
            _ => Ok(()),
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let after = self.offset + bytes.len() as u64;
        if let Some(size) = self.job.size.filter(|size| after > *size) {
            return Err(StoreError::new(
                StoreErrorKind::Server,
                format!(
                    "{} should have {size} bytes, the server sends more",
                    self.job.label
                ),
            ));
        }
        self.file
            .write_all(bytes)
            .at("write to", &self.job.partial)?;
        self.hasher.update(bytes);
        self.offset = after;
        self.context.sink.event(&Event::Bytes {
            file: self.job.label,
            count: bytes.len() as u64,
        });
        Ok(())
    }

    /// Drops what is here and begins again.
    fn restart(&mut self, why: &str) -> Result<(), StoreError> {
        self.context.sink.event(&Event::FileRestarted {
            file: self.job.label,
            why,
        });
        fs::remove_file(&self.job.partial).at("remove", &self.job.partial)?;
        fs::remove_file(validator_path(self.job)).ok();
        self.file = open(self.context, &self.job.partial)?;
        self.hasher = Hasher::new(self.job.expected.as_ref(), self.job.size);
        self.offset = 0;
        self.validator = None;
        self.resumed = false;
        Ok(())
    }

    /// Leaves nothing behind.
    fn forget(&self) {
        // What cannot be removed is found too long or wrong by the next pull.
        fs::remove_file(&self.job.partial).ok();
        fs::remove_file(validator_path(self.job)).ok();
    }

    fn keep_validator(&mut self, version: Option<String>) -> Result<(), StoreError> {
        if version.is_none() || version == self.validator {
            return Ok(());
        }
        // With a hash the bytes speak for themselves, and a hub's cache is no place for files of ours.
        if let (None, Some(version)) = (&self.job.expected, &version) {
            let path = validator_path(self.job);
            fs::write(&path, version).at("write to", &path)?;
        }
        self.validator = version;
        Ok(())
    }

    fn hashes(&mut self) -> Hashes {
        let fresh = Hasher::new(self.job.expected.as_ref(), self.job.size);
        std::mem::replace(&mut self.hasher, fresh).finish()
    }

    fn put_in_place(self, hashes: Hashes) -> Result<Fetched, StoreError> {
        let Job {
            partial,
            place,
            label,
            ..
        } = self.job;
        drop(self.file);
        // Renamed before its bytes are on the disk, a power cut could leave a whole-looking empty file.
        File::open(partial)
            .and_then(|file| file.sync_all())
            .at("write to", partial)?;
        fs::rename(partial, place).at("put in its place", place)?;
        fs::remove_file(validator_path(self.job)).ok();
        self.context.sink.event(&Event::FileDone { file: label });
        Ok(Fetched {
            size: self.offset,
            sha256: hashes.sha256,
            etag: self.validator,
        })
    }
}

fn open(context: &Context<'_>, path: &Path) -> Result<Box<dyn Write + Send>, StoreError> {
    context.options.system.append(path).at("write to", path)
}

fn validator_path(job: &Job<'_>) -> PathBuf {
    with_suffix(&job.partial, ".etag")
}

/// A weak etag promises likeness, not equal bytes, so it cannot stand for a version here.
fn strong_etag(reply: &Reply) -> Option<String> {
    let raw = http::text(&reply.headers, "etag")?;
    if raw.trim_start().starts_with("W/") {
        return None;
    }
    http::etag(&reply.headers, "etag")
}

/// `bytes 5-9/10` is (5, 10); the total may be unknown.
fn content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    let total = if total == "*" {
        None
    } else {
        Some(total.parse().ok()?)
    };
    Some((start.parse().ok()?, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        for (value, expected) in [
            ("bytes 5-9/10", Some((5, Some(10)))),
            ("bytes 0-0/*", Some((0, None))),
            ("bytes */10", None),
            ("items 0-1/2", None),
            ("", None),
        ] {
            assert_eq!(content_range(value), expected, "{value}");
        }
    }
}

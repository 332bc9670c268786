//! Packages, fetched by their own clients, pip and npm: whatever registry, mirror, proxy or certificates this machine
//! uses, they are set up for it.

pub(crate) mod npm;
pub(crate) mod pip;

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::error::{IoContext, StoreError, StoreErrorKind};
use crate::http::Context;
use crate::progress::Event;

/// A client: how it is told from others, and what its complaints look like.
struct Client {
    name: &'static str,
    kind: StoreErrorKind,
    /// How the names of its archives end.
    ending: &'static str,
    /// How the lines begin that say what is wrong.
    error: &'static [&'static str],
    /// What it says when there was no connection.
    offline: &'static [&'static str],
}

/// A package to fetch.
pub(crate) struct Request<'a> {
    pub(crate) package: &'a str,
    pub(crate) version: &'a str,
    /// An empty folder for the file that comes.
    pub(crate) folder: &'a Path,
    /// An empty folder for the client's temporary files; progress is watched there.
    pub(crate) temporary: &'a Path,
    /// About how large the file is.
    pub(crate) size: Option<u64>,
}

/// How often the file is on the disk while a client works: pip copies it from its temporary folder, npm from its cache.
pub(crate) const COPIES: u64 = 2;

/// What a client complains of is kept in this file.
const LOG: &str = "client.log";

/// What pip is to fetch, where it is told in a file.
const REQUIREMENTS: &str = "requirements.txt";

/// Our own files in a client's folder.
const OURS: [&str; 2] = [LOG, REQUIREMENTS];

/// How often a client is looked after.
const POLL: Duration = Duration::from_millis(50);

impl Client {
    /// Fetches `what`, the package as the client writes it, by the first of `calls` that is there; `None` where none is.
    fn fetch(
        &self,
        context: &Context<'_>,
        request: &Request<'_>,
        what: &str,
        calls: &[Vec<OsString>],
        arguments: impl Fn(&mut Command),
    ) -> Result<Option<PathBuf>, StoreError> {
        let mut progress = Progress {
            context,
            what,
            expected: request.size,
            announced: false,
            seen: None,
        };
        for call in calls {
            match self.run(&mut progress, request, call, &arguments)? {
                Outcome::Done => {
                    progress.done();
                    return match self.left(request.folder) {
                        None => Err(self.left_nothing(what)),
                        file => Ok(file),
                    };
                }
                Outcome::Missing => {}
                Outcome::Failed(said) => return Err(self.failed(what, &said)),
            }
        }
        Ok(None)
    }

    fn run(
        &self,
        progress: &mut Progress<'_>,
        request: &Request<'_>,
        call: &[OsString],
        arguments: impl Fn(&mut Command),
    ) -> Result<Outcome, StoreError> {
        let Some((program, first)) = call.split_first() else {
            return Ok(Outcome::Missing);
        };
        let log = request.temporary.join(LOG);
        let errors = File::create(&log).at("write to", &log)?;
        let mut command = Command::new(program);
        command.args(first);
        arguments(&mut command);
        let child = command
            // Python imports from the current folder, and npm is set up by it: it may be a stranger's.
            .current_dir(request.folder)
            .env("TMPDIR", request.temporary)
            .env("TEMP", request.temporary)
            .env("TMP", request.temporary)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Outcome::Missing);
            }
            Err(cause) => return Err(StoreError::io("run", Path::new(program), cause)),
        };
        progress.announce();
        let status = self.watch(progress, request, &mut child)?;
        let said = fs::read(&log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default();
        Ok(match status {
            status if status.success() => Outcome::Done,
            status if is_missing(status, &said) => Outcome::Missing,
            status => Outcome::Failed(if said.trim().is_empty() {
                status.to_string()
            } else {
                said
            }),
        })
    }

    /// Waits for the client, telling how the file it writes grows. Neither has progress for programs.
    fn watch(
        &self,
        progress: &mut Progress<'_>,
        request: &Request<'_>,
        child: &mut Child,
    ) -> Result<ExitStatus, StoreError> {
        loop {
            let status = child.try_wait().at("wait for", Path::new(self.name))?;
            progress.reach(largest(request.temporary).max(largest(request.folder)));
            if let Some(status) = status {
                return Ok(status);
            }
            if let Err(cancelled) = progress.context.check() {
                // It may have ended by itself in between.
                child.kill().ok();
                child.wait().ok();
                return Err(cancelled);
            }
            std::thread::sleep(POLL);
        }
    }

    /// The file that came.
    fn left(&self, folder: &Path) -> Option<PathBuf> {
        let entries = fs::read_dir(folder).ok()?.flatten();
        let mut paths = entries.map(|entry| entry.path());
        paths.find(|path| path.extension().is_some_and(|found| found == self.ending))
    }

    fn failed(&self, what: &str, said: &str) -> StoreError {
        let lines: Vec<_> = said
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let errors: Vec<_> = lines
            .iter()
            .copied()
            .filter(|line| self.error.iter().any(|start| line.starts_with(start)))
            .collect();
        // Without a line that says it is one, the last lines are the likeliest to hold the error.
        let shown = if errors.is_empty() {
            &lines[lines.len().saturating_sub(6)..]
        } else {
            &errors
        };
        let online = match self.offline.iter().any(|text| said.contains(text)) {
            true => "it could not connect, is this machine online? ",
            false => "",
        };
        let message = format!(
            "{} could not fetch {what}: {online}{}",
            self.name,
            shown.join("; ")
        );
        StoreError::new(self.kind, message)
    }

    fn left_nothing(&self, what: &str) -> StoreError {
        let message = format!("{} said it fetched {what} but left no file", self.name);
        StoreError::new(self.kind, message)
    }
}

/// What has been told of a file. No file is started before its first byte: until then the client may turn out to be
/// missing.
struct Progress<'a> {
    context: &'a Context<'a>,
    what: &'a str,
    expected: Option<u64>,
    announced: bool,
    seen: Option<u64>,
}

impl Progress<'_> {
    fn announce(&mut self) {
        if !std::mem::replace(&mut self.announced, true) {
            self.context.sink.event(&Event::Plan {
                files: 1,
                bytes: self.expected.unwrap_or(0),
                present: 0,
            });
        }
    }

    fn reach(&mut self, size: u64) {
        let seen = self.seen.unwrap_or(0);
        if size > seen {
            self.start();
            self.context.sink.event(&Event::Bytes {
                file: self.what,
                count: size - seen,
            });
            self.seen = Some(size);
        }
    }

    fn start(&self) {
        if self.seen.is_none() {
            self.context.sink.event(&Event::FileStarted {
                file: self.what,
                size: self.expected,
                present: 0,
            });
        }
    }

    fn done(&self) {
        self.start();
        self.context
            .sink
            .event(&Event::FileDone { file: self.what });
    }
}

enum Outcome {
    Done,
    /// There is no such program, or Python has no pip.
    Missing,
    /// With what the client said.
    Failed(String),
}

/// Whether a program that was started is not really there.
fn is_missing(status: ExitStatus, said: &str) -> bool {
    // What a script without its interpreter ends with, and what Windows has in Python's place before it is installed.
    matches!(status.code(), Some(127 | 9009)) || said.contains("No module named pip")
}

/// The size of the largest file below a folder that is not our own.
fn largest(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(_) if OURS.iter().any(|ours| entry.file_name() == *ours) => 0,
        Ok(metadata) if metadata.is_dir() => largest(&entry.path()),
        Ok(metadata) if metadata.is_file() => metadata.len(),
        _ => 0,
    };
    entries.flatten().map(size).max().unwrap_or(0)
}

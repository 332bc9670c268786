//! How a failure is shown and which exit status it has: 1 failed, 2 wrong usage, 130 interrupted.

use std::io::{self, Write};
use std::process::ExitCode;

use inhouse::RouteError;
use inhouse_chat::ProviderError;
use inhouse_config::ConfigError;
use serde_json::Value;

use crate::output::plain;

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
    let mut last = one_line(&error.to_string());
    let mut text = format!("error: {last}\n");
    for cause in error.chain().skip(1) {
        let cause = one_line(&cause.to_string());
        // Some errors of libraries hold what their cause says.
        if !last.contains(&cause) {
            text.push_str(&format!("  because {cause}\n"));
        }
        last = cause;
    }
    let attempt = error.downcast_ref().and_then(RouteError::last_attempt);
    if let Some(attempt) = attempt
        && let Some(said) = said(attempt)
    {
        text.push_str(&format!("  {} said: {said}\n", attempt.provider));
    }
    text
}

/// A provider's failure on one line, with its causes and what the provider said.
pub(crate) fn provider_line(error: &ProviderError) -> String {
    let mut line = error.to_string();
    if let Some(status) = error.status {
        line.push_str(&format!(" (status {status})"));
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        line.push_str(&format!(": {}", one_line(&cause.to_string())));
        source = cause.source();
    }
    if let Some(said) = said(error) {
        line.push_str(&format!("; it said: {said}"));
    }
    line
}

/// Most characters that are shown of what a provider said.
const MOST_SAID: usize = 300;

/// What a provider said of its failure, on one line that moves no cursor. It may quote the prompt: it is for the user's
/// own terminal, and for nothing that is kept.
fn said(error: &ProviderError) -> Option<String> {
    let body = std::str::from_utf8(&error.body).ok()?;
    let message = match serde_json::from_str::<Value>(body) {
        Ok(body) => message(&body)?.to_owned(),
        // Proxies answer with pages.
        Err(_) if body.trim_start().starts_with('<') => return None,
        Err(_) => body.to_owned(),
    };
    let line = one_line(&message);
    let shown: String = line.chars().take(MOST_SAID).collect();
    let more = if shown.len() < line.len() { ".." } else { "" };
    (!shown.is_empty()).then(|| format!("{shown}{more}"))
}

/// Where the APIs put it: in an `error`, which is an object or the words themselves, or beside.
fn message(body: &Value) -> Option<&str> {
    let body = body.get(0).unwrap_or(body);
    let error = body.get("error").unwrap_or(body);
    let fields = ["message", "detail"].into_iter();
    let fields = fields.filter_map(|field| error.get(field)?.as_str());
    error.as_str().or_else(|| fields.into_iter().next())
}

/// A cause takes one line that moves no cursor, whatever library it came from: it may quote a stranger's model.
fn one_line(message: &str) -> String {
    let line = message
        .split('\n')
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    plain(&line)
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
    fn no_cause_moves_the_cursor() {
        let error = anyhow!("no operator \u{1b}[2JFoo\u{7}").context("the node \u{1b}[31m");
        assert_eq!(
            text(&error),
            "error: the node \u{fffd}[31m\n  because no operator \u{fffd}[2JFoo\u{fffd}\n"
        );
    }

    #[test]
    fn a_cause_is_not_said_twice() {
        let error = anyhow!("the disk is full").context("cannot go on: the disk is full");
        assert_eq!(text(&error), "error: cannot go on: the disk is full\n");
    }

    #[test]
    fn what_a_provider_said_is_one_short_harmless_line() {
        let check = |body: &str, shown: Option<&str>| {
            let mut error = ProviderError::new(&"up".into(), inhouse_chat::Failure::Internal);
            error.body = body.to_owned().into();
            assert_eq!(said(&error).as_deref(), shown, "{body}");
        };
        check(r#"{"error": {"message": "no\n room"}}"#, Some("no room"));
        check(r#"[{"error": {"message": "no"}}]"#, Some("no"));
        check(r#"{"error": "no model"}"#, Some("no model"));
        check(r#"{"detail": "Not Found"}"#, Some("Not Found"));
        check("busy\u{1b}]0;x\u{7}", Some("busy\u{fffd}]0;x\u{fffd}"));
        check("<html>502</html>", None);
        check("", None);
        check(r#"{"code": 7}"#, None);
        let long = "x".repeat(MOST_SAID + 1);
        let shown = format!("{}..", "x".repeat(MOST_SAID));
        check(&long, Some(&shown));
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

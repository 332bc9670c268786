//! Where the prompt of a single answer comes from: the command line, a pipe, or both.

use std::io::{self, BufRead, Read};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::failure::UsageError;
use crate::terminal::Terminal;

/// How long a pipe beside a prompt may be silent. Many programs start others with a stdin that never says anything
/// and never ends; waiting for it for ever would look like a hang.
const SILENCE: Duration = Duration::from_secs(10);

/// The prompt, or `None` where someone sits at a terminal and a conversation is meant.
pub(super) fn find(argument: Option<String>, terminal: Terminal) -> anyhow::Result<Option<String>> {
    match (argument, terminal.stdin) {
        (Some(prompt), true) => not_empty(prompt),
        (Some(prompt), false) => not_empty(join(prompt, beside_prompt(io::stdin, SILENCE)?)),
        (None, false) => not_empty(text(&mut io::stdin().lock())?),
        (None, true) if terminal.stdout => Ok(None),
        (None, true) => {
            usage("a conversation needs a terminal to answer on: give PROMPT or pipe one in")
        }
    }
}

fn not_empty(prompt: String) -> anyhow::Result<Option<String>> {
    if prompt.trim().is_empty() {
        return usage("the prompt is empty: give PROMPT, pipe one in, or start on a terminal");
    }
    Ok(Some(prompt))
}

fn usage<T>(message: &str) -> anyhow::Result<T> {
    Err(UsageError(message.into()).into())
}

fn join(prompt: String, piped: String) -> String {
    if piped.trim().is_empty() {
        prompt
    } else {
        format!("{prompt}\n\n{piped}")
    }
}

/// All that is piped in; nothing where the pipe stays silent, which is said.
fn beside_prompt<R: Read>(
    open: impl FnOnce() -> R + Send + 'static,
    silence: Duration,
) -> anyhow::Result<String> {
    let (begun, has_begun) = mpsc::channel();
    let (all, whole) = mpsc::channel();
    thread::spawn(move || {
        let mut reader = io::BufReader::new(open());
        // Waits for the first bytes or the end. An error shows again in the read below.
        let _ = reader.fill_buf();
        if begun.send(()).is_ok() {
            let _ = all.send(text(&mut reader));
        }
    });
    if has_begun.recv_timeout(silence).is_err() {
        eprintln!(
            "nothing came through the pipe on stdin for {} s: answering PROMPT alone; \
             a file (< FILE) or a pipe without PROMPT is waited for",
            silence.as_secs()
        );
        return Ok(String::new());
    }
    whole.recv()?
}

fn text(reader: &mut impl Read) -> anyhow::Result<String> {
    let mut text = String::new();
    reader.read_to_string(&mut text).map_err(|cause| {
        let kind = cause.kind();
        anyhow::Error::new(cause).context(match kind {
            io::ErrorKind::InvalidData => "what is piped in is not UTF-8 text",
            _ => "cannot read stdin",
        })
    })?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_follows_the_prompt() {
        let check = |piped: &'static str, prompt: &str| {
            let piped = beside_prompt(move || piped.as_bytes(), SILENCE).unwrap();
            assert_eq!(join("Say:".into(), piped), prompt);
        };
        check("", "Say:");
        check(" \n", "Say:");
        check("one\ntwo\n", "Say:\n\none\ntwo\n");
    }

    #[test]
    fn a_silent_pipe_is_not_waited_for() {
        let (reader, writer) = io::pipe().unwrap();
        let piped = beside_prompt(move || reader, Duration::from_millis(50)).unwrap();
        assert_eq!(piped, "");
        drop(writer);
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error() {
        let error = beside_prompt(|| &b"\xff\xfe"[..], SILENCE).unwrap_err();
        assert_eq!(error.to_string(), "what is piped in is not UTF-8 text");
    }
}

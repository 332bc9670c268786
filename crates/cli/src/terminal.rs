//! Which of the three streams are a terminal, and what may be drawn on them.

use std::io::IsTerminal;

use crate::env::{self, Env};

/// What the program is connected to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    /// Someone types.
    pub(crate) stdin: bool,
    /// Someone reads the output.
    pub(crate) stdout: bool,
    /// Someone reads the messages.
    pub(crate) stderr: bool,
    /// Colours and redrawn lines are welcome, on whichever stream is a terminal.
    fancy: bool,
}

/// The few ways text is set apart.
#[derive(Clone, Copy)]
pub(crate) enum Style {
    Dim,
    Green,
    Red,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Dim => "2",
            Self::Green => "32",
            Self::Red => "31",
        }
    }
}

impl Terminal {
    pub(crate) fn detect(env: &dyn Env) -> Self {
        Self {
            stdin: std::io::stdin().is_terminal(),
            stdout: std::io::stdout().is_terminal(),
            stderr: std::io::stderr().is_terminal(),
            fancy: env.get(env::NO_COLOR).is_none()
                && env.get(env::TERM).is_none_or(|term| term != "dumb"),
        }
    }

    /// Bars that redraw themselves on stderr.
    pub(crate) fn bars(self) -> bool {
        self.stderr && self.fancy
    }

    /// Whether stdout may be coloured.
    pub(crate) fn colours(self) -> bool {
        self.stdout && self.fancy
    }

    /// `text` in `style`, for stdout.
    pub(crate) fn out(self, style: Style, text: &str) -> String {
        paint(self.colours(), style, text)
    }

    /// `text` in `style`, for stderr.
    pub(crate) fn err(self, style: Style, text: &str) -> String {
        paint(self.stderr && self.fancy, style, text)
    }
}

fn paint(fancy: bool, style: Style, text: &str) -> String {
    if fancy {
        format!("\x1b[{}m{text}\x1b[0m", style.code())
    } else {
        text.to_owned()
    }
}

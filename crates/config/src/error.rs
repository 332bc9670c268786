//! What is wrong with a configuration, and where.

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::Serialize;

use crate::json::{Path, Place, SyntaxError};

/// One thing that is wrong, or looks wrong, with a configuration.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Problem {
    /// The file, as it was named; `environment` where there is none.
    pub file: String,
    /// The line and the column, from 1, where it is about a place in the file.
    pub place: Option<(usize, usize)>,
    /// The key, as in `routing.rules[0].action`; empty where it is about the whole file.
    pub key: String,
    /// What is wrong with it and what to do. It quotes no keys of providers and no values of variables.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        f.write_str(": ")?;
        if !self.key.is_empty() {
            write!(f, "{} ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// No configuration: every problem there is, one a line.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file that was asked for is not there, or cannot be read.
    #[error("{}: cannot read the configuration that {asked_by} names", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Who named it: `--config`, a variable, or the search for files.
        asked_by: &'static str,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// It is no configuration.
    #[error("{}", Lines(.0))]
    Invalid(Vec<Problem>),
}

impl ConfigError {
    /// The problems of the file; none where it could not be read.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Unreadable { .. } => &[],
            Self::Invalid(problems) => problems,
        }
    }
}

struct Lines<'a>(&'a [Problem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// Collects the problems of one file.
#[derive(Debug)]
pub(crate) struct Report {
    file: String,
    pub(crate) errors: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
}

impl Report {
    pub(crate) fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(crate) fn error(&mut self, place: Option<Place>, key: &Path, message: impl Into<String>) {
        let problem = self.problem(place, key, message.into());
        self.errors.push(problem);
    }

    pub(crate) fn warn(&mut self, place: Option<Place>, key: &Path, message: impl Into<String>) {
        let problem = self.problem(place, key, message.into());
        self.warnings.push(problem);
    }

    pub(crate) fn syntax(&mut self, error: SyntaxError) {
        self.error(Some(error.place), &Path::default(), error.message);
    }

    /// The errors in the order of the file, where there are any.
    pub(crate) fn result(&mut self) -> Result<(), ConfigError> {
        if self.errors.is_empty() {
            return Ok(());
        }
        let mut errors = std::mem::take(&mut self.errors);
        errors.sort_by_key(|problem| problem.place);
        errors.dedup();
        Err(ConfigError::Invalid(errors))
    }

    fn problem(&self, place: Option<Place>, key: &Path, message: String) -> Problem {
        Problem {
            file: self.file.clone(),
            place: place.map(|place| (place.line, place.column)),
            key: key.to_string(),
            message,
        }
    }
}

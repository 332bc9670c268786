//! What computed a model, and what of it did not go as asked for.

use inhouse_engine::Backend;
use serde::Serialize;

use crate::output::plain;
use crate::terminal::{Style, Terminal};

/// What computes a model, for JSON.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Computed {
    pub(super) backend: &'static str,
    /// The same for people, with what it is.
    pub(super) computed_by: String,
    /// Those that are really used, the preferred one first.
    pub(super) execution_providers: Vec<String>,
    /// What did not go as asked for.
    pub(super) notes: Vec<String>,
}

impl Computed {
    /// As it is now: providers can be lost while a model runs.
    pub(super) fn of(model: &dyn Backend) -> Self {
        let info = model.info();
        Self {
            backend: info.backend,
            computed_by: info.computed_by,
            execution_providers: info.execution_providers,
            notes: model.notes(),
        }
    }
}

/// What people were told of a model, so that they are told once.
#[derive(Debug, Default)]
pub(super) struct Told(usize);

impl Told {
    /// Shows on stderr what was not shown yet of what did not go as asked for.
    pub(super) fn tell(&mut self, model: &dyn Backend, terminal: Terminal) {
        let notes = model.notes();
        for note in notes.iter().skip(self.0) {
            eprintln!("{}", terminal.err(Style::Dim, &plain(note)));
        }
        self.0 = notes.len();
    }
}

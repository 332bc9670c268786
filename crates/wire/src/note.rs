//! What a target cannot express.
//!
//! One rule holds for every pair of protocols:
//!
//! 1. *The same protocol*: forwarded as it came. Unknown fields, unknown parts, the order of tools and of instructions
//!    are kept.
//! 2. *What the model would have read* (words, images, documents, sound, definitions of tools, their results, parts that
//!    only another protocol knows): the request is refused with [`WireError::Unsupported`], which names the field.
//! 3. *What only tunes* (seed, `top_k`, penalties, marks for caches, effort, stop texts beyond the limit, fields of another
//!    protocol, thoughts and signatures of another provider): left out or mapped to the nearest, and reported as a
//!    [`Note`].
//!
//! An answer was already paid for, so for answers the second point reports too. Nothing is dropped in silence.

use std::fmt;

use inhouse_chat::{Dialect, Extra, Fields};
use serde_json::Value;

use crate::WireError;
use crate::fields::{is_mark, merge};
use crate::path::Path;

/// Something of a request or an answer that the target's protocol does not have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    /// Where in the neutral request or answer: `messages[1].content[0].cache`.
    pub path: String,
    /// The protocol that does not have it.
    pub target: Dialect,
    /// What became of it.
    pub fate: Fate,
}

/// What became of something that the target does not have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It was left out.
    LeftOut,
    /// It was changed; how, in words: `clamped to 1`.
    Changed(&'static str),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, target, .. } = self;
        match self.fate {
            Fate::LeftOut => write!(f, "{path} was left out: {target} does not have it"),
            Fate::Changed(how) => write!(f, "{path} was {how} for {target}"),
        }
    }
}

/// A body for a provider or a client, and what it could not hold.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The body.
    pub body: Value,
    /// What the target does not have, and what became of it.
    pub notes: Vec<Note>,
}

/// Collects notes while a body is written for one target.
#[derive(Clone, Debug)]
pub(crate) struct Notes {
    pub(crate) target: Dialect,
    pub(crate) list: Vec<Note>,
}

impl Notes {
    pub(crate) fn new(target: Dialect) -> Self {
        let list = Vec::new();
        Self { target, list }
    }

    /// The third point of the rule: left out.
    pub(crate) fn left_out(&mut self, path: &Path<'_>) {
        self.push(path.to_string(), Fate::LeftOut);
    }

    /// The third point of the rule: mapped to the nearest. `how` completes "was ..".
    pub(crate) fn changed(&mut self, path: &Path<'_>, how: &'static str) {
        self.push(path.to_string(), Fate::Changed(how));
    }

    /// The second point of the rule. `reason` says why, and what to do.
    pub(crate) fn refuse(&self, path: &Path<'_>, reason: &'static str) -> WireError {
        WireError::Unsupported {
            path: path.to_string(),
            target: self.target,
            reason,
        }
    }

    /// Adds fields that came in the target's own protocol and that `out` does not have yet; reports those of another.
    pub(crate) fn extra(&mut self, out: &mut Fields, extra: &Extra, path: &Path<'_>) {
        if let Some(fields) = extra.of(self.target) {
            merge(out, fields);
        }
        self.foreign(extra, path);
    }

    /// Reports fields that came in another protocol. Nulls and empty lists say nothing, so nothing is said of them.
    pub(crate) fn foreign(&mut self, extra: &Extra, path: &Path<'_>) {
        let foreign = extra.foreign_to(self.target);
        for (name, value) in foreign.into_iter().flat_map(|(_, fields)| fields) {
            let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            if !is_mark(name) && !empty {
                self.left_out(&path.field(name));
            }
        }
    }

    pub(crate) fn encoded(self, body: Fields) -> Encoded {
        Encoded {
            body: Value::Object(body),
            notes: self.list,
        }
    }

    /// What every piece of a stream would say again is said once.
    fn push(&mut self, path: String, fate: Fate) {
        let target = self.target;
        let note = Note { path, target, fate };
        if self.list.last() != Some(&note) {
            self.list.push(note);
        }
    }
}

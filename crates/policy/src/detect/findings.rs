//! What was found in a request, in numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use super::{Class, Confidence, FindingKind};

/// Where something was found in a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// Its bytes in the text, at boundaries of characters.
    pub range: Range<usize>,
    /// How sure it is.
    pub confidence: Confidence,
}

/// What was found in a request: how often each kind, and what could not be read. Never the text itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Findings {
    counts: BTreeMap<FindingKind, usize>,
    unreadable: BTreeSet<Unreadable>,
}

/// A part of a request that the detector cannot look into.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Unreadable {
    /// A picture.
    Image,
    /// A document that is not plain text here.
    Document,
    /// Sound.
    Audio,
    /// A thought that a provider encrypted; it is that provider's own writing.
    EncryptedThought,
    /// Parts or JSON nested too deep.
    TooDeep,
    /// More text than the bound.
    TooLong,
}

impl Findings {
    /// Whether nothing was found. What could not be read is asked for apart.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// How many of this kind.
    pub fn count(&self, kind: FindingKind) -> usize {
        self.counts.get(&kind).copied().unwrap_or(0)
    }

    /// How many of this class.
    pub fn count_of(&self, class: Class) -> usize {
        let of_class = self.counts.iter().filter(|(kind, _)| kind.class() == class);
        of_class.map(|(_, count)| count).sum()
    }

    /// The kinds found, and how many of each.
    pub fn counts(&self) -> impl Iterator<Item = (FindingKind, usize)> + '_ {
        self.counts.iter().map(|(&kind, &count)| (kind, count))
    }

    /// What could not be read.
    pub fn unreadable(&self) -> impl Iterator<Item = Unreadable> + '_ {
        self.unreadable.iter().copied()
    }

    /// Whether every part could be read.
    pub fn all_read(&self) -> bool {
        self.unreadable.is_empty()
    }

    /// Counts one more.
    pub fn add(&mut self, kind: FindingKind) {
        *self.counts.entry(kind).or_default() += 1;
    }

    /// Notes a part that could not be read.
    pub fn add_unreadable(&mut self, what: Unreadable) {
        self.unreadable.insert(what);
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "an image",
            Self::Document => "a document",
            Self::Audio => "sound",
            Self::EncryptedThought => "an encrypted thought",
            Self::TooDeep => "a part nested too deep",
            Self::TooLong => "more text than the detector may take",
        })
    }
}

/// `2 email, 1 us-ssn; not read: an image`.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found: Vec<String> = self.counts().map(|(k, n)| format!("{n} {k}")).collect();
        match found.is_empty() {
            true => f.write_str("nothing found")?,
            false => f.write_str(&found.join(", "))?,
        }
        let unread: Vec<String> = self.unreadable().map(|what| what.to_string()).collect();
        match unread.is_empty() {
            true => Ok(()),
            false => write!(f, "; not read: {}", unread.join(", ")),
        }
    }
}

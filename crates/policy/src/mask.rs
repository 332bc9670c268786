//! Placeholders for personal data and secrets, and their way back in the answer.
//!
//! # What is promised
//! - The same value has the same placeholder throughout a request (`[EMAIL_1]`), in order of first appearance, so that a
//!   conversation that grows keeps its placeholders and a provider's cache of its beginning.
//! - A value found once is replaced everywhere in the request, also where nothing near it tells what it is, in JSON also
//!   as a number or as the name of a field. Afterwards the request has the value nowhere that a detector reads.
//! - No placeholder is already in the request, so what is restored is what was masked: also in streams, wherever their
//!   pieces are cut, and in arguments of tools as JSON needs it.
//! - What cannot be masked is an error, and nothing was changed: a signed thought, an address or a name that something
//!   refers to, what is too long or too deep to read.
//!
//! # What is not
//! - A model may write a placeholder otherwise than it read it (`[email_1]`, `EMAIL 1`): that stays as it is.
//! - Images, sound and other files stay as they are: [`Findings::unreadable`](crate::Findings::unreadable) tells of them.
//! - Thoughts in answers keep their placeholders, for providers that sign thoughts take them back only unchanged; for
//!   others there is [`Mask::with_thoughts`].

mod restore;

pub use restore::Restorer;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use inhouse_chat::{ChatRequest, Reply};

use crate::detect::walk::{self, Place, Visitor};
use crate::detect::{Detector, FindingKind, Seen, Unreadable};

/// What was replaced in a request: what each placeholder stands for. `Debug` tells how many.
#[derive(Clone, Default)]
pub struct Mask {
    values: Arc<BTreeMap<String, String>>,
    thoughts: bool,
}

/// A request that cannot be masked. Says nothing of what is in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MaskError {
    /// A signed thought has something in it.
    #[error(
        "a signed thought has personal data or a secret in it and cannot be changed, so the request cannot be masked"
    )]
    Signed,
    /// A name, identifier or address has something in it.
    #[error(
        "a tool's name, an identifier or an address has personal data or a secret in it and cannot be changed, \
         so the request cannot be masked"
    )]
    Name,
    /// Something could not be read.
    #[error("the request has {0}, so it cannot be masked")]
    Unreadable(Unreadable),
    /// Something is left, or no placeholder is free.
    #[error("no placeholders could be found that hide everything, so the request cannot be masked")]
    Incomplete,
    /// The detector does not mask.
    #[error(
        "the detector cannot tell where personal data and secrets are, so the request cannot be masked"
    )]
    NotOffered,
}

/// Replaces what the detector finds.
pub fn mask(request: &ChatRequest, detector: &Detector) -> Result<(ChatRequest, Mask), MaskError> {
    let values = values(request, detector)?;
    if values.is_empty() {
        return Ok((request.clone(), Mask::default()));
    }
    let finder = AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .build(values.iter().map(|(value, _)| value))
        .map_err(|_| MaskError::Incomplete)?;
    let names = placeholders(request, &values, &finder)?;
    let masked = replace(request, &finder, &names)?;
    let values = names
        .into_iter()
        .zip(values.into_iter().map(|(value, _)| value))
        .collect();
    let mask = Mask {
        values: Arc::new(values),
        thoughts: false,
    };
    Ok((masked, mask))
}

impl Mask {
    /// How many values were replaced.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether nothing was replaced.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Restores thoughts too: for providers that do not sign them. A thought that came signed stays as it is in a whole
    /// answer; in a stream the signature comes after the words, too late.
    #[must_use]
    pub fn with_thoughts(self) -> Self {
        Self {
            thoughts: true,
            ..self
        }
    }

    /// The answer with what the placeholders stand for.
    pub fn restore_reply(&self, reply: Reply) -> Reply {
        restore::reply(self, reply)
    }

    /// Restores the events of one stream.
    pub fn restorer(&self) -> Restorer {
        Restorer::new(self.clone())
    }

    /// A text with what the placeholders stand for.
    pub fn restore_text(&self, text: &str) -> String {
        let mut held = String::new();
        let mut out = restore::advance(self, &mut held, text, str::to_owned);
        out.push_str(&held);
        out
    }

    /// What a placeholder stands for.
    fn value(&self, placeholder: &str) -> Option<&str> {
        self.values.get(placeholder).map(String::as_str)
    }

    /// Whether a placeholder begins so.
    fn begins(&self, start: &str) -> bool {
        let next = self
            .values
            .range::<str, _>((Bound::Included(start), Bound::Unbounded))
            .next();
        next.is_some_and(|(name, _)| name.starts_with(start))
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} placeholders>", self.len())
    }
}

/// The values to hide, in order of first appearance.
fn values(
    request: &ChatRequest,
    detector: &Detector,
) -> Result<Vec<(String, FindingKind)>, MaskError> {
    let mut seen = BTreeSet::new();
    let mut values = Vec::new();
    let mut obstacle = None;
    detector.each(request, &mut |event| match event {
        Seen::Found { kind, place, value } => {
            obstacle = obstacle.or(immutable(place));
            if seen.insert(value.to_owned()) {
                values.push((value.to_owned(), kind));
            }
        }
        Seen::Unreadable(what @ (Unreadable::TooDeep | Unreadable::TooLong)) => {
            obstacle = obstacle.or(Some(MaskError::Unreadable(what)));
        }
        Seen::Unreadable(_) => {}
    });
    obstacle.map_or(Ok(values), Err)
}

fn immutable(place: Place) -> Option<MaskError> {
    match place {
        Place::Words | Place::Number => None,
        Place::Signed => Some(MaskError::Signed),
        Place::Name => Some(MaskError::Name),
    }
}

/// A placeholder for each value, none of which is in the request or has a value in it.
///
/// Each begins with the only `[` and ends with the only `]` in it, so two of them, or one and the text around it, never
/// make a third.
fn placeholders(
    request: &ChatRequest,
    values: &[(String, FindingKind)],
    finder: &AhoCorasick,
) -> Result<Vec<String>, MaskError> {
    let taken = Taken::of(request);
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut tries = values.len().saturating_mul(4) + taken.0.len() + 64;
    let mut next = |label: &'static str| loop {
        tries = tries.checked_sub(1).ok_or(MaskError::Incomplete)?;
        let number = numbers.entry(label).or_default();
        *number += 1;
        let name = format!("[{label}_{number}]");
        if !taken.0.contains(&name) && !finder.is_match(&name) {
            return Ok(name);
        }
    };
    values.iter().map(|(_, kind)| next(kind.label())).collect()
}

/// What looks like a placeholder in a request. Signed thoughts do not count: they are from an earlier turn of the same
/// conversation, in which the same placeholders stood for the same values, and are never restored.
struct Taken(BTreeSet<String>);

impl Taken {
    fn of(request: &ChatRequest) -> Self {
        let mut taken = Self(BTreeSet::new());
        walk::visit(request, &mut taken);
        taken
    }
}

impl Visitor for Taken {
    fn text(&mut self, place: Place, _key: Option<&str>, text: &str) {
        if place == Place::Signed {
            return;
        }
        for (start, _) in text.match_indices('[') {
            let rest = text.get(start + 1..).unwrap_or_default();
            let inner = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_';
            let len = rest.bytes().take(40).take_while(inner).count();
            if let Some(name) = text
                .get(start..start + len + 2)
                .filter(|name| name.ends_with(']'))
            {
                self.0.insert(name.to_owned());
            }
        }
    }

    fn unreadable(&mut self, _what: Unreadable) {}
}

fn replace(
    request: &ChatRequest,
    finder: &AhoCorasick,
    names: &[String],
) -> Result<ChatRequest, MaskError> {
    let mut masked = request.clone();
    let mut obstacle = None;
    walk::change(&mut masked, &mut |place, text| {
        finder.find(text)?;
        obstacle = obstacle.or(immutable(place));
        finder.try_replace_all(text, names).ok()
    });
    let mut left = Left { finder, any: false };
    walk::visit(&masked, &mut left);
    match obstacle {
        Some(error) => Err(error),
        None if left.any => Err(MaskError::Incomplete),
        None => Ok(masked),
    }
}

/// Looks whether a value is still there.
struct Left<'a> {
    finder: &'a AhoCorasick,
    any: bool,
}

impl Visitor for Left<'_> {
    fn text(&mut self, _place: Place, _key: Option<&str>, text: &str) {
        self.any |= self.finder.is_match(text);
    }

    fn unreadable(&mut self, _what: Unreadable) {}
}

#[cfg(test)]
mod tests;

//! Personal data and secrets: found in the text of a request, in process, without a model.
//!
//! # What is promised
//! - All text is read: messages of every role, tool calls and their results, descriptions and schemas of tools, titles
//!   and plain-text documents, thoughts, stop texts, schemas of answers, and fields that only one protocol knows. What
//!   cannot be read (images, sound, PDFs, nesting or length past the bounds) is named in [`Findings::unreadable`], so
//!   that policy can close.
//! - Time grows with the length of the text, whatever it says, and no text makes it panic.
//! - Findings are counts. The text found is in no result, no `Debug` and no error.
//!
//! # What is not
//! - Names, postal addresses, dates of birth, health and other things that only meaning tells.
//! - Numbers that look like any other, unless a word nearby says what they are; digits in other scripts; values that were
//!   encoded (base64, escapes, pictures of text) or taken apart.
//! - Secrets without a beginning of their own that no word like `password` or `token` announces.
//! - The metadata of a request and the name of its model are not read.
//!
//! ```
//! use inhouse_chat::{ChatRequest, Message};
//! use inhouse_policy::{Detector, FindingKind};
//!
//! let request = ChatRequest::new("phi-4", [Message::user("Write to jane@example.org")]);
//! assert_eq!(Detector::default().scan(&request).count(FindingKind::Email), 1);
//! ```
//!
//! # Adding one
//! A national number is a row in `detect/national/`, a service's token a row in `detect/tokens.rs`; its kind is a row in
//! `detect/kind.rs`.

mod anchors;
mod assigned;
mod card;
mod checksum;
mod context;
mod email;
mod entropy;
mod findings;
mod iban;
mod ip;
mod kind;
mod national;
mod numbers;
mod pem;
mod phone;
mod text;
mod tokens;
mod urls;
pub(crate) mod walk;

pub use findings::{Finding, Findings, Unreadable};
pub use kind::{Class, Confidence, FindingKind};

use std::collections::BTreeSet;

use inhouse_chat::ChatRequest;

use crate::mask::{Mask, MaskError};
use walk::{Place, Visitor};

/// Looks for personal data and secrets in a request. An error, too, means that nothing may be called clean.
pub trait Detect: Send + Sync {
    /// What is in the request.
    fn inspect(&self, request: &ChatRequest) -> Result<Findings, DetectError>;

    /// The request with placeholders for what is in it. A detector that cannot say where things are does not offer it.
    fn mask(&self, request: &ChatRequest) -> Result<(ChatRequest, Mask), MaskError> {
        let _ = request;
        Err(MaskError::NotOffered)
    }
}

/// The detector could not work.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DetectError {
    /// It is not able to look at anything.
    #[error(
        "the detector of personal data and secrets does not work, so the request counts as private"
    )]
    Broken,
}

/// What to look for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DetectorOptions {
    /// The kinds that are wanted.
    pub kinds: BTreeSet<FindingKind>,
    /// How sure a finding must be.
    pub at_least: Confidence,
    /// The most text, in bytes, that a request may have; more is [`Unreadable::TooLong`].
    pub max_bytes: usize,
}

impl Default for DetectorOptions {
    fn default() -> Self {
        Self {
            kinds: FindingKind::ALL.iter().copied().collect(),
            at_least: Confidence::default(),
            max_bytes: 32 * 1024 * 1024,
        }
    }
}

/// The detector that this crate brings.
#[derive(Clone, Debug, Default)]
pub struct Detector {
    options: DetectorOptions,
}

impl Detector {
    /// A detector that looks for this.
    pub fn new(options: DetectorOptions) -> Self {
        Self { options }
    }

    /// What is in a text, from left to right, without overlaps.
    pub fn scan_text(&self, text: &str) -> Vec<Finding> {
        let mut found = Vec::new();
        anchors::scan(text, &mut found);
        numbers::scan(text, &mut found);
        let wanted = |finding: &Finding| {
            finding.confidence >= self.options.at_least
                && self.options.kinds.contains(&finding.kind)
        };
        found.retain(wanted);
        joined(found)
    }

    /// What is in a request.
    pub fn scan(&self, request: &ChatRequest) -> Findings {
        let mut findings = Findings::default();
        self.each(request, &mut |event| match event {
            Seen::Found { kind, .. } => findings.add(kind),
            Seen::Unreadable(what) => findings.add_unreadable(what),
        });
        findings
    }

    /// Tells what is in a request, in order.
    pub(crate) fn each(&self, request: &ChatRequest, tell: &mut dyn FnMut(Seen<'_>)) {
        let mut reader = Reader {
            detector: self,
            left: self.options.max_bytes,
            scratch: String::new(),
            tell,
        };
        walk::visit(request, &mut reader);
    }
}

impl Detect for Detector {
    fn inspect(&self, request: &ChatRequest) -> Result<Findings, DetectError> {
        match anchors::ready() {
            true => Ok(self.scan(request)),
            false => Err(DetectError::Broken),
        }
    }

    fn mask(&self, request: &ChatRequest) -> Result<(ChatRequest, Mask), MaskError> {
        crate::mask::mask(request, self)
    }
}

/// What is come upon in a request.
pub(crate) enum Seen<'a> {
    /// Something, at a place.
    Found {
        kind: FindingKind,
        place: Place,
        value: &'a str,
    },
    /// A part that cannot be read.
    Unreadable(Unreadable),
}

struct Reader<'a> {
    detector: &'a Detector,
    left: usize,
    scratch: String,
    tell: &'a mut dyn FnMut(Seen<'_>),
}

/// Names of fields are context to short values only; more would be copied than it is worth.
const SHORT: usize = 512;

impl Visitor for Reader<'_> {
    fn text(&mut self, place: Place, key: Option<&str>, text: &str) {
        match self.left.checked_sub(text.len()) {
            Some(left) => self.left = left,
            None => return self.unreadable(Unreadable::TooLong),
        }
        let Some(key) = key.filter(|key| text.len() <= SHORT && key.len() <= SHORT) else {
            return self.read(place, text, 0);
        };
        // `{"ssn": "078051120"}`: the name of the field says what the value is.
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.extend([key, ": ", text]);
        self.read(place, &scratch, key.len() + 2);
        self.scratch = scratch;
    }

    fn unreadable(&mut self, what: Unreadable) {
        (self.tell)(Seen::Unreadable(what));
    }
}

impl Reader<'_> {
    /// Reads a text, of which the first `lead` bytes are context.
    fn read(&mut self, place: Place, text: &str, lead: usize) {
        for Finding { kind, range, .. } in self.detector.scan_text(text) {
            let own = range.start.max(lead)..range.end;
            if let Some(value) = text.get(own).filter(|value| !value.is_empty()) {
                (self.tell)(Seen::Found { kind, place, value });
            }
        }
    }
}

/// Findings in order, and one for those that overlap: of the surest kind, and as long as all of them, so that masking
/// leaves no end of one behind.
fn joined(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by_key(|finding| (finding.range.start, std::cmp::Reverse(finding.range.end)));
    let mut out: Vec<Finding> = Vec::with_capacity(found.len());
    for finding in found {
        match out
            .last_mut()
            .filter(|last| finding.range.start < last.range.end)
        {
            Some(last) => {
                let surer =
                    (finding.confidence, finding.range.len()) > (last.confidence, last.range.len());
                last.range.end = last.range.end.max(finding.range.end);
                if surer {
                    last.kind = finding.kind;
                    last.confidence = finding.confidence;
                }
            }
            None => out.push(finding),
        }
    }
    out
}

#[cfg(test)]
pub(crate) mod tests;

//! Words and beginnings that secrets and addresses of mail are found by: one pass over a text for all of them.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::tokens::Token;
use super::{Finding, FindingKind, assigned, email, pem, tokens, urls};

/// A piece of text that something may be found at, in any case of letters.
pub(super) struct Anchor {
    /// The piece.
    pub(super) text: &'static str,
    /// What looks closer.
    pub(super) read: Read,
}

/// What looks closer at an anchor.
#[derive(Clone, Copy)]
pub(super) enum Read {
    /// A function, given the text and where in it the anchor is.
    With(fn(&str, Range<usize>) -> Option<Finding>),
    /// A row of the table of tokens.
    Token(&'static Token),
}

const GROUPS: &[&[Anchor]] = &[
    email::ANCHORS,
    urls::ANCHORS,
    pem::ANCHORS,
    assigned::ANCHORS,
    tokens::ANCHORS,
];

struct Anchors {
    finder: AhoCorasick,
    reads: Vec<Read>,
}

static ANCHORS: LazyLock<Option<Anchors>> = LazyLock::new(|| {
    let rows = GROUPS
        .iter()
        .copied()
        .flatten()
        .map(|anchor| (anchor.text, anchor.read));
    let rows = rows.chain(
        tokens::ALL
            .iter()
            .map(|token| (token.prefix, Read::Token(token))),
    );
    let (texts, reads): (Vec<_>, Vec<_>) = rows.unzip();
    let finder = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::LeftmostLongest)
        .kind(Some(AhoCorasickKind::DFA))
        .build(texts);
    finder.ok().map(|finder| Anchors { finder, reads })
});

/// Whether the table could be built; without it nothing may be called clean.
pub(super) fn ready() -> bool {
    ANCHORS.is_some()
}

/// Appends what is found at the anchors of a text.
pub(super) fn scan(text: &str, found: &mut Vec<Finding>) {
    let Some(anchors) = &*ANCHORS else { return };
    let mut key_end = 0;
    for hit in anchors.finder.find_iter(text) {
        // Nothing is looked for within a private key: looking again for the end of a long one is slow.
        if hit.start() < key_end {
            continue;
        }
        let finding = match anchors.reads.get(hit.pattern().as_usize()) {
            Some(Read::With(read)) => read(text, hit.range()),
            Some(Read::Token(token)) => token.read(text, hit.range()),
            None => None,
        };
        if let Some(key) = finding
            .as_ref()
            .filter(|f| f.kind == FindingKind::PrivateKey)
        {
            key_end = key.range.end;
        }
        found.extend(finding);
    }
}

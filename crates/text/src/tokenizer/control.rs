//! Finding added tokens in a text, by the rules of the `tokenizers` crate, in the parts of it that may hold them.
//!
//! The crate can only look for added tokens everywhere or nowhere. This is its search once more, over a copy of the
//! text in which the bytes that must stay text are masked: what is masked cannot be part of a match, and all else is
//! found as the crate finds it, the longest of the leftmost first.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, MatchKind};
use tokenizers::{AddedToken, NormalizedString, Normalizer};

use crate::{TextError, TextErrorKind};

/// Stands for a byte that cannot be part of an added token; no UTF-8 has it.
pub(super) const MASKED: u8 = 0xff;

/// The added tokens of a tokenizer, as two searches: in the text as it is, and in the normalised text.
pub(super) struct ControlTokens {
    plain: Option<Search>,
    normalized: Option<Search>,
    ids: Vec<u32>,
}

struct Search {
    automaton: AhoCorasick,
    tokens: Vec<(u32, AddedToken)>,
}

/// A part of a text: an added token, or the text between two of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) id: Option<u32>,
}

/// Whether a character says nothing alone: tokens made only of such are spaces, which any text may hold.
pub(super) fn is_neutral(c: char) -> bool {
    c.is_whitespace() || c == '\u{2581}'
}

impl ControlTokens {
    pub(super) fn new(hf: &tokenizers::Tokenizer) -> Result<Self, String> {
        let mut tokens: Vec<(u32, AddedToken)> =
            hf.get_added_tokens_decoder().into_iter().collect();
        tokens.retain(|(_, token)| !token.content.is_empty());
        tokens.sort_by_key(|(id, _)| *id);
        let ids = tokens
            .iter()
            .filter(|(_, token)| {
                token.content.chars().count() > 1 && !token.content.chars().all(is_neutral)
            })
            .map(|(id, _)| *id)
            .collect();
        let (normalized, plain): (Vec<_>, Vec<_>) =
            tokens.into_iter().partition(|(_, token)| token.normalized);
        let normalize = |content: &str| -> Result<String, String> {
            let mut text = NormalizedString::from(content);
            if let Some(normalizer) = hf.get_normalizer() {
                normalizer
                    .normalize(&mut text)
                    .map_err(|error| error.to_string())?;
            }
            Ok(text.get().to_owned())
        };
        Ok(Self {
            plain: Search::new(plain, |content| Ok(content.to_owned()))?,
            normalized: Search::new(normalized, normalize)?,
            ids,
        })
    }

    /// The ids that are control: all added tokens but single characters and those of spaces alone.
    pub(super) fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.ids.iter().copied()
    }

    /// Refuses texts that could become a control token, whole or together with what a template writes around them.
    ///
    /// This is for the templates that do not let texts be followed, and errs on the side of refusing.
    pub(super) fn check_harmless(&self, texts: &[String]) -> Result<(), TextError> {
        let tokens = || {
            [&self.plain, &self.normalized]
                .into_iter()
                .flatten()
                .flat_map(|search| &search.tokens)
        };
        for text in texts.iter().filter(|text| !text.chars().all(is_neutral)) {
            let text = text.trim();
            let touches = |(_, token): &&(u32, AddedToken)| {
                let token = token.content.as_str();
                !token.chars().all(is_neutral)
                    && (text.contains(token) || token.contains(text) || overlaps(text, token))
            };
            if let Some((id, _)) = tokens().find(touches) {
                let message = format!(
                    "this chat template does not let the text of messages be told from its own, and a text holds (part of) \
                     the control token {id}; reword it, or use another template"
                );
                return Err(TextError::new(TextErrorKind::Messages, message));
            }
        }
        Ok(())
    }

    /// The parts of a text before it is normalised; `masked` has the same length.
    pub(super) fn split_plain(&self, text: &str, masked: &[u8]) -> Vec<Part> {
        split(self.plain.as_ref(), text, masked)
    }

    /// Whether any added token is looked for in normalised text.
    pub(super) fn has_normalized(&self) -> bool {
        self.normalized.is_some()
    }

    /// The parts of a text after it was normalised; `masked` has the same length.
    pub(super) fn split_normalized(&self, text: &str, masked: &[u8]) -> Vec<Part> {
        split(self.normalized.as_ref(), text, masked)
    }
}

/// Whether `text` ends as `token` begins, or begins as it ends.
fn overlaps(text: &str, token: &str) -> bool {
    token.char_indices().skip(1).any(|(at, _)| {
        let (start, end) = token.split_at(at);
        text.ends_with(start) || text.starts_with(end)
    })
}

impl Search {
    fn new(
        tokens: Vec<(u32, AddedToken)>,
        pattern: impl Fn(&str) -> Result<String, String>,
    ) -> Result<Option<Self>, String> {
        let mut patterns = Vec::new();
        let mut kept = Vec::new();
        for (id, token) in tokens {
            let pattern = pattern(&token.content)?;
            // A token that its normaliser makes empty would be found everywhere.
            if !pattern.is_empty() {
                patterns.push(pattern);
                kept.push((id, token));
            }
        }
        if patterns.is_empty() {
            return Ok(None);
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&patterns)
            .map_err(|error| error.to_string())?;
        Ok(Some(Self {
            automaton,
            tokens: kept,
        }))
    }
}

fn split(search: Option<&Search>, text: &str, masked: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut done = 0;
    for found in search
        .iter()
        .flat_map(|search| search.automaton.find_iter(masked))
    {
        let Some((id, token)) =
            search.and_then(|search| search.tokens.get(found.pattern().as_usize()))
        else {
            continue;
        };
        let (mut start, mut end) = (found.start(), found.end());
        let (before, after) = (
            text.get(..start).unwrap_or(""),
            text.get(end..).unwrap_or(""),
        );
        if token.single_word
            && (before.chars().next_back().is_some_and(is_word)
                || after.chars().next().is_some_and(is_word))
        {
            continue;
        }
        if token.lstrip {
            start = before.trim_end().len().max(done);
        }
        if token.rstrip {
            end += after.len() - after.trim_start().len();
        }
        if done < start {
            parts.push(Part {
                start: done,
                end: start,
                id: None,
            });
        }
        parts.push(Part {
            start,
            end,
            id: Some(*id),
        });
        done = end;
    }
    if done < text.len() || parts.is_empty() {
        parts.push(Part {
            start: done,
            end: text.len(),
            id: None,
        });
    }
    parts
}

/// `\w` of the regular expressions that the crate uses.
fn is_word(c: char) -> bool {
    regex_syntax::is_word_character(c)
}

/// The bytes of `text` with those for which `is_user` holds masked; neutral characters stay.
pub(super) fn mask<'a>(
    text: &'a str,
    mut is_user: impl FnMut(usize) -> bool,
    any: bool,
) -> Cow<'a, [u8]> {
    if !any {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = text.as_bytes().to_vec();
    for (at, c) in text.char_indices() {
        if !is_neutral(c) && is_user(at) {
            bytes
                .iter_mut()
                .skip(at)
                .take(c.len_utf8())
                .for_each(|byte| *byte = MASKED);
        }
    }
    Cow::Owned(bytes)
}

//! Words near a number that say what it is.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::text::{ceil, floor};

/// How far before and after a number its words are looked for, in bytes.
const BEFORE: usize = 72;
const AFTER: usize = 28;

/// A list of words that say the same: where a word of it is, a number nearby is of that sort.
///
/// Words are lower case with blanks: `api_key`, `apiKey` and `API-key` are all `api key`. A word that ends in `*` is a
/// beginning.
pub(super) type Topic = &'static [&'static str];

/// All topics, looked for at once: a search for each would cost more than the rest of the detector.
pub(super) struct Topics {
    finder: AhoCorasick,
    words: Vec<Word>,
}

struct Word {
    open_end: bool,
    topic: usize,
}

/// The topics near a number, by their places in the list.
#[derive(Clone, Copy)]
pub(super) struct Near(u128);

impl Near {
    /// Whether this topic is near.
    pub(super) fn has(self, topic: usize) -> bool {
        1_u128
            .checked_shl(topic as u32)
            .is_none_or(|bit| self.0 & bit != 0)
    }
}

impl Topics {
    /// `None` where there are more words than can be looked for.
    pub(super) fn new(topics: &[Topic]) -> Option<Self> {
        let rows = topics.iter().enumerate();
        let rows = rows.flat_map(|(topic, words)| words.iter().map(move |word| (topic, *word)));
        let (texts, words): (Vec<_>, Vec<_>) = rows
            .map(|(topic, word)| {
                let beginning = word.strip_suffix('*');
                (
                    beginning.unwrap_or(word),
                    Word {
                        open_end: beginning.is_some(),
                        topic,
                    },
                )
            })
            .unzip();
        let finder = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::DFA))
            .build(texts)
            .ok()?;
        Some(Self { finder, words })
    }

    /// The topics near `range`.
    pub(super) fn near(&self, text: &str, range: &Range<usize>) -> Near {
        let before = floor(text, range.start.saturating_sub(BEFORE))..range.start;
        let after = range.end..ceil(text, range.end.saturating_add(AFTER));
        let parts = [before, after]
            .into_iter()
            .filter_map(|part| text.get(part));
        Near(parts.fold(0, |set, part| set | self.within(&spaced(part))))
    }

    /// Whether a word of any topic stands in the last `bytes` before `at`.
    pub(super) fn shortly_before(&self, text: &str, at: usize, bytes: usize) -> bool {
        let part = text.get(floor(text, at.saturating_sub(bytes))..at);
        part.is_some_and(|part| self.within(&spaced(part)) != 0)
    }

    fn within(&self, part: &str) -> u128 {
        let mut set = 0;
        for hit in self.finder.find_overlapping_iter(part) {
            let Some(word) = self.words.get(hit.pattern().as_usize()) else {
                continue;
            };
            if stands(part, hit.range(), word.open_end) {
                set |= 1_u128.checked_shl(word.topic as u32).unwrap_or(0);
            }
        }
        set
    }
}

/// Whether a word stands for itself. Scripts without blanks between words have no boundaries to ask for.
fn stands(part: &str, at: Range<usize>, open_end: bool) -> bool {
    let (before, after) = (part.get(..at.start), part.get(at.end..));
    let latin = part
        .get(at)
        .is_some_and(|word| word.starts_with(|c: char| c < '\u{2e80}'));
    let letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    !latin
        || !letter(before.and_then(|part| part.chars().next_back()))
            && (open_end || !letter(after.and_then(|part| part.chars().next())))
}

/// Lower case, with a blank at every `_`, `-` and before a capital that follows a small letter.
fn spaced(part: &str) -> String {
    let mut out = String::with_capacity(part.len() + 16);
    let mut small = false;
    if part.is_ascii() {
        for b in part.bytes() {
            if small && b.is_ascii_uppercase() {
                out.push(' ');
            }
            small = b.is_ascii_lowercase();
            out.push(match b {
                b'_' | b'-' => ' ',
                b => char::from(b.to_ascii_lowercase()),
            });
        }
        return out;
    }
    for c in part.chars() {
        if small && c.is_uppercase() {
            out.push(' ');
        }
        small = c.is_lowercase();
        match c {
            '_' | '-' => out.push(' '),
            c => out.extend(c.to_lowercase()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_words() {
        let check = |text: &str, words: Topic, expected: bool| {
            let topics = Topics::new(&[&["other"], words]).unwrap();
            let at = text.find('#').unwrap();
            assert_eq!(topics.near(text, &(at..at + 1)).has(1), expected, "{text}");
        };
        check("my SSN is #", &["ssn"], true);
        check("user_ssn=#", &["ssn"], true);
        check("userSsn: #", &["ssn"], true);
        check("since #", &["sin"], false);
        check("businessn #", &["ssn"], false);
        check("# is my telephone", &["tele*"], true);
        check("个人番号は#", &["番号"], true);
        check(&format!("ssn {} #", "x".repeat(80)), &["ssn"], false);
    }
}

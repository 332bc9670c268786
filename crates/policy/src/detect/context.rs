//! Words near a number that say what it is.

use std::ops::Range;

use super::text::{ceil, floor};

/// How far before and after a number its words are looked for, in bytes.
const BEFORE: usize = 72;
const AFTER: usize = 28;

/// Whether one of `words` stands near `range`.
///
/// Words are lower case with blanks: `api_key`, `apiKey` and `API-key` are all `api key`. A word that ends in `*` is a
/// beginning.
pub(super) fn near(text: &str, range: &Range<usize>, words: &[&str]) -> bool {
    let before = floor(text, range.start.saturating_sub(BEFORE))..range.start;
    let after = range.end..ceil(text, range.end.saturating_add(AFTER));
    [before, after]
        .into_iter()
        .filter_map(|part| text.get(part))
        .any(|part| has_word(&spaced(part), words))
}

/// Whether one of `words` stands right before `at`.
pub(super) fn shortly_before(text: &str, at: usize, bytes: usize, words: &[&str]) -> bool {
    let part = text.get(floor(text, at.saturating_sub(bytes))..at);
    part.is_some_and(|part| has_word(&spaced(part), words))
}

/// Lower case, with a blank at every `_`, `-` and before a capital that follows a small letter.
fn spaced(part: &str) -> String {
    let mut out = String::with_capacity(part.len() + 8);
    let mut small = false;
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

fn has_word(part: &str, words: &[&str]) -> bool {
    words.iter().any(|word| {
        let (word, open) = match word.strip_suffix('*') {
            Some(beginning) => (beginning, true),
            None => (*word, false),
        };
        part.match_indices(word).any(|(at, _)| {
            let (before, after) = (&part[..at], &part[at + word.len()..]);
            // Scripts without blanks between words have no boundaries to ask for.
            let latin = word.starts_with(|c: char| c < '\u{2e80}');
            !latin
                || !before.ends_with(char::is_alphanumeric)
                    && (open || !after.starts_with(char::is_alphanumeric))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_words() {
        let check = |text: &str, words: &[&str], expected: bool| {
            let at = text.find('#').unwrap();
            assert_eq!(near(text, &(at..at + 1), words), expected, "{text}");
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

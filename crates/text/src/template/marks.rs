//! Stand-ins for characters, to see where a template puts what came with the messages.
//!
//! A conversation is rendered twice: as it is, and with every character of the messages (white space apart) replaced by
//! a stand-in, a code point that nothing here uses. Where the second text shows stand-ins, the first shows text of the
//! messages. String functions treat a stand-in as the character it stands for, so that a template which looks into a
//! text finds in both what it looks for; that the two texts say the same is checked in the end.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

/// Code points of the planes that Unicode has not assigned: no letters, no spaces, no case.
const POOL: std::ops::RangeInclusive<u32> = 0x4_0000..=0xd_ffff;

/// Which character stands in for which.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    stand_in: HashMap<char, char>,
    original: HashMap<char, char>,
    /// Texts that stay as they are.
    kept: HashSet<String>,
}

impl Marks {
    /// Stand-ins for all that `context` says and a template may make of it, or `None` where there are not enough.
    pub(super) fn new(context: &Map<String, Value>, source: &str) -> Option<Self> {
        let mut used: HashSet<char> = (' '..='~').chain(source.chars()).collect();
        context.values().for_each(|value| collect(value, &mut used));
        // What upper-casing and the like may make of them is part of them.
        let cased: Vec<char> = used
            .iter()
            .flat_map(|c| c.to_uppercase().chain(c.to_lowercase()))
            .collect();
        used.extend(cased);
        let mut free = POOL
            .filter_map(char::from_u32)
            .filter(|c| !used.contains(c));
        let mut marks = Self::default();
        for &c in used.iter().filter(|c| !is_space(**c)) {
            let stand_in = free.next()?;
            marks.stand_in.insert(c, stand_in);
            marks.original.insert(stand_in, c);
        }
        Some(marks)
    }

    /// The stand-in of a character.
    pub(super) fn mark_char(&self, c: char) -> char {
        self.stand_in.get(&c).copied().unwrap_or(c)
    }

    /// These stand-ins, but for the texts that are one of `words` and nothing more.
    pub(super) fn keeping(mut self, words: HashSet<String>) -> Self {
        self.kept = words;
        self
    }

    /// A text in stand-ins.
    pub(super) fn mark(&self, text: &str) -> String {
        if self.kept.contains(text) {
            return text.to_owned();
        }
        text.chars().map(|c| self.mark_char(c)).collect()
    }

    /// The character that `c` is or stands for.
    pub(super) fn original(&self, c: char) -> char {
        self.original.get(&c).copied().unwrap_or(c)
    }

    /// A text without stand-ins.
    pub(super) fn unmark(&self, text: &str) -> String {
        if self.original.is_empty() {
            return text.to_owned();
        }
        text.chars().map(|c| self.original(c)).collect()
    }

    pub(super) fn is_marked(&self, c: char) -> bool {
        self.original.contains_key(&c)
    }

    /// `c` changed by `change` as its original would be: a stand-in stays one.
    pub(super) fn map_char<I: Iterator<Item = char>>(
        &self,
        c: char,
        change: impl Fn(char) -> I,
        out: &mut String,
    ) {
        if self.is_marked(c) {
            out.extend(change(self.original(c)).map(|c| self.mark_char(c)));
        } else {
            out.extend(change(c));
        }
    }
}

/// White space as Python's `str.isspace` has it.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

fn collect(value: &Value, used: &mut HashSet<char>) {
    match value {
        Value::String(text) => used.extend(text.chars()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, used)),
        Value::Object(fields) => {
            for (key, value) in fields {
                used.extend(key.chars());
                collect(value, used);
            }
        }
        _ => {}
    }
}

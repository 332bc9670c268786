//! Numbers that are known by their form and their check digits: one pass over the digits of a text.
//!
//! A [`Rule`] is a table row. Its forms are templates: `9` is a digit, `A` a capital, `*` a digit or capital, `X` a digit
//! or `X`; a blank and a hyphen also match their non-breaking kin; everything else is itself. Rules are kept by how
//! their forms begin, so that a number in a text meets only those rules whose first letters and digits are as many as its
//! own.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::LazyLock;

use super::context::{Near, Topic, Topics};
use super::text::{byte_at, byte_before, is_word, run_end, run_start};
use super::{Confidence, Finding, FindingKind, card, iban, ip, national, phone};

/// A number of a fixed form.
pub(super) struct Rule {
    /// What it is.
    pub(super) kind: FindingKind,
    /// Forms that, with the check, hardly anything else has.
    pub(super) clear: &'static [&'static str],
    /// Forms that other numbers have too: they need a word nearby.
    pub(super) bare: &'static [&'static str],
    /// Whether the letters and digits, without what separates them, are right.
    pub(super) check: fn(&[u8]) -> bool,
    /// Words that say what it is.
    pub(super) words: Topic,
    /// More digits may follow after a blank, as the expiry of a card does.
    pub(super) open_end: bool,
}

impl Rule {
    /// What rows leave unsaid.
    pub(super) const BASE: Self = Self {
        kind: FindingKind::PaymentCard,
        clear: &[],
        bare: &[],
        check: |_| true,
        words: &[],
        open_end: false,
    };
}

/// Tells whether a word that says what a number is stands near it.
pub(super) type Named<'a> = &'a dyn Fn(&Range<usize>) -> bool;

/// A number without a fixed form.
struct Reader {
    /// Given where the letters and digits of a number begin.
    read: fn(&str, usize, Named<'_>) -> Option<Finding>,
    /// Words that say what it is.
    words: Topic,
}

const READERS: &[Reader] = &[
    Reader {
        read: iban::read,
        words: &[],
    },
    Reader {
        read: phone::read,
        words: phone::WORDS,
    },
    Reader {
        read: ip::read,
        words: ip::WORDS,
    },
];

/// Groups of rules.
const GROUPS: &[&[Rule]] = &[
    card::RULES,
    national::americas::RULES,
    national::asia_pacific::RULES,
    national::europe::RULES,
    national::nordic::RULES,
];

const MOST_LETTERS: usize = 6;
const MOST_DIGITS: usize = 20;

struct Form {
    rule: &'static Rule,
    topic: usize,
    template: &'static str,
    /// What of the template follows its first digits.
    next: Option<u8>,
    clear: bool,
}

/// The forms by how many letters and then digits they begin with, and the words of all.
struct Index {
    forms: Vec<Vec<Form>>,
    topics: Option<Topics>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let rules = || GROUPS.iter().copied().flatten();
    let topics: Vec<Topic> = READERS
        .iter()
        .map(|r| r.words)
        .chain(rules().map(|r| r.words))
        .collect();
    let mut forms = Vec::new();
    forms.resize_with((MOST_LETTERS + 1) * (MOST_DIGITS + 1), Vec::new);
    let mut index = Index {
        forms,
        topics: Topics::new(&topics),
    };
    for (topic, rule) in (READERS.len()..).zip(rules()) {
        for (templates, clear) in [(rule.clear, true), (rule.bare, false)] {
            templates
                .iter()
                .for_each(|template| index.add(rule, topic, template, clear));
        }
    }
    index
});

impl Index {
    fn add(&mut self, rule: &'static Rule, topic: usize, template: &'static str, clear: bool) {
        let letters = template.bytes().take_while(|b| *b == b'A').count();
        let rest = template.get(letters..).unwrap_or_default();
        let rest = rest.trim_start_matches([' ', '-']);
        let digits = rest.bytes().take_while(|b| *b == b'9').count();
        let next = rest.as_bytes().get(digits).copied();
        // An X may be one digit more.
        for digits in digits..=digits + usize::from(next == Some(b'X')) {
            if let Some(forms) = self.forms.get_mut(slot(letters, digits)) {
                forms.push(Form {
                    rule,
                    topic,
                    template,
                    next,
                    clear,
                });
            }
        }
    }

    fn forms(&self, letters: usize, digits: usize) -> &[Form] {
        match letters <= MOST_LETTERS && digits <= MOST_DIGITS {
            true => self
                .forms
                .get(slot(letters, digits))
                .map_or(&[], Vec::as_slice),
            false => &[],
        }
    }
}

fn slot(letters: usize, digits: usize) -> usize {
    letters.min(MOST_LETTERS) * (MOST_DIGITS + 1) + digits.min(MOST_DIGITS)
}

/// Appends what the numbers of a text are.
pub(super) fn scan(text: &str, found: &mut Vec<Finding>) {
    let index = &*INDEX;
    let nearby = Nearby {
        text,
        last: RefCell::new(None),
    };
    let mut at = 0;
    while let Some(first_digit) = next_digit(text.as_bytes(), at) {
        let start = run_start(text, first_digit, MOST_LETTERS + 1, |b| {
            b.is_ascii_alphabetic()
        });
        let digits_end = run_end(text, first_digit, usize::MAX, |b| b.is_ascii_digit());
        let token_end = run_end(text, digits_end, usize::MAX, |b| is_word(Some(b)));
        at = token_end;
        let letters = first_digit - start;
        if letters > MOST_LETTERS || is_word(byte_before(text, start)) {
            continue;
        }
        let before = found.len();
        let digits = digits_end - first_digit;
        read_forms(
            &nearby,
            start,
            digits_end,
            index.forms(letters, digits),
            found,
        );
        if letters == 0 {
            // `QQ 12 34 56 C`: the letters stand apart.
            let apart = letters_apart(text, start);
            if let Some(apart) = apart {
                read_forms(
                    &nearby,
                    apart.start,
                    digits_end,
                    index.forms(apart.len(), digits),
                    found,
                );
            }
        }
        found.extend(READERS.iter().enumerate().filter_map(|(topic, reader)| {
            (reader.read)(text, start, &|range| nearby.has(range, topic))
        }));
        let end = found
            .get(before..)
            .unwrap_or_default()
            .iter()
            .map(|f| f.range.end)
            .max();
        at = at.max(end.unwrap_or(0));
    }
}

/// The next digit at or after `at`, looking at 32 bytes at a time: most prose has none.
fn next_digit(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let rest = bytes.get(at..)?;
        let block = rest.get(..32).unwrap_or(rest);
        if block.iter().fold(false, |any, b| any | b.is_ascii_digit()) {
            return block.iter().position(u8::is_ascii_digit).map(|i| at + i);
        }
        if rest.len() <= 32 {
            return None;
        }
        at += 32;
    }
}

fn letters_apart(text: &str, start: usize) -> Option<Range<usize>> {
    let gap = start.checked_sub(1)?;
    let first = run_start(text, gap, MOST_LETTERS + 1, |b| b.is_ascii_uppercase());
    let fits = matches!(byte_before(text, start), Some(b' ' | b'-'))
        && first < gap
        && gap - first <= MOST_LETTERS
        && !is_word(byte_before(text, first));
    fits.then_some(first..gap)
}

/// What is near a number, looked for once for all rules that ask.
struct Nearby<'a> {
    text: &'a str,
    last: RefCell<Option<(Range<usize>, Near)>>,
}

impl Nearby<'_> {
    fn has(&self, range: &Range<usize>, topic: usize) -> bool {
        // Without the table of words every number counts as named: a finding too many, not one too few.
        let Some(topics) = &INDEX.topics else {
            return true;
        };
        let mut last = self.last.borrow_mut();
        let near = match &*last {
            Some((of, near)) if of == range => *near,
            _ => topics.near(self.text, range),
        };
        *last = Some((range.clone(), near));
        near.has(topic)
    }
}

fn read_forms(
    nearby: &Nearby<'_>,
    start: usize,
    digits_end: usize,
    forms: &[Form],
    found: &mut Vec<Finding>,
) {
    // Most forms end here: the byte after the first digits is not theirs.
    let next = byte_at(nearby.text, digits_end);
    let forms = forms.iter().filter(|form| form.may_go_on(next));
    found.extend(forms.filter_map(|form| read_form(nearby, start, form)));
}

impl Form {
    fn may_go_on(&self, next: Option<u8>) -> bool {
        match self.next {
            None => !is_word(next),
            Some(b'X') => true,
            Some(b'A' | b'*') => is_word(next),
            Some(separator) => next.is_some_and(|b| b == separator || !b.is_ascii()),
        }
    }
}

fn read_form(nearby: &Nearby<'_>, start: usize, form: &Form) -> Option<Finding> {
    let mut compact = Compact::default();
    let range = start..matches(nearby.text, start, form.template, &mut compact)?;
    let grouped = form.template.contains(' ');
    if !stands_alone(nearby.text, &range, grouped && !form.rule.open_end)
        || !(form.rule.check)(compact.get())
    {
        return None;
    }
    let confidence = match (form.clear, nearby.has(&range, form.topic)) {
        (_, true) => Confidence::Certain,
        (true, false) => Confidence::Likely,
        (false, false) => Confidence::Possible,
    };
    Some(Finding {
        kind: form.rule.kind,
        range,
        confidence,
    })
}

/// A few bytes without an allocation: letters and digits without what separates them.
#[derive(Clone, Copy, Default)]
pub(super) struct Compact {
    bytes: [u8; 32],
    len: usize,
}

impl Compact {
    pub(super) fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    pub(super) fn get(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Where `template` ends if it begins at `start`.
fn matches(text: &str, start: usize, template: &str, compact: &mut Compact) -> Option<usize> {
    let mut at = start;
    for expected in template.bytes() {
        let byte = byte_at(text, at)?;
        let fits = match expected {
            b'9' => byte.is_ascii_digit(),
            b'A' => byte.is_ascii_uppercase(),
            b'*' => byte.is_ascii_digit() || byte.is_ascii_uppercase(),
            b'X' => byte.is_ascii_digit() || byte == b'X' || byte == b'x',
            _ => {
                at += separator(text, at, expected)?;
                continue;
            }
        };
        if !fits {
            return None;
        }
        compact.push(byte.to_ascii_uppercase());
        at += 1;
    }
    Some(at)
}

/// How many bytes at `at` are this separator or its non-breaking kin.
fn separator(text: &str, at: usize, expected: u8) -> Option<usize> {
    if byte_at(text, at) == Some(expected) {
        return Some(1);
    }
    let kin: &[char] = match expected {
        b' ' => &['\u{a0}', '\u{2009}', '\u{202f}'],
        b'-' => &['\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}'],
        _ => return None,
    };
    let next = text.get(at..)?.chars().next()?;
    kin.contains(&next).then(|| next.len_utf8())
}

/// Whether nothing before or after makes it a piece of something longer: of a word, a UUID, a decimal, a longer number.
pub(super) fn stands_alone(text: &str, range: &Range<usize>, grouped: bool) -> bool {
    let alnum = |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric());
    let digit = |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_digit());
    let (before, after) = (byte_before(text, range.start), byte_at(text, range.end));
    let before_that = range
        .start
        .checked_sub(1)
        .and_then(|at| byte_before(text, at));
    let after_that = byte_at(text, range.end.saturating_add(1));
    let joined_before = match before {
        Some(b'-') => alnum(before_that),
        Some(b'.' | b',') => digit(before_that),
        Some(b' ') => grouped && digit(before_that),
        Some(b'+' | b'$') => true,
        before => is_word(before),
    };
    let joined_after = match after {
        Some(b'-') => alnum(after_that),
        Some(b'.' | b',') => digit(after_that),
        Some(b' ') => grouped && digit(after_that),
        after => is_word(after),
    };
    !joined_before && !joined_after
}

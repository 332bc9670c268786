//! Telephone numbers.
//!
//! International ones by their `+` and an assigned country code (ITU-T E.164); North American ones by their form;
//! others, which look like any number, by a word nearby.

use std::ops::Range;

use super::context::Topic;
use super::numbers::{Compact, Named, stands_alone};
use super::text::{byte_at, byte_before, is_word, run_end, run_start};
use super::{Confidence, Finding, FindingKind};

pub(super) const WORDS: Topic = &[
    "phone*",
    "tel",
    "tel.",
    "telephone*",
    "mobile",
    "cell",
    "cellphone*",
    "call",
    "called",
    "calling",
    "dial",
    "fax",
    "sms",
    "text me",
    "whatsapp",
    "signal",
    "hotline",
    "contact*",
    "telefon*",
    "handy*",
    "mobil*",
    "rufnummer*",
    "anrufen",
    "ruf",
    "téléphone*",
    "portable",
    "appelez*",
    "appeler",
    "appelle*",
    "joindre",
    "teléfono*",
    "telefono*",
    "móvil*",
    "llame*",
    "llámame",
    "cellulare",
    "chiama*",
    "telefone*",
    "telemóvel",
    "celular",
    "telefoon*",
    "mobiel*",
    "bel",
    "puhelin*",
    "телефон*",
    "тел",
    "電話",
    "携帯",
    "电话",
    "手机",
    "전화",
    "휴대폰",
    "फ़ोन",
];

/// Reads a telephone number whose first digit is at `start`.
pub(super) fn read(text: &str, start: usize, named: Named<'_>) -> Option<Finding> {
    if !byte_at(text, start)?.is_ascii_digit() {
        return None;
    }
    let begin = run_start(text, start, 2, |b| matches!(b, b'+' | b'('));
    let number = Number::read(text, begin)?;
    let international = text
        .get(begin..start)
        .is_some_and(|lead| lead.contains('+'));
    let range = begin..number.end;
    let confidence = if international {
        let alone = !is_word(byte_before(text, begin))
            && byte_before(text, begin) != Some(b'-')
            && !is_word(byte_at(text, number.end));
        (alone && number.is_international()).then_some(Confidence::Likely)?
    } else {
        national(text, &range, &number, named)?
    };
    Some(Finding {
        kind: FindingKind::Phone,
        range,
        confidence,
    })
}

fn national(
    text: &str,
    range: &Range<usize>,
    number: &Number,
    named: Named<'_>,
) -> Option<Confidence> {
    let (digits, form) = (number.digits.get(), number.form.get());
    let north_american = number.is_north_american();
    let mobile = digits.starts_with(b"06") || digits.starts_with(b"07");
    let clear = north_american && CLEAR.contains(&form) || mobile && form == b"2 2 2 2 2"; // France
    let number_of_its_own = stands_alone(text, range, !clear)
        && !number.looks_like_date()
        && !number.looks_like_decimal()
        && !number.counts_up();
    if !number_of_its_own || clear {
        return number_of_its_own.then_some(Confidence::Likely);
    }
    let local = digits.starts_with(b"0") || north_american || number.has(b"( -");
    let groups = form.iter().filter(|b| b.is_ascii_hexdigit()).count();
    let plausible = matches!(digits.len(), 7..=14)
        && (local || digits.len() >= 9)
        && groups * 2 <= digits.len() + 1 // not a list of small numbers
        && byte_before(text, range.start) != Some(b'/'); // not a piece of an address
    // Bare digits are looked at only near a word, since the search for the word is the dearer part.
    (plausible && named(range)).then_some(Confidence::Likely)
}

/// North American forms that hardly anything else has.
const CLEAR: &[&[u8]] = &[b"(3)3-4", b"(3) 3-4", b"3-3-4", b"1-3-3-4", b"1 (3) 3-4"];

/// Digits, and their groups as a form: `(415) 555-2671` is `(3) 3-4`.
#[derive(Clone, Copy, Default)]
struct Number {
    digits: Compact,
    form: Compact,
    end: usize,
}

impl Number {
    /// Reads as many groups as one number can have.
    fn read(text: &str, begin: usize) -> Option<Self> {
        let mut number = Self::default();
        let mut whole = None;
        let mut at = begin + usize::from(byte_at(text, begin) == Some(b'+'));
        loop {
            let start = at;
            let gap = gap(text, start);
            let group_end = run_end(text, start + gap, 16, |b| b.is_ascii_digit());
            let group = text
                .as_bytes()
                .get(start + gap..group_end)
                .unwrap_or_default();
            let last = group.is_empty()
                || gap > 0 && byte_at(text, start) == Some(b' ') && number.is_full();
            if last || number.digits.get().len() + group.len() > 15 {
                break;
            }
            number.add(
                text.as_bytes().get(start..start + gap).unwrap_or_default(),
                group,
                group_end,
            );
            whole = Some(number);
            at = group_end;
        }
        whole.filter(|number| number.digits.get().len() >= 7)
    }

    fn add(&mut self, gap: &[u8], group: &[u8], end: usize) {
        for byte in gap.iter().filter(|b| **b != 0xC2 && **b != b'+') {
            self.form.push(if *byte == 0xA0 { b' ' } else { *byte });
        }
        group.iter().for_each(|digit| self.digits.push(*digit));
        self.form.push(
            b"0123456789abcdef"
                .get(group.len())
                .copied()
                .unwrap_or(b'?'),
        );
        self.end = end;
    }

    /// A blank after a whole North American number ends it: `415-555-2671 2 times`.
    fn is_full(&self) -> bool {
        let full = CLEAR.contains(&self.form.get())
            || self.digits.get().len() == 11 && self.digits.get().starts_with(b"1");
        full && self.is_north_american()
    }

    fn has(&self, any: &[u8]) -> bool {
        self.form.get().iter().any(|b| any.contains(b))
    }

    /// E.164: at most 15 digits after an assigned country code; the North American ones are 11.
    fn is_international(&self) -> bool {
        let digits = self.digits.get();
        match digits {
            [b'0', ..]
            | [b'2', b'1', b'0' | b'4' | b'5' | b'7' | b'9', ..]
            | [b'2', b'8', ..]
            | [b'2', b'9', b'2'..=b'6', ..]
            | [b'8', b'3' | b'9', ..]
            | [b'9', b'9', b'0' | b'1' | b'7' | b'9', ..] => false,
            [b'1', ..] => digits.len() == 11 && self.is_north_american(),
            _ => (9..=15).contains(&digits.len()),
        }
    }

    /// `[2-9]xx [2-9]xx xxxx`, with or without a 1 before.
    fn is_north_american(&self) -> bool {
        let digits = match self.digits.get() {
            [b'1', rest @ ..] if rest.len() == 10 => rest,
            rest => rest,
        };
        digits.len() == 10
            && digits.first() >= Some(&b'2')
            && digits.get(3) >= Some(&b'2')
            && digits.get(1..3) != Some(b"11")
    }

    fn looks_like_date(&self) -> bool {
        let dates: [&[u8]; 8] = [
            b"4-2-2", b"2-2-4", b"2.2.4", b"2/2/4", b"4/2/2", b"4.2.2", b"1/2/4", b"2/1/4",
        ];
        let (digits, form) = (self.digits.get(), self.form.get());
        let century = |at| matches!(digits.get(at..at + 2), Some(b"19" | b"20"));
        let years = form == b"4-4" && century(0) && century(4);
        years
            || dates.iter().any(|date| form.starts_with(date))
            || form.windows(5).any(|part| part == b"4-2-2")
    }

    /// `0123456789`: the digits themselves.
    fn counts_up(&self) -> bool {
        let pairs = self.digits.get().windows(2);
        pairs
            .filter(|pair| matches!(pair, [a, b] if a + 1 == *b))
            .count()
            >= 8
    }

    /// `1234567.89`, and other numbers with one point.
    fn looks_like_decimal(&self) -> bool {
        self.form.get().iter().filter(|b| **b == b'.').count() == 1 && !self.has(b" -/(")
    }
}

/// How many bytes at `at` may stand between two groups.
fn gap(text: &str, at: usize) -> usize {
    let mut end = run_end(text, at, 3, |b| b" -./()+".contains(&b));
    if byte_at(text, end) == Some(0xC2) && byte_at(text, end + 1) == Some(0xA0) {
        end += 2; // a no-break space
    }
    end - at
}

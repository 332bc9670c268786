//! Telephone numbers.
//!
//! International ones by their `+` and an assigned country code (ITU-T E.164); North American ones by their form;
//! others, which look like any number, by a word nearby.

use super::numbers::stands_alone;
use super::text::{byte_at, byte_before, is_word, run_start};
use super::{Confidence, Finding, FindingKind, context};

const WORDS: &[&str] = &[
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
pub(super) fn read(text: &str, start: usize) -> Option<Finding> {
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
        let alone = !is_word(byte_before(text, begin)) && !is_word(byte_at(text, number.end));
        (alone && number.is_international()).then_some(Confidence::Likely)?
    } else {
        national(text, &range, &number)?
    };
    Some(Finding {
        kind: FindingKind::Phone,
        range,
        confidence,
    })
}

fn national(text: &str, range: &std::ops::Range<usize>, number: &Number) -> Option<Confidence> {
    if !stands_alone(text, range, true) || number.looks_like_date() || number.looks_like_decimal() {
        return None;
    }
    let north_american = number.is_north_american();
    let clear = north_american
        && matches!(
            number.form.as_str(),
            "(3)3-4" | "(3) 3-4" | "3-3-4" | "1-3-3-4" | "1 (3) 3-4"
        )
        || number.digits.starts_with(b"0")
            && matches!(number.digits.get(1), Some(b'6' | b'7'))
            && number.form == "2 2 2 2 2"; // a French mobile
    if clear {
        return Some(Confidence::Likely);
    }
    let local =
        number.digits.starts_with(b"0") || north_american || number.form.contains(['(', ' ', '-']);
    let plausible = matches!(number.digits.len(), 7..=14) && (local || number.digits.len() >= 9);
    // Bare digits are looked at only near a word, since the search for the word is the dearer part.
    (plausible && context::near(text, range, WORDS)).then_some(Confidence::Likely)
}

/// Digits, and their groups as a form: `(415) 555-2671` is `(3) 3-4`.
struct Number {
    digits: Vec<u8>,
    form: String,
    end: usize,
}

impl Number {
    fn read(text: &str, begin: usize) -> Option<Self> {
        let mut number = Self {
            digits: Vec::with_capacity(16),
            form: String::with_capacity(16),
            end: begin,
        };
        let mut group = 0_usize;
        let mut pending = String::new();
        let mut at = begin;
        let close = |form: &mut String, group: &mut usize| {
            if *group > 0 {
                form.push_str(&group.to_string());
            }
            *group = 0;
        };
        while let Some(byte) = byte_at(text, at) {
            match byte {
                b'0'..=b'9' => {
                    if !pending.is_empty() {
                        close(&mut number.form, &mut group);
                        number.form.push_str(&pending);
                        pending.clear();
                    }
                    group += 1;
                    number.digits.push(byte);
                    number.end = at + 1;
                    if number.digits.len() > 15 {
                        return None;
                    }
                }
                b'+' if at == begin || byte_before(text, at) == Some(b'(') => {}
                b' ' | b'-' | b'.' | b'/' | b'(' | b')' if pending.len() < 3 => {
                    pending.push(char::from(byte))
                }
                0xC2 if byte_at(text, at + 1) == Some(0xA0) && pending.len() < 3 => {
                    pending.push(' ');
                    at += 1;
                }
                _ => break,
            }
            at += 1;
        }
        close(&mut number.form, &mut group);
        (number.digits.len() >= 7).then_some(number)
    }

    /// E.164: 8 to 15 digits after an assigned country code; the North American ones exactly 11.
    fn is_international(&self) -> bool {
        let digit = |i: usize| self.digits.get(i).map(|b| b - b'0');
        match (digit(0), digit(1)) {
            (Some(1), _) => self.digits.len() == 11 && digit(1) >= Some(2) && digit(4) >= Some(2),
            (Some(0), _) | (None, _) => false,
            (Some(2), Some(1 | 8)) => digit(1) == Some(1) && self.long_enough(),
            (Some(8), Some(3 | 9)) => false,
            _ => self.long_enough(),
        }
    }

    fn long_enough(&self) -> bool {
        (9..=15).contains(&self.digits.len())
    }

    /// `[2-9]xx [2-9]xx xxxx`, with or without a 1 before.
    fn is_north_american(&self) -> bool {
        let digits = match self.digits.as_slice() {
            [b'1', rest @ ..] if rest.len() == 10 => rest,
            rest => rest,
        };
        digits.len() == 10
            && digits.first() >= Some(&b'2')
            && digits.get(3) >= Some(&b'2')
            && digits.get(1..3) != Some(b"11")
    }

    fn looks_like_date(&self) -> bool {
        let form = self.form.as_str();
        matches!(
            form,
            "4-2-2" | "2-2-4" | "2.2.4" | "2/2/4" | "4/2/2" | "4.2.2" | "1/2/4" | "2/1/4"
        ) || ["4-2-2 ", "4-2-2-", "2.2.4 ", "2/2/4 ", "4/2/2 "]
            .iter()
            .any(|date| form.starts_with(date))
    }

    /// `1234567.89`, and other numbers with one point.
    fn looks_like_decimal(&self) -> bool {
        self.form.matches('.').count() == 1 && !self.form.contains([' ', '-', '/', '('])
    }
}

//! The North of Europe, where the number begins with the date of birth.

use crate::detect::FindingKind;
use crate::detect::checksum::{digits, luhn, month_day, weighted};
use crate::detect::numbers::Rule;

pub(in crate::detect) const RULES: &[Rule] = &[
    Rule {
        kind: FindingKind::SePersonnummer,
        clear: &["999999-9999", "999999+9999", "99999999-9999"],
        bare: &["9999999999", "999999999999"],
        check: se_personnummer,
        words: &[
            "personnummer*",
            "personnr",
            "person nummer",
            "samordningsnummer*",
            "pnr",
        ],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::FiHetu,
        clear: &["999999-999*", "999999+999*", "999999A999*"],
        check: fi_hetu,
        words: &["hetu", "henkilötunnus*", "sotu", "personbeteckning*"],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::NoFodselsnummer,
        bare: &["99999999999", "999999 99999"],
        check: no_fodselsnummer,
        words: &["fødselsn*", "fodselsn*", "personnummer*", "fnr", "d nummer"],
        ..Rule::BASE
    },
    // No check digit can be asked for: numbers since 2007 need not have one.
    Rule {
        kind: FindingKind::DkCpr,
        bare: &["999999-9999", "9999999999", "999999 9999"],
        check: |n| matches!((n.get(2..4), n.get(..2)), (Some(m), Some(d)) if month_day(m, d)),
        words: &["cpr*", "personnummer*"],
        ..Rule::BASE
    },
];

/// Luhn over the last ten; 60 is added to the day of a coordination number.
fn se_personnummer(n: &[u8]) -> bool {
    let Some(short) = n.len().checked_sub(10).and_then(|from| n.get(from..)) else {
        return false;
    };
    let day = short
        .get(4..6)
        .and_then(digits)
        .map(|d| d.iter().fold(0, |n, d| n * 10 + d) % 60);
    let month = short.get(2..4).is_some_and(|month| month_day(month, b"01"));
    let century = n.len() == 10 || matches!(n.get(..2), Some(b"18" | b"19" | b"20"));
    month && century && matches!(day, Some(1..=31)) && luhn(short)
}

/// Nine digits modulo 31 as a letter or digit.
fn fi_hetu(n: &[u8]) -> bool {
    let of_digits: Vec<u8> = match n.len() {
        10 => n.get(..9).unwrap_or_default().to_vec(),
        // The letter for the century stands among the digits.
        11 => [n.get(..6), n.get(7..10)]
            .into_iter()
            .flatten()
            .flatten()
            .copied()
            .collect(),
        _ => return false,
    };
    let Some(digits) = digits(&of_digits) else {
        return false;
    };
    let rest = digits.iter().fold(0, |rest, d| (rest * 10 + d) % 31);
    let expected = b"0123456789ABCDEFHJKLMNPRSTUVWXY".get(rest as usize);
    let century = n.len() == 10 || n.get(6).is_some_and(|c| b"ABCDEFYXWVU".contains(c));
    let born = matches!((n.get(2..4), n.get(..2)), (Some(m), Some(d)) if month_day(m, d));
    century && born && expected == n.last()
}

/// Two check digits modulo 11; 40 is added to the day of a D-number.
fn no_fodselsnummer(n: &[u8]) -> bool {
    let first = weighted(n, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]);
    let second = weighted(n, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]);
    let day = n
        .get(..2)
        .and_then(digits)
        .map(|d| d.iter().fold(0, |n, d| n * 10 + d) % 40);
    let month = n
        .get(2..4)
        .and_then(digits)
        .map(|d| d.iter().fold(0, |n, d| n * 10 + d) % 40);
    let multiple = |sum: Option<u32>| sum.is_some_and(|sum| sum % 11 == 0);
    matches!((day, month), (Some(1..=31), Some(1..=12))) && multiple(first) && multiple(second)
}

//! Europe but the North.

use crate::detect::FindingKind;
use crate::detect::checksum::{digits, ean13, mod_11_10, month_day, remainder, weighted};
use crate::detect::numbers::Rule;

pub(in crate::detect) const RULES: &[Rule] = &[
    Rule {
        kind: FindingKind::GbNino,
        clear: &["AA999999A", "AA 99 99 99 A", "AA 999999 A"],
        check: gb_nino,
        words: &["nino", "national insurance*", "ni number", "ni no"],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::GbNhs,
        bare: &["999 999 9999", "999-999-9999", "9999999999"],
        check: gb_nhs,
        words: &["nhs", "health service", "patient*"],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::IePps,
        bare: &["9999999A", "9999999AA"],
        check: ie_pps,
        words: &["pps", "ppsn", "public service number", "personal public*"],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::DeSteuerId,
        bare: &["99999999999", "99 999 999 999"],
        check: de_steuer_id,
        words: &[
            "steuer*",
            "idnr",
            "id nr",
            "identifikationsnummer*",
            "tin",
            "tax id*",
            "taxid",
            "finanzamt",
        ],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::FrNir,
        clear: &[
            "9 99 99 99 999 999 99",
            "9 99 99 9A 999 999 99",
            "9999999999999 99",
        ],
        bare: &["999999999999999", "999999A99999999"],
        check: fr_nir,
        words: &[
            "nir",
            "insee",
            "sécurité sociale",
            "securite sociale",
            "sécu*",
            "secu",
            "assuré*",
            "carte vitale",
        ],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::EsDni,
        clear: &["99999999A", "99999999-A", "99.999.999-A"],
        check: es_dni,
        words: &["dni", "nif", "documento nacional*", "identidad"],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::EsNie,
        clear: &["A9999999A", "A-9999999-A"],
        check: es_nie,
        words: &["nie", "extranjero*", "identidad"],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::ItCodiceFiscale,
        clear: &[
            "AAAAAA99A99A999A",
            "AAAAAA99A99A***A",
            "AAA AAA 99A99 A999A",
        ],
        check: it_codice_fiscale,
        words: &["codice fiscale", "c.f.", "cf", "fiscale"],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::NlBsn,
        bare: &["999999999", "9999.99.999", "999 999 999"],
        check: nl_bsn,
        words: &["bsn", "burgerservice*", "sofi*", "burger service*"],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::BeNational,
        clear: &["99.99.99-999.99"],
        bare: &[
            "99999999999",
            "999999-999-99",
            "99 99 99 999 99",
            "999999 999 99",
        ],
        check: be_national,
        words: &[
            "rijksregister*",
            "registre national*",
            "national number",
            "nationaal nummer",
            "niss",
            "insz",
            "numéro national",
        ],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::PlPesel,
        bare: &["99999999999"],
        check: pl_pesel,
        words: &["pesel*"],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::PtNif,
        bare: &["999999999", "999 999 999"],
        check: pt_nif,
        words: &["nif", "contribuinte*", "nipc", "número fiscal"],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::ChAhv,
        clear: &["999.9999.9999.99"],
        bare: &["9999999999999"],
        check: |n| n.starts_with(b"756") && ean13(n),
        words: &["ahv*", "avs", "oasi", "sozialversicherung*", "navs"],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::CzRodneCislo,
        clear: &["999999/9999"],
        bare: &["9999999999"],
        check: cz_rodne_cislo,
        words: &["rodné*", "rodne*", "rč", "r.č.", "birth number"],
        ..Rule::BASE
    },
];

/// HM Revenue & Customs, NIM39110: letters and prefixes that are not given.
fn gb_nino(n: &[u8]) -> bool {
    let [first, second, .., suffix] = n else {
        return false;
    };
    let prefix = [*first, *second];
    !b"DFIQUV".contains(first)
        && !b"DFIQUVO".contains(second)
        && !matches!(
            &prefix,
            b"BG" | b"GB" | b"NK" | b"KN" | b"TN" | b"NT" | b"ZZ"
        )
        && b"ABCD".contains(suffix)
}

fn gb_nhs(n: &[u8]) -> bool {
    let sum = weighted(n, &[10, 9, 8, 7, 6, 5, 4, 3, 2]);
    sum.is_some_and(|sum| n.get(9) == Some(&(b'0' + ((11 - sum % 11) % 11) as u8)))
}

/// Weights 8 to 2, and 9 for a second letter; the remainder of 23 is the first letter, W for 0.
fn ie_pps(n: &[u8]) -> bool {
    let second = n
        .get(8)
        .map_or(0, |b| if *b == b'W' { 0 } else { u32::from(b - b'@') });
    let sum = weighted(n, &[8, 7, 6, 5, 4, 3, 2]).map(|sum| (sum + second * 9) % 23);
    let expected = sum.and_then(|rest| b"WABCDEFGHIJKLMNOPQRSTUV".get(rest as usize));
    expected.is_some() && n.get(7) == expected
}

/// Among the first ten digits one comes twice or thrice (since 2016), and the last is ISO 7064 MOD 11,10.
fn de_steuer_id(n: &[u8]) -> bool {
    let Some(head) = n.get(..10) else {
        return false;
    };
    let times = |digit: u8| head.iter().filter(|b| **b == digit).count();
    let repeated: Vec<usize> = (b'0'..=b'9')
        .map(times)
        .filter(|times| *times > 1)
        .collect();
    n.first() != Some(&b'0') && matches!(repeated.as_slice(), [2 | 3]) && mod_11_10(n)
}

/// Sex, year, month, department (2A and 2B for Corsica); the key is 97 less the remainder of the rest.
fn fr_nir(n: &[u8]) -> bool {
    let corsica: i64 = match n.get(5..7) {
        Some(b"2A") => 1_000_000,
        Some(b"2B") => 2_000_000,
        _ => 0,
    };
    let as_digits = n.iter().map(|b| {
        if corsica > 0 && b.is_ascii_alphabetic() {
            b'0'
        } else {
            *b
        }
    });
    let as_digits: Vec<u8> = as_digits.collect();
    let number = |part: Option<&[u8]>| std::str::from_utf8(part?).ok()?.parse::<i64>().ok();
    let (Some(body), Some(key), Some(month)) = (
        number(as_digits.get(..13)),
        number(as_digits.get(13..)),
        number(n.get(3..5)),
    ) else {
        return false;
    };
    matches!(n.first(), Some(b'1'..=b'4' | b'7' | b'8'))
        && matches!(month, 1..=12 | 20..=42 | 50..=99)
        && 97 - (body - corsica).rem_euclid(97) == key
}

fn es_letter(number: &[u8], letter: Option<&u8>) -> bool {
    let rest = remainder(number.iter().copied(), 23);
    let expected = rest.and_then(|rest| b"TRWAGMYFPDXBNJZSQVHLCKE".get(rest as usize));
    letter.is_some() && expected == letter
}

fn es_dni(n: &[u8]) -> bool {
    n.get(..8)
        .is_some_and(|number| number != b"00000000" && es_letter(number, n.get(8)))
}

/// X, Y and Z stand for 0, 1 and 2.
fn es_nie(n: &[u8]) -> bool {
    let mut number = n.get(..8).unwrap_or_default().to_vec();
    match number.first_mut() {
        Some(first @ b'X'..=b'Z') => *first = *first - b'X' + b'0',
        _ => return false,
    }
    es_letter(&number, n.get(8))
}

/// Decreto ministeriale of 23 December 1976: characters at odd places count by a table, those at even places plainly.
/// Where two persons would have the same code, digits are replaced by letters (`LMNPQRSTUV`).
fn it_codice_fiscale(n: &[u8]) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let Some((last, head)) = n.split_last() else {
        return false;
    };
    let plain = |b: u8| {
        u32::from(if b.is_ascii_digit() {
            b - b'0'
        } else {
            b.wrapping_sub(b'A')
        })
    };
    let value = |(i, b): (usize, &u8)| match i % 2 {
        0 => ODD.get(plain(*b) as usize).copied().unwrap_or(0),
        _ => plain(*b),
    };
    let sum: u32 = head.iter().enumerate().map(value).sum();
    let month = n
        .get(8)
        .is_some_and(|month| b"ABCDEHLMPRST".contains(month));
    n.len() == 16 && month && u32::from(last.wrapping_sub(b'A')) == sum % 26
}

/// The eleven test: weights 9 to 2 and -1.
fn nl_bsn(n: &[u8]) -> bool {
    let sum = weighted(n, &[9, 8, 7, 6, 5, 4, 3, 2, 10]);
    n.len() == 9 && n != b"000000000" && sum.is_some_and(|sum| sum % 11 == 0)
}

/// 97 less the remainder; births from 2000 on count with a 2 before.
fn be_national(n: &[u8]) -> bool {
    let number = |part: Option<&[u8]>| std::str::from_utf8(part?).ok()?.parse::<u64>().ok();
    let (Some(body), Some(key)) = (number(n.get(..9)), number(n.get(9..))) else {
        return false;
    };
    let born = matches!((n.get(2..4), n.get(4..6)), (Some(m), Some(d)) if month_day(m, d));
    born && (97 - body % 97 == key || 97 - (2_000_000_000 + body) % 97 == key)
}

/// The century is added to the month: 80, 0, 20, 40 or 60.
fn pl_pesel(n: &[u8]) -> bool {
    let sum = weighted(n, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
    let month = n
        .get(2..4)
        .and_then(digits)
        .map(|d| d.iter().fold(0, |n, d| n * 10 + d) % 20);
    let day = n
        .get(4..6)
        .and_then(digits)
        .map(|d| d.iter().fold(0, |n, d| n * 10 + d));
    matches!((month, day), (Some(1..=12), Some(1..=31))) && sum.is_some_and(|sum| sum % 10 == 0)
}

fn pt_nif(n: &[u8]) -> bool {
    let check = weighted(n, &[9, 8, 7, 6, 5, 4, 3, 2]).map(|sum| match sum % 11 {
        0 | 1 => b'0',
        rest => b'0' + (11 - rest) as u8,
    });
    matches!(
        n.first(),
        Some(b'1' | b'2' | b'3' | b'5' | b'6' | b'8' | b'9')
    ) && check.is_some()
        && n.get(8).copied() == check
}

/// The whole is a multiple of 11 (since 1954); 50 is added to a woman's month, 20 or 70 where numbers ran out.
fn cz_rodne_cislo(n: &[u8]) -> bool {
    let month = n
        .get(2..4)
        .and_then(digits)
        .map(|d| d.iter().fold(0, |n, d| n * 10 + d));
    let born = matches!(month, Some(1..=12 | 21..=32 | 51..=62 | 71..=82))
        && n.get(4..6).is_some_and(|day| month_day(b"01", day));
    born && remainder(n.iter().copied(), 11) == Some(0)
}

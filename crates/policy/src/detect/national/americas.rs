//! The Americas.

use crate::detect::FindingKind;
use crate::detect::checksum::{digits, luhn, month_day, weighted};
use crate::detect::numbers::Rule;

pub(in crate::detect) const RULES: &[Rule] = &[
    Rule {
        kind: FindingKind::UsSsn,
        clear: &["999-99-9999"],
        bare: &["999 99 9999", "999999999", "999.99.9999"],
        check: us_ssn,
        words: &[
            "ssn",
            "ssns",
            "social security*",
            "social sec*",
            "soc sec",
            "social",
            "tax id",
            "taxpayer*",
        ],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::UsItin,
        clear: &["999-99-9999"],
        bare: &["999 99 9999", "999999999"],
        check: us_itin,
        words: &["itin", "taxpayer*", "tax id", "tin", "irs"],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::CaSin,
        bare: &["999-999-999", "999 999 999", "999999999"],
        check: |n| n.first() != Some(&b'8') && n != b"000000000" && luhn(n),
        words: &[
            "sin",
            "social insurance*",
            "nas",
            "assurance sociale",
            "canad*",
        ],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::BrCpf,
        clear: &["999.999.999-99"],
        bare: &["99999999999", "999999999-99"],
        check: br_cpf,
        words: &["cpf", "cadastro de pessoa*", "contribuinte"],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::BrCnpj,
        clear: &["99.999.999/9999-99"],
        bare: &["99999999999999"],
        check: br_cnpj,
        words: &["cnpj", "empresa"],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::ArCuit,
        clear: &["99-99999999-9"],
        bare: &["99999999999"],
        check: ar_cuit,
        words: &["cuit", "cuil"],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::ClRut,
        clear: &["99.999.999-*", "9.999.999-*"],
        bare: &["99999999-*", "9999999-*"],
        check: cl_rut,
        words: &["rut", "run", "rol único*"],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::MxCurp,
        clear: &["AAAA999999AAAAAA**"],
        check: mx_curp,
        words: &["curp"],
        ..Rule::BASE
    },
];

/// The Social Security Administration never gave area 000, 666 or 900 to 999, group 00 or serial 0000.
fn us_ssn(n: &[u8]) -> bool {
    let [a, b, c, rest @ ..] = n else {
        return false;
    };
    let area = [*a, *b, *c];
    &area != b"000"
        && &area != b"666"
        && *a != b'9'
        && rest.get(..2) != Some(b"00")
        && rest.get(2..) != Some(b"0000")
}

/// The Internal Revenue Service gives 9xx with groups 50 to 65, 70 to 88, 90 to 92 and 94 to 99.
fn us_itin(n: &[u8]) -> bool {
    let group = n
        .get(3..5)
        .and_then(digits)
        .map(|d| d.iter().fold(0, |n, d| n * 10 + d));
    n.first() == Some(&b'9') && matches!(group, Some(50..=65 | 70..=88 | 90..=92 | 94..=99))
}

fn all_the_same(n: &[u8]) -> bool {
    n.windows(2).all(|pair| pair.first() == pair.last())
}

/// Two check digits modulo 11, where 10 counts as 0.
fn two_checks(n: &[u8], first: &[u32], second: &[u32]) -> bool {
    let check = |weights: &[u32]| {
        let sum = weighted(n, weights)?;
        let expected = match sum % 11 {
            0 | 1 => 0,
            rest => 11 - rest,
        };
        Some(*n.get(weights.len())? == b'0' + expected as u8)
    };
    !all_the_same(n) && check(first) == Some(true) && check(second) == Some(true)
}

fn br_cpf(n: &[u8]) -> bool {
    two_checks(
        n,
        &[10, 9, 8, 7, 6, 5, 4, 3, 2],
        &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2],
    )
}

fn br_cnpj(n: &[u8]) -> bool {
    two_checks(
        n,
        &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2],
        &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2],
    )
}

fn ar_cuit(n: &[u8]) -> bool {
    let known = matches!(
        n.get(..2),
        Some(b"20" | b"23" | b"24" | b"27" | b"30" | b"33" | b"34")
    );
    known && weighted(n, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_some_and(|sum| sum % 11 == 0)
}

/// Weights 2 to 7 in turns from the right; 10 is K, 11 is 0.
fn cl_rut(n: &[u8]) -> bool {
    let Some((last, head)) = n.split_last() else {
        return false;
    };
    let Some(digits) = digits(head) else {
        return false;
    };
    let sum: u32 = digits
        .iter()
        .rev()
        .zip([2, 3, 4, 5, 6, 7].iter().cycle())
        .map(|(d, w)| d * w)
        .sum();
    let expected = match 11 - sum % 11 {
        11 => b'0',
        10 => b'K',
        rest => b'0' + rest as u8,
    };
    *last == expected
}

/// Name, date of birth, sex, state; the last character is a weighted sum modulo 10.
fn mx_curp(n: &[u8]) -> bool {
    const ORDER: &[u8] = "0123456789ABCDEFGHIJKLMN\u{1}OPQRSTUVWXYZ".as_bytes(); // \u{1} stands for Ñ
    let (Some(month), Some(day), Some((last, head))) = (n.get(6..8), n.get(8..10), n.split_last())
    else {
        return false;
    };
    let value = |b: &u8| ORDER.iter().position(|c| c == b);
    let sum = head
        .iter()
        .zip((2..=18).rev())
        .map(|(b, weight)| Some(value(b)? * weight))
        .sum::<Option<usize>>();
    let sex = matches!(n.get(10), Some(b'H' | b'M' | b'X'));
    sex && month_day(month, day)
        && sum.is_some_and(|sum| usize::from(last.wrapping_sub(b'0')) == (10 - sum % 10) % 10)
}

//! Asia, Australia, Africa and the Pacific.

use crate::detect::FindingKind;
use crate::detect::checksum::{digits, luhn, month_day, verhoeff, weighted};
use crate::detect::numbers::Rule;

pub(in crate::detect) const RULES: &[Rule] = &[
    Rule {
        kind: FindingKind::AuTfn,
        bare: &["999 999 999", "999999999", "999-999-999"],
        check: |n| weighted(n, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_some_and(|sum| sum % 11 == 0),
        words: &["tfn", "tax file*"],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::AuMedicare,
        bare: &[
            "9999 99999 9",
            "9999999999",
            "99999999999",
            "9999-99999-9",
            "9999 99999 9 9",
            "9999 99999 9/9",
        ],
        check: au_medicare,
        words: &["medicare*"],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::InAadhaar,
        bare: &["9999 9999 9999", "999999999999", "9999-9999-9999"],
        check: |n| n.first() >= Some(&b'2') && verhoeff(n),
        words: &["aadhaar*", "aadhar*", "uidai", "uid", "आधार"],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::InPan,
        clear: &["AAAAA9999A"],
        check: |n| {
            n.get(3)
                .is_some_and(|holder| b"ABCFGHJLPT".contains(holder))
                && n.get(5..9) != Some(b"0000")
        },
        words: &["pan", "permanent account*", "income tax*"],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::CnResidentId,
        clear: &["99999999999999999X"],
        check: cn_resident_id,
        words: &[
            "身份证*",
            "身份證*",
            "公民身份号码",
            "resident*",
            "id card*",
        ],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::JpMyNumber,
        bare: &["999999999999", "9999 9999 9999", "9999-9999-9999"],
        check: jp_my_number,
        words: &[
            "my number",
            "mynumber",
            "individual number",
            "マイナンバー",
            "個人番号",
        ],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::KrRrn,
        clear: &["999999-9999999"],
        bare: &["9999999999999"],
        check: |n| kr_rrn_form(n) && kr_rrn_check(n),
        words: KR_WORDS,
        ..Rule::BASE
    },
    // Since October 2020 the last six digits are random.
    Rule {
        kind: FindingKind::KrRrn,
        bare: &["999999-9999999"],
        check: kr_rrn_form,
        words: KR_WORDS,
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::TrTckn,
        bare: &["99999999999"],
        check: tr_tckn,
        words: &["tckn", "t.c.", "tc kimlik*", "kimlik*"],
        ..Rule::BASE
    },
    Rule {
        kind: FindingKind::ZaId,
        bare: &["9999999999999", "999999 9999 999"],
        check: |n| {
            matches!((n.get(2..4), n.get(4..6)), (Some(m), Some(d)) if month_day(m, d)) && luhn(n)
        },
        words: &[
            "south africa*",
            "sa id",
            "id number",
            "identity number",
            "rsa id",
        ],
        ..Rule::BASE
    },
];

const KR_WORDS: &[&str] = &["rrn", "resident registration*", "주민등록번호", "주민번호"];

fn au_medicare(n: &[u8]) -> bool {
    let check = weighted(n, &[1, 3, 7, 9, 1, 3, 7, 9]).map(|sum| b'0' + (sum % 10) as u8);
    matches!(n.first(), Some(b'2'..=b'6')) && check.is_some() && n.get(8).copied() == check
}

/// GB 11643: a date of birth, and ISO 7064 MOD 11-2 with X for 10.
fn cn_resident_id(n: &[u8]) -> bool {
    let (Some(head), Some(last), Some(century)) = (n.get(..17), n.get(17), n.get(6..8)) else {
        return false;
    };
    let Some(digits) = digits(head) else {
        return false;
    };
    let sum = digits.iter().fold(0, |rest, d| (rest + d) * 2 % 11);
    let expected = b"0123456789X".get(((12 - sum) % 11) as usize);
    let born = matches!((n.get(10..12), n.get(12..14)), (Some(m), Some(d)) if month_day(m, d));
    born && matches!(century, b"18" | b"19" | b"20") && expected == Some(last)
}

fn jp_my_number(n: &[u8]) -> bool {
    let sum = weighted(n, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]);
    let expected = sum.map(|sum| match sum % 11 {
        0 | 1 => b'0',
        rest => b'0' + (11 - rest) as u8,
    });
    expected.is_some() && n.get(11).copied() == expected
}

fn kr_rrn_form(n: &[u8]) -> bool {
    matches!((n.get(2..4), n.get(4..6)), (Some(m), Some(d)) if month_day(m, d))
        && matches!(n.get(6), Some(b'1'..=b'8'))
}

fn kr_rrn_check(n: &[u8]) -> bool {
    let sum = weighted(n, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]);
    sum.is_some_and(|sum| n.get(12) == Some(&(b'0' + ((11 - sum % 11) % 10) as u8)))
}

fn tr_tckn(n: &[u8]) -> bool {
    let Some(d) = digits(n) else { return false };
    let [a, b, c, e, f, g, h, i, j, tenth, last] = d.as_slice() else {
        return false;
    };
    let (odd, even) = (a + c + f + h + j, b + e + g + i);
    *a != 0 && (odd * 7 + 10 * 9 - even) % 10 == *tenth && (odd + even + tenth) % 10 == *last
}

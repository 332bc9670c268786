//! Payment cards: issuer ranges, lengths and ISO/IEC 7812's check digit.

use super::FindingKind;
use super::checksum::luhn;
use super::numbers::Rule;

pub(super) const RULES: &[Rule] = &[Rule {
    kind: FindingKind::PaymentCard,
    clear: &[
        "9999 9999 9999 9999",
        "9999-9999-9999-9999",
        "9999.9999.9999.9999",
        "9999999999999999",
        "9999 999999 99999", // American Express
        "9999-999999-99999",
        "999999999999999",
        "9999 999999 9999", // Diners Club
        "9999-999999-9999",
        "9999 9999 9999 9999 999", // UnionPay, Maestro
    ],
    bare: &[
        "9999999999999999999",
        "99999999999999",
        "9999999999999",
        "999999999999",
        "999999 9999999999",
        "99999999 99999999",
    ],
    check: is_card,
    words: &[
        "card*",
        "credit*",
        "debit*",
        "visa",
        "mastercard",
        "amex",
        "american express",
        "diners*",
        "discover",
        "jcb",
        "maestro",
        "unionpay",
        "pan",
        "cc",
        "ccnum",
        "kreditkarte*",
        "karte*",
        "carte*",
        "tarjeta*",
        "carta*",
        "cartão",
        "kaart*",
        "kort*",
        "karta*",
        "cvv",
        "cvc",
        "卡",
        "カード",
    ],
    open_end: true,
}];

/// Issuer ranges as the schemes publish them (Wikipedia, "Payment card number", lists them), then Luhn.
fn is_card(number: &[u8]) -> bool {
    issued(number) && luhn(number) && !number.windows(2).all(|pair| pair.first() == pair.last())
}

fn issued(number: &[u8]) -> bool {
    let prefix = number
        .iter()
        .take(6)
        .fold(0, |n, b| n * 10 + u32::from(b.wrapping_sub(b'0')));
    let (four, three, two) = (prefix / 100, prefix / 1000, prefix / 10_000);
    match number.len() {
        15 => matches!(two, 34 | 37) || matches!(four, 2014 | 2149),
        14 => matches!(three, 300..=305) || matches!(two, 36 | 38 | 39),
        13 => two / 10 == 4,
        16 | 19 => {
            two / 10 == 4 // Visa
                || matches!(two, 36 | 38 | 39 | 50..=69 | 81 | 82) // Diners, Mastercard, Maestro, Discover, UnionPay, RuPay
                || matches!(four, 2200..=2204 | 2221..=2720 | 3528..=3589 | 9792) // Mir, Mastercard, JCB, Troy
        }
        12 => two / 10 == 5 || two / 10 == 6,
        _ => false,
    }
}

//! Check digits. Every function takes ASCII and is `false` for what is not made of the characters it expects.

/// The digits' values, `None` where one is no digit.
pub(super) fn digits(number: &[u8]) -> Option<Vec<u32>> {
    let value = |b: &u8| b.is_ascii_digit().then(|| u32::from(b - b'0'));
    number.iter().map(value).collect()
}

/// ISO/IEC 7812-1 annex B: every second digit from the right doubled.
pub(super) fn luhn(number: &[u8]) -> bool {
    let Some(digits) = digits(number) else {
        return false;
    };
    let doubled = |(i, d): (usize, &u32)| match i % 2 {
        0 => *d,
        _ => d * 2 / 10 + d * 2 % 10,
    };
    digits.iter().rev().enumerate().map(doubled).sum::<u32>() % 10 == 0
}

/// The sum of digits times weights, as many as there are weights.
pub(super) fn weighted(number: &[u8], weights: &[u32]) -> Option<u32> {
    let digits = digits(number.get(..weights.len())?)?;
    Some(digits.iter().zip(weights).map(|(d, w)| d * w).sum())
}

/// The number as a remainder of `modulus`, however long; letters count as 10 to 35 (ISO 7064, ISO 13616).
pub(super) fn remainder(number: impl IntoIterator<Item = u8>, modulus: u64) -> Option<u64> {
    number.into_iter().try_fold(0, |rest, b| match b {
        b'0'..=b'9' => Some((rest * 10 + u64::from(b - b'0')) % modulus),
        b'A'..=b'Z' => Some((rest * 100 + u64::from(b - b'A') + 10) % modulus),
        _ => None,
    })
}

/// ISO 7064 MOD 11,10.
pub(super) fn mod_11_10(number: &[u8]) -> bool {
    let Some((last, head)) = number.split_last() else {
        return false;
    };
    let (Some(digits), true) = (digits(head), last.is_ascii_digit()) else {
        return false;
    };
    let product = digits.iter().fold(10, |product, d| {
        let sum = match (d + product) % 10 {
            0 => 10,
            sum => sum,
        };
        sum * 2 % 11
    });
    (11 - product) % 10 == u32::from(last - b'0')
}

/// EAN-13: weights 1 and 3 in turns.
pub(super) fn ean13(number: &[u8]) -> bool {
    number.len() == 13
        && weighted(number, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_some_and(|s| s % 10 == 0)
}

/// Verhoeff's dihedral check, as Aadhaar uses it.
pub(super) fn verhoeff(number: &[u8]) -> bool {
    const PERMUTE: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let Some(digits) = digits(number) else {
        return false;
    };
    let permuted = |d: u32, times: usize| {
        (0..times % 8).fold(d, |d, _| PERMUTE.get(d as usize).copied().unwrap_or(0))
    };
    let terms = digits.iter().rev().enumerate();
    terms.fold(0, |c, (i, &d)| dihedral(c, permuted(d, i))) == 0
}

/// The product in the dihedral group of order ten: 0 to 4 turn, 5 to 9 turn and flip.
fn dihedral(a: u32, b: u32) -> u32 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b - 5) % 5,
        (false, true) => 5 + (a - 5 + 5 - b) % 5,
        (false, false) => (5 + a - b) % 5,
    }
}

/// Whether `month` and `day` (two digits each) can be a date.
pub(super) fn month_day(month: &[u8], day: &[u8]) -> bool {
    let value = |two: &[u8]| digits(two).map(|d| d.iter().fold(0, |n, d| n * 10 + d));
    matches!((value(month), value(day)), (Some(1..=12), Some(1..=31)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standards_examples_add_up() {
        assert!(luhn(b"4111111111111111") && !luhn(b"4111111111111112"));
        assert!(verhoeff(b"2363") && !verhoeff(b"2364")); // the article's example
        assert!(ean13(b"4006381333931") && !ean13(b"4006381333932"));
        assert!(mod_11_10(b"07945") && !mod_11_10(b"07946")); // the example in ISO 7064
        assert_eq!(remainder(*b"3214282912345698765432161182", 97), Some(1));
        assert!(!luhn("４１".as_bytes()) && !mod_11_10(b"") && remainder(*b"-", 97).is_none());
    }
}

//! Whether a string was drawn at random.

/// Shannon's entropy of the bytes, in bits a byte.
pub(super) fn bits_per_byte(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let total = text.len() as f64;
    let terms = counts.iter().filter(|count| **count > 0).map(|count| {
        let share = f64::from(*count) / total;
        -share * share.log2()
    });
    terms.sum()
}

/// Whether the body of a token with a known beginning is a real one, not `xxxx` or `your-key-here`.
pub(super) fn is_drawn(body: &str) -> bool {
    let least = if body.len() < 20 { 2.5 } else { 3.0 };
    body.bytes().any(|b| b.is_ascii_digit()) && bits_per_byte(body) >= least
}

/// Whether a string that only a word before it calls a secret looks like one: letters and digits, and no pattern in them.
pub(super) fn is_random(value: &str) -> bool {
    let hex = value.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let least = if hex { 2.8 } else { 3.4 };
    value.bytes().any(|b| b.is_ascii_digit())
        && value.bytes().any(|b| b.is_ascii_alphabetic())
        && bits_per_byte(value) >= least
        && changes(value) * 5 >= value.len()
}

/// How often small letters, capitals and digits take turns, but for a capital before small letters. Random strings change
/// at every second character, names in programs (`Curve25519Seed`, `MSV1_0_KEY`) at every sixth or so.
fn changes(value: &str) -> usize {
    let sort = |b: &u8| match b {
        b'a'..=b'z' => Some(0),
        b'A'..=b'Z' => Some(1),
        b'0'..=b'9' => Some(2),
        _ => None,
    };
    let pairs = value.as_bytes().iter().zip(value.as_bytes().iter().skip(1));
    let differ = |(a, b): &(&u8, &u8)| match (sort(a), sort(b)) {
        (Some(1), Some(0)) | (None, _) | (_, None) => false,
        (a, b) => a != b,
    };
    pairs.filter(differ).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_shannons() {
        let check =
            |text: &str, bits: f64| assert!((bits_per_byte(text) - bits).abs() < 1e-9, "{text}");
        check("", 0.0);
        check("aaaa", 0.0);
        check("abab", 1.0);
        check("abcd", 2.0);
        check("0123456789abcdef", 4.0);
    }
}

//! Places in a text.

/// The last boundary of a character at or before `at`.
pub(super) fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The first boundary of a character at or after `at`.
pub(super) fn ceil(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

/// The byte before `at`, if any.
pub(super) fn byte_before(text: &str, at: usize) -> Option<u8> {
    text.as_bytes().get(at.checked_sub(1)?).copied()
}

/// The byte at `at`, if any.
pub(super) fn byte_at(text: &str, at: usize) -> Option<u8> {
    text.as_bytes().get(at).copied()
}

/// Whether `byte` is there and an ASCII letter, digit or `_`.
pub(super) fn is_word(byte: Option<u8>) -> bool {
    byte.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// `start`, or one further where the letter there belongs to a line break written as `\n`.
pub(super) fn past_escape(text: &str, start: usize) -> usize {
    let escaped = byte_before(text, start) == Some(b'\\')
        && matches!(byte_at(text, start), Some(b'n' | b'r' | b't'));
    start + usize::from(escaped)
}

/// Where the run of bytes that `fits` from `start` on ends, at most `most` bytes further.
pub(super) fn run_end(text: &str, start: usize, most: usize, fits: impl Fn(u8) -> bool) -> usize {
    let rest = text.as_bytes().get(start..).unwrap_or_default();
    let run = rest.iter().take(most).take_while(|b| fits(**b)).count();
    start + run
}

/// Where the run of bytes that `fits` up to `end` begins, at most `most` bytes back.
pub(super) fn run_start(text: &str, end: usize, most: usize, fits: impl Fn(u8) -> bool) -> usize {
    let head = text.as_bytes().get(..end).unwrap_or_default();
    let run = head
        .iter()
        .rev()
        .take(most)
        .take_while(|b| fits(**b))
        .count();
    end - run
}

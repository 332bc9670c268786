//! Private keys in their armour.

use std::ops::Range;

use super::anchors::{Anchor, Read};
use super::text::{ceil, floor, run_end};
use super::{Confidence, Finding, FindingKind};

pub(super) const ANCHORS: &[Anchor] = &[
    Anchor {
        text: "-----BEGIN ",
        read: Read::With(armoured),
    },
    Anchor {
        text: "PuTTY-User-Key-File-",
        read: Read::With(putty),
    },
];

/// The largest key looked for; where a key has no end, so much after its beginning is taken.
const MOST: usize = 16 * 1024;

/// PKCS #1 and #8, SEC 1, OpenSSH, PGP; line breaks may be written as `\n`, as in a service account's JSON.
fn armoured(text: &str, at: Range<usize>) -> Option<Finding> {
    let head = text.get(at.end..ceil(text, at.end + 64))?;
    let title = head.split("-----").next()?;
    if !title.contains("PRIVATE KEY") || head.len() == title.len() {
        return None;
    }
    // A title alone is talk about keys.
    let start = at.end + title.len() + 5;
    let first = text.get(floor(text, start)..ceil(text, start + 256))?;
    if !first
        .split(|c: char| !is_base64(c))
        .any(|run| run.len() >= 16)
    {
        return None;
    }
    let body = text.get(at.end..ceil(text, at.end + MOST))?;
    let closing = format!("-----END {title}-----");
    let end = match body.find(&closing) {
        Some(found) => at.end + found + closing.len(),
        // A key that was cut off is still a key: all that may be part of it is.
        None => {
            let part = |b: u8| {
                b.is_ascii_alphanumeric() || b.is_ascii_whitespace() || b"+/=\\:,-".contains(&b)
            };
            run_end(text, start, MOST, part)
        }
    };
    Some(found(at.start..end))
}

fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=')
}

fn putty(text: &str, at: Range<usize>) -> Option<Finding> {
    let body = text.get(at.end..ceil(text, at.end + MOST))?;
    let mac = body.find("Private-MAC: ")?;
    let end = run_end(text, at.end + mac + 13, 128, |b| b.is_ascii_hexdigit());
    Some(found(at.start..end))
}

fn found(range: Range<usize>) -> Finding {
    Finding {
        kind: FindingKind::PrivateKey,
        range,
        confidence: Confidence::Certain,
    }
}

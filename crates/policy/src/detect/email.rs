//! Addresses for electronic mail.

use std::ops::Range;

use super::anchors::{Anchor, Read};
use super::text::{floor, past_escape, run_end, run_start};
use super::{Confidence, Finding, FindingKind};

pub(super) const ANCHORS: &[Anchor] = &[Anchor {
    text: "@",
    read: Read::With(read),
}];

/// Ends of file names that follow an `@` (`icon@2x.png`) and are no top-level domains.
const NOT_DOMAINS: &[&str] = &[
    "png", "jpg", "jpeg", "gif", "svg", "webp", "css", "json", "html", "js", "ts", "tsx", "jsx",
    "local", "service",
];

/// RFC 5321's dot-string at a domain name; quoted local parts and address literals are not looked for.
fn read(text: &str, at: Range<usize>) -> Option<Finding> {
    // RFC 6531 allows letters of other scripts; ASCII alone may stand in the middle of prose without blanks.
    let start = run_start(text, at.start, 64, |b| {
        b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b)
    });
    let local = text.get(past_escape(text, start)..at.start)?;
    let trimmed = local.trim_start_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    // `href=mailto:a@b.example` and `to=a@b.example`: what stands before the last of these is not part of it.
    let tail = trimmed
        .rfind([
            '=', '/', '\'', '`', '{', '|', '}', '?', '&', '#', '*', '!', '$', '^',
        ])
        .map_or(0, |i| i + 1);
    let local = trimmed.get(tail..)?;
    let end = run_end(text, at.end, 254, |b| {
        b.is_ascii_alphanumeric() || b == b'-' || b == b'.'
    });
    let domain = text.get(at.end..end)?.trim_end_matches(['.', '-']);
    let end = at.end + domain.len();
    let start = at.start - local.len();
    // In this order: the last look is the longest.
    let fits = is_local(local)
        && is_domain(domain)
        && !is_account_of_a_repository(text, local, end)
        && !is_in_an_address(text, start);
    fits.then_some(Finding {
        kind: FindingKind::Email,
        range: start..end,
        confidence: Confidence::Certain,
    })
}

fn is_local(local: &str) -> bool {
    !local.is_empty() && !local.ends_with('.') && !local.contains("..")
}

fn is_domain(domain: &str) -> bool {
    let Some((_, top)) = domain.rsplit_once('.') else {
        return false;
    };
    let is_top =
        top.len() >= 2 && (top.bytes().all(|b| b.is_ascii_alphabetic()) || top.starts_with("xn--"));
    let labels = domain
        .split('.')
        .all(|label| (1..=63).contains(&label.len()) && !label.starts_with('-'));
    is_top && labels && !NOT_DOMAINS.iter().any(|end| end.eq_ignore_ascii_case(top))
}

/// `git@github.com:owner/name` is nobody's mail.
fn is_account_of_a_repository(text: &str, local: &str, end: usize) -> bool {
    local == "git"
        && text
            .as_bytes()
            .get(end)
            .is_some_and(|b| matches!(b, b':' | b'/'))
}

/// `ssh://user@host.example`, `https://user:password@host.example`.
fn is_in_an_address(text: &str, start: usize) -> bool {
    let from = run_start(text, start, 80, |b| {
        !b.is_ascii_whitespace() && !matches!(b, b'"' | b'\'' | b'<' | b'>' | b'?')
    });
    let before = text.get(floor(text, from)..start).unwrap_or_default();
    before.rsplit_once("://").is_some_and(|(_, account)| {
        account.is_empty() || account.ends_with(':') && !account.contains('/')
    })
}

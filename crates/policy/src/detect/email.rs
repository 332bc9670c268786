//! Addresses for electronic mail.

use std::ops::Range;

use super::anchors::{Anchor, Read};
use super::text::{floor, past_escape, run_start};
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

/// RFC 5321's dot-string at a domain name, with the letters that RFC 6531 allows. Quoted local parts, address literals and
/// the rarer signs (`=`, `/`, `{` ..) are not looked for: in texts they stand around addresses.
fn read(text: &str, at: Range<usize>) -> Option<Finding> {
    let in_local = |c: &char| is_letter(*c) || "._%+-'".contains(*c);
    let before = text.get(..at.start)?.chars().rev().take(64);
    let run: usize = before.take_while(in_local).map(char::len_utf8).sum();
    let local = text.get(past_escape(text, at.start - run)..at.start)?;
    let local = local.trim_start_matches(|c: char| !is_letter(c) && c != '_');
    let in_domain = |c: &char| is_letter(*c) || matches!(c, '-' | '.');
    let after = text.get(at.end..)?.chars().take(254);
    let run: usize = after.take_while(in_domain).map(char::len_utf8).sum();
    let domain = text.get(at.end..at.end + run)?.trim_end_matches(['.', '-']);
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

/// Letters and digits of scripts that set words apart with blanks; others may stand right beside an address.
fn is_letter(c: char) -> bool {
    c.is_alphanumeric() && c < '\u{530}'
}

fn is_local(local: &str) -> bool {
    !local.is_empty() && !local.ends_with('.') && !local.contains("..")
}

fn is_domain(domain: &str) -> bool {
    let Some((_, top)) = domain.rsplit_once('.') else {
        return false;
    };
    let letters = top.chars().all(char::is_alphabetic) && top.chars().count() >= 2;
    let is_top = letters || top.starts_with("xn--");
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

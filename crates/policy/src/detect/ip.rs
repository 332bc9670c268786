//! Public addresses on the Internet.
//!
//! Private, loopback, link-local, shared, multicast and documentation addresses tell nothing of a person and are left
//! alone, and so is what has four parts but is a version.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use super::context::{Topic, Topics};
use super::numbers::Named;
use super::text::{byte_at, byte_before, is_word, run_end};
use super::{Confidence, Finding, FindingKind};

pub(super) const WORDS: Topic = &[
    "ip",
    "ips",
    "ipv4",
    "ipv6",
    "address*",
    "addr",
    "host*",
    "server*",
    "client*",
    "remote*",
    "ping",
    "from",
    "peer",
    "gateway",
    "dns",
    "ssh",
    "login",
    "adresse*",
    "dirección",
];
const VERSION_WORDS: Topic = &[
    "v", "version*", "ver", "release*", "build", "rev", "chapter", "section", "§", "v8", "chrome*",
    "upgrade*", "update*",
];

static VERSIONS: LazyLock<Option<Topics>> = LazyLock::new(|| Topics::new(&[VERSION_WORDS]));

/// Reads an address at `start`.
pub(super) fn read(text: &str, start: usize, named: Named<'_>) -> Option<Finding> {
    let (end, confidence) = v4(text, start, named).or_else(|| v6(text, start))?;
    Some(Finding {
        kind: FindingKind::IpAddress,
        range: start..end,
        confidence,
    })
}

fn v4(text: &str, start: usize, named: Named<'_>) -> Option<(usize, Confidence)> {
    let first = run_end(text, start, 4, |b| b.is_ascii_digit());
    if byte_at(text, first) != Some(b'.') || first - start > 3 {
        return None;
    }
    let end = run_end(text, start, 16, |b| b.is_ascii_digit() || b == b'.');
    let end = end - usize::from(byte_before(text, end) == Some(b'.')); // the full stop of a sentence
    let address: Ipv4Addr = text.get(start..end)?.parse().ok()?;
    let lead = text.get(..start)?;
    let part_of_more = is_word(byte_at(text, end))
        || lead.ends_with(['.', '-', '~', '^', '+'])
        || lead.ends_with("==") // a pinned version
        || lead.ends_with('/') && !lead.ends_with("//");
    let version = || {
        VERSIONS
            .as_ref()
            .is_some_and(|words| words.shortly_before(text, start, 16))
    };
    if part_of_more || !is_public_v4(address) || version() {
        return None;
    }
    // `1.2.3.4` and `10.4.12.2` are headings and versions more often than addresses.
    let small = address.octets().iter().all(|octet| *octet < 32);
    match (small, named(&(start..end))) {
        (true, false) => Some((end, Confidence::Possible)),
        (false, true) => Some((end, Confidence::Certain)),
        _ => Some((end, Confidence::Likely)),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let reserved =
        a == 0 || a >= 224 || (a, b, c) == (192, 0, 0) || (a == 198 && matches!(b, 18 | 19));
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || shared
        || reserved)
}

/// All public addresses of version 6 are in `2000::/3`, so each begins with a 2 or a 3.
fn v6(text: &str, start: usize) -> Option<(usize, Confidence)> {
    if !matches!(byte_at(text, start), Some(b'2' | b'3')) || byte_at(text, start + 4) != Some(b':')
    {
        return None;
    }
    let end = run_end(text, start, 46, |b| {
        b.is_ascii_hexdigit() || b == b':' || b == b'.'
    });
    let mut part = text.get(start..end)?;
    while part.ends_with(['.', ':']) && !part.ends_with("::") {
        part = part.get(..part.len() - 1)?;
    }
    let end = start + part.len();
    let address: Ipv6Addr = part.parse().ok()?;
    let documentation = matches!(
        address.segments(),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..]
    );
    let alone = !is_word(byte_at(text, end)) && byte_before(text, start) != Some(b':');
    // `2001::` alone is more often a year and two colons than an address.
    (alone && !documentation && part.matches(':').count() > 2).then_some((end, Confidence::Likely))
}

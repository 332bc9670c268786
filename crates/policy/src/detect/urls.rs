//! Addresses with a password in them: `https://user:password@host`, `postgres://..`.

use std::ops::Range;

use super::anchors::{Anchor, Read};
use super::text::{past_escape, run_end, run_start};
use super::{Confidence, Finding, FindingKind};

pub(super) const ANCHORS: &[Anchor] = &[Anchor {
    text: "://",
    read: Read::With(read),
}];

const DATABASES: &[&str] = &[
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "mongodb",
    "redis",
    "rediss",
    "amqp",
    "amqps",
    "mssql",
    "sqlserver",
    "oracle",
    "db2",
    "clickhouse",
    "cockroachdb",
    "neo4j",
    "bolt",
    "couchdb",
    "influxdb",
    "cassandra",
    "ldap",
    "ldaps",
    "snowflake",
    "jdbc",
];

fn read(text: &str, at: Range<usize>) -> Option<Finding> {
    let start = run_start(text, at.start, 40, |b| {
        b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')
    });
    let start = past_escape(text, start);
    let scheme = text.get(start..at.start)?;
    let authority_end = run_end(text, at.end, 512, |b| {
        !b.is_ascii_whitespace()
            && !matches!(b, b'/' | b'"' | b'\'' | b'<' | b'>' | b'`' | b'?' | b'#')
    });
    let authority = text.get(at.end..authority_end)?;
    let (account, host) = authority.rsplit_once('@')?;
    let (_, password) = account.split_once(':')?;
    let host_start = authority_end - host.len();
    let host_len = run_end(host, 0, 255, |b| {
        b.is_ascii_alphanumeric() || b"-._:[]%".contains(&b)
    });
    let syntax = account.contains(['[', ']']); // `scheme://[user[:password]@]host`
    if scheme.is_empty() || host_len == 0 || syntax || is_stand_in(password) {
        return None;
    }
    let name = scheme.split('+').next().unwrap_or_default();
    let database = DATABASES
        .iter()
        .any(|database| name.eq_ignore_ascii_case(database));
    let kind = if database {
        FindingKind::DatabaseUrl
    } else {
        FindingKind::UrlPassword
    };
    let end = host_start + host.get(..host_len)?.trim_end_matches(['.', ':']).len();
    Some(Finding {
        kind,
        range: start..end,
        confidence: Confidence::Certain,
    })
}

/// `${PASSWORD}`, `<password>`, `****`: what documents write in a password's place.
pub(super) fn is_stand_in(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let marks = [
        "${",
        "$(",
        "{{",
        "<",
        "%(",
        "%s",
        "...",
        "…",
        "xxxx",
        "****",
        "your",
        "example",
        "placeholder",
        "changeme",
        "redacted",
    ];
    value.is_empty()
        || value.starts_with(['$', '{', '[', '%'])
        || marks.iter().any(|mark| lower.contains(mark))
        || value.bytes().all(|b| Some(b) == value.bytes().next())
        || matches!(
            lower.as_str(),
            "password" | "pass" | "passwd" | "secret" | "token" | "pwd" | "pw"
        )
}

//! The little that is needed of addresses: joining a redirect, comparing origins, encoding a path.

use std::fmt::Write;

use ureq::http::Uri;

/// Scheme, host and port: what a token belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of an http or https address.
    pub(crate) fn of(address: &str) -> Option<Self> {
        let uri: Uri = address.parse().ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let standard = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        let host = uri
            .host()
            .filter(|host| !host.is_empty())?
            .to_ascii_lowercase();
        Some(Self {
            scheme,
            host,
            port: uri.port_u16().unwrap_or(standard),
        })
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.scheme == "https"
    }

    pub(crate) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host == "[::1]" || self.host.starts_with("127.")
    }
}

/// Where a redirect from `base` leads; `None` when it makes no sense.
pub(crate) fn join(base: &str, location: &str) -> Option<String> {
    if location.starts_with("http://") || location.starts_with("https://") {
        return Some(location.to_owned());
    }
    // Something like `ftp:` is no relative path.
    if location
        .split('/')
        .next()
        .is_some_and(|first| first.contains(':'))
    {
        return None;
    }
    let uri: Uri = base.parse().ok()?;
    let scheme = uri.scheme_str()?;
    if let Some(rest) = location.strip_prefix("//") {
        return Some(format!("{scheme}://{rest}"));
    }
    let authority = uri.authority()?;
    if location.starts_with('/') {
        return Some(format!("{scheme}://{authority}{location}"));
    }
    let folder = uri.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(format!("{scheme}://{authority}{folder}/{location}"))
}

/// What comes after scheme, host and port.
pub(crate) fn path_and_query(address: &str) -> Option<String> {
    let uri: Uri = address.parse().ok()?;
    uri.path_and_query().map(ToString::to_string)
}

/// Encodes a path, leaving its slashes.
pub(crate) fn encode_path(path: &str) -> String {
    encode(path, true)
}

/// Encodes one part of a path, its slashes as well.
pub(crate) fn encode_part(part: &str) -> String {
    encode(part, false)
}

fn encode(text: &str, keep_slashes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(byte.into())
            }
            b'/' if keep_slashes => out.push('/'),
            // Writing to a string cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_join() {
        let base = "https://hub.example:8443/a/b/c?x=1";
        for (location, expected) in [
            ("http://other/x", "http://other/x"),
            ("//cdn.example/x", "https://cdn.example/x"),
            ("/x/y?z", "https://hub.example:8443/x/y?z"),
            ("x", "https://hub.example:8443/a/b/x"),
        ] {
            assert_eq!(join(base, location).unwrap(), expected);
        }
        for location in ["ftp://x/y", "data:x", "javascript:1"] {
            assert_eq!(join(base, location), None);
        }
    }

    #[test]
    fn origins_compare() {
        let origin = |address| Origin::of(address).unwrap();
        assert_eq!(
            origin("https://Hub.example/x"),
            origin("https://hub.example:443")
        );
        assert_ne!(origin("https://hub.example"), origin("http://hub.example"));
        assert_ne!(origin("http://127.0.0.1:1"), origin("http://127.0.0.1:2"));
        assert_ne!(origin("http://127.0.0.1:1"), origin("http://localhost:1"));
        for bad in ["ftp://x", "x", "https://", ""] {
            assert!(Origin::of(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn paths_are_encoded() {
        assert_eq!(encode_path("a b/c#d?é"), "a%20b/c%23d%3F%C3%A9");
        assert_eq!(encode_part("refs/pr/1"), "refs%2Fpr%2F1");
    }
}

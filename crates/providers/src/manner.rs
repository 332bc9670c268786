//! How one kind of upstream is spoken to, beyond its protocol.

use inhouse_chat::{ChatRequest, Dialect, Fields, ModelName, Secret};
use inhouse_policy::Zone;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

/// How one kind of upstream is spoken to: address, credentials, quirks. The shapes are `inhouse-wire`'s.
pub(crate) trait Manner: Send + Sync {
    /// The protocol in which it is asked.
    fn dialect(&self, request: &ChatRequest, model: &ModelName) -> Dialect;

    /// Where it is asked.
    fn chat_url(&self, base: &Url, dialect: Dialect, model: &ModelName, stream: bool) -> Url;

    /// Where it tells its models, or at least whether it takes our key: what costs nothing.
    fn probe(&self, base: &Url) -> Probe;

    /// Where a request for `model` ends up, when the address is in `zone`.
    fn zone(&self, zone: Zone, _model: &ModelName) -> Zone {
        zone
    }

    /// The header that shows a key.
    fn credentials(&self, key: &Secret) -> Option<(HeaderName, HeaderValue)> {
        bearer(key)
    }

    /// Headers of every request, before those that configuration adds.
    fn headers(&self) -> HeaderMap {
        HeaderMap::new()
    }

    /// Last changes to a request: what configuration adds to it, what belongs in a header.
    fn amend(&self, _dialect: Dialect, _body: &mut Fields, _headers: &mut HeaderMap) {}

    /// Where the upstream lists its models and says which of them it relays to somebody else, where it may do so under
    /// any name.
    fn relays_url(&self, _base: &Url) -> Option<Url> {
        None
    }
}

/// A question that costs nothing.
pub(crate) struct Probe {
    pub(crate) url: Url,
    /// Whether the answer depends on the key; some tell their models to everybody.
    pub(crate) tells_key: bool,
}

/// `Authorization: Bearer KEY`.
pub(crate) fn bearer(key: &Secret) -> Option<(HeaderName, HeaderValue)> {
    Some((AUTHORIZATION, hidden(&format!("Bearer {}", key.reveal()))?))
}

/// A header's value that is not shown; `None` where it cannot be one.
pub(crate) fn hidden(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `base` with `segments` appended to its path; a query stays. Each segment is escaped, so that the name of a model
/// cannot lead elsewhere.
pub(crate) fn under(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// As [`under`], where `prefix` is not repeated that the base ends with already.
pub(crate) fn under_once(base: &Url, prefix: &str, segments: &[&str]) -> Url {
    let last = base
        .path_segments()
        .and_then(|path| path.rev().find(|part| !part.is_empty()));
    match last == Some(prefix) {
        true => under(base, segments),
        false => under(&under(base, &[prefix]), segments),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_appended() {
        let check = |base: &str, segments: &[&str], expected: &str| {
            let base = Url::parse(base).unwrap();
            assert_eq!(under(&base, segments).as_str(), expected);
        };
        check("https://a.example", &["v1", "x"], "https://a.example/v1/x");
        check("https://a.example/v1/", &["x"], "https://a.example/v1/x");
        check(
            "https://a.example/v1?v=2",
            &["x"],
            "https://a.example/v1/x?v=2",
        );
        check(
            "https://a.example/v1",
            &["../../b?c#d"],
            "https://a.example/v1/..%2F..%2Fb%3Fc%23d",
        );
        check("https://a.example/v1", &[".."], "https://a.example/v1");
    }

    #[test]
    fn a_prefix_is_not_repeated() {
        for base in [
            "https://a.example",
            "https://a.example/v1",
            "https://a.example/v1/",
        ] {
            let url = under_once(&Url::parse(base).unwrap(), "v1", &["messages"]);
            assert_eq!(url.as_str(), "https://a.example/v1/messages");
        }
    }
}

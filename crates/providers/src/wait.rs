//! When a provider asks to be asked again.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use reqwest::header::HeaderMap;

/// What the headers of an error answer say about when to ask again.
///
/// `retry-after-ms` (OpenAI, Azure) is finer than `Retry-After` (RFC 9110: seconds or a date). Where there is neither, the
/// limits that are used up say when they are full again: `x-ratelimit-reset-requests` and `-tokens` (OpenAI: `6m0s`),
/// `anthropic-ratelimit-*-reset` (dates), `x-ratelimit-reset` (seconds, or a time since 1970).
pub(crate) fn retry_after(headers: &HeaderMap, date: SystemTime) -> Option<Duration> {
    let value = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let by_milliseconds = value("retry-after-ms").and_then(|ms| seconds(ms, 0.001));
    let by_header = || {
        value("retry-after").and_then(|after| seconds(after, 1.0).or_else(|| until(after, date)))
    };
    let by_limit = || {
        let used_up = headers.iter().filter_map(|(name, reset)| {
            let (name, reset) = (name.as_str(), reset.to_str().ok()?.trim());
            let limit = ResetHeader::of(name)?;
            let remaining = value(&limit.remaining);
            let is_used_up = remaining.map_or(limit.is_only_one, |left| left == "0");
            is_used_up.then(|| time_until_reset(reset, date)).flatten()
        });
        used_up.max()
    };
    by_milliseconds.or_else(by_header).or_else(by_limit)
}

/// The name of a header that tells when a limit is full again, taken apart.
struct ResetHeader {
    /// The header that tells how much of the limit is left.
    remaining: String,
    /// Whether there is one limit, so that no other can be the reason.
    is_only_one: bool,
}

impl ResetHeader {
    fn of(name: &str) -> Option<Self> {
        if let Some(limit) = name.strip_prefix("x-ratelimit-reset") {
            let remaining = format!("x-ratelimit-remaining{limit}");
            let is_only_one = limit.is_empty();
            return Some(Self {
                remaining,
                is_only_one,
            });
        }
        let limit = name
            .strip_prefix("anthropic-ratelimit-")?
            .strip_suffix("-reset")?;
        Some(Self {
            remaining: format!("anthropic-ratelimit-{limit}-remaining"),
            is_only_one: false,
        })
    }
}

fn time_until_reset(reset: &str, date: SystemTime) -> Option<Duration> {
    let Ok(number) = reset.parse::<f64>() else {
        return span(reset).or_else(|| until(reset, date));
    };
    // A time since 1970 in milliseconds, one in seconds, or a wait in seconds: they are far apart.
    let since_1970 = if number > 1e11 {
        number / 1000.0
    } else {
        number
    };
    match since_1970 > 1e8 {
        true => {
            let then = Duration::try_from_secs_f64(since_1970).ok()?;
            let now = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            Some(then.saturating_sub(now))
        }
        false => Duration::try_from_secs_f64(number).ok(),
    }
}

fn seconds(value: &str, unit: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(value.parse::<f64>().ok()? * unit).ok()
}

/// The time until a date, as HTTP or RFC 3339 write it; nothing where it has passed.
fn until(value: &str, date: SystemTime) -> Option<Duration> {
    let http = || jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value);
    let then: Timestamp = value.parse().or_else(|_| http()).ok()?;
    let then = SystemTime::from(then);
    Some(then.duration_since(date).unwrap_or(Duration::ZERO))
}

/// As Go writes a span: `6m0s`, `1h2m3.5s`, `120ms`.
fn span(value: &str) -> Option<Duration> {
    let mut rest = value;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(at);
        let at = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(at);
        let unit = match unit {
            "d" => 86_400.0,
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        total = total.checked_add(seconds(number, unit)?)?;
        rest = after;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::HeaderName;

    /// At Sun, 06 Nov 1994 08:49:37 GMT.
    fn check(headers: &[(&'static str, &str)], expected: Option<f64>) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let got = retry_after(&headers, date).map(|wait| wait.as_secs_f64());
        assert_eq!(got, expected, "{headers:?}");
    }

    #[test]
    fn the_usual_header_is_seconds_or_a_date() {
        check(&[], None);
        check(&[("retry-after", "7")], Some(7.0));
        check(&[("retry-after", " 0.5 ")], Some(0.5));
        check(
            &[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")],
            Some(30.0),
        );
        check(
            &[("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT")],
            Some(0.0),
        );
        for nonsense in [
            "-1",
            "soon",
            "",
            "1e999",
            "nan",
            "inf",
            "Sun, 99 Nov 1994 08:50:07 GMT",
        ] {
            check(&[("retry-after", nonsense)], None);
        }
        check(
            &[("retry-after", "7"), ("retry-after-ms", "1500")],
            Some(1.5),
        );
    }

    #[test]
    fn limits_that_are_used_up_tell_when() {
        check(
            &[
                ("x-ratelimit-remaining-requests", "0"),
                ("x-ratelimit-reset-requests", "6m0s"),
                ("x-ratelimit-remaining-tokens", "900"),
                ("x-ratelimit-reset-tokens", "1h"),
            ],
            Some(360.0),
        );
        check(
            &[
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-tokens", "1s250ms"),
            ],
            Some(1.25),
        );
        check(
            &[
                ("anthropic-ratelimit-requests-remaining", "3"),
                ("anthropic-ratelimit-requests-reset", "1994-11-06T10:00:00Z"),
                ("anthropic-ratelimit-input-tokens-remaining", "0"),
                (
                    "anthropic-ratelimit-input-tokens-reset",
                    "1994-11-06T08:50:37Z",
                ),
            ],
            Some(60.0),
        );
        check(&[("x-ratelimit-reset", "12")], Some(12.0));
        check(&[("x-ratelimit-reset", "1784111777")], Some(1e9));
        check(&[("x-ratelimit-reset", "1784111777000")], Some(1e9));
        check(
            &[("x-ratelimit-remaining", "5"), ("x-ratelimit-reset", "12")],
            None,
        );
        check(&[("x-ratelimit-reset-requests", "6m0s")], None);
        check(
            &[
                ("x-ratelimit-remaining-requests", "0"),
                ("x-ratelimit-reset-requests", "6 moons"),
            ],
            None,
        );
    }

    proptest! {
        #[test]
        fn no_header_panics(value in "[ -~]{0,30}|[0-9]{1,30}|([0-9.]{1,5}(d|h|m|s|ms)){1,4}") {
            for name in ["retry-after", "retry-after-ms", "x-ratelimit-reset"] {
                let value = value.parse().unwrap();
                let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value)]);
                retry_after(&headers, SystemTime::UNIX_EPOCH);
                retry_after(&headers, SystemTime::now());
            }
        }
    }

    #[test]
    fn the_usual_header_counts_before_limits() {
        check(
            &[("retry-after", "2"), ("x-ratelimit-reset", "12")],
            Some(2.0),
        );
    }
}

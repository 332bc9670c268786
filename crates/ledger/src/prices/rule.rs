//! Which names a model goes by.

use serde::Deserialize;

/// What the list says about a model's names. Names and rules are in lower case.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Rule {
    /// This very name.
    Is(String),
    /// It begins so.
    Starts(String),
    /// It ends so.
    Ends(String),
    /// This is somewhere in it.
    Contains(String),
    /// The whole name, where `#` is one digit, and `*` at the end is anything.
    Like(String),
    /// One of these holds.
    Any(Vec<Rule>),
    /// All of these hold.
    All(Vec<Rule>),
    /// This does not hold.
    Not(Box<Rule>),
}

impl Rule {
    pub(super) fn holds(&self, name: &str) -> bool {
        match self {
            Self::Is(whole) => name == whole,
            Self::Starts(start) => name.starts_with(start.as_str()),
            Self::Ends(end) => name.ends_with(end.as_str()),
            Self::Contains(part) => name.contains(part.as_str()),
            Self::Like(pattern) => like(pattern, name),
            Self::Any(rules) => rules.iter().any(|rule| rule.holds(name)),
            Self::All(rules) => rules.iter().all(|rule| rule.holds(name)),
            Self::Not(rule) => !rule.holds(name),
        }
    }
}

fn like(pattern: &str, name: &str) -> bool {
    let (pattern, open) = match pattern.strip_suffix('*') {
        Some(start) => (start, true),
        None => (pattern, false),
    };
    let fits = pattern
        .bytes()
        .zip(name.bytes())
        .all(|(want, is)| want == is || (want == b'#' && is.is_ascii_digit()));
    fits && (name.len() == pattern.len() || (open && name.len() > pattern.len()))
}

/// `gpt-5.2-20251211` as `gpt-5.2-2025-12-11`: gateways write dates without dashes where the list has them with dashes.
pub(super) fn with_dashed_date(name: &str) -> Option<String> {
    let bytes = name.as_bytes();
    let at = (0..bytes.len()).find(|&at| is_compact_date(bytes, at))?;
    let (head, tail) = (name.get(..at + 5)?, name.get(at + 5..)?);
    let (month, rest) = (tail.get(..2)?, tail.get(2..)?);
    Some(format!("{head}-{month}-{rest}"))
}

fn is_compact_date(bytes: &[u8], at: usize) -> bool {
    let Some(date) = bytes.get(at..at + 9) else {
        return false;
    };
    let ends = matches!(bytes.get(at + 9), None | Some(b'-' | b':'));
    let Some((b'-', digits)) = date.split_first() else {
        return false;
    };
    ends && digits.starts_with(b"20")
        && std::str::from_utf8(digits)
            .ok()
            .is_some_and(|digits| jiff::civil::Date::strptime("%Y%m%d", digits).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_digits_and_open_ends() {
        let check = |pattern: &str, name: &str, expected: bool| {
            assert_eq!(like(pattern, name), expected, "{pattern} {name}");
        };
        check("opus-5-########", "opus-5-20260401", true);
        check("opus-5-########", "opus-5-2026040", false);
        check("opus-5-########", "opus-5-202604011", false);
        check("opus-5-########", "opus-5-2026040x", false);
        check("flash-#*", "flash-7", true);
        check("flash-#*", "flash-7-preview", true);
        check("flash-#*", "flash-x", false);
        check("flash", "flash", true);
    }

    #[test]
    fn compact_dates_get_dashes() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(with_dashed_date(name).as_deref(), expected, "{name}");
        };
        check("gpt-5.2-20251211", Some("gpt-5.2-2025-12-11"));
        check("gpt-5.2-20251211:free", Some("gpt-5.2-2025-12-11:free"));
        check("gpt-5.2-20251311", None);
        check("gpt-5.2-20250230", None);
        check("gpt-5.2-202512110", None);
        check("gpt-5.2", None);
        check("größe-20251211ü", None);
    }
}

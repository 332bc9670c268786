//! JSON that says the same: numbers are compared by value, `1` is `1.0`.

use serde_json::Value;

pub(crate) fn assert_same(name: &str, expected: &Value, found: &Value) {
    compare(name, "", expected, found, true);
}

/// Everything of `expected` is in `found`, which may say more; nulls and empty lists say nothing.
pub(crate) fn assert_contains(name: &str, expected: &Value, found: &Value) {
    compare(name, "", expected, found, false);
}

fn compare(name: &str, at: &str, expected: &Value, found: &Value, exact: bool) {
    match (expected, found) {
        (Value::Object(left), Value::Object(right)) => {
            for (key, value) in left {
                match right.get(key) {
                    Some(other) => compare(name, &format!("{at}.{key}"), value, other, exact),
                    None => assert!(!exact && says_nothing(value), "{name}: {at}.{key} is gone"),
                }
            }
            for key in right.keys().filter(|_| exact) {
                assert!(left.contains_key(key), "{name}: {at}.{key} is new");
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            assert_eq!(left.len(), right.len(), "{name}: {at}: another length");
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                compare(name, &format!("{at}[{index}]"), left, right, exact);
            }
        }
        (Value::Number(left), Value::Number(right)) => {
            assert_eq!(left.as_f64(), right.as_f64(), "{name}: {at}");
        }
        // Cloudflare answers in JSON outside of a string; the protocol wants the string.
        (Value::Object(_), Value::String(text)) if !exact => {
            assert_eq!(
                serde_json::from_str(text).ok().as_ref(),
                Some(expected),
                "{name}: {at}"
            );
        }
        _ => assert_eq!(expected, found, "{name}: {at}"),
    }
}

fn says_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

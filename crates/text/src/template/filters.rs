//! The filters and tests of Jinja where Python's way, or stand-ins, ask for other than minijinja's own.

use std::sync::Arc;

use minijinja::value::{Kwargs, Rest, Tuple, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value};

use super::adapt::CONTAINED;
use super::marks::Marks;
use super::methods::{Str, equal};
use super::python::{self, JsonStyle};

/// Adds them to `env`.
pub(super) fn add_to(env: &mut Environment<'_>, marks: &Arc<Marks>) {
    add_string_filters(env, marks);
    add_conversions(env, marks);
    add_tests(env, marks);
}

fn add_string_filters(env: &mut Environment<'_>, marks: &Arc<Marks>) {
    type Change = fn(&Str<'_>) -> String;
    let changes: [(&'static str, Change); 4] = [
        ("upper", |text| text.upper()),
        ("lower", |text| text.lower()),
        ("title", |text| text.title_words()),
        ("capitalize", |text| text.capitalize()),
    ];
    for (name, change) in changes {
        let marks = Arc::clone(marks);
        env.add_filter(name, move |value: Value| -> Result<String, Error> {
            Ok(change(&Str::new(&python::str(&value, &marks)?, &marks)))
        });
    }
    let own = Arc::clone(marks);
    env.add_filter(
        "trim",
        move |value: Value, set: Option<String>| -> Result<String, Error> {
            Ok(Str::new(&python::str(&value, &own)?, &own).strip(set.as_deref(), true, true))
        },
    );
    let own = Arc::clone(marks);
    env.add_filter(
        "replace",
        move |value: Value,
              old: String,
              new: String,
              count: Option<i64>|
              -> Result<String, Error> {
            Ok(Str::new(&python::str(&value, &own)?, &own).replace(&old, &new, count))
        },
    );
}

fn add_conversions(env: &mut Environment<'_>, marks: &Arc<Marks>) {
    let own = Arc::clone(marks);
    env.add_filter("string", move |value: Value| python::str(&value, &own));
    let own = Arc::clone(marks);
    env.add_filter(
        "tojson",
        move |value: Value, indent: Option<Value>, kwargs: Kwargs| {
            python::json(&value, &json_style(indent, &kwargs)?, &own)
        },
    );
    let own = Arc::clone(marks);
    env.add_filter(
        "join",
        move |values: Value, separator: Option<String>, kwargs: Kwargs| -> Result<String, Error> {
            let separator = separator.or(kwargs.get("d")?).unwrap_or_default();
            let attribute: Option<String> = kwargs.get("attribute")?;
            kwargs.assert_all_used()?;
            let mut parts = Vec::new();
            for value in values.try_iter()?.checked() {
                let value = match &attribute {
                    Some(attribute) => value?.get_attr(attribute)?,
                    None => value?,
                };
                parts.push(python::str(&value, &own)?);
            }
            Ok(parts.join(&separator))
        },
    );
    let own = Arc::clone(marks);
    env.add_filter("dictsort", move |map: Value, kwargs: Kwargs| {
        dictsort(&map, &kwargs, &own)
    });
    let own = Arc::clone(marks);
    env.add_filter("int", move |value: Value, default: Option<i64>| -> i64 {
        let text = value.as_str().map(|text| own.unmark(text));
        let number = match &text {
            Some(text) => text
                .trim()
                .parse()
                .ok()
                .or_else(|| text.trim().parse().ok().map(|number: f64| number as i64)),
            None if value.kind() == ValueKind::Bool => Some(i64::from(value.is_true())),
            None => value
                .as_i64()
                .or_else(|| f64::try_from(value).ok().map(|number| number as i64)),
        };
        number.or(default).unwrap_or(0)
    });
    let own = Arc::clone(marks);
    env.add_filter("float", move |value: Value, default: Option<f64>| -> f64 {
        let number = match value.as_str() {
            Some(text) => own.unmark(text).trim().parse().ok(),
            None => f64::try_from(value).ok(),
        };
        number.or(default).unwrap_or(0.0)
    });
}

/// Jinja's `dictsort`: the items of a dictionary as pairs, in the order of their keys, or of their values.
fn dictsort(map: &Value, kwargs: &Kwargs, marks: &Marks) -> Result<Value, Error> {
    let case_sensitive = kwargs
        .get::<Option<bool>>("case_sensitive")?
        .unwrap_or(false);
    let by_value = kwargs.get::<Option<&str>>("by")? == Some("value");
    let reverse = kwargs.get::<Option<bool>>("reverse")?.unwrap_or(false);
    kwargs.assert_all_used()?;
    let rank = |value: &Value| match value.as_str() {
        Some(text) if case_sensitive => Value::from(marks.unmark(text)),
        Some(text) => Value::from(marks.unmark(text).to_lowercase()),
        None => value.clone(),
    };
    let mut pairs = Vec::new();
    for key in map.try_iter()?.checked() {
        let key = key?;
        let value = map.get_item(&key)?;
        pairs.push((rank(if by_value { &value } else { &key }), [key, value]));
    }
    pairs.sort_by(|(a, _), (b, _)| if reverse { b.cmp(a) } else { a.cmp(b) });
    Ok(pairs
        .into_iter()
        .map(|(_, pair)| Value::from(Tuple::from(pair)))
        .collect())
}

/// `tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)`, as `transformers` defines it.
fn json_style(indent: Option<Value>, kwargs: &Kwargs) -> Result<JsonStyle, Error> {
    let indent = match indent {
        Some(indent) => Some(indent),
        None => kwargs.get::<Option<Value>>("indent")?,
    };
    let indent = indent
        .filter(|indent| !indent.is_none())
        .map(|indent| match indent.as_str() {
            Some(text) => Ok(text.to_owned()),
            None => indent
                .as_usize()
                .filter(|width| *width <= 64)
                .map(|width| " ".repeat(width))
                .ok_or_else(|| {
                    Error::new(
                        ErrorKind::InvalidOperation,
                        "tojson: indent must be a small number or a string",
                    )
                }),
        });
    let indent = indent.transpose()?;
    let separators: Option<Vec<String>> = kwargs.get("separators")?;
    let (item, key) = match separators.as_deref() {
        Some([item, key]) => (item.clone(), key.clone()),
        Some(_) => {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "tojson: separators must be two strings",
            ));
        }
        None => (
            if indent.is_some() { "," } else { ", " }.to_owned(),
            ": ".to_owned(),
        ),
    };
    let style = JsonStyle {
        ensure_ascii: kwargs.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        indent,
        item_separator: item,
        key_separator: key,
        sort_keys: kwargs.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
    };
    kwargs.assert_all_used()?;
    Ok(style)
}

fn add_tests(env: &mut Environment<'_>, marks: &Arc<Marks>) {
    for name in ["eq", "equalto", "=="] {
        let marks = Arc::clone(marks);
        env.add_test(name, move |a: Value, b: Value| equal(&a, &b, &marks));
    }
    for name in ["ne", "!="] {
        let marks = Arc::clone(marks);
        env.add_test(name, move |a: Value, b: Value| !equal(&a, &b, &marks));
    }
    for name in ["in", CONTAINED] {
        let marks = Arc::clone(marks);
        // A tuple in brackets arrives as several arguments.
        env.add_test(
            name,
            move |item: Value, containers: Rest<Value>| match containers.as_slice() {
                [container] => contained(&item, container, &marks),
                items => Ok(items.iter().any(|other| equal(&item, other, &marks))),
            },
        );
    }
    env.add_test("iterable", |value: Value| {
        !value.is_none() && value.try_iter().is_ok()
    });
    env.add_test("sequence", |value: Value| {
        value.is_undefined()
            || matches!(
                value.kind(),
                ValueKind::Seq | ValueKind::Iterable | ValueKind::String | ValueKind::Map
            )
    });
}

/// Whether `item` is in `container`, as Python's `in` has it.
fn contained(item: &Value, container: &Value, marks: &Marks) -> Result<bool, Error> {
    match (container.kind(), container.as_str()) {
        (ValueKind::String, Some(text)) => match item.as_str() {
            Some(item) => Ok(marks.unmark(text).contains(&marks.unmark(item))),
            None => Err(Error::new(
                ErrorKind::InvalidOperation,
                "only a string can be in a string",
            )),
        },
        (ValueKind::Undefined, _) => Ok(false),
        (ValueKind::None, _) => Err(Error::new(
            ErrorKind::InvalidOperation,
            "nothing can be looked for in none",
        )),
        (ValueKind::Map, _)
            if container
                .as_object()
                .is_some_and(|map| map.get_value(item).is_some()) =>
        {
            Ok(true)
        }
        _ => Ok(container
            .try_iter()?
            .any(|other| equal(item, &other, marks))),
    }
}

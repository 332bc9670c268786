//! `snake_case`: the API takes names of fields in both ways, and some SDKs mix them.

use serde_json::{Map, Value};

/// Values that are the caller's own: their names are not the API's.
const OPAQUE: &[&str] = &[
    "args",
    "response",
    "parameters",
    "parametersJsonSchema",
    "responseSchema",
    "responseJsonSchema",
    "labels",
];

/// Where a field was renamed: the steps to its object, and its new name.
type Steps = Vec<String>;

/// Renames fields to `camelCase`; returns where.
pub(super) fn to_camel(value: &mut Value) -> Vec<Value> {
    let mut renamed = Vec::new();
    if has_snake(value) {
        rename(value, &mut Vec::new(), &mut renamed);
    }
    renamed.into_iter().map(Value::from).collect()
}

/// Gives the fields their old names back, where they are still there.
pub(super) fn to_snake(value: &mut Value, renamed: &[Value]) {
    // The innermost first: the way to them goes by the new names.
    for steps in renamed.iter().rev() {
        let steps: Option<Vec<&str>> = steps
            .as_array()
            .and_then(|steps| steps.iter().map(Value::as_str).collect());
        if let Some((name, way)) = steps.as_deref().and_then(<[&str]>::split_last)
            && let Some(Value::Object(fields)) = follow(value, way)
        {
            *fields = with_name(std::mem::take(fields), name, &snake(name));
        }
    }
}

/// Most bodies have none, and are left alone.
fn has_snake(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_snake),
        Value::Object(fields) => fields.iter().any(|(name, inner)| {
            name.contains('_') || !OPAQUE.contains(&name.as_str()) && has_snake(inner)
        }),
        _ => false,
    }
}

fn rename(value: &mut Value, way: &mut Steps, renamed: &mut Vec<Steps>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                way.push(index.to_string());
                rename(item, way, renamed);
                way.pop();
            }
        }
        Value::Object(fields) => {
            let names: Vec<String> = fields.keys().cloned().collect();
            for name in names {
                let new = camel(&name);
                if new != name && !fields.contains_key(&new) && snake(&new) == name {
                    *fields = with_name(std::mem::take(fields), &name, &new);
                    renamed.push(way.iter().chain([&new]).cloned().collect());
                }
            }
            for (name, inner) in fields.iter_mut() {
                if !OPAQUE.contains(&name.as_str()) {
                    way.push(name.clone());
                    rename(inner, way, renamed);
                    way.pop();
                }
            }
        }
        _ => {}
    }
}

fn follow<'v>(value: &'v mut Value, way: &[&str]) -> Option<&'v mut Value> {
    way.iter().try_fold(value, |value, step| match value {
        Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
        Value::Object(fields) => fields.get_mut(*step),
        _ => None,
    })
}

/// The same fields in their order, one under another name.
fn with_name(fields: Map<String, Value>, old: &str, new: &str) -> Map<String, Value> {
    let renamed = fields.into_iter().map(|(name, value)| match name == old {
        true => (new.to_owned(), value),
        false => (name, value),
    });
    renamed.collect()
}

fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        match letter {
            '_' if !out.is_empty() => upper = true,
            _ if upper => {
                out.push(letter.to_ascii_uppercase());
                upper = false;
            }
            _ => out.push(letter),
        }
    }
    out
}

fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_of_the_api_change_and_those_of_the_caller_stay() {
        let sent = json!({
            "system_instruction": {"parts": [{"text": "a_b"}]},
            "contents": [{"parts": [{"inline_data": {"mime_type": "a", "data": "b"}}, {"function_call": {"args": {"x_y": 1}}}]}],
        });
        let mut value = sent.clone();
        let renamed = to_camel(&mut value);
        assert_eq!(
            value,
            json!({
                "systemInstruction": {"parts": [{"text": "a_b"}]},
                "contents": [{"parts": [{"inlineData": {"mimeType": "a", "data": "b"}}, {"functionCall": {"args": {"x_y": 1}}}]}],
            })
        );
        to_snake(&mut value, &renamed);
        assert_eq!(value, sent);
    }
}

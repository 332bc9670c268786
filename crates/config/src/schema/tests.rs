use std::collections::BTreeSet;

use super::*;

const OLD: [&str; 2] = [
    include_str!("../../testdata/old-modelid.json"),
    include_str!("../../testdata/old-modelpath.json"),
];

/// What a value has that its schema does not know, by path. Knows as much of JSON Schema as is needed here.
fn unknown(value: &Value, part: &Value, whole: &Value, path: &str, found: &mut Vec<String>) {
    let part = match part["$ref"].as_str() {
        Some(name) => &whole["$defs"][name.trim_start_matches("#/$defs/")],
        None => part,
    };
    if let Some(choices) = part["anyOf"].as_array() {
        return unknown(value, &choices[0], whole, path, found);
    }
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = format!("{path}.{name}");
                match (&part["properties"][name], &part["additionalProperties"]) {
                    (Value::Null, Value::Null | Value::Bool(_)) => found.push(path),
                    (Value::Null, other) => unknown(value, other, whole, &path, found),
                    (known, _) => unknown(value, known, whole, &path, found),
                }
            }
        }
        Value::Array(values) => {
            for value in values {
                unknown(value, &part["items"], whole, &format!("{path}[]"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_schema_knows_every_key_of_the_old_files() {
    for old in OLD {
        let mut found = Vec::new();
        let schema = schema();
        unknown(
            &serde_json::from_str(old).unwrap(),
            &schema,
            &schema,
            "",
            &mut found,
        );
        assert_eq!(found, [""; 0]);
    }
    let mut found = Vec::new();
    let wrong = serde_json::json!({"routing": {"mod": 1, "rules": [{"if": 1}]}});
    unknown(&wrong, &schema(), &schema(), "", &mut found);
    assert_eq!(found, [".routing.mod", ".routing.rules[].if"]);
}

#[test]
fn the_schema_has_the_keys_of_the_struct_and_a_description_of_each() {
    let schema = schema();
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let shown = crate::RouterConfig {
        schema: Some("s".to_owned()),
        version: Some("1".to_owned()),
        default_provider: Some("onnx-local".into()),
        ..Default::default()
    };
    assert_eq!(
        names(&schema["properties"]),
        names(&shown.to_json_redacted())
    );
    let described = |part: &Value| {
        for (name, property) in part["properties"].as_object().into_iter().flatten() {
            assert!(property["description"].is_string(), "{name}: {property}");
        }
    };
    described(&schema);
    schema["$defs"]
        .as_object()
        .unwrap()
        .values()
        .for_each(described);
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn names_of_other_crates_are_theirs() {
    let zones: Vec<_> = inhouse_policy::Zone::ALL
        .iter()
        .map(|zone| zone.name())
        .collect();
    let text = schema().to_string();
    assert!(
        text.contains(
            &serde_json::json!(zones)
                .to_string()
                .trim_matches(['[', ']'])
                .to_owned()
        ),
        "{text}"
    );
    assert!(text.contains(r#""low","medium","high""#));
}

#[test]
fn a_variable_may_stand_for_a_number() {
    let schema = schema();
    let ttl = &schema["$defs"]["Cache"]["properties"]["ttl"];
    assert_eq!(ttl["type"], serde_json::json!(["integer", "string"]));
    assert_eq!(ttl["pattern"], r"^\$\{[^}]+\}$");
    assert_eq!(ttl["default"], 3600);
}

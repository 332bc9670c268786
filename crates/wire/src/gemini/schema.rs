//! Gemini's schemas: OpenAPI's subset, with types in upper case, to JSON Schema.

use serde_json::{Map, Value};

/// The same as JSON Schema.
pub(super) fn to_json_schema(schema: &Value) -> Value {
    let Value::Object(fields) = schema else {
        return schema.clone();
    };
    let nullable = fields.get("nullable") == Some(&Value::Bool(true));
    let converted = fields
        .iter()
        .filter(|(name, _)| !(nullable && name.as_str() == "nullable"))
        .map(|(name, value)| (name.clone(), convert(name, value, nullable)));
    Value::Object(converted.collect())
}

fn convert(name: &str, value: &Value, nullable: bool) -> Value {
    match (name, value) {
        ("type", Value::String(kind)) => {
            let kind = Value::from(kind.to_ascii_lowercase());
            match nullable {
                true => Value::from(vec![kind, Value::from("null")]),
                false => kind,
            }
        }
        ("properties" | "$defs" | "defs", Value::Object(inner)) => {
            let inner: Map<_, _> = inner
                .iter()
                .map(|(name, schema)| (name.clone(), to_json_schema(schema)))
                .collect();
            Value::Object(inner)
        }
        ("anyOf" | "any_of" | "prefixItems", Value::Array(items)) => {
            items.iter().map(to_json_schema).collect()
        }
        ("items" | "additionalProperties", inner) => to_json_schema(inner),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_are_written_as_json_schema_has_them() {
        let gemini = json!({
            "type": "OBJECT",
            "properties": {"type": {"type": "STRING", "nullable": true}, "n": {"type": "ARRAY", "items": {"type": "INTEGER"}}},
            "required": ["type"],
        });
        let expected = json!({
            "type": "object",
            "properties": {"type": {"type": ["string", "null"]}, "n": {"type": "array", "items": {"type": "integer"}}},
            "required": ["type"],
        });
        assert_eq!(to_json_schema(&gemini), expected);
    }
}

//! The JSON Schema of the file.

use schemars::JsonSchema;
use serde_json::Value;

use crate::RouterConfig;

/// The JSON Schema (2020-12) of router.config.json, made from the very types that files are read into.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(RouterConfig).to_value();
    loosen(&mut schema);
    schema
}

/// A variable may stand where a number or boolean does. What says nothing is left out.
fn loosen(part: &mut Value) {
    const LOOSE: [&str; 3] = ["integer", "number", "boolean"];
    match part {
        Value::Object(members) => {
            // Defaults of whole sections say again what their keys say.
            let said = |value: &Value| value.is_null() || value.is_object() || value.is_array();
            members.retain(|name, value| name != "default" || !said(value));
            if let Some(Value::String(words)) = members.get_mut("description") {
                *words = words.replace('\n', " ");
            }
            let mut sorts = match members.get("type") {
                Some(Value::String(sort)) => vec![Value::from(sort.as_str())],
                Some(Value::Array(sorts)) => sorts.clone(),
                _ => Vec::new(),
            };
            let has = |names: &[&str]| {
                let mut sorts = sorts.iter().filter_map(Value::as_str);
                sorts.any(|sort| names.contains(&sort))
            };
            if has(&LOOSE) && !has(&["string"]) {
                sorts.push("string".into());
                members.insert("type".to_owned(), sorts.into());
                members.insert("pattern".to_owned(), r"^\$\{[^}]+\}$".into());
            }
            members.values_mut().for_each(loosen);
        }
        Value::Array(parts) => parts.iter_mut().for_each(loosen),
        _ => {}
    }
}

/// The names of `inhouse_policy::Zone`, which knows nothing of schemas.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", inline)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) enum ZoneNames {
    Device,
    Lan,
    CloudNoRetention,
    Cloud,
}

/// The names of `inhouse_chat::Privacy` and `inhouse_chat::Complexity`, which know nothing of schemas.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", inline)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) enum LevelNames {
    Low,
    Medium,
    High,
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod page;

//! The JSON Schema of the file.

use schemars::JsonSchema;
use serde_json::Value;

use crate::RouterConfig;

/// The JSON Schema (2020-12) of router.config.json, made from the very types that files are read into.
pub fn schema() -> Value {
    schemars::schema_for!(RouterConfig).to_value()
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

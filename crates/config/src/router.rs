//! The whole file.

use inhouse_chat::ProviderName;
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    Budget, Cache, Ledger, Monitoring, Price, PrivacyRules, ProviderConfig, Retries, Routing,
    Table, ToolCalling, canonical_name,
};

/// Which providers there are, which of them may answer what, and at what price.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "router.config.json")]
pub struct RouterConfig {
    /// The address of this schema, for editors.
    #[serde(rename = "$schema", skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The version of the format: `"1"`.
    #[serde(deserialize_with = "version", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Version")]
    pub version: Option<String>,
    /// The provider that answers where neither the request nor a rule names one. Default: the first of
    /// `fallbackChain`, else the first of `providers`.
    #[schemars(with = "Option<String>")]
    pub default_provider: Option<ProviderName>,
    /// Who is asked, in this order, when a provider fails. Only providers inside the request's zone are asked.
    #[schemars(with = "Vec<String>")]
    pub fallback_chain: Vec<ProviderName>,
    /// The providers, by name.
    pub providers: Table<ProviderConfig>,
    /// How a provider is chosen.
    pub routing: Routing,
    /// How often and how long a failed attempt is repeated.
    pub retries: Retries,
    /// Tools, where the caller's protocol and the provider's differ.
    pub tool_calling: ToolCalling,
    /// Logs, metrics and alerts.
    pub monitoring: Monitoring,
    /// Answers that are kept and given again.
    pub cache: Cache,
    /// What must not leave.
    pub privacy: PrivacyRules,
    /// Limits of spending.
    pub budgets: Vec<Budget>,
    /// Prices that replace the shipped ones: by provider, then by model.
    pub prices: Table<Table<Price>>,
    /// Where usage, budgets and receipts are kept.
    pub ledger: Ledger,
}

/// Old files have it as a string or as a number.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
enum Version {
    Text(String),
    Number(f64),
}

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Version::deserialize(deserializer) {
        Ok(Version::Text(text)) => Ok(Some(text)),
        Ok(Version::Number(number)) => Ok(Some(number.to_string())),
        Err(_) => Err(D::Error::custom("must be a string or a number")),
    }
}

impl RouterConfig {
    /// The provider of this name, by either name of the engine inside; `None` also where it is not enabled.
    pub fn provider(&self, name: &str) -> Option<&ProviderConfig> {
        let provider = self.providers.get(canonical_name(name));
        provider.filter(|provider| provider.enabled)
    }

    /// The providers that are enabled, in the order of the file.
    pub fn enabled_providers(&self) -> impl Iterator<Item = (&str, &ProviderConfig)> {
        self.providers
            .iter()
            .filter(|(_, provider)| provider.enabled)
    }

    /// The provider that answers where nobody names one: `defaultProvider`, else the first of the chain, else the
    /// first there is.
    pub fn default_provider(&self) -> Option<ProviderName> {
        let first = || self.enabled_providers().next().map(|(name, _)| name.into());
        let stated = self.default_provider.as_ref();
        stated
            .or(self.fallback_chain.first())
            .cloned()
            .or_else(first)
    }

    /// The configuration to be shown, with its defaults: keys and the values of headers are `***`.
    pub fn to_json_redacted(&self) -> serde_json::Value {
        // Names are text and numbers finite, so it always is JSON.
        let mut shown = serde_json::to_value(self).unwrap_or_default();
        drop_nulls(&mut shown);
        shown
    }
}

fn drop_nulls(part: &mut serde_json::Value) {
    if let serde_json::Value::Object(members) = part {
        members.retain(|_, value| !value.is_null());
        members.values_mut().for_each(drop_nulls);
    }
}

#[cfg(test)]
mod tests;

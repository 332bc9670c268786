//! The whole file.

use inhouse_chat::ProviderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Budget, Cache, Ledger, Monitoring, Price, PrivacyRules, ProviderConfig, Retries, Routing,
    Table, ToolCalling,
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
    #[serde(skip_serializing_if = "Option::is_none")]
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

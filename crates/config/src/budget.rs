//! Money: limits, prices, and where they are counted.

use std::path::PathBuf;

use inhouse_chat::Money;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::money;

/// A limit of spending.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Budget {
    /// What has this budget of its own: everything together, or each key, agent, provider or model. Default: `all`.
    #[serde(default)]
    pub per: BudgetPer,
    /// The only keys, agents, providers or models that it holds for. Default: every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// In what time. Default: `month`.
    #[serde(default)]
    pub window: BudgetWindow,
    /// How much, dollars.
    #[serde(with = "money")]
    #[schemars(with = "f64")]
    pub limit: Money,
    /// Whether requests are refused that may exceed it; else there is a warning only. Default: true.
    #[serde(default = "yes")]
    pub hard_stop: bool,
    /// The share of the limit at which to warn, 0 to 1. Default: 0.8.
    #[serde(default = "four_fifths")]
    pub alert_at: f64,
}

/// What has a budget of its own.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BudgetPer {
    /// Everything together.
    #[default]
    All,
    /// Each key of ours that callers use.
    Key,
    /// Each agent.
    Agent,
    /// Each provider.
    Provider,
    /// Each model.
    Model,
}

/// In what time a budget is spent.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BudgetWindow {
    /// One request, with all its attempts.
    Request,
    /// A day, of UTC.
    Day,
    /// A calendar month, of UTC.
    #[default]
    Month,
    /// Ever.
    Total,
}

/// Prices of a model, dollars for a million tokens. What is not stated is taken from the shipped prices, and where
/// they have none it is unknown, never 0.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Price {
    /// The prompt.
    #[serde(with = "money::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub input: Option<Money>,
    /// The answer.
    #[serde(with = "money::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub output: Option<Money>,
    /// Of the prompt, what the provider's cache had.
    #[serde(with = "money::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub cache_read: Option<Money>,
    /// Of the prompt, what was written to a cache that keeps it for five minutes.
    #[serde(with = "money::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub cache_write: Option<Money>,
    /// Of the prompt, what was written to a cache that keeps it for an hour.
    #[serde(with = "money::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub cache_write_1h: Option<Money>,
    /// Of the prompt, what was sound.
    #[serde(with = "money::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub input_audio: Option<Money>,
    /// Of the answer, what was sound.
    #[serde(with = "money::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub output_audio: Option<Money>,
    /// Every request, dollars for one.
    #[serde(with = "money::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub request: Option<Money>,
}

/// Where usage, budgets and receipts are kept.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Ledger {
    /// The file. Default: `inhouse/ledger.db` in `XDG_STATE_HOME`, else in `~/.local/state`.
    pub path: Option<PathBuf>,
}

fn yes() -> bool {
    true
}

fn four_fifths() -> f64 {
    0.8
}

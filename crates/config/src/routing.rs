//! How a provider is chosen, and how long one is tried.

use inhouse_chat::{Complexity, ModelName, Money, Privacy, ProviderName};
use inhouse_policy::Zone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::money;

/// How a provider is chosen.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Routing {
    /// By what. Default: `rule-based` where there are rules, else `manual`.
    pub mode: Option<Mode>,
    /// Rules, of which the first that matches wins.
    pub rules: Vec<Rule>,
    /// What `cost-optimized` goes by, and limits of spending for every mode.
    pub cost_optimization: CostOptimization,
    /// What `performance-optimized` goes by, and limits of load for every mode.
    pub performance: Performance,
    /// What `quality-optimized` goes by.
    pub quality_optimization: QualityOptimization,
}

impl Routing {
    /// The mode in force.
    pub fn mode(&self) -> Mode {
        self.mode.unwrap_or(if self.rules.is_empty() {
            Mode::Manual
        } else {
            Mode::RuleBased
        })
    }
}

/// By what a provider is chosen.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The one that the request names, else the default.
    Manual,
    /// The cheapest by its price, the expected tokens and what caches save.
    CostOptimized,
    /// The fastest, as measured.
    PerformanceOptimized,
    /// The cheapest that is good enough.
    QualityOptimized,
    /// The one that the first matching rule names, else the default.
    RuleBased,
}

impl Mode {
    /// The name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::CostOptimized => "cost-optimized",
            Self::PerformanceOptimized => "performance-optimized",
            Self::QualityOptimized => "quality-optimized",
            Self::RuleBased => "rule-based",
        }
    }
}

/// One rule.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rule {
    /// What must hold of a request.
    #[serde(default)]
    pub condition: Condition,
    /// What is then done.
    pub action: Action,
    /// Why, for people: shown by `route explain` and in receipts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What must hold of a request: everything that is given here. What a request does not state does not hold.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Condition {
    /// The agent is of one of these types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_type: Option<Vec<String>>,
    /// Whether the request has tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requires_tools: Option<bool>,
    /// How hard the task is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::schema::LevelNames>")]
    pub complexity: Option<Complexity>,
    /// How private the request is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::schema::LevelNames>")]
    pub privacy: Option<Privacy>,
    /// Whether the request must stay on this device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_only: Option<bool>,
    /// Whether the task needs a model that reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requires_reasoning: Option<bool>,
}

impl Condition {
    /// Whether nothing is asked, so that every request matches.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a rule does.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Action {
    /// Who answers.
    #[schemars(with = "String")]
    pub provider: ProviderName,
    /// With which model. Default: what the request names, else the provider's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub model: Option<ModelName>,
    /// At which temperature, 0 to 2; it replaces the request's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// With at most so many output tokens; a smaller number in the request stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// The farthest that a request of this rule may go, also when its provider fails: `device`, `lan`,
    /// `cloud-no-retention` or `cloud`. It can tighten, not widen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::schema::ZoneNames>")]
    pub ceiling: Option<Zone>,
}

/// What `cost-optimized` goes by, and limits of spending for every mode.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct CostOptimization {
    /// Whether the limits of this section hold. Default: true.
    pub enabled: bool,
    /// The most that one request may be expected to cost, dollars.
    #[serde(with = "money::option")]
    #[schemars(with = "Option<f64>")]
    pub max_cost_per_request: Option<Money>,
    /// Spending at which to warn.
    pub budget_alerts: BudgetAlerts,
    /// Whether the cheaper of two that would both do is taken. Default: true.
    pub prefer_cheaper: bool,
    /// The expected cost, dollars, under which price does not matter and the default provider is kept.
    #[serde(with = "money::option")]
    #[schemars(with = "Option<f64>")]
    pub cost_threshold: Option<Money>,
    /// Whether reaching a limit of `budgetAlerts` refuses requests instead of warning only. Default: false.
    pub hard_stop: bool,
    /// The share of a limit of `budgetAlerts` at which to warn, 0 to 1. Default: 0.8.
    pub alert_threshold: f64,
}

/// Spending at which to warn, dollars.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct BudgetAlerts {
    /// A day.
    #[serde(with = "money::option")]
    #[schemars(with = "Option<f64>")]
    pub daily: Option<Money>,
    /// A month.
    #[serde(with = "money::option")]
    #[schemars(with = "Option<f64>")]
    pub monthly: Option<Money>,
}

/// What `performance-optimized` goes by, and limits of load for every mode.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Performance {
    /// The longest that a request may take with all its attempts, milliseconds. Default: no limit beside the
    /// providers' own.
    pub timeout: Option<u64>,
    /// How many requests are under way at once. Default: no limit.
    pub concurrent_requests: Option<u32>,
    /// When a provider that fails is left alone.
    pub circuit_breaker: CircuitBreaker,
    /// After how many milliseconds without a first token a second provider of the same zone is asked as well. The
    /// first to begin answers, both are paid. Default: never.
    pub hedge_after: Option<u64>,
    /// The share of requests that go to another provider than the fastest, to measure it, 0 to 1. Default: 0.05.
    pub exploration: f64,
}

/// When a provider that fails is left alone.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct CircuitBreaker {
    /// Whether it ever is. Default: true.
    pub enabled: bool,
    /// After how many failures in a row. Default: 5.
    pub threshold: u32,
    /// How long, in milliseconds, an attempt may go without a first token before that counts as a failure. Default:
    /// only the provider's own timeouts count.
    pub timeout: Option<u64>,
    /// For how many milliseconds; then one request tries it. Default: 60000.
    pub reset_timeout: u64,
}

/// What `quality-optimized` goes by.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct QualityOptimization {
    /// The quality, 0 to 100, that a model must have; the cheapest of those is taken. Default: the best.
    pub minimum_quality: Option<f64>,
}

/// How often and how long a failed attempt is repeated, over all providers.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Retries {
    /// How many attempts one request may take, over all providers. Default: 6.
    pub max_attempts: u32,
    /// The share of requests that may be repetitions, 0 to 1, so that a failing provider is not drowned. Default: 0.2.
    pub budget: f64,
    /// How many repetitions a minute are always allowed. Default: 10.
    pub min_per_minute: u32,
    /// The longest wait before a repetition, milliseconds. A provider that asks for a longer one is passed over.
    /// Default: 30000.
    pub max_delay: u64,
}

impl Default for CostOptimization {
    fn default() -> Self {
        Self {
            enabled: true,
            max_cost_per_request: None,
            budget_alerts: BudgetAlerts::default(),
            prefer_cheaper: true,
            cost_threshold: None,
            hard_stop: false,
            alert_threshold: 0.8,
        }
    }
}

impl Default for Performance {
    fn default() -> Self {
        Self {
            timeout: None,
            concurrent_requests: None,
            circuit_breaker: CircuitBreaker::default(),
            hedge_after: None,
            exploration: 0.05,
        }
    }
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self {
            enabled: true,
            threshold: 5,
            timeout: None,
            reset_timeout: 60_000,
        }
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            max_attempts: 6,
            budget: 0.2,
            min_per_minute: 10,
            max_delay: 30_000,
        }
    }
}

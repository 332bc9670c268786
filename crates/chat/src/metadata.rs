//! What a request says about itself, which rules and policy read.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Facts a request states about itself. What it does not state, no rule may assume.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Metadata {
    /// The kind of agent that asks: `coder`, `researcher`.
    pub agent_type: Option<String>,
    /// How private the request is.
    pub privacy: Option<Privacy>,
    /// `Some(true)`: the request must not leave this device.
    pub local_only: Option<bool>,
    /// How hard the task is.
    pub complexity: Option<Complexity>,
    /// Whether the task needs a model that reasons.
    pub requires_reasoning: Option<bool>,
    /// The provider the caller insists on: used or refused, never replaced.
    pub provider: Option<crate::ProviderName>,
    /// Who asks, as the caller names them.
    pub user: Option<String>,
    /// The conversation or session that the request belongs to.
    pub session: Option<String>,
    /// The most the caller lets this request cost.
    pub max_cost: Option<crate::Money>,
}

/// How private a request is. `inhouse-policy` says which zones each allows.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Privacy {
    /// Any provider may answer.
    Low,
    /// Only providers that keep nothing may answer.
    Medium,
    /// The request stays on this device.
    High,
}

/// How hard a task is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Complexity {
    /// A small model will do.
    Low,
    /// A usual task.
    Medium,
    /// For the best model at hand.
    High,
}

impl FromStr for Privacy {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "low" => Ok(Self::Low),
            "medium" => Ok(Self::Medium),
            "high" => Ok(Self::High),
            _ => Err(format!("{name:?} is not low, medium or high")),
        }
    }
}

impl FromStr for Complexity {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "low" => Ok(Self::Low),
            "medium" => Ok(Self::Medium),
            "high" => Ok(Self::High),
            _ => Err(format!("{name:?} is not low, medium or high")),
        }
    }
}

impl Privacy {
    /// `low`, `medium` or `high`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl Complexity {
    /// `low`, `medium` or `high`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

//! What must not leave.

use inhouse_policy::Zone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Table;

/// What must not leave. Requests, keys and rules can tighten this, never widen it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct PrivacyRules {
    /// The farthest that a request may go which says nothing of its privacy. Default: `cloud`.
    #[schemars(with = "Option<crate::schema::ZoneNames>")]
    pub default_ceiling: Option<Zone>,
    /// The search for personal data and secrets in what is sent.
    pub detector: Detector,
}

/// The search for personal data and secrets in what is sent.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Detector {
    /// Whether anything is searched for. Default: true.
    pub enabled: bool,
    /// The only kinds to search for: `email`, `card`, .. Default: all.
    pub kinds: Option<Vec<String>>,
    /// What is done when something is found. Default: `route-local`.
    pub action: DetectorAction,
    /// What is done instead when a certain kind is found.
    pub actions: Table<DetectorAction>,
    /// What is done with pictures, sound and documents, which cannot be searched. Default: `allow`.
    pub unreadable: DetectorAction,
}

/// What is done when personal data or a secret is found.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DetectorAction {
    /// The request stays on this device.
    #[default]
    RouteLocal,
    /// The request is refused.
    Block,
    /// Placeholders are sent instead, and put back in the answer.
    Mask,
    /// Nothing.
    Allow,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            enabled: true,
            kinds: None,
            action: DetectorAction::default(),
            actions: Table::default(),
            unreadable: DetectorAction::Allow,
        }
    }
}

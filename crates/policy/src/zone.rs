//! How far a request may go.

use std::fmt;
use std::str::FromStr;

use inhouse_chat::Privacy;
use serde::{Deserialize, Serialize};

/// Where a provider is, and how far a request may go: nearer zones come first.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Zone {
    /// This machine.
    Device,
    /// The own network.
    Lan,
    /// A provider elsewhere that has agreed to keep nothing.
    CloudNoRetention,
    /// Anyone.
    Cloud,
}

impl Zone {
    /// From the nearest to the farthest.
    pub const ALL: [Self; 4] = [Self::Device, Self::Lan, Self::CloudNoRetention, Self::Cloud];

    /// The farthest zone that a request of this privacy may go to: `high` stays on the device, `medium` may go to who
    /// keeps nothing, `low` anywhere.
    pub fn ceiling_of(privacy: Privacy) -> Self {
        match privacy {
            Privacy::High => Self::Device,
            Privacy::Medium => Self::CloudNoRetention,
            Privacy::Low => Self::Cloud,
        }
    }

    /// The name in configuration and receipts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Lan => "lan",
            Self::CloudNoRetention => "cloud-no-retention",
            Self::Cloud => "cloud",
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|zone| zone.name() == name)
            .ok_or_else(|| format!("{name:?} is not device, lan, cloud-no-retention or cloud"))
    }
}

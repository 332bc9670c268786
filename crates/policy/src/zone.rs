//! How far a request may go.

use std::fmt;
use std::net::IpAddr;
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

    /// The nearest zone that an address is in: `device` on loopback, `lan` where it is private, link-local or unique local
    /// (RFC 1918, 3927, 4193, 4291), else `cloud`. Whatever is not plainly near is far: shared address space of carriers
    /// (RFC 6598), documentation, the unspecified address.
    pub fn of_address(address: IpAddr) -> Self {
        // ::ffff:10.0.0.1 is 10.0.0.1 to whoever connects.
        match address.to_canonical() {
            address if address.is_loopback() => Self::Device,
            IpAddr::V4(address) if address.is_private() || address.is_link_local() => Self::Lan,
            IpAddr::V6(address) if address.is_unique_local() || address.is_unicast_link_local() => {
                Self::Lan
            }
            _ => Self::Cloud,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_its_zone() {
        let check = |address: &str, zone: Zone| {
            assert_eq!(
                Zone::of_address(address.parse().unwrap()),
                zone,
                "{address}"
            );
        };
        for address in ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"] {
            check(address, Zone::Device);
        }
        for address in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.5",
            "169.254.1.1",
            "fe80::1",
            "fd00::1",
            "::ffff:192.168.1.5",
        ] {
            check(address, Zone::Lan);
        }
        for address in [
            "0.0.0.0",
            "::",
            "8.8.8.8",
            "172.32.0.1",
            "192.169.0.1",
            "100.64.0.1",
            "255.255.255.255",
            "224.0.0.1",
            "2001:db8::1",
            "64:ff9b::a00:1", // 10.0.0.1 through somebody's translator
            "::ffff:8.8.8.8",
            "ff02::1",
        ] {
            check(address, Zone::Cloud);
        }
    }
}

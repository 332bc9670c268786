//! How far away an address is.

use std::net::IpAddr;

use inhouse_policy::Zone;

/// The nearest zone that an address is in: `device` on loopback, `lan` where it is private, link-local or unique local
/// (RFC 1918, 3927, 4193, 4291), else `cloud`. Whatever is not plainly near is far: shared address space of carriers
/// (RFC 6598), documentation, the unspecified address.
pub fn zone_of(address: IpAddr) -> Zone {
    // ::ffff:10.0.0.1 is 10.0.0.1 to whoever connects.
    match address.to_canonical() {
        address if address.is_loopback() => Zone::Device,
        IpAddr::V4(address) if address.is_private() || address.is_link_local() => Zone::Lan,
        IpAddr::V6(address) if address.is_unique_local() || address.is_unicast_link_local() => {
            Zone::Lan
        }
        _ => Zone::Cloud,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inhouse_config::BaseUrl;
    use proptest::prelude::*;

    #[test]
    fn an_address_tells_its_zone() {
        let check = |address: &str, zone: Zone| {
            assert_eq!(zone_of(address.parse().unwrap()), zone, "{address}");
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

    proptest! {
        /// Configuration and transport agree, so that a zone which loads is not refused when it is used.
        #[test]
        fn configuration_says_the_same(address: std::net::Ipv4Addr) {
            let url = BaseUrl::new(&format!("http://{address}/")).unwrap();
            prop_assert_eq!(url.nearest_zone(), zone_of(address.into()));
        }
    }
}

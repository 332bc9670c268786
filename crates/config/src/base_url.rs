//! The address of a provider.

use std::fmt;

use inhouse_policy::Zone;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// The address of a provider. Neither `Debug` nor `Display` shows a user name, a password or a query in it.
#[derive(Clone, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// Reads an address.
    pub fn new(address: &str) -> Result<Self, String> {
        let url = Url::parse(address.trim()).map_err(|cause| {
            format!("is not an address ({cause}); write it as https://host/path")
        })?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err("is not an http or https address".to_owned());
        }
        if url.fragment().is_some() {
            return Err("must not have a fragment (#..)".to_owned());
        }
        Ok(Self(url))
    }

    /// The address without the slash at its end, so that a path can be appended.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// The address of something under this one: the path is appended, and a query stays at the end.
    pub fn join(&self, path: &str) -> String {
        let mut url = self.0.clone();
        let base = url.path().trim_end_matches('/');
        url.set_path(&format!("{base}/{}", path.trim_start_matches('/')));
        url.into()
    }

    /// The nearest zone that the address can be in: `device` for a loopback address, `lan` for one of the own
    /// network, else `cloud`. What stands behind it may send on what it is sent, so this is a limit, no promise.
    pub fn nearest_zone(&self) -> Zone {
        match self.0.host() {
            Some(Host::Ipv4(address)) => Zone::of_address(address.into()),
            Some(Host::Ipv6(address)) => Zone::of_address(address.into()),
            Some(Host::Domain(name)) => zone_of_name(name),
            None => Zone::Cloud,
        }
    }
}

fn zone_of_name(name: &str) -> Zone {
    const OWN: [&str; 4] = [".local", ".lan", ".internal", ".home.arpa"];
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") {
        Zone::Device
    } else if !name.contains('.') || OWN.iter().any(|end| name.ends_with(end)) {
        Zone::Lan
    } else {
        Zone::Cloud
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        if !shown.username().is_empty() || shown.password().is_some() {
            // Neither fails: an http address with a host has both.
            let _ = shown.set_username("***");
            let _ = shown.set_password(None);
        }
        if shown.query().is_some() {
            shown.set_query(Some("***"));
        }
        f.write_str(shown.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl TryFrom<String> for BaseUrl {
    type Error = String;

    fn try_from(address: String) -> Result<Self, String> {
        Self::new(&address)
    }
}

/// As it is shown.
impl From<BaseUrl> for String {
    fn from(address: BaseUrl) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_comes_before_the_query() {
        let check = |base: &str, joined: &str| {
            assert_eq!(
                BaseUrl::new(base).unwrap().join("/chat/completions"),
                joined
            );
        };
        check("https://h", "https://h/chat/completions");
        check("https://h/v1/", "https://h/v1/chat/completions");
        check(
            "https://h/v1?api-version=1",
            "https://h/v1/chat/completions?api-version=1",
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let check = |address: &str, message: &str| {
            assert_eq!(BaseUrl::new(address).unwrap_err(), message);
        };
        check("ftp://h", "is not an http or https address");
        check("https://h/#a", "must not have a fragment (#..)");
        check(
            "http://",
            "is not an address (empty host); write it as https://host/path",
        );
    }
}

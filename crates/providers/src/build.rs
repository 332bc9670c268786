//! Configuration to providers.

use std::sync::Arc;

use inhouse_chat::ProviderName;
use inhouse_config::{BaseUrl, ProviderConfig, RouterConfig};
use inhouse_policy::Zone;

use crate::{ALL, Network, Remote};

/// Why a provider cannot be built. Holds no keys.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Nobody here speaks to this kind.
    #[error("{0} is no upstream; the engine inside is built from its model folder")]
    NoUpstream(ProviderName),
    /// Its key is missing.
    #[error("{provider} has no key; set its apiKey, or {variables}")]
    NoKey {
        /// Who.
        provider: ProviderName,
        /// Where a key is looked for.
        variables: String,
    },
    /// Its address is missing or wrong.
    #[error("{provider} has no address that can be used; set its baseUrl as https://host/path")]
    NoAddress {
        /// Who.
        provider: ProviderName,
    },
    /// A key cannot be sent.
    #[error("key {position} of {provider} has characters that no header can hold; copy it again")]
    BadKey {
        /// Who.
        provider: ProviderName,
        /// Which, from 1.
        position: usize,
    },
    /// A header cannot be sent.
    #[error(
        "header {header:?} of {provider} is not one that can be set so; mend it or take it out"
    )]
    BadHeader {
        /// Who.
        provider: ProviderName,
        /// Its name.
        header: String,
    },
    /// Its address is farther away than its zone.
    #[error("the address of {provider} is not in its zone, {zone}; mend its baseUrl or its zone")]
    OutsideZone {
        /// Who.
        provider: ProviderName,
        /// The zone it claims.
        zone: Zone,
    },
    /// A variable of the environment names no proxy that can be used, and connecting without one was not asked for.
    #[error(
        "{provider} would need a proxy, but {variable} names none that can be used; write it as http://host:port"
    )]
    Proxy {
        /// Who.
        provider: ProviderName,
        /// Which.
        variable: &'static str,
    },
}

/// How far the program may reach.
#[derive(Clone)]
pub enum Reach {
    /// Nowhere (`--local-only`): no client of an upstream is built, not even of one on this machine, which could relay.
    LocalOnly,
    /// Over this network.
    Network(Network),
}

/// The upstreams of a configuration.
#[derive(Default)]
pub struct Built {
    /// Those that can be asked.
    pub remotes: Vec<Arc<Remote>>,
    /// Those that cannot, and why.
    pub failed: Vec<(ProviderName, BuildError)>,
}

/// Builds every upstream of `config` that is enabled, as far as `reach` goes. The engine inside is not among them.
pub fn build_all(config: &RouterConfig, reach: &Reach) -> Built {
    let mut built = Built::default();
    let Reach::Network(network) = reach else {
        return built;
    };
    for (name, provider) in config
        .providers
        .iter()
        .filter(|(_, provider)| provider.enabled)
    {
        let name = ProviderName::from(name);
        match build(&name, provider, network) {
            Ok(remote) => built.remotes.push(Arc::new(remote)),
            Err(BuildError::NoUpstream(_)) => {}
            Err(error) => built.failed.push((name, error)),
        }
    }
    built
}

/// Builds one upstream.
///
/// # Errors
///
/// Where what it needs is missing or contradicts itself.
pub fn build(
    name: &ProviderName,
    config: &ProviderConfig,
    network: &Network,
) -> Result<Remote, BuildError> {
    let kind = ALL.iter().find(|kind| kind.kind == config.kind());
    let kind = kind.ok_or_else(|| BuildError::NoUpstream(name.clone()))?;
    let no_address = || BuildError::NoAddress {
        provider: name.clone(),
    };
    let address = match (&config.base_url, kind.base_url) {
        (Some(address), _) => address.clone(),
        (None, Some(usual)) => BaseUrl::new(usual).map_err(|_| no_address())?,
        (None, None) => return Err(no_address()),
    };
    // At another address than the usual one, somebody else may add the key; configuration warns where nobody does.
    let added_elsewhere = config.base_url.is_some() || !config.headers.is_empty();
    if kind.kind.needs_key() && !added_elsewhere && config.keys().next().is_none() {
        return Err(BuildError::NoKey {
            provider: name.clone(),
            variables: kind.kind.key_variables().join(" or "),
        });
    }
    Remote::new(name, kind, &address, config, network)
}

//! Names to addresses, inside a zone.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use inhouse_policy::Zone;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Looks names up.
pub trait Lookup: Send + Sync {
    /// The addresses of a name.
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// As the operating system does.
pub(crate) struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        }
        .boxed()
    }
}

/// A name that leads out of the zone of its provider.
#[derive(Debug, thiserror::Error)]
#[error(
    "{name} has no address inside zone {zone}, so nothing was sent; mend the name, or the provider's zone"
)]
pub(crate) struct LeadsOutside {
    name: String,
    zone: Zone,
}

/// Looks names up and keeps to the addresses inside a zone. The check is at every look-up, not once: whoever answers for
/// a name can change his mind.
pub(super) struct Fenced {
    zone: Zone,
    lookup: Arc<dyn Lookup>,
}

impl Fenced {
    pub(super) fn new(zone: Zone, lookup: Arc<dyn Lookup>) -> Self {
        Self { zone, lookup }
    }
}

impl Resolve for Fenced {
    fn resolve(&self, name: Name) -> Resolving {
        let (zone, name) = (self.zone, name.as_str().to_owned());
        let found = self.lookup.lookup(name.clone());
        Box::pin(async move {
            let mut addresses = found.await?;
            // What farther zones promise is a contract, which no address can tell.
            if zone <= Zone::Lan {
                addresses.retain(|address| Zone::of_address(*address) <= zone);
            }
            if addresses.is_empty() {
                return Err(LeadsOutside { name, zone }.into());
            }
            let ports = addresses.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(ports) as Addrs)
        })
    }
}

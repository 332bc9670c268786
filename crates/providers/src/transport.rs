//! HTTP to one provider, inside its zone.

mod proxies;
mod resolve;
mod tls;

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use inhouse_chat::{Failure, Phase, ProviderError, ProviderName};
use inhouse_policy::{EgressPermit, Zone};
use inhouse_router::Meter;
use reqwest::header::{CONTENT_LENGTH, HeaderMap};
use reqwest::{Body, Client, Method, Response, Url};

pub(crate) use proxies::Proxies;
pub use resolve::Lookup;
pub(crate) use resolve::SystemLookup;

use crate::{BuildError, Network};
use resolve::Fenced;

/// How much of a body is handed over, and counted, at once.
const PIECE: usize = 64 * 1024;

/// HTTP to one provider. Its client is built when it is first needed: reading certificates takes a while.
pub(crate) struct Transport {
    provider: ProviderName,
    zone: Zone,
    base: Url,
    connect: Duration,
    network: Network,
    is_proxied: bool,
    client: OnceLock<Result<Client, Arc<reqwest::Error>>>,
}

/// What is sent.
pub(crate) struct Outgoing {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Transport {
    /// A transport to `base`, which is to be inside `zone`.
    pub(crate) fn new(
        network: &Network,
        provider: &ProviderName,
        base: &Url,
        zone: Zone,
        connect: Duration,
    ) -> Result<Self, BuildError> {
        // Names are looked at when they are looked up; an address in digits never is.
        if zone <= Zone::Lan && literal_zone(base).is_some_and(|nearest| nearest > zone) {
            return Err(BuildError::OutsideZone {
                provider: provider.clone(),
                zone,
            });
        }
        let is_proxied = may_be_proxied(base, zone) && has_proxies(network, provider)?;
        Ok(Self {
            provider: provider.clone(),
            zone,
            base: base.clone(),
            connect,
            network: network.clone(),
            is_proxied,
            client: OnceLock::new(),
        })
    }

    /// Sends a body that may hold a prompt. The permit is used up; `ends_in` is where the body ends up, which can be
    /// farther away than the address. `meter` counts the bytes of the body that were handed to the network; headers,
    /// which hold no prompt, and TLS are not counted.
    pub(crate) async fn post(
        &self,
        permit: EgressPermit,
        ends_in: Zone,
        outgoing: Outgoing,
        meter: &Meter,
    ) -> Result<Response, ProviderError> {
        self.check(&permit, ends_in)?;
        let Outgoing { url, headers, body } = outgoing;
        let request = self
            .client()?
            .request(Method::POST, url)
            .headers(headers)
            // Known beforehand, so that the body need not go in chunks, which some servers refuse.
            .header(CONTENT_LENGTH, body.len())
            .body(counted(body, meter.clone()));
        request.send().await.map_err(|error| self.failed(error))
    }

    /// Whether `permit` is good for sending something here that ends up in `ends_in`.
    pub(crate) fn check(&self, permit: &EgressPermit, ends_in: Zone) -> Result<(), ProviderError> {
        match permit.allows(self.zone.max(ends_in)) {
            true => Ok(()),
            false => Err(ProviderError::new(&self.provider, Failure::NotPermitted)),
        }
    }

    /// Asks for something, with nothing of a user's in it.
    pub(crate) async fn get(
        &self,
        url: Url,
        headers: HeaderMap,
    ) -> Result<Response, ProviderError> {
        let request = self.client()?.request(Method::GET, url).headers(headers);
        request.send().await.map_err(|error| self.failed(error))
    }

    fn client(&self) -> Result<&Client, ProviderError> {
        let client = self.client.get_or_init(|| self.build().map_err(Arc::new));
        client.as_ref().map_err(|cause| {
            ProviderError::new(&self.provider, Failure::Unreachable).because(Arc::clone(cause))
        })
    }

    fn build(&self) -> Result<Client, reqwest::Error> {
        tls::install();
        self.network.count_client();
        let lookup = Arc::clone(&self.network.lookup);
        let mut builder = Client::builder()
            .user_agent(concat!("inhouse/", env!("CARGO_PKG_VERSION")))
            // A redirect can lead out of the zone, and takes the prompt along (307, 308).
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            // Retrying is the router's: it counts what each attempt sends.
            .retry(reqwest::retry::never())
            .connect_timeout(self.connect)
            .tcp_nodelay(true)
            .dns_resolver(Arc::new(Fenced::new(self.zone, lookup)))
            .no_proxy(); // those of the operating system; ours come below
        if let (true, Ok(proxies)) = (self.is_proxied, &*self.network.proxies) {
            builder = proxies.apply(builder);
        }
        if self.base.scheme() == "http"
            && !self.is_proxied
            && let Some(nobody) = tls::nobody()
        {
            builder = builder.tls_backend_preconfigured(nobody);
        }
        builder.build()
    }

    fn failed(&self, error: reqwest::Error) -> ProviderError {
        let kind = match error.is_connect() && error.is_timeout() {
            true => Failure::TimedOut(Phase::Connect),
            false => Failure::Unreachable,
        };
        // The address is known; with a password or a query in it, it is nobody's business.
        ProviderError::new(&self.provider, kind).because(error.without_url())
    }
}

/// A proxy sees where a request goes and, without TLS, what is in it; so what stays on this device or in the own network
/// never goes through one. Nor does what is addressed to this device, which a proxy would take for itself.
fn may_be_proxied(base: &Url, zone: Zone) -> bool {
    let here = base.host_str() == Some("localhost") || literal_zone(base) == Some(Zone::Device);
    zone > Zone::Lan && !here
}

fn has_proxies(network: &Network, provider: &ProviderName) -> Result<bool, BuildError> {
    match &*network.proxies {
        Ok(proxies) => Ok(!proxies.is_empty()),
        Err(variable) => Err(BuildError::Proxy {
            provider: provider.clone(),
            variable,
        }),
    }
}

/// The zone of an address in digits; `None` for a name.
fn literal_zone(url: &Url) -> Option<Zone> {
    match url.host()? {
        url::Host::Ipv4(address) => Some(Zone::of_address(address.into())),
        url::Host::Ipv6(address) => Some(Zone::of_address(address.into())),
        url::Host::Domain(_) => None,
    }
}

/// A body that counts itself as it is taken.
fn counted(mut body: Bytes, meter: Meter) -> Body {
    let pieces = std::iter::from_fn(move || {
        let piece = body.split_to(body.len().min(PIECE));
        meter.add(piece.len() as u64);
        (!piece.is_empty()).then_some(Ok::<_, io::Error>(piece))
    });
    Body::wrap_stream(stream::iter(pieces))
}

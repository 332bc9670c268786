//! A provider somewhere else: one attempt, from request to events.

use std::fmt;
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use inhouse_chat::{ChatRequest, Dialect, Failure, ModelName, ProviderError, ProviderName};
use inhouse_config::{BaseUrl, ProviderConfig, ProviderKind};
use inhouse_policy::Zone;
use inhouse_router::{Answering, Call, Provider};
use reqwest::Url;
use reqwest::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    TRANSFER_ENCODING,
};
use serde_json::Value;

use crate::answer::{self, From};
use crate::clock::Clock;
use crate::keys::{Keys, Taken};
use crate::manner::{Manner, hidden};
use crate::transport::{Outgoing, Transport};
use crate::{BuildError, Kind, Network, farther, refusal};

/// A provider somewhere else.
pub struct Remote {
    pub(crate) name: ProviderName,
    pub(crate) base: Url,
    pub(crate) manner: Box<dyn Manner>,
    pub(crate) transport: Transport,
    pub(crate) keys: Keys,
    pub(crate) clock: Arc<dyn Clock>,
    kind: ProviderKind,
    zone: Zone,
    address: BaseUrl,
    /// Those of the kind, then those of configuration in their place.
    headers: HeaderMap,
    default_model: Option<ModelName>,
}

/// A request in its provider's words.
struct Prepared {
    outgoing: Outgoing,
    dialect: Dialect,
    notes: Vec<String>,
}

impl Remote {
    pub(crate) fn new(
        name: &ProviderName,
        kind: &Kind,
        address: &BaseUrl,
        config: &ProviderConfig,
        network: &Network,
    ) -> Result<Self, BuildError> {
        let base = Url::parse(address.as_str()).map_err(|_| BuildError::NoAddress {
            provider: name.clone(),
        })?;
        let manner = (kind.manner)(config);
        for (index, key) in config.keys().enumerate() {
            manner.credentials(key).ok_or_else(|| BuildError::BadKey {
                provider: name.clone(),
                position: index + 1,
            })?;
        }
        let zone = (kind.zone)(config);
        let connect = config.deadlines().connect;
        Ok(Self {
            transport: Transport::new(network, name, &base, zone, connect)?,
            keys: Keys::new(config.keys().cloned(), Arc::clone(&network.clock)),
            clock: Arc::clone(&network.clock),
            headers: headers(name, &*manner, config)?,
            default_model: config.models.get("default").cloned(),
            name: name.clone(),
            kind: kind.kind,
            address: address.clone(),
            base,
            manner,
            zone,
        })
    }

    /// What kind of provider it is.
    pub fn kind(&self) -> ProviderKind {
        self.kind
    }

    /// Where it is asked. As shown, it has no password in it.
    pub fn address(&self) -> &BaseUrl {
        &self.address
    }

    /// Headers of a request with this key; what configuration says replaces ours, the key's too.
    pub(crate) fn headers(&self, taken: Option<Taken<'_>>) -> HeaderMap {
        let credentials = taken.and_then(|taken| self.manner.credentials(taken.key()));
        let mut headers: HeaderMap = credentials.into_iter().collect();
        headers.extend(self.headers.clone());
        headers
    }

    async fn attempt(&self, call: Call) -> Result<Answering, ProviderError> {
        let Call {
            cleared,
            model,
            meter,
            caller: _,
        } = call;
        let ends_in = self.zone(&model);
        let (permit, request) = cleared.into_parts();
        self.transport.check(&permit, ends_in)?;
        let taken = self.keys.take();
        let Prepared {
            outgoing,
            dialect,
            notes,
        } = self.prepare(&request, &model, taken)?;
        self.is_not_relayed(&model, taken).await?;
        let response = self
            .transport
            .post(permit, ends_in, outgoing, &meter)
            .await?;
        let from = From {
            provider: &self.name,
            clock: &*self.clock,
            dialect,
        };
        let read = match response.status().is_success() {
            true => answer::read(response, from, request.stream).await,
            false => Err(refusal::read(response, &self.name, &*self.clock).await),
        };
        if let (Err(error), Some(taken)) = (&read, taken) {
            self.keys.turned_away(taken, error);
        }
        Ok(Answering {
            notes,
            ..Answering::new(read?)
        })
    }

    /// The request in the provider's words. Wire says the protocol, the manner what is peculiar to this provider.
    fn prepare(
        &self,
        request: &ChatRequest,
        model: &ModelName,
        taken: Option<Taken<'_>>,
    ) -> Result<Prepared, ProviderError> {
        let failed = |kind| ProviderError::new(&self.name, kind);
        let dialect = self.manner.dialect(request, model);
        let encoded = inhouse_wire::encode_request(dialect, request)
            .map_err(|cause| failed(Failure::Unsupported).because(cause))?;
        let Value::Object(mut body) = encoded.body else {
            return Err(failed(Failure::Unsupported));
        };
        if dialect != Dialect::Gemini {
            body.insert("model".to_owned(), model.as_str().into());
        }
        let mut headers = self.headers(taken);
        let accept = match (request.stream, dialect) {
            (true, Dialect::Ollama) => "application/x-ndjson",
            (true, _) => "text/event-stream",
            (false, _) => "application/json",
        };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.manner.amend(dialect, &mut body, &mut headers);
        farther::fence(self.zone(model), dialect, &mut body)
            .map_err(|cause| failed(Failure::Unsupported).because(cause))?;
        let body = serde_json::to_vec(&body)
            .map_err(|cause| failed(Failure::Unsupported).because(cause))?;
        Ok(Prepared {
            outgoing: Outgoing {
                url: self
                    .manner
                    .chat_url(&self.base, dialect, model, request.stream),
                headers,
                body: body.into(),
            },
            dialect,
            notes: encoded.notes.iter().map(ToString::to_string).collect(),
        })
    }
}

impl Provider for Remote {
    fn name(&self) -> &ProviderName {
        &self.name
    }

    fn zone(&self, model: &ModelName) -> Zone {
        self.manner.zone(self.zone, model)
    }

    fn chat(&self, call: Call) -> BoxFuture<'_, Result<Answering, ProviderError>> {
        self.attempt(call).boxed()
    }

    fn n_keys(&self) -> usize {
        self.keys.len().max(1)
    }

    fn default_model(&self) -> Option<&ModelName> {
        self.default_model.as_ref()
    }
}

/// No keys, no headers.
impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("zone", &self.zone)
            .field("address", &self.address)
            .field("n_keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

fn headers(
    provider: &ProviderName,
    manner: &dyn Manner,
    config: &ProviderConfig,
) -> Result<HeaderMap, BuildError> {
    let mut headers = manner.headers();
    for (name, value) in config.headers.iter() {
        let bad = || BuildError::BadHeader {
            provider: provider.clone(),
            header: name.to_owned(),
        };
        let value = hidden(value.reveal()).ok_or_else(bad)?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        // How long a body is and how it goes is not for configuration to say.
        if [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION].contains(&name) {
            return Err(bad());
        }
        headers.insert(name, value);
    }
    Ok(headers)
}

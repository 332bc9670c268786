//! One request: redirects followed by hand, the token kept at home, statuses turned into errors.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ureq::http::HeaderMap;
use ureq::{Agent, Body, Proxy};

use crate::error::{StoreError, StoreErrorKind};
use crate::options::StoreOptions;
use crate::progress::ProgressSink;
use crate::retry::{Failure, retry_after};
use crate::url::{self, Origin};

/// What every step of a pull has at hand.
pub(crate) struct Context<'a> {
    pub(crate) options: &'a StoreOptions,
    pub(crate) client: &'a Client,
    pub(crate) sink: &'a dyn ProgressSink,
    /// Set when a file that is fetched at the same time has failed.
    pub(crate) stop: AtomicBool,
}

impl Context<'_> {
    /// Fails when the pull was cancelled or is over because of another file.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.options.cancel.is_cancelled() || self.stop.load(Ordering::Relaxed) {
            return Err(StoreError::cancelled());
        }
        Ok(())
    }
}

/// Sends requests.
pub(crate) struct Client {
    agent: Agent,
    hub: Option<Origin>,
    authorization: Option<String>,
}

/// What came back after all redirects; its body is still to be read.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// What the hub said of the file before it redirected to where the bytes are.
    pub(crate) linked_etag: Option<String>,
    /// The address that answered, where that is on another server than the one that was asked.
    elsewhere: Option<String>,
    pub(crate) body: Body,
}

/// Whom a request is about, for its errors.
pub(crate) enum Subject<'a> {
    /// Something of a hub's repository; an empty path is the repository itself.
    Hub {
        repo: &'a str,
        revision: &'a str,
        path: &'a str,
    },
    /// A plain address.
    Address,
}

const NO_HOST: &str = "its name cannot be looked up; is this machine online?";
const MAX_REDIRECTS: usize = 10;

impl Client {
    pub(crate) fn new(options: &StoreOptions) -> Self {
        let stall = options.retry.stall;
        let proxy = if options.proxy_from_environment {
            Proxy::try_from_env()
        } else {
            None
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(proxy)
            .user_agent(concat!("inhouse/", env!("CARGO_PKG_VERSION")))
            // Ranges count the bytes of the file, not of some compression of it.
            .accept_encoding("identity")
            .timeout_resolve(Some(stall))
            .timeout_connect(Some(stall))
            .timeout_recv_response(Some(stall.saturating_mul(2)))
            // A slow connection may take hours; only one that stands still is given up.
            .timeout_per_read(Some(stall))
            .build();
        Self {
            agent: config.new_agent(),
            hub: Origin::of(&options.hf_endpoint),
            authorization: options
                .hf_token
                .as_ref()
                .map(|token| format!("Bearer {}", token.reveal())),
        }
    }

    /// Whether requests to the hub carry a token.
    pub(crate) fn has_token(&self) -> bool {
        self.authorization.is_some()
    }

    /// Sends a GET and follows redirects.
    pub(crate) fn get(
        &self,
        address: &str,
        headers: &[(&str, String)],
        options: &StoreOptions,
    ) -> Result<Reply, Failure> {
        if options.offline {
            return Err(Failure::Final(StoreError::new(
                StoreErrorKind::Offline,
                format!("offline: {address} was not asked"),
            )));
        }
        let asked = Origin::of(address);
        let mut address = address.to_owned();
        let mut linked_etag = None;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.agent.get(&address);
            for (name, value) in headers {
                request = request.header(*name, value);
            }
            if let Some(authorization) = self.authorization_for(&address) {
                request = request.header("Authorization", authorization);
            }
            let response = request
                .call()
                .map_err(|error| failure(&address, error, options))?;
            let (parts, body) = response.into_parts();
            let status = parts.status.as_u16();
            linked_etag = linked_etag.or_else(|| etag(&parts.headers, "x-linked-etag"));
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                let elsewhere = Origin::of(&address) != asked;
                return Ok(Reply {
                    status,
                    headers: parts.headers,
                    linked_etag,
                    elsewhere: elsewhere.then(|| shown(&address).to_owned()),
                    body,
                });
            }
            address = redirect(&address, text(&parts.headers, "location"))?;
        }
        Err(Failure::Final(StoreError::new(
            StoreErrorKind::Server,
            format!(
                "{} redirects in a row, the last to {}",
                MAX_REDIRECTS + 1,
                shown(&address)
            ),
        )))
    }

    /// The token goes to the hub's own scheme, host and port, and nowhere else.
    fn authorization_for(&self, address: &str) -> Option<&str> {
        let origin = Origin::of(address)?;
        (self.hub.as_ref() == Some(&origin))
            .then_some(self.authorization.as_deref())
            .flatten()
    }
}

fn redirect(from: &str, location: Option<&str>) -> Result<String, Failure> {
    let senseless = || {
        let message = format!("{} redirects to nowhere that makes sense", shown(from));
        Failure::Final(StoreError::new(StoreErrorKind::Server, message))
    };
    let to = url::join(from, location.ok_or_else(senseless)?).ok_or_else(senseless)?;
    let (Some(old), Some(new)) = (Origin::of(from), Origin::of(&to)) else {
        return Err(senseless());
    };
    if old.is_secure() && !new.is_secure() {
        let message = format!("{} redirects from https to http: refused", shown(from));
        return Err(Failure::Final(StoreError::new(
            StoreErrorKind::Server,
            message,
        )));
    }
    Ok(to)
}

/// An address without its query, which may hold a signature.
pub(crate) fn shown(address: &str) -> &str {
    address.split('?').next().unwrap_or(address)
}

/// A header as text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A header as a number.
pub(crate) fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.trim().parse().ok()
}

/// An etag without its quotes and without the mark of a weak one.
pub(crate) fn etag(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = text(headers, name)?.trim();
    let value = value.strip_prefix("W/").unwrap_or(value).trim_matches('"');
    (!value.is_empty()).then(|| value.to_owned())
}

fn failure(address: &str, error: ureq::Error, options: &StoreOptions) -> Failure {
    let origin = Origin::of(address)
        .map(|_| shown(address))
        .unwrap_or(address);
    let passing = match &error {
        ureq::Error::HostNotFound => Some(NO_HOST.to_owned()),
        ureq::Error::Timeout(_) => Some(stalled(options.retry.stall)),
        ureq::Error::Io(cause) => Some(io_reason(cause, options.retry.stall)),
        ureq::Error::ConnectionFailed | ureq::Error::BodyStalled | ureq::Error::Protocol(_) => {
            Some(error.to_string())
        }
        _ => None,
    };
    match passing {
        Some(why) => Failure::network(format!("{origin}: {why}")),
        None => Failure::Final(
            StoreError::new(StoreErrorKind::Network, format!("cannot reach {origin}"))
                .caused_by(error),
        ),
    }
}

/// Why reading or connecting failed, in words that say what happened.
pub(crate) fn io_reason(cause: &std::io::Error, stall: Duration) -> String {
    use std::io::ErrorKind::{
        ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof, WouldBlock,
    };
    match cause.kind() {
        TimedOut | WouldBlock => stalled(stall),
        ConnectionReset | ConnectionAborted | UnexpectedEof => "the connection was cut".to_owned(),
        _ if cause.to_string().contains("timeout") => stalled(stall),
        _ if cause.to_string().contains("lookup address") => NO_HOST.to_owned(),
        _ => cause.to_string(),
    }
}

fn stalled(stall: Duration) -> String {
    format!("no answer for {:.0?}", stall)
}

/// Turns a status that is no success into a failure; `None` for a success.
pub(crate) fn status_failure(
    reply: &Reply,
    subject: &Subject<'_>,
    address: &str,
    context: &Context<'_>,
) -> Option<Failure> {
    let status = reply.status;
    let from = reply.elsewhere.as_deref().unwrap_or_else(|| shown(address));
    match status {
        200..=299 => None,
        // A store of files that refuses what the hub sent us for, most likely because a signature has run out:
        // the next attempt asks the hub again and gets a fresh one.
        400..=407 | 410 if reply.elsewhere.is_some() => {
            let why = format!("{from} refused ({status}) what it was to send");
            Some(Failure::Passing {
                kind: StoreErrorKind::Server,
                why,
                wait: None,
            })
        }
        401 | 403 | 404 | 410 => Some(Failure::Final(refusal(reply, subject, from, context))),
        408 | 425 | 429 | 500..=599 => {
            let asked = text(&reply.headers, "retry-after");
            let why = match status {
                429 => format!("{from} asks to slow down (429)"),
                _ => format!("{from} failed ({status})"),
            };
            let wait = asked.and_then(|value| retry_after(value, context.options));
            Some(Failure::Passing {
                kind: StoreErrorKind::Server,
                why,
                wait,
            })
        }
        _ => Some(Failure::Final(StoreError::new(
            StoreErrorKind::Server,
            format!("{from} answered {status}, which makes no sense here"),
        ))),
    }
}

fn refusal(
    reply: &Reply,
    subject: &Subject<'_>,
    address: &str,
    context: &Context<'_>,
) -> StoreError {
    let status = reply.status;
    let Subject::Hub {
        repo,
        revision,
        path,
    } = subject
    else {
        return match status {
            401 | 403 => StoreError::new(
                StoreErrorKind::Login,
                format!(
                    "{address} wants a login ({status}); download the file yourself and pull it as a path"
                ),
            ),
            _ => StoreError::new(
                StoreErrorKind::NotFound,
                format!("{address} is not there ({status}); check the address"),
            ),
        };
    };
    let code = text(&reply.headers, "x-error-code").unwrap_or("");
    let hub = &context.options.hf_endpoint;
    let page = format!("{}/{repo}", hub.trim_end_matches('/'));
    // A hub says 401 for a repository that does not exist, so as not to tell that from a private one.
    match (status, code) {
        (_, "GatedRepo") | (403, _) if context.client.has_token() => StoreError::new(
            StoreErrorKind::Login,
            format!(
                "{repo} is not open to your token ({status}): accept its licence at {page}, or use a token \
                 that may read it"
            ),
        ),
        (_, "GatedRepo") | (403, _) => StoreError::new(
            StoreErrorKind::Login,
            format!(
                "{repo} asks for a licence to be accepted ({status}): accept it at {page}, then set HF_TOKEN"
            ),
        ),
        (401, _) if context.client.has_token() => StoreError::new(
            StoreErrorKind::Login,
            format!(
                "{hub} refused the token in HF_TOKEN for {repo} (401), or {repo} does not exist: check both"
            ),
        ),
        (401, _) => StoreError::new(
            StoreErrorKind::Login,
            format!(
                "{repo} does not exist at {hub}, or is private (401): check the name, or set HF_TOKEN"
            ),
        ),
        (_, "RevisionNotFound") => StoreError::new(
            StoreErrorKind::NotFound,
            format!(
                "{repo} has no branch, tag or commit {revision:?}; leave out @{revision} for the main one"
            ),
        ),
        _ if path.is_empty() => StoreError::new(
            StoreErrorKind::NotFound,
            format!("{repo} is not at {hub} ({status}); check owner and name"),
        ),
        _ => StoreError::new(
            StoreErrorKind::NotFound,
            format!("{repo} has no {path:?} at {revision} ({status}); look at {page}"),
        ),
    }
}

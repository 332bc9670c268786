//! Error answers to errors.

use bytes::{Bytes, BytesMut};
use inhouse_chat::{Failure, ProviderError, ProviderName};
use reqwest::Response;
use reqwest::header::HeaderMap;

use crate::clock::Clock;
use crate::wait;

/// How much of an error's body is kept.
const LIMIT: usize = 64 * 1024;

/// A redirect, which is not followed.
#[derive(Debug, thiserror::Error)]
#[error(
    "it answered with a redirect ({0}), which is not followed as it can lead out of the zone; set its baseUrl to where it leads"
)]
struct Redirected(u16);

/// What an answer without success means. Its body is kept as it came, up to a limit.
pub(crate) async fn read(
    response: Response,
    provider: &ProviderName,
    clock: &dyn Clock,
) -> ProviderError {
    let status = response.status();
    let headers = response.headers().clone();
    let body = match status.is_redirection() {
        true => Bytes::new(), // it only repeats where to go
        false => beginning(response).await,
    };
    let mut error = of_body(status.as_u16(), &headers, body, provider, clock);
    if status.is_redirection() {
        error.kind = Failure::Garbled;
        error.cause = Some(Redirected(status.as_u16()).into());
    }
    error
}

/// As [`read`], of a body that is here.
pub(crate) fn of_body(
    status: u16,
    headers: &HeaderMap,
    body: Bytes,
    provider: &ProviderName,
    clock: &dyn Clock,
) -> ProviderError {
    let (kind, in_body) = inhouse_wire::decode_failure(status, None, &body);
    let in_header = wait::retry_after(headers, clock.date());
    let mut error = ProviderError::new(provider, kind);
    error.status = Some(status);
    error.retry_after = in_header.or(in_body);
    error.body = body;
    error
}

/// The beginning of a body; what came of it before the connection broke is better than nothing.
async fn beginning(mut response: Response) -> Bytes {
    let mut body = BytesMut::new();
    while body.len() < LIMIT
        && let Ok(Some(piece)) = response.chunk().await
    {
        let left = LIMIT - body.len();
        body.extend_from_slice(&piece[..piece.len().min(left)]);
    }
    body.freeze()
}

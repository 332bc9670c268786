//! What an error body means. Servers mix each other's formats, so one reader knows them all.

use std::time::Duration;

use bytes::Bytes;
use inhouse_chat::Failure;
use serde_json::Value;

use crate::StreamError;

/// What a provider's error answer means, and when it asks to be asked again.
///
/// `retry_after` is the header's value; seconds are understood, dates are not. The words of the body decide where the
/// status is vague: a prompt that is too long, a credit that is used up, a filter that declined.
pub fn decode_failure(
    status: u16,
    retry_after: Option<&str>,
    body: &[u8],
) -> (Failure, Option<Duration>) {
    let said =
        serde_json::from_slice(body).map_or_else(|_| Said::default(), |body| Said::of(&body));
    let header = retry_after.and_then(seconds);
    let by_status = of_status(status);
    // Statuses that name a cause themselves are believed; the others are read with the body.
    let kind = match by_status {
        Failure::Key | Failure::NoSuchModel | Failure::Payment => by_status,
        _ => said.failure().unwrap_or(by_status),
    };
    (kind, header.or(said.retry_after))
}

/// An error that a provider sends in the middle of a stream: an object with `error`, or the error itself.
pub(crate) fn in_stream(event: &Value) -> StreamError {
    let said = Said::of(event);
    let by_code = said.status.map(of_status);
    StreamError::Upstream {
        failure: said.failure().or(by_code).unwrap_or(Failure::Internal),
        retry_after: said.retry_after,
        body: Bytes::from(event.to_string()),
    }
}

/// The HTTP status that a client gets for a failure, by the APIs' own tables.
pub fn status_of(failure: Failure) -> u16 {
    match failure {
        Failure::Unreachable | Failure::Garbled | Failure::CutOff => 502,
        Failure::TimedOut(_) => 504,
        Failure::RateLimited => 429,
        Failure::Overloaded => 529,
        Failure::Internal | Failure::Engine => 500,
        Failure::Key => 401,
        Failure::Payment => 402,
        Failure::Forbidden | Failure::NotPermitted => 403,
        Failure::NoSuchModel => 404,
        Failure::TooLong | Failure::BadRequest | Failure::Declined | Failure::Unsupported => 400,
        Failure::Cancelled => 499,
    }
}

/// What an error object says, in lower case.
#[derive(Debug, Default)]
struct Said {
    /// Its type, code and status words.
    words: Vec<String>,
    message: String,
    /// A code that is a number.
    status: Option<u16>,
    retry_after: Option<Duration>,
}

impl Said {
    fn of(body: &Value) -> Self {
        // Gemini wraps errors of streams in a list; OpenAI's Responses put the error in the response.
        let body = body.get(0).unwrap_or(body);
        let error = (body.get("error"))
            .or_else(|| body.pointer("/response/error"))
            .filter(|error| !error.is_null())
            .unwrap_or(body);
        let mut said = Self::default();
        if let Some(message) = error.as_str() {
            said.message = message.to_lowercase(); // Ollama, Hugging Face
            return said;
        }
        for name in ["type", "code", "status", "error_type"] {
            match error.get(name) {
                Some(Value::String(word)) => said.words.push(word.to_lowercase()),
                Some(Value::Number(code)) => {
                    said.status = code.as_u64().and_then(|code| u16::try_from(code).ok());
                }
                _ => {}
            }
        }
        let message = error.get("message").and_then(Value::as_str);
        said.message = message.unwrap_or_default().to_lowercase();
        said.retry_after = retry_delay(error);
        said
    }

    fn failure(&self) -> Option<Failure> {
        let by_words = WORDS
            .iter()
            .find(|(word, _)| self.words.iter().any(|said| said == word));
        let by_message = MESSAGES
            .iter()
            .find(|(part, _)| self.message.contains(part));
        match (by_words, by_message) {
            // "invalid_request_error" says nothing that a message could not say better.
            (Some((_, Failure::BadRequest | Failure::RateLimited)), Some((_, kind))) => Some(*kind),
            (Some((_, kind)), _) | (None, Some((_, kind))) => Some(*kind),
            (None, None) => None,
        }
    }
}

/// Types and codes, in lower case.
const WORDS: &[(&str, Failure)] = &[
    ("context_length_exceeded", Failure::TooLong),
    ("request_too_large", Failure::TooLong),
    ("exceed_context_size_error", Failure::TooLong), // llama.cpp
    ("string_above_max_length", Failure::TooLong),
    ("insufficient_quota", Failure::Payment),
    ("billing_hard_limit_reached", Failure::Payment),
    ("billing_error", Failure::Payment),
    ("content_filter", Failure::Declined),
    ("content_policy_violation", Failure::Declined),
    ("moderation_blocked", Failure::Declined),
    ("invalid_prompt", Failure::Declined),
    ("invalid_api_key", Failure::Key),
    ("authentication_error", Failure::Key),
    ("unauthenticated", Failure::Key),
    ("model_not_found", Failure::NoSuchModel),
    ("not_found_error", Failure::NoSuchModel),
    ("not_found", Failure::NoSuchModel),
    ("permission_error", Failure::Forbidden),
    ("permission_denied", Failure::Forbidden),
    ("overloaded_error", Failure::Overloaded),
    ("server_is_overloaded", Failure::Overloaded),
    ("slow_down", Failure::Overloaded),
    ("unavailable", Failure::Overloaded),
    ("rate_limit_error", Failure::RateLimited),
    ("rate_limit_exceeded", Failure::RateLimited),
    ("resource_exhausted", Failure::RateLimited),
    ("timeout_error", Failure::Internal),
    ("deadline_exceeded", Failure::Internal),
    ("api_error", Failure::Internal),
    ("server_error", Failure::Internal),
    ("internal_server_error", Failure::Internal),
    ("internal", Failure::Internal),
    ("invalid_request_error", Failure::BadRequest),
    ("invalid_argument", Failure::BadRequest),
    ("failed_precondition", Failure::BadRequest),
];

/// Parts of messages, in lower case, where types and codes are vague.
const MESSAGES: &[(&str, Failure)] = &[
    ("prompt is too long", Failure::TooLong),
    ("maximum context length", Failure::TooLong),
    ("context length", Failure::TooLong),
    ("context window", Failure::TooLong),
    ("exceed context limit", Failure::TooLong),
    ("exceeds the maximum number of tokens", Failure::TooLong),
    ("exceeds the available context", Failure::TooLong),
    ("credit balance is too low", Failure::Payment),
    ("insufficient credits", Failure::Payment),
    (
        "exceeded your current quota, please check your plan and billing",
        Failure::Payment,
    ),
    (
        "output blocked by content filtering policy",
        Failure::Declined,
    ),
    ("content management policy", Failure::Declined), // Azure
    ("requires moderation", Failure::Declined),       // OpenRouter
    ("api key not valid", Failure::Key),              // Gemini says 400
];

fn of_status(status: u16) -> Failure {
    match status {
        401 => Failure::Key,
        402 => Failure::Payment,
        403 => Failure::Forbidden,
        404 => Failure::NoSuchModel,
        408 | 500 | 502 | 504 => Failure::Internal,
        413 => Failure::TooLong,
        429 => Failure::RateLimited,
        503 | 529 => Failure::Overloaded,
        501 | 505..=599 => Failure::Internal,
        300..=399 => Failure::Garbled, // redirects are not followed
        _ => Failure::BadRequest,
    }
}

/// Gemini's `details[].retryDelay`, as in `30s`.
fn retry_delay(error: &Value) -> Option<Duration> {
    let details = error.get("details")?.as_array()?;
    let delay = details.iter().find_map(|detail| detail.get("retryDelay"));
    seconds(delay?.as_str()?.strip_suffix('s')?)
}

fn seconds(value: &str) -> Option<Duration> {
    let seconds: f64 = value.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, failure: Failure) {
        assert_eq!(
            decode_failure(status, None, body.as_bytes()).0,
            failure,
            "{status} {body}"
        );
    }

    #[test]
    fn statuses_alone_are_enough() {
        check(401, "", Failure::Key);
        check(402, "<html>", Failure::Payment);
        check(429, "{}", Failure::RateLimited);
        check(529, "", Failure::Overloaded);
        check(503, "", Failure::Overloaded);
        check(520, "", Failure::Internal);
        check(418, "", Failure::BadRequest);
        check(413, "", Failure::TooLong);
    }

    #[test]
    fn a_long_prompt_is_told_from_a_bad_request() {
        check(
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 212343 tokens > 200000 maximum"}}"#,
            Failure::TooLong,
        );
        check(
            400,
            r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
            Failure::TooLong,
        );
        check(
            400,
            r#"{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#,
            Failure::TooLong,
        );
        check(
            400,
            r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}"#,
            Failure::TooLong,
        );
        check(
            400,
            r#"{"error":{"message":"bad tool","type":"invalid_request_error"}}"#,
            Failure::BadRequest,
        );
    }

    #[test]
    fn a_used_up_credit_is_told_from_a_rate_limit() {
        check(
            429,
            r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            Failure::Payment,
        );
        check(
            429,
            r#"{"error":{"message":"Rate limit reached","type":"tokens","code":"rate_limit_exceeded"}}"#,
            Failure::RateLimited,
        );
        check(
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#,
            Failure::Payment,
        );
    }

    #[test]
    fn filters_and_keys_are_found_in_words() {
        check(
            400,
            r#"{"error":{"code":"content_filter","message":"The response was filtered","status":400}}"#,
            Failure::Declined,
        );
        check(
            400,
            r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}"#,
            Failure::Key,
        );
        check(
            500,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            Failure::Overloaded,
        );
        check(
            404,
            r#"{"error":"model 'x' not found"}"#,
            Failure::NoSuchModel,
        );
    }

    #[test]
    fn the_time_to_wait_is_read() {
        let after = |header, body: &str| decode_failure(429, header, body.as_bytes()).1;
        assert_eq!(after(Some("7"), ""), Some(Duration::from_secs(7)));
        assert_eq!(after(Some("0.5"), ""), Some(Duration::from_millis(500)));
        assert_eq!(after(Some("-1"), ""), None);
        assert_eq!(after(Some("1e400"), ""), None);
        let gemini = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"x","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"30s"}]}}"#;
        assert_eq!(after(None, gemini), Some(Duration::from_secs(30)));
    }
}

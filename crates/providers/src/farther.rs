//! What a body may ask its provider to do that leads farther than the provider's zone: ask somebody else, fetch
//! something, keep what it was told.
//!
//! A zone says where a request ends up, so a request must not be able to say otherwise. Bodies are forwarded in their own
//! protocol, unknown fields included, which is why this looks at the body that is about to be sent and not at the request.

use inhouse_chat::{Dialect, Fields};
use inhouse_policy::Zone;
use serde_json::Value;

/// A field that leads farther than the provider's zone.
#[derive(Debug, thiserror::Error)]
#[error("{field} {why}, which is beyond zone {zone}; nothing was sent; {advice}")]
pub(crate) struct Farther {
    field: &'static str,
    why: &'static str,
    zone: Zone,
    advice: &'static str,
}

/// Fields by which proxies and providers are told to ask or tell somebody else: LiteLLM, Anthropic, OpenRouter.
const OTHERS: [&str; 9] = [
    "api_base",
    "base_url",
    "fallbacks",
    "context_window_fallbacks",
    "content_policy_fallbacks",
    "custom_llm_provider",
    "model_list",
    "mcp_servers",
    "plugins",
];

/// Fields that have a provider keep what it was told (OpenAI).
const KEEPING: [&str; 3] = ["store", "background", "conversation"];

/// Fields that have a provider search the web (OpenAI).
const SEARCHING: [&str; 1] = ["web_search_options"];

/// Fields that hold what was said, in all protocols.
const CONVERSATIONS: [&str; 4] = ["messages", "system", "input", "contents"];

/// Parts of what was said that are read, whatever is in them: arguments of tools, notes of where words are from.
const ONLY_READ: [&str; 5] = ["input", "arguments", "args", "annotations", "citations"];

const TAKE_OUT: &str = "take it out, or let the request go to another provider";

/// Refuses a `body` that leads farther than `zone`, and has OpenAI keep nothing where that is promised.
///
/// # Errors
///
/// The first field that leads farther.
pub(crate) fn fence(zone: Zone, dialect: Dialect, body: &mut Fields) -> Result<(), Farther> {
    if zone == Zone::Cloud {
        return Ok(()); // there is nothing beyond
    }
    let asks = "has the provider ask somebody else";
    refuse(zone, asks, TAKE_OUT, stated(body, &OTHERS))?;
    refuse(
        zone,
        asks,
        TAKE_OUT,
        has_remote_tools(body).then_some("tools"),
    )?;
    if zone == Zone::CloudNoRetention {
        let keeps = "has the provider keep the request";
        refuse(zone, keeps, TAKE_OUT, stated(body, &KEEPING))?;
        if dialect == Dialect::OpenAiResponses {
            body.insert("store".to_owned(), Value::Bool(false)); // unsaid, it keeps them for thirty days
        }
        return Ok(());
    }
    let searches = "has the provider search the web";
    refuse(zone, searches, TAKE_OUT, stated(body, &SEARCHING))?;
    let fetches = "has an address for the provider to fetch";
    let inline = "send what is there instead, as data:..;base64,..";
    refuse(zone, fetches, inline, with_address(body))
}

fn refuse(
    zone: Zone,
    why: &'static str,
    advice: &'static str,
    field: Option<&'static str>,
) -> Result<(), Farther> {
    let farther = |field| Farther {
        field,
        why,
        zone,
        advice,
    };
    field.map_or(Ok(()), |field| Err(farther(field)))
}

/// The first of `names` that says something in `body`.
fn stated(body: &Fields, names: &[&'static str]) -> Option<&'static str> {
    let mut names = names.iter().copied();
    names.find(|name| body.get(*name).is_some_and(says_something))
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

/// Tools that run on a server of somebody's, whom the provider asks (MCP).
fn has_remote_tools(body: &Fields) -> bool {
    let tools = body.get("tools").and_then(Value::as_array);
    tools.into_iter().flatten().any(|tool| {
        ["server_url", "connector_id"]
            .iter()
            .any(|name| tool.get(*name).is_some_and(says_something))
    })
}

/// The field with a part that is somewhere else (`image_url`, `fileUri`). Addresses in words and in arguments of tools are
/// only read.
fn with_address(body: &Fields) -> Option<&'static str> {
    let mut names = CONVERSATIONS.into_iter();
    names.find(|name| body.get(*name).is_some_and(leads_away))
}

/// Nesting is bounded by whoever parsed the request.
fn leads_away(part: &Value) -> bool {
    match part {
        Value::Array(parts) => parts.iter().any(leads_away),
        Value::Object(fields) => fields.iter().any(|(name, value)| match value {
            _ if ONLY_READ.contains(&name.as_str()) => false,
            Value::String(text) if is_name_of_address(name) => !is_inline(text),
            inner => leads_away(inner),
        }),
        _ => false,
    }
}

fn is_name_of_address(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["url", "uri"].iter().any(|end| name.ends_with(end))
}

fn is_inline(address: &str) -> bool {
    let scheme = address.split(':').next().unwrap_or_default();
    address.is_empty() || scheme.trim().eq_ignore_ascii_case("data")
}

//! What a reply took. Anthropic's `input_tokens` leave out what a cache had, as ours do.

use inhouse_chat::Usage;
use serde_json::{Value, json};

use crate::WireError;
use crate::fields::Object;

/// Reads what is stated over what was known before: counts of a stream are cumulative.
pub(super) fn update(usage: &mut Usage, object: &mut Object<'_>) -> Result<(), WireError> {
    usage.input = stated(object, "input_tokens")?.unwrap_or(usage.input);
    usage.output = stated(object, "output_tokens")?.unwrap_or(usage.output);
    usage.cache_read = stated(object, "cache_read_input_tokens")?.unwrap_or(usage.cache_read);
    let written = stated(object, "cache_creation_input_tokens")?;
    let by_time = object.opt_object("cache_creation", |by_time| {
        let five = by_time.count("ephemeral_5m_input_tokens")?;
        Ok((five, by_time.count("ephemeral_1h_input_tokens")?))
    })?;
    match (written, by_time) {
        (None, None) => {}
        (Some(written), None) => {
            usage.cache_write_5m = written.saturating_sub(usage.cache_write_1h);
        }
        (written, Some((five, hour))) => {
            usage.cache_write_1h = hour;
            usage.cache_write_5m = five.max(written.unwrap_or(0).saturating_sub(hour));
        }
    }
    let thinking = object.opt_object("output_tokens_details", |details| {
        details.count("thinking_tokens")
    })?;
    usage.reasoning = thinking.unwrap_or(usage.reasoning);
    Ok(())
}

fn stated(object: &mut Object<'_>, name: &str) -> Result<Option<u64>, WireError> {
    let there = object.peek(name).is_some();
    there.then(|| object.count(name)).transpose()
}

/// All counts: clients' SDKs want them in the first event too.
pub(super) fn encode(usage: &Usage) -> Value {
    let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
    let mut out = json!({
        "input_tokens": usage.input,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.output,
    });
    if usage.reasoning > 0 {
        out["output_tokens_details"] = json!({"thinking_tokens": usage.reasoning});
    }
    out
}

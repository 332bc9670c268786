//! What a reply took. `prompt_tokens` include what a cache had and what was written to one; ours do not.

use inhouse_chat::{Money, Usage};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::WireError;
use crate::fields::Object;

pub(super) fn decode(object: &mut Object<'_>) -> Result<Usage, WireError> {
    let prompt = object.count("prompt_tokens")?;
    let mut usage = Usage {
        output: object.count("completion_tokens")?,
        charged: decode_cost(object),
        ..Usage::default()
    };
    let total = object.count("total_tokens")?;
    object.opt_object("prompt_tokens_details", |details| {
        usage.cache_read = details.count("cached_tokens")?;
        let written = ["cache_write_tokens", "cache_creation_tokens"]; // OpenAI, OpenRouter; LiteLLM
        let named = written
            .into_iter()
            .find(|name| details.peek(name).is_some());
        usage.cache_write_5m = named.map_or(Ok(0), |name| details.count(name))?;
        usage.input_audio = details.count("audio_tokens")?;
        Ok(())
    })?;
    if usage.cache_read == 0 && object.peek("prompt_cache_hit_tokens").is_some() {
        usage.cache_read = object.count("prompt_cache_hit_tokens")?; // DeepSeek
    }
    object.opt_object("completion_tokens_details", |details| {
        usage.reasoning = details.count("reasoning_tokens")?;
        usage.output_audio = details.count("audio_tokens")?;
        Ok(())
    })?;
    // A server that counts wrongly must not make the prompt cost less than nothing.
    usage.cache_read = usage.cache_read.min(prompt);
    usage.cache_write_5m = usage.cache_write_5m.min(prompt - usage.cache_read);
    usage.input = prompt - usage.cache_read - usage.cache_write_5m;
    usage.input_audio = usage.input_audio.min(usage.input);
    // xAI counts thinking beside `completion_tokens`, everybody else within; the total tells.
    let all = [prompt, usage.output, usage.reasoning];
    if usage.reasoning > 0 && total == all.into_iter().fold(0, u64::saturating_add) {
        usage.output = usage.output.saturating_add(usage.reasoning);
    }
    usage.reasoning = usage.reasoning.min(usage.output);
    usage.output_audio = usage.output_audio.min(usage.output);
    Ok(usage)
}

/// OpenRouter's `cost`, in dollars; left where it is no number.
fn decode_cost(object: &mut Object<'_>) -> Option<Money> {
    let cost = object
        .peek("cost")
        .filter(|cost| cost.is_number())?
        .to_string();
    let amount = cost
        .parse::<Decimal>()
        .or_else(|_| Decimal::from_scientific(&cost));
    let amount = amount.ok().filter(|amount| !amount.is_sign_negative())?;
    object.take("cost");
    Some(Money::dollars(amount))
}

pub(super) fn encode(usage: &Usage) -> Value {
    let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
    let mut out = json!({
        "prompt_tokens": usage.prompt_tokens(),
        "completion_tokens": usage.output,
        "total_tokens": usage.total_tokens(),
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": written,
            "audio_tokens": usage.input_audio,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.output_audio,
        },
    });
    let cost = usage
        .charged
        .map(|money| money.amount().normalize().to_string());
    if let Some(cost) = cost.and_then(|cost| cost.parse::<f64>().ok()) {
        out["cost"] = Value::from(cost);
    }
    out
}

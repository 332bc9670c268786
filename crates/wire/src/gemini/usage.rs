//! `usageMetadata`. Gemini counts what a cache had in the prompt and thoughts outside the answer; ours is the other way
//! round. What a tool of the provider read for the prompt is counted beside it.

use inhouse_chat::{Extra, Fields, Usage};
use serde_json::{Value, json};

use super::own;
use crate::WireError;
use crate::fields::Object;

const NAME: &str = "usageMetadata";

/// `None` where there is none.
pub(super) fn decode(body: &mut Object<'_>) -> Result<Option<Usage>, WireError> {
    body.opt_object(NAME, |usage| {
        let prompt = usage.count("promptTokenCount")?;
        let cached = usage.count("cachedContentTokenCount")?;
        let thoughts = usage.count("thoughtsTokenCount")?;
        let output = usage.count("candidatesTokenCount")?;
        usage.take("totalTokenCount");
        let for_tools = usage.peek(FOR_TOOLS).and_then(Value::as_u64).unwrap_or(0);
        let sound = |name| audio(usage.peek(name));
        let input = prompt.saturating_sub(cached).saturating_add(for_tools);
        let output = output.saturating_add(thoughts);
        Ok(Usage {
            input,
            output,
            cache_read: cached,
            reasoning: thoughts,
            input_audio: sound("promptTokensDetails")
                .saturating_sub(sound("cacheTokensDetails"))
                .min(input),
            output_audio: sound("candidatesTokensDetails").min(output),
            ..Usage::default()
        })
    })
}

/// It stays as it came: a price of its own it has not.
const FOR_TOOLS: &str = "toolUsePromptTokenCount";

fn audio(details: Option<&Value>) -> u64 {
    let details = details.and_then(Value::as_array).into_iter().flatten();
    details
        .filter(|detail| detail.get("modality").and_then(Value::as_str) == Some("AUDIO"))
        .filter_map(|detail| detail.get("tokenCount")?.as_u64())
        .fold(0, u64::saturating_add)
}

/// `extra` is the answer's: what its counts had beside them.
pub(super) fn encode(usage: &Usage, extra: &Extra) -> Fields {
    let kept = own(extra, NAME).and_then(Value::as_object);
    let for_tools = kept
        .and_then(|kept| kept.get(FOR_TOOLS)?.as_u64())
        .unwrap_or(0);
    let prompt = usage.prompt_tokens().saturating_sub(for_tools);
    let mut out = Fields::new();
    out.insert("promptTokenCount".into(), prompt.into());
    out.insert(
        "candidatesTokenCount".into(),
        usage.output.saturating_sub(usage.reasoning).into(),
    );
    if usage.cache_read > 0 {
        out.insert("cachedContentTokenCount".into(), usage.cache_read.into());
    }
    if usage.reasoning > 0 {
        out.insert("thoughtsTokenCount".into(), usage.reasoning.into());
    }
    out.insert("totalTokenCount".into(), usage.total_tokens().into());
    for (name, audio, all) in [
        ("promptTokensDetails", usage.input_audio, prompt),
        (
            "candidatesTokensDetails",
            usage.output_audio,
            usage.output.saturating_sub(usage.reasoning),
        ),
    ] {
        let kept = kept.is_some_and(|kept| kept.contains_key(name));
        if audio > 0 && !kept {
            let text = all.saturating_sub(audio);
            let details = json!([
                {"modality": "TEXT", "tokenCount": text}, {"modality": "AUDIO", "tokenCount": audio},
            ]);
            out.insert(name.into(), details);
        }
    }
    out
}

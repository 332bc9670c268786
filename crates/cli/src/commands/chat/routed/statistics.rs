//! What an answer of the router cost: on one line, and as JSON.

use inhouse::{AnswerMetadata, StopReason, Usage};
use serde_json::{Value, json};

use super::Answer;
use crate::commands::ledger;
use crate::output::{count, plain, seconds};
use crate::terminal::{Style, Terminal};

/// One line on stderr, and one for each thing that was left out or changed on the way.
pub(in crate::commands::chat) fn show(answer: &Answer, terminal: Terminal) {
    let metadata = &answer.metadata;
    let rate = metadata
        .tokens_per_second
        .map_or(String::new(), |rate| format!(" at {rate:.1} tokens/s"));
    let more = match metadata.attempts {
        _ if metadata.cached => "; from the cache".into(),
        0 | 1 => String::new(),
        attempts => format!("; {attempts} attempts"),
    };
    let line = format!(
        "[{}{}: {} read, {} written{rate}; first token after {}; {}{more}; {}]",
        who(metadata),
        computed_by(metadata),
        count(number(metadata.usage.prompt_tokens()), "token"),
        metadata.usage.output,
        seconds(metadata.time_to_first_token.as_secs_f64()),
        cost(metadata),
        reason(answer.stop.as_ref()),
    );
    eprintln!("{}", terminal.err(Style::Dim, &plain(&line)));
    notes(answer, terminal);
}

/// What was left out or changed on the way, on stderr.
pub(in crate::commands::chat) fn notes(answer: &Answer, terminal: Terminal) {
    for note in &answer.metadata.notes {
        let note = plain(&format!("[{note}]"));
        eprintln!("{}", terminal.err(Style::Dim, &note));
    }
}

/// `up m1, cloud`.
pub(super) fn who(metadata: &AnswerMetadata) -> String {
    plain(&format!(
        "{} {}, {}",
        metadata.provider, metadata.model, metadata.zone
    ))
}

/// ` on cuda and cpu`; nothing where the processor alone computed, or a provider that does not say.
fn computed_by(metadata: &AnswerMetadata) -> String {
    let providers = &metadata.execution_providers;
    if providers.iter().all(|name| name == "cpu") {
        return String::new();
    }
    format!(" on {}", providers.join(" and "))
}

fn cost(metadata: &AnswerMetadata) -> String {
    match metadata.cost {
        Some(cost) => cost.to_string(),
        None => "unknown cost".into(),
    }
}

fn number(tokens: u64) -> usize {
    usize::try_from(tokens).unwrap_or(usize::MAX)
}

/// Why the answer ended, in words of the OpenAI API where it has one.
fn reason(stop: Option<&StopReason>) -> &str {
    match stop {
        None => "cancelled",
        Some(StopReason::EndTurn | StopReason::StopSequence(_)) => "stop",
        Some(StopReason::MaxTokens | StopReason::ContextFull) => "length",
        Some(StopReason::ToolUse) => "tool_calls",
        Some(StopReason::Refusal) => "content_filter",
        Some(StopReason::Pause) => "pause",
        Some(StopReason::Other(reason)) => reason,
    }
}

/// The object that `--json` prints.
pub(in crate::commands::chat) fn json(answer: &Answer) -> Value {
    let metadata = &answer.metadata;
    json!({
        "text": answer.text,
        "provider": metadata.provider.as_str(),
        "model": metadata.model.as_str(),
        "zone": metadata.zone.name(),
        "ceiling": metadata.ceiling.name(),
        "reason": metadata.reason,
        "finish_reason": reason(answer.stop.as_ref()),
        "cost": ledger::amount(metadata.cost),
        "usage": usage(&metadata.usage),
        "latency_s": metadata.latency.as_secs_f64(),
        "ttft_s": metadata.time_to_first_token.as_secs_f64(),
        "tokens_per_second": metadata.tokens_per_second,
        "attempts": metadata.attempts,
        "cached": metadata.cached,
        "request_id": metadata.request_id,
        "execution_providers": metadata.execution_providers,
        "notes": metadata.notes,
    })
}

fn usage(usage: &Usage) -> Value {
    json!({
        "input": usage.input,
        "output": usage.output,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write_5m.saturating_add(usage.cache_write_1h),
        "reasoning": usage.reasoning,
        "total": usage.total_tokens(),
    })
}

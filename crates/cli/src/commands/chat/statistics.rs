//! What an answer cost: on one line, as JSON, and for a whole conversation.

use inhouse_engine::FinishReason;
use serde_json::{Value, json};

use super::session::{Answer, Session};
use crate::commands::computed::Computed;
use crate::machine;
use crate::output::{Table, bytes, count, seconds};
use crate::terminal::{Style, Terminal};

/// One line on stderr.
pub(super) fn show(session: &Session, answer: &Answer, terminal: Terminal) {
    let timings = &answer.finish.timings;
    let rate = |tokens_per_second: Option<f64>| {
        tokens_per_second.map_or("-".into(), |rate| format!("{rate:.1}"))
    };
    let line = format!(
        "[{}: loaded in {}; computed by {}; {} read at {} tokens/s, first token after {}; {} written at {} tokens/s; {}]",
        session.model_name(),
        seconds(session.load_time().as_secs_f64()),
        session.model().info().computed_by,
        count(timings.prefill_tokens, "token"),
        rate(timings.prefill_tokens_per_second()),
        seconds(timings.time_to_first_token.as_secs_f64()),
        answer.finish.usage.completion_tokens,
        rate(timings.decode_tokens_per_second()),
        reason(answer.finish.reason),
    );
    eprintln!("{}", terminal.err(Style::Dim, &line));
}

/// Why the answer ended, in words of the OpenAI API where it has one.
fn reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::StopToken(_) | FinishReason::StopString(_) => "stop",
        FinishReason::Length => "length",
        FinishReason::Cancelled => "cancelled",
    }
}

/// The object that `--json` prints.
pub(super) fn json(session: &Session, answer: &Answer) -> Value {
    let (usage, timings) = (&answer.finish.usage, &answer.finish.timings);
    let computed = Computed::of(session.model());
    json!({
        "model": session.model_name(),
        "backend": computed.backend,
        "computed_by": computed.computed_by,
        "execution_providers": computed.execution_providers,
        "notes": computed.notes,
        "text": answer.text,
        "finish_reason": reason(answer.finish.reason),
        "stop": answer.stop_string,
        "seed": answer.finish.seed,
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "cached_tokens": usage.cached_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        },
        "timings": {
            "load_s": session.load_time().as_secs_f64(),
            "ttft_s": timings.time_to_first_token.as_secs_f64(),
            "prefill_s": timings.prefill.as_secs_f64(),
            "decode_s": timings.decode.as_secs_f64(),
            "prefill_tok_s": timings.prefill_tokens_per_second(),
            "decode_tok_s": timings.decode_tokens_per_second(),
        },
    })
}

/// What `/stats` shows.
pub(super) fn totals(session: &Session) -> Table {
    let (totals, info) = (session.counts(), session.model().info());
    let rate = |tokens: usize, time: f64| {
        if time > 0.0 {
            tokens as f64 / time
        } else {
            0.0
        }
    };
    let speed = |tokens: usize, time: f64| {
        format!(
            "{} in {}, {:.1} tokens/s",
            count(tokens, "token"),
            seconds(time),
            rate(tokens, time)
        )
    };
    let cached = session.cached_tokens();
    let mut table = Table::facts();
    table.row([
        "model",
        &format!("{}, {}", session.model_name(), info.model_type),
    ]);
    table.row([
        "computed by",
        &format!(
            "{} with {}",
            info.computed_by,
            count(info.threads, "thread")
        ),
    ]);
    table.row(["loaded in", &seconds(session.load_time().as_secs_f64())]);
    table.row(["answers", &totals.answers.to_string()]);
    table.row([
        "read",
        &speed(totals.prefill_tokens, totals.prefill.as_secs_f64()),
    ]);
    table.row([
        "written",
        &speed(totals.decode_tokens, totals.decode.as_secs_f64()),
    ]);
    table.row([
        "context",
        &format!("{cached} of {} tokens", info.context_length),
    ]);
    table.row([
        "KV cache",
        &bytes((cached * info.kv_bytes_per_token) as u64),
    ]);
    if let Some(peak) = machine::peak_memory() {
        table.row(["peak memory", &bytes(peak)]);
    }
    table
}

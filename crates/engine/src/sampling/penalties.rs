//! Changes to single logits: bias, penalties for tokens that were there before, and masks.

use super::history::History;
use super::options::SearchOptions;

/// What a forbidden token's logit becomes.
pub(super) const FORBIDDEN: f32 = f32::NEG_INFINITY;

/// Adds OpenAI's `logit_bias`.
pub(super) fn bias(options: &SearchOptions, logits: &mut [f32]) {
    for (&id, bias) in &options.logit_bias {
        change(logits, id, |logit| logit + bias);
    }
}

/// Applies the repetition, frequency and presence penalties.
pub(super) fn repetition(options: &SearchOptions, history: &History, logits: &mut [f32]) {
    let &SearchOptions {
        repetition_penalty: factor,
        frequency_penalty,
        presence_penalty,
        ..
    } = options;
    if factor == 1.0 && frequency_penalty == 0.0 && presence_penalty == 0.0 {
        return;
    }
    for (id, count) in history.counts() {
        change(logits, id, |logit| {
            let scaled = if logit < 0.0 {
                logit * factor
            } else {
                logit / factor
            };
            let presence = if count > 0 { presence_penalty } else { 0.0 };
            scaled - count as f32 * frequency_penalty - presence
        });
    }
}

/// Forbids tokens that would complete a sequence of `size` tokens which is there already.
pub(super) fn repeated_ngrams(size: usize, tokens: &[u32], logits: &mut [f32]) {
    if size == 0 || tokens.len() < size {
        return;
    }
    let prefix = &tokens[tokens.len() + 1 - size..];
    for window in tokens.windows(size) {
        if let Some((&last, before)) = window.split_last()
            && before == prefix
        {
            change(logits, last, |_| FORBIDDEN);
        }
    }
}

/// Forbids `ids`.
pub(super) fn forbid(ids: &[u32], logits: &mut [f32]) {
    for &id in ids {
        change(logits, id, |_| FORBIDDEN);
    }
}

/// Changes one logit; an id beyond the vocabulary has none, and the model cannot produce it.
pub(super) fn change(logits: &mut [f32], id: u32, change: impl FnOnce(f32) -> f32) {
    if let Some(logit) = logits.get_mut(id as usize) {
        *logit = change(*logit);
    }
}

//! The tokens so far, as penalties look at them.

use std::collections::HashMap;

/// Prompt and answer so far.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    tokens: Vec<u32>,
    prompt_len: usize,
    /// Every token seen, with how often the answer holds it.
    counts: HashMap<u32, u32>,
}

impl History {
    pub(super) fn new(prompt: &[u32]) -> Self {
        Self {
            tokens: prompt.to_vec(),
            prompt_len: prompt.len(),
            counts: prompt.iter().map(|&id| (id, 0)).collect(),
        }
    }

    /// Adds a token of the answer.
    pub(super) fn push(&mut self, id: u32) {
        self.tokens.push(id);
        let count = self.counts.entry(id).or_default();
        *count = count.saturating_add(1);
    }

    /// Prompt and answer.
    pub(super) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Tokens of the answer.
    pub(super) fn generated(&self) -> &[u32] {
        self.tokens.get(self.prompt_len..).unwrap_or_default()
    }

    /// Every token seen, with how often the answer holds it (0 where only the prompt does).
    pub(super) fn counts(&self) -> impl Iterator<Item = (u32, u32)> {
        self.counts.iter().map(|(&id, &count)| (id, count))
    }
}

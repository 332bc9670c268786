//! What a reply took.

use crate::Money;

/// Tokens of one reply, in classes that do not overlap, so that each can have its price.
///
/// Protocols count differently: OpenAI's `prompt_tokens` include what came from a cache, Anthropic's `input_tokens` do
/// not. Here they mean the same everywhere.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Usage {
    /// Tokens of the prompt that were computed, neither read from a cache nor written to one.
    pub input: u64,
    /// Tokens of the answer, those of [`reasoning`](Self::reasoning) included.
    pub output: u64,
    /// Tokens of the prompt that a cache had.
    pub cache_read: u64,
    /// Tokens of the prompt that were written to a cache which keeps them for five minutes, or for an unstated time.
    pub cache_write_5m: u64,
    /// Tokens of the prompt that were written to a cache which keeps them for an hour.
    pub cache_write_1h: u64,
    /// How many of [`output`](Self::output) the model spent on thinking.
    pub reasoning: u64,
    /// How many of [`input`](Self::input) were sound, which has its own price.
    pub input_audio: u64,
    /// How many of [`output`](Self::output) were sound, which has its own price.
    pub output_audio: u64,
    /// What the provider itself says it charged (OpenRouter's `usage.cost`).
    pub charged: Option<Money>,
}

impl Usage {
    /// All tokens of the prompt, wherever they came from.
    pub fn prompt_tokens(&self) -> u64 {
        [
            self.input,
            self.cache_read,
            self.cache_write_5m,
            self.cache_write_1h,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }

    /// All tokens of prompt and answer.
    pub fn total_tokens(&self) -> u64 {
        self.prompt_tokens().saturating_add(self.output)
    }
}

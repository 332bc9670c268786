//! What a caller asks of one generation.

use crate::sampling::SearchOptions;

/// How to choose tokens, when to stop and what to report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerateOptions {
    /// How the next token is chosen and how long the answer may be.
    pub search: SearchOptions,
    /// Tokens that end the answer; they are not printed.
    pub stop_tokens: Vec<u32>,
    /// Texts that end the answer; nothing of them is printed, even where they span tokens.
    pub stop_strings: Vec<String>,
    /// Reports the log-probability of every token, and of this many of the likeliest ones (20 at most).
    pub logprobs: Option<usize>,
}

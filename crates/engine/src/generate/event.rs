//! What a generation tells while it runs and when it ends.

use std::fmt;
use std::time::Duration;

use crate::sampling::TokenLogprobs;

/// Something that happened in a generation.
#[derive(Clone, PartialEq)]
pub enum Event {
    /// A token was chosen. Its text follows when it is whole and can be no part of a stop string; the token of a stop
    /// string is reported here all the same, a stop token is not.
    Token {
        /// The token.
        id: u32,
        /// What the model thought of it, where that was asked for.
        logprobs: Option<TokenLogprobs>,
    },
    /// More of the answer: whole characters, never empty.
    Text(String),
    /// The generation has ended; nothing follows.
    Done(Finish),
}

/// Text is hidden: answers belong in no log.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token { .. } => f.write_str("Token(..)"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Done(finish) => f.debug_tuple("Done").field(finish).finish(),
        }
    }
}

/// How a generation ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Finish {
    /// Why it ended.
    pub reason: FinishReason,
    /// Tokens in and out.
    pub usage: Usage,
    /// Where the time went.
    pub timings: Timings,
    /// The seed that repeats the draws; `None` where the choice was greedy.
    pub seed: Option<u64>,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model chose this stop token.
    StopToken(u32),
    /// The text reached a stop string, by its index in the options.
    StopString(usize),
    /// The answer is as long as it may be.
    Length,
    /// The caller cancelled.
    Cancelled,
}

/// Tokens in and out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens of the prompt that the session held already.
    pub cached_tokens: usize,
    /// Tokens chosen, a stop token included.
    pub completion_tokens: usize,
}

/// Where the time went. Time that the caller spends between events is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timings {
    /// Tokens that the prefill ran.
    pub prefill_tokens: usize,
    /// Running the prompt.
    pub prefill: Duration,
    /// From the start to the choice of the first token.
    pub time_to_first_token: Duration,
    /// Tokens chosen after the first.
    pub decode_tokens: usize,
    /// From the first token to the end.
    pub decode: Duration,
}

impl Timings {
    /// Prompt tokens a second, where any ran.
    pub fn prefill_tokens_per_second(&self) -> Option<f64> {
        rate(self.prefill_tokens, self.prefill)
    }

    /// Tokens a second after the first, where there were any.
    pub fn decode_tokens_per_second(&self) -> Option<f64> {
        rate(self.decode_tokens, self.decode)
    }
}

fn rate(n_tokens: usize, time: Duration) -> Option<f64> {
    (n_tokens > 0 && !time.is_zero()).then(|| n_tokens as f64 / time.as_secs_f64())
}

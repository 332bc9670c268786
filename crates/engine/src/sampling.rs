//! From logits to the next token: penalties, masks, filters and the draw.
//!
//! [`Sampler`] applies [`SearchOptions`] to one row of logits in this order:
//!
//! 1. **Log-probabilities**, if asked for, are taken from the untouched row: they say what the model thinks, not
//!    what the options made of it (as OpenAI's do).
//! 2. **`logit_bias`** is added. First, so that everything after it, greedy choice included, sees the biased model;
//!    Hugging Face and llama.cpp put it first too.
//! 3. **Repetition penalty** (Hugging Face: over prompt and answer; positive logits are divided, negative ones
//!    multiplied), then **frequency and presence penalties** (OpenAI: over the answer alone, subtracted). The
//!    multiplying one comes first because it depends on the sign of the logit, which the subtracting ones move.
//! 4. **DRY** (over prompt and answer), subtracted for tokens that would continue a repetition.
//! 5. **Masks**: repeated n-grams, and the stop tokens until the least length is reached. Last of the changes to
//!    logits, so that no bias lifts them.
//! 6. **Greedy** choice ends here: the largest logit, the lowest id where several are equal.
//! 7. **Temperature**, then **top-k**, **top-p**, **min-p** and **typical-p**, each over what the one before it
//!    left, as in Hugging Face's `generate`. Temperature is first, so that the filters cut the distribution which is
//!    drawn from; llama.cpp has it last by default, and for it the same `top_p` keeps less at high temperatures.
//! 8. **The draw**, by inversion over the remaining tokens in the order of their ids.
//!
//! The same seed, options and logits give the same tokens on every platform: the generator is ChaCha8, and every sum
//! and exponential on the way to a token is made of IEEE additions and multiplications in a fixed order.
//!
//! Nothing sorts the vocabulary. With top-k (the default of model folders) a row of 200,064 logits costs two passes;
//! without it, one vectorised exponential each and a selection that halves what it looks at.

mod candidates;
mod dry;
mod exp;
mod history;
mod logprobs;
mod options;
mod penalties;
mod random;
mod sampler;

pub use dry::DryOptions;
pub use logprobs::{MAX_TOP_LOGPROBS, TokenLogprobs, TopLogprob};
pub use options::SearchOptions;
pub use sampler::{Sampled, Sampler, Vocabulary};

#[cfg(test)]
mod tests;

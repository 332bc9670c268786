//! The decode loop: from a prompt's tokens to text, one event after another.
//!
//! [`Generation`] drives a [`Session`](crate::Session): it prefills what of the prompt the session does not hold yet,
//! then samples, streams text and feeds the token back, until a stop token, a stop string, a length or the caller
//! ends it. It is an iterator of [`Event`]s; [`Generation::run`] drives it with a callback instead.
//!
//! [`Decoding`] is the part without a model, from a row of logits to events, for a scheduler that runs several
//! sequences in one forward.
//!
//! ```no_run
//! use inhouse_engine::{Event, GenerateOptions, Generation, LoadOptions, Model, SearchOptions, Words};
//! use inhouse_text::Tokenizer;
//!
//! let model = Model::load("models/smollm2-135m".as_ref(), &LoadOptions::default())?;
//! let tokenizer = Tokenizer::from_folder(&model.tokenizer_folder())?;
//! let options = GenerateOptions {
//!     search: SearchOptions::from(&model.config().search),
//!     stop_tokens: model.config().eos_token_ids.clone(),
//!     ..GenerateOptions::default()
//! };
//! let prompt = tokenizer.encode("Once upon a time")?;
//! let mut sequence = model.sequence();
//! for event in Generation::new(&mut sequence, &prompt, &options, Words::boxed(&tokenizer))? {
//!     if let Event::Text(text) = event? {
//!         print!("{text}");
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Lengths
//! A prompt that leaves no room in the context, and a prompt and `max_new_tokens` that together are longer than the
//! context, are errors before anything runs. Without `max_new_tokens` the answer may fill the rest of the context, or
//! what `max_length` leaves, and then ends with [`FinishReason::Length`]. The last token is never fed back.

mod clock;
mod decoding;
mod event;
mod generation;
mod limits;
mod options;
mod words;

pub use clock::{Clock, SystemClock};
pub use decoding::{Decoding, Step};
pub use event::{Event, Finish, FinishReason, Timings, Usage};
pub use generation::Generation;
pub use options::GenerateOptions;
pub use words::{Detokenize, Words};

#[cfg(test)]
mod tests;

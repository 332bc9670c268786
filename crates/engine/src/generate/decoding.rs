//! One answer's progress from logits to events, without a model.

use std::collections::VecDeque;

use super::event::{Event, FinishReason};
use super::limits::max_new_tokens;
use super::options::GenerateOptions;
use super::words::Detokenize;
use crate::error::EngineError;
use crate::sampling::Sampler;
use crate::stop::StopStrings;

/// Samples, stops and streams: takes a row of logits at a time and says what to feed next.
pub struct Decoding {
    sampler: Sampler,
    text: Box<dyn Detokenize + Send>,
    stops: StopStrings,
    stop_tokens: Vec<u32>,
    min_new_tokens: usize,
    max_new_tokens: usize,
}

/// What comes after a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// This token is to be fed to the model.
    Feed(u32),
    /// The answer has ended.
    Done(FinishReason),
}

impl Decoding {
    /// Checks options and lengths for an answer to `prompt`, by a model with this vocabulary and context.
    ///
    /// # Errors
    /// Options out of range, an empty prompt, or more tokens than the context holds.
    pub fn new(
        prompt: &[u32],
        vocab_size: usize,
        context_length: usize,
        options: &GenerateOptions,
        text: Box<dyn Detokenize + Send>,
    ) -> Result<Self, EngineError> {
        let GenerateOptions {
            search,
            stop_tokens,
            stop_strings,
            logprobs,
        } = options;
        let sampler = Sampler::new(
            search,
            vocab_size,
            prompt,
            stop_tokens,
            *logprobs,
            text.as_ref(),
        )?;
        Ok(Self {
            sampler,
            text,
            stops: StopStrings::new(stop_strings)?,
            stop_tokens: stop_tokens.clone(),
            min_new_tokens: search
                .min_new_tokens
                .max(search.min_length.saturating_sub(prompt.len())),
            max_new_tokens: max_new_tokens(search, prompt.len(), context_length)?,
        })
    }

    /// Whether an answer of no tokens was asked for, so that nothing has to run.
    pub fn is_done_at_once(&self) -> bool {
        self.max_new_tokens == 0
    }

    /// Prompt and answer so far.
    pub fn tokens(&self) -> &[u32] {
        self.sampler.tokens()
    }

    /// The answer so far, a stop token included.
    pub fn generated(&self) -> &[u32] {
        self.sampler.generated()
    }

    /// The seed of the draws; `None` where the choice is greedy.
    pub fn seed(&self) -> Option<u64> {
        self.sampler.seed()
    }

    /// Chooses the next token from `logits`, which are changed in place, and appends what there is to tell.
    ///
    /// # Errors
    /// Logits that no token can be chosen from.
    pub fn step(
        &mut self,
        logits: &mut [f32],
        events: &mut VecDeque<Event>,
    ) -> Result<Step, EngineError> {
        let sampled = self.sampler.sample(logits)?;
        let id = sampled.id;
        self.sampler.accept(id, self.text.as_ref());
        if self.stop_tokens.contains(&id) {
            return Ok(Step::Done(
                self.flush(events).unwrap_or(FinishReason::StopToken(id)),
            ));
        }
        events.push_back(Event::Token {
            id,
            logprobs: sampled.logprobs,
        });
        self.print(id, events);
        if let Some(index) = self.stops.matched() {
            return Ok(Step::Done(FinishReason::StopString(index)));
        }
        if self.generated().len() >= self.max_new_tokens {
            return Ok(Step::Done(
                self.flush(events).unwrap_or(FinishReason::Length),
            ));
        }
        Ok(Step::Feed(id))
    }

    /// Lets go of text that was held back, at an end; names the stop string in it, if it turns out to hold one.
    pub fn flush(&mut self, events: &mut VecDeque<Event>) -> Option<FinishReason> {
        let rest = self.text.finish();
        let mut printable = self.stops.push(&rest);
        printable += &self.stops.finish();
        push_text(printable, events);
        self.stops.matched().map(FinishReason::StopString)
    }

    fn print(&mut self, id: u32, events: &mut VecDeque<Event>) {
        let text = self.text.push(id);
        // Below the least length nothing can stop the answer, so nothing is held back either.
        let watched = self.generated().len() > self.min_new_tokens;
        push_text(
            if watched {
                self.stops.push(&text)
            } else {
                text
            },
            events,
        );
    }
}

fn push_text(text: String, events: &mut VecDeque<Event>) {
    if !text.is_empty() {
        events.push_back(Event::Text(text));
    }
}

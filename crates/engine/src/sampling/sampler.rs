//! The sampler: one sequence's options, history and generator.

use super::candidates::{Candidates, argmax, draw};
use super::dry::Dry;
use super::history::History;
use super::logprobs::{LogprobRecorder, TokenLogprobs};
use super::options::SearchOptions;
use super::penalties;
use super::random::Random;
use crate::error::EngineError;

/// The text of single tokens, which sequence breakers are looked for in.
pub trait Vocabulary {
    /// The bytes that a token stands for, or `None` where it stands for none.
    fn token_bytes(&self, id: u32) -> Option<Vec<u8>>;
}

/// Chooses one token after another; [the module](super) describes how.
#[derive(Debug)]
pub struct Sampler {
    options: SearchOptions,
    stop_tokens: Vec<u32>,
    history: History,
    dry: Option<Dry>,
    /// Absent where the choice is greedy.
    random: Option<Random>,
    logprobs: Option<LogprobRecorder>,
    candidates: Candidates,
}

/// A chosen token.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled {
    /// The token.
    pub id: u32,
    /// What the model thought of it, where that was asked for.
    pub logprobs: Option<TokenLogprobs>,
}

impl Sampler {
    /// A sampler at the end of `prompt`. `stop_tokens` are held back until the least length is reached; `logprobs`
    /// asks for log-probabilities, with that many of the likeliest tokens (20 at most).
    ///
    /// # Errors
    /// Options out of range, or no seed to be had from the operating system.
    pub fn new(
        options: &SearchOptions,
        vocab_size: usize,
        prompt: &[u32],
        stop_tokens: &[u32],
        logprobs: Option<usize>,
        vocabulary: &dyn Vocabulary,
    ) -> Result<Self, EngineError> {
        options.validate(vocab_size)?;
        let random = if options.is_greedy() {
            None
        } else {
            Some(Random::new(options.seed)?)
        };
        let mut dry = Dry::new(&options.dry);
        if let Some(dry) = &mut dry {
            prompt.iter().for_each(|&id| dry.push(id, vocabulary));
        }
        Ok(Self {
            options: options.clone(),
            stop_tokens: stop_tokens.to_vec(),
            history: History::new(prompt),
            dry,
            random,
            logprobs: logprobs.map(LogprobRecorder::new).transpose()?,
            candidates: Candidates::default(),
        })
    }

    /// The seed of the draws, the caller's or the operating system's; `None` where the choice is greedy.
    pub fn seed(&self) -> Option<u64> {
        self.random.as_ref().map(Random::seed)
    }

    /// Prompt and answer so far.
    pub fn tokens(&self) -> &[u32] {
        self.history.tokens()
    }

    /// The answer so far.
    pub fn generated(&self) -> &[u32] {
        self.history.generated()
    }

    /// Chooses the next token; the logits are changed in place. [`accept`](Self::accept) then puts it, or another,
    /// into the history.
    ///
    /// # Errors
    /// Logits that are no finite numbers, or no token left to choose from.
    pub fn sample(&mut self, logits: &mut [f32]) -> Result<Sampled, EngineError> {
        if let Some(logprobs) = &mut self.logprobs {
            logprobs.record(logits);
        }
        self.process(logits);
        let id = match &mut self.random {
            None => argmax(logits)?,
            Some(random) if self.options.keeps_all(logits.len()) => self
                .candidates
                .draw_from_all(logits, self.options.temperature, random.uniform())?
                .unwrap_or_default(),
            Some(random) => {
                let candidates = self.candidates.filter(logits, &self.options)?;
                draw(candidates, random.uniform()).unwrap_or_default()
            }
        };
        let logprobs = self
            .logprobs
            .as_mut()
            .map(|logprobs| logprobs.describe(id))
            .transpose()?;
        Ok(Sampled { id, logprobs })
    }

    /// Takes note that `id` is the next token of the answer.
    pub fn accept(&mut self, id: u32, vocabulary: &dyn Vocabulary) {
        self.history.push(id);
        if let Some(dry) = &mut self.dry {
            dry.push(id, vocabulary);
        }
    }

    /// Bias, penalties and masks.
    fn process(&self, logits: &mut [f32]) {
        penalties::bias(&self.options, logits);
        penalties::repetition(&self.options, &self.history, logits);
        if let Some(dry) = &self.dry {
            dry.apply(self.history.tokens(), logits);
        }
        penalties::repeated_ngrams(
            self.options.no_repeat_ngram_size,
            self.history.tokens(),
            logits,
        );
        if self.is_too_short() {
            penalties::forbid(&self.stop_tokens, logits);
        }
    }

    fn is_too_short(&self) -> bool {
        self.generated().len() < self.options.min_new_tokens
            || self.tokens().len() < self.options.min_length
    }

    /// The distribution that the next draw would be made from, as ids and probabilities.
    #[cfg(test)]
    pub(super) fn distribution(
        &mut self,
        logits: &mut [f32],
    ) -> Result<Vec<(u32, f64)>, EngineError> {
        self.process(logits);
        let kept = self.candidates.filter(logits, &self.options)?;
        let total: f64 = kept
            .iter()
            .map(|candidate| f64::from(candidate.weight))
            .sum();
        Ok(kept
            .iter()
            .map(|candidate| (candidate.id, f64::from(candidate.weight) / total))
            .collect())
    }
}

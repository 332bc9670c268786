//! DRY ("don't repeat yourself"): penalises the token that would continue a repetition, the more the longer it is.
//!
//! After the proposal that introduced it (text-generation-webui, pull request 5677). If the last `n` tokens occur
//! earlier as well, the token that followed there is penalised by `multiplier * base^(n - allowed_length)`, with the
//! longest such `n` for each token. Sequence breakers keep the form of a text (line ends, quotes, colons) out of it:
//! no match reaches across one, and none is penalised.

use std::collections::HashMap;

use super::options::within;
use super::penalties::change;
use super::sampler::Vocabulary;
use crate::error::EngineError;

/// Longest match that is looked at: beyond it the penalty is far above any logit, and text of one repeated token
/// would cost the square of its length.
const MAX_MATCH: usize = 50;

/// Settings of DRY.
#[derive(Clone, Debug, PartialEq)]
pub struct DryOptions {
    /// Size of the penalty; 0 switches DRY off, 0.8 is the proposal's.
    pub multiplier: f32,
    /// Growth of the penalty with every further token of a repetition.
    pub base: f32,
    /// Repetitions shorter than this cost nothing.
    pub allowed_length: usize,
    /// Texts that end a repetition; a token that holds or completes one is never part of a match.
    pub sequence_breakers: Vec<String>,
    /// Only this many of the last tokens are looked at; all where absent.
    pub penalty_last_n: Option<usize>,
}

impl Default for DryOptions {
    fn default() -> Self {
        let breakers = ["\n", ":", "\"", "*"];
        Self {
            multiplier: 0.0,
            base: 1.75,
            allowed_length: 2,
            sequence_breakers: breakers.map(str::to_owned).to_vec(),
            penalty_last_n: None,
        }
    }
}

impl DryOptions {
    pub(super) fn validate(&self) -> Result<(), EngineError> {
        within(
            "dry multiplier",
            self.multiplier,
            self.multiplier >= 0.0,
            "0 (off) or more",
        )?;
        within("dry base", self.base, self.base >= 1.0, "1 or more")?;
        if self.allowed_length == 0 {
            return Err(EngineError::options(
                "dry allowed_length is 0; it must be 1 or more",
            ));
        }
        if self.penalty_last_n == Some(0) {
            return Err(EngineError::options(
                "dry penalty_last_n is 0; it must be 1 or more, or absent for all",
            ));
        }
        if self.sequence_breakers.iter().any(String::is_empty) {
            return Err(EngineError::options(
                "a dry sequence breaker is empty; it must have at least one character",
            ));
        }
        Ok(())
    }

    fn penalty(&self, match_length: usize) -> f32 {
        let exponent = match_length - self.allowed_length;
        let growth = (0..exponent).fold(1.0, |power, _| power * f64::from(self.base));
        (f64::from(self.multiplier) * growth).min(f64::from(f32::MAX)) as f32
    }
}

/// DRY over one sequence.
#[derive(Clone, Debug)]
pub(super) struct Dry {
    options: DryOptions,
    /// For every token so far, whether a repetition ends at it.
    breaks: Vec<bool>,
    /// The end of the text so far, long enough for a breaker spelled by several tokens.
    tail: Vec<u8>,
}

impl Dry {
    /// `None` where DRY is off.
    pub(super) fn new(options: &DryOptions) -> Option<Self> {
        (options.multiplier > 0.0).then(|| Self {
            options: options.clone(),
            breaks: Vec::new(),
            tail: Vec::new(),
        })
    }

    /// Takes note of one more token.
    pub(super) fn push(&mut self, id: u32, vocabulary: &dyn Vocabulary) {
        let before = self.tail.len();
        self.tail
            .extend(vocabulary.token_bytes(id).unwrap_or_default());
        let breakers = &self.options.sequence_breakers;
        let breaks = breakers
            .iter()
            .any(|breaker| ends_beyond(&self.tail, breaker.as_bytes(), before));
        self.breaks.push(breaks);
        let longest = breakers.iter().map(String::len).max().unwrap_or(0);
        let keep = longest.saturating_sub(1).min(self.tail.len());
        self.tail.drain(..self.tail.len() - keep);
    }

    /// Subtracts the penalties; `tokens` are those that were pushed.
    pub(super) fn apply(&self, tokens: &[u32], logits: &mut [f32]) {
        for (id, length) in self.matches(tokens) {
            if length >= self.options.allowed_length {
                change(logits, id, |logit| logit - self.options.penalty(length));
            }
        }
    }

    /// For every token that followed an earlier occurrence of the present end, the longest such occurrence.
    fn matches(&self, tokens: &[u32]) -> HashMap<u32, usize> {
        let skipped = self
            .options
            .penalty_last_n
            .map_or(0, |n| tokens.len().saturating_sub(n));
        let (tokens, breaks) = (
            &tokens[skipped..],
            self.breaks.get(skipped..).unwrap_or_default(),
        );
        let mut longest = HashMap::new();
        let Some((last, earlier)) = tokens.split_last() else {
            return longest;
        };
        for (index, _) in earlier
            .iter()
            .enumerate()
            .filter(|&(_, token)| token == last)
        {
            let next = index + 1;
            if breaks.get(next) == Some(&true) {
                continue;
            }
            let length = common_end(&tokens[..next], tokens, breaks);
            if length > 0 {
                let best = longest.entry(tokens[next]).or_insert(0);
                *best = length.max(*best);
            }
        }
        longest
    }
}

/// How many tokens, up to a breaker, the ends of both have in common.
fn common_end(earlier: &[u32], tokens: &[u32], breaks: &[bool]) -> usize {
    let unbroken = breaks.iter().rev().take_while(|&&breaks| !breaks).count();
    let pairs = earlier.iter().rev().zip(tokens.iter().rev());
    pairs
        .take(unbroken.min(MAX_MATCH))
        .take_while(|(a, b)| a == b)
        .count()
}

/// Whether `needle` occurs in `text` with its end beyond `from`.
fn ends_beyond(text: &[u8], needle: &[u8], from: usize) -> bool {
    let start = (from + 1).saturating_sub(needle.len());
    text.get(start..).is_some_and(|text| {
        text.windows(needle.len().max(1))
            .any(|window| window == needle)
    })
}

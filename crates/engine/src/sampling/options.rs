//! What a caller can ask of sampling, and which values make sense.

use std::collections::BTreeMap;

use super::dry::DryOptions;
use crate::config::SearchConfig;
use crate::error::EngineError;

/// How the next token is chosen and how long the answer may be.
///
/// The default is ONNX Runtime GenAI's: greedy, and top-k 50 once sampling is switched on.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchOptions {
    /// Draws from the distribution; otherwise the likeliest token is taken.
    pub do_sample: bool,
    /// Divides the logits before they become probabilities; 0 means greedy.
    pub temperature: f32,
    /// Keeps this many of the likeliest tokens (and those as likely as the last of them); 0 keeps all.
    pub top_k: usize,
    /// Keeps the likeliest tokens that together reach this probability; 1 keeps all, 0 the likeliest one.
    pub top_p: f32,
    /// Drops tokens less likely than this share of the likeliest one; 0 keeps all.
    pub min_p: f32,
    /// Keeps the tokens closest to the distribution's entropy that together reach this probability; 1 keeps all.
    pub typical_p: f32,
    /// Divides positive and multiplies negative logits of tokens in prompt and answer; 1 changes nothing.
    pub repetition_penalty: f32,
    /// Subtracted from the logits of tokens that the answer holds.
    pub presence_penalty: f32,
    /// Subtracted from a token's logit once for every time that the answer holds it.
    pub frequency_penalty: f32,
    /// Penalises the continuation of repetitions.
    pub dry: DryOptions,
    /// No sequence of this many tokens occurs twice in prompt and answer; 0 allows all.
    pub no_repeat_ngram_size: usize,
    /// Added to the logits of single tokens.
    pub logit_bias: BTreeMap<u32, f32>,
    /// Makes the draws repeatable; without one a seed is drawn from the operating system and reported.
    pub seed: Option<u64>,
    /// Least tokens of prompt and answer together: no stop token before.
    pub min_length: usize,
    /// Most tokens of prompt and answer together, where a model folder limits them; `max_new_tokens` goes before it.
    pub max_length: Option<usize>,
    /// Least tokens of the answer: no stop token, and no stop string is looked for, before.
    pub min_new_tokens: usize,
    /// Most tokens of the answer; without it, the rest of the context.
    pub max_new_tokens: Option<usize>,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            do_sample: false,
            temperature: 1.0,
            top_k: 50,
            top_p: 1.0,
            min_p: 0.0,
            typical_p: 1.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            dry: DryOptions::default(),
            no_repeat_ngram_size: 0,
            logit_bias: BTreeMap::new(),
            seed: None,
            min_length: 0,
            max_length: None,
            min_new_tokens: 0,
            max_new_tokens: None,
        }
    }
}

/// A model folder's own defaults.
impl From<&SearchConfig> for SearchOptions {
    fn from(config: &SearchConfig) -> Self {
        Self {
            do_sample: config.do_sample,
            temperature: config.temperature,
            top_k: config.top_k,
            // ONNX Runtime GenAI writes 0 for a filter that is off; here 0 would keep one token.
            top_p: if config.top_p == 0.0 {
                1.0
            } else {
                config.top_p
            },
            repetition_penalty: config.repetition_penalty,
            no_repeat_ngram_size: config.no_repeat_ngram_size,
            seed: config.random_seed,
            min_length: config.min_length,
            max_length: Some(config.max_length),
            ..Self::default()
        }
    }
}

impl SearchOptions {
    /// Whether the likeliest token is taken, so that no seed matters.
    pub fn is_greedy(&self) -> bool {
        !self.do_sample || self.temperature == 0.0
    }

    /// Whether no filter is set, so that every one of `vocab_size` tokens may be drawn.
    pub(super) fn keeps_all(&self, vocab_size: usize) -> bool {
        let all_ranks = self.top_k == 0 || self.top_k >= vocab_size;
        all_ranks && self.top_p == 1.0 && self.min_p == 0.0 && self.typical_p == 1.0
    }

    /// Sets the temperature as a user means it: above 0 switches sampling on, 0 switches it off.
    pub fn set_temperature(&mut self, temperature: f32) {
        self.temperature = temperature;
        self.do_sample = temperature != 0.0;
    }

    /// Checks every value against its range and, for `logit_bias`, against the vocabulary.
    ///
    /// # Errors
    /// Names the first bad value and what it may be.
    pub fn validate(&self, vocab_size: usize) -> Result<(), EngineError> {
        within(
            "temperature",
            self.temperature,
            self.temperature >= 0.0,
            "0 (greedy) or more",
        )?;
        within(
            "top_p",
            self.top_p,
            (0.0..=1.0).contains(&self.top_p),
            "between 0 and 1",
        )?;
        within(
            "min_p",
            self.min_p,
            (0.0..=1.0).contains(&self.min_p),
            "between 0 and 1",
        )?;
        let typical = self.typical_p > 0.0 && self.typical_p <= 1.0;
        within(
            "typical_p",
            self.typical_p,
            typical,
            "above 0 and at most 1",
        )?;
        within(
            "repetition_penalty",
            self.repetition_penalty,
            self.repetition_penalty > 0.0,
            "above 0",
        )?;
        for (name, value) in [
            ("presence_penalty", self.presence_penalty),
            ("frequency_penalty", self.frequency_penalty),
        ] {
            within(
                name,
                value,
                (-2.0..=2.0).contains(&value),
                "between -2 and 2",
            )?;
        }
        self.dry.validate()?;
        self.validate_bias(vocab_size)?;
        self.validate_lengths()
    }

    fn validate_bias(&self, vocab_size: usize) -> Result<(), EngineError> {
        for (&id, &bias) in &self.logit_bias {
            if id as usize >= vocab_size {
                return Err(EngineError::options(format!(
                    "logit_bias names token {id}; the model's tokens are 0 to {}",
                    vocab_size.saturating_sub(1)
                )));
            }
            let name = format!("logit_bias of token {id}");
            within(
                &name,
                bias,
                (-100.0..=100.0).contains(&bias),
                "between -100 and 100",
            )?;
        }
        Ok(())
    }

    fn validate_lengths(&self) -> Result<(), EngineError> {
        for (least_name, least, most_name, most) in [
            (
                "min_new_tokens",
                self.min_new_tokens,
                "max_new_tokens",
                self.max_new_tokens,
            ),
            ("min_length", self.min_length, "max_length", self.max_length),
        ] {
            if let Some(most) = most.filter(|&most| least > most) {
                return Err(EngineError::options(format!(
                    "{least_name} is {least} and {most_name} is {most}; the least cannot be above the most"
                )));
            }
        }
        Ok(())
    }
}

/// Turns a value out of range, or one that is not a finite number, into an error that names it.
pub(super) fn within(name: &str, value: f32, ok: bool, range: &str) -> Result<(), EngineError> {
    if ok && value.is_finite() {
        return Ok(());
    }
    Err(EngineError::options(format!(
        "{name} is {value}; it must be {range}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut SearchOptions), expected: &str) {
        let mut options = SearchOptions::default();
        change(&mut options);
        let message = options
            .validate(100)
            .map_or_else(|error| error.to_string(), |()| "fine".to_owned());
        assert_eq!(message, expected);
    }

    #[test]
    fn defaults_and_the_ends_of_ranges_are_fine() {
        check(|_| {}, "fine");
        check(
            |o| (o.top_p, o.min_p, o.typical_p, o.temperature) = (0.0, 1.0, 1.0, 0.0),
            "fine",
        );
        check(
            |o| (o.presence_penalty, o.frequency_penalty) = (-2.0, 2.0),
            "fine",
        );
        check(
            |o| o.logit_bias = BTreeMap::from([(0, -100.0), (99, 100.0)]),
            "fine",
        );
        check(
            |o| (o.min_new_tokens, o.max_new_tokens) = (5, Some(5)),
            "fine",
        );
    }

    #[test]
    fn each_bad_value_is_named_with_its_range() {
        check(
            |o| o.temperature = -0.1,
            "temperature is -0.1; it must be 0 (greedy) or more",
        );
        check(
            |o| o.temperature = f32::NAN,
            "temperature is NaN; it must be 0 (greedy) or more",
        );
        check(
            |o| o.temperature = f32::INFINITY,
            "temperature is inf; it must be 0 (greedy) or more",
        );
        check(
            |o| o.top_p = 1.5,
            "top_p is 1.5; it must be between 0 and 1",
        );
        check(
            |o| o.min_p = -1.0,
            "min_p is -1; it must be between 0 and 1",
        );
        check(
            |o| o.typical_p = 0.0,
            "typical_p is 0; it must be above 0 and at most 1",
        );
        check(
            |o| o.repetition_penalty = 0.0,
            "repetition_penalty is 0; it must be above 0",
        );
        check(
            |o| o.presence_penalty = 2.5,
            "presence_penalty is 2.5; it must be between -2 and 2",
        );
        check(
            |o| o.frequency_penalty = -3.0,
            "frequency_penalty is -3; it must be between -2 and 2",
        );
        check(
            |o| o.dry.multiplier = -1.0,
            "dry multiplier is -1; it must be 0 (off) or more",
        );
        check(
            |o| o.dry.base = 0.5,
            "dry base is 0.5; it must be 1 or more",
        );
        check(
            |o| o.dry.allowed_length = 0,
            "dry allowed_length is 0; it must be 1 or more",
        );
        check(
            |o| o.dry.penalty_last_n = Some(0),
            "dry penalty_last_n is 0; it must be 1 or more, or absent for all",
        );
        check(
            |o| o.dry.sequence_breakers = vec![String::new()],
            "a dry sequence breaker is empty; it must have at least one character",
        );
        check(
            |o| o.logit_bias = BTreeMap::from([(100, 1.0)]),
            "logit_bias names token 100; the model's tokens are 0 to 99",
        );
        check(
            |o| o.logit_bias = BTreeMap::from([(7, 101.0)]),
            "logit_bias of token 7 is 101; it must be between -100 and 100",
        );
        check(
            |o| (o.min_new_tokens, o.max_new_tokens) = (6, Some(5)),
            "min_new_tokens is 6 and max_new_tokens is 5; the least cannot be above the most",
        );
        check(
            |o| (o.min_length, o.max_length) = (6, Some(5)),
            "min_length is 6 and max_length is 5; the least cannot be above the most",
        );
    }

    #[test]
    fn a_model_folders_defaults_are_taken_over() {
        let config = SearchConfig {
            do_sample: true,
            temperature: 0.7,
            top_k: 40,
            top_p: 0.0,
            repetition_penalty: 1.1,
            min_length: 3,
            max_length: 2048,
            no_repeat_ngram_size: 4,
            random_seed: Some(5),
            chunk_size: None,
        };
        let expected = SearchOptions {
            do_sample: true,
            temperature: 0.7,
            top_k: 40,
            repetition_penalty: 1.1,
            no_repeat_ngram_size: 4,
            seed: Some(5),
            min_length: 3,
            max_length: Some(2048),
            ..SearchOptions::default()
        };
        assert_eq!(SearchOptions::from(&config), expected);
    }

    #[test]
    fn a_temperature_switches_sampling() {
        let mut options = SearchOptions::default();
        assert!(options.is_greedy());
        options.set_temperature(0.7);
        assert!(!options.is_greedy());
        options.set_temperature(0.0);
        assert!(options.is_greedy() && !options.do_sample);
        options.do_sample = true;
        assert!(
            options.is_greedy(),
            "temperature 0 is greedy whatever do_sample says"
        );
    }
}

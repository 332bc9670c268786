//! Log-probabilities of the chosen token and of the likeliest ones.

use inhouse_kernels::Kernels;

use super::candidates::{TopK, max};
use crate::error::EngineError;

/// Most tokens whose log-probabilities can be asked for besides the chosen one's.
pub const MAX_TOP_LOGPROBS: usize = 20;

/// What the model thought of a token, and of the likeliest ones in its place.
///
/// The model's own distribution: natural logarithms, before bias, penalties, temperature and filters.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprobs {
    /// Log-probability of the chosen token.
    pub logprob: f32,
    /// The likeliest tokens, likeliest first; whether the chosen one is among them is up to the draw.
    pub top: Vec<TopLogprob>,
}

/// A token and its log-probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TopLogprob {
    /// The token.
    pub id: u32,
    /// Its log-probability.
    pub logprob: f32,
}

/// Keeps a row of logits as the model gave it, until the choice is made.
#[derive(Clone, Debug)]
pub(super) struct LogprobRecorder {
    n_top: usize,
    raw: Vec<f32>,
    weights: Vec<f32>,
    top: TopK,
}

impl LogprobRecorder {
    pub(super) fn new(n_top: usize) -> Result<Self, EngineError> {
        if n_top > MAX_TOP_LOGPROBS {
            return Err(EngineError::options(format!(
                "{n_top} top log-probabilities are asked for; it must be between 0 and {MAX_TOP_LOGPROBS}"
            )));
        }
        Ok(Self {
            n_top,
            raw: Vec::new(),
            weights: Vec::new(),
            top: TopK::default(),
        })
    }

    pub(super) fn record(&mut self, logits: &[f32]) {
        self.raw.clear();
        self.raw.extend_from_slice(logits);
    }

    pub(super) fn describe(&mut self, chosen: u32) -> Result<TokenLogprobs, EngineError> {
        let max = max(&self.raw)?;
        self.weights.resize(self.raw.len(), 0.0);
        let sum = Kernels::best().exp_weights(&self.raw, max, 1.0, &mut self.weights);
        let log_sum = f64::from(max) + sum.ln();
        let logprob = |logit: f32| (f64::from(logit) - log_sum) as f32;
        let mut top = Vec::new();
        if self.n_top > 0 {
            top.extend_from_slice(self.top.largest(&self.raw, self.n_top));
            top.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            top.truncate(self.n_top);
        }
        Ok(TokenLogprobs {
            logprob: self
                .raw
                .get(chosen as usize)
                .map_or(f32::NEG_INFINITY, |&logit| logprob(logit)),
            top: top
                .into_iter()
                .map(|(id, logit)| TopLogprob {
                    id,
                    logprob: logprob(logit),
                })
                .collect(),
        })
    }
}

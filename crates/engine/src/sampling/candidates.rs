//! Temperature, top-k, top-p, min-p and typical-p without sorting the vocabulary, and the draw.

use std::cmp::Ordering;

use super::exp::{exp, weigh};
use super::options::SearchOptions;
use crate::error::{EngineError, ErrorKind};

/// Logits whose largest is kept when the largest `k` are looked for.
const CHUNK: usize = 64;
/// Independent maxima, so that comparisons vectorise.
const LANES: usize = 16;

/// A token that may be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) id: u32,
    /// The logit less the largest one, over the temperature.
    pub(super) scaled: f32,
    /// The exponential of `scaled`: the probability but for a common factor.
    pub(super) weight: f32,
}

/// The tokens that the filters leave, in the order of their ids; buffers are used again for every token.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidates {
    kept: Vec<Candidate>,
    scratch: Vec<Candidate>,
    weights: Vec<f32>,
    top: TopK,
}

impl Candidates {
    /// Applies the filters to a row of logits; at least one token is left.
    pub(super) fn filter(
        &mut self,
        logits: &[f32],
        options: &SearchOptions,
    ) -> Result<&[Candidate], EngineError> {
        let max = max(logits)?;
        let total = if options.top_k > 0 && options.top_k < logits.len() {
            self.take_top(logits, max, options)
        } else {
            self.take_all(logits, max, options)
        };
        self.top_p(options.top_p, total);
        self.kept
            .retain(|candidate| candidate.weight >= options.min_p);
        self.typical_p(options.typical_p);
        Ok(&self.kept)
    }

    /// Takes the `top_k` likeliest tokens and gives the sum of their weights.
    fn take_top(&mut self, logits: &[f32], max: f32, options: &SearchOptions) -> f64 {
        let top = self
            .top
            .largest(logits, options.top_k)
            .iter()
            .map(|&(id, logit)| {
                let scaled = (logit - max) / options.temperature;
                Candidate {
                    id,
                    scaled,
                    weight: exp(scaled),
                }
            });
        self.kept.clear();
        self.kept
            .extend(top.filter(|candidate| candidate.weight > 0.0));
        self.kept
            .iter()
            .map(|candidate| f64::from(candidate.weight))
            .sum()
    }

    /// Takes every token that the later filters may keep, and gives the sum of all weights.
    fn take_all(&mut self, logits: &[f32], max: f32, options: &SearchOptions) -> f64 {
        let total = weigh(logits, max, options.temperature, &mut self.weights);
        let floor = floor(options, total, logits.len());
        self.kept.clear();
        for (id, (&weight, &logit)) in (0..).zip(self.weights.iter().zip(logits)) {
            if weight >= floor {
                self.kept.push(Candidate {
                    id,
                    scaled: (logit - max) / options.temperature,
                    weight,
                });
            }
        }
        total
    }

    /// Keeps the likeliest tokens that together reach `top_p` of `total`.
    fn top_p(&mut self, top_p: f32, total: f64) {
        if top_p < 1.0 {
            let last = self.last_within(f64::from(top_p) * total, by_weight);
            self.kept.retain(|candidate| {
                last.is_none_or(|last| by_weight(candidate, &last) != Ordering::Greater)
            });
        }
    }

    /// Keeps the tokens whose surprise is closest to the entropy and which together reach `typical_p`.
    fn typical_p(&mut self, typical_p: f32) {
        if typical_p == 1.0 {
            return;
        }
        let sums = self
            .kept
            .iter()
            .fold((0.0, 0.0), |(total, product), candidate| {
                let weight = f64::from(candidate.weight);
                (
                    total + weight,
                    product + weight * f64::from(candidate.scaled),
                )
            });
        // A token's surprise is ln(total) - scaled and the entropy ln(total) - mean, so their distance needs no logarithm.
        let mean = sums.1 / sums.0;
        let distance = move |candidate: &Candidate| (mean - f64::from(candidate.scaled)).abs();
        let by_distance = move |a: &Candidate, b: &Candidate| {
            distance(a).total_cmp(&distance(b)).then(a.id.cmp(&b.id))
        };
        let last = self.last_within(f64::from(typical_p) * sums.0, by_distance);
        self.kept
            .retain(|candidate| last.is_none_or(|last| distance(candidate) <= distance(&last)));
    }

    /// The last of the candidates, in `order`, that are needed to reach a sum of weights of `mass`.
    ///
    /// Halves what is left by selection, so the whole costs a few passes and no sort.
    fn last_within(
        &mut self,
        mass: f64,
        order: impl Fn(&Candidate, &Candidate) -> Ordering,
    ) -> Option<Candidate> {
        self.scratch.clear();
        self.scratch.extend_from_slice(&self.kept);
        let mut left = self.scratch.as_mut_slice();
        let mut before = 0.0;
        while left.len() > 1 {
            let middle = left.len() / 2;
            left.select_nth_unstable_by(middle, &order);
            let (first, second) = left.split_at_mut(middle);
            let first_mass: f64 = first
                .iter()
                .map(|candidate| f64::from(candidate.weight))
                .sum();
            if before + first_mass >= mass {
                left = first;
            } else {
                before += first_mass;
                left = second;
            }
        }
        left.first().copied()
    }
}

/// Draws one of `candidates` by inversion of their cumulated weights at `uniform`, which is in 0 to 1.
pub(super) fn draw(candidates: &[Candidate], uniform: f64) -> Option<u32> {
    let total: f64 = candidates
        .iter()
        .map(|candidate| f64::from(candidate.weight))
        .sum();
    let mut left = uniform * total;
    for candidate in candidates {
        left -= f64::from(candidate.weight);
        if left < 0.0 {
            return Some(candidate.id);
        }
    }
    // Rounding can leave a trace of mass behind the last one.
    candidates
        .iter()
        .rev()
        .find(|candidate| candidate.weight > 0.0)
        .map(|candidate| candidate.id)
}

/// The likeliest token, the lowest id where several are equal.
pub(super) fn argmax(logits: &[f32]) -> Result<u32, EngineError> {
    let max = max(logits)?;
    Ok((0..)
        .zip(logits)
        .find(|&(_, &logit)| logit == max)
        .map_or(0, |(id, _)| id))
}

/// The largest logit.
///
/// # Errors
/// A logit is not a number or infinite, or every token is forbidden.
pub(super) fn max(logits: &[f32]) -> Result<f32, EngineError> {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let mut broken = [false; LANES];
    for chunk in logits.chunks(LANES) {
        for ((lane, broken), &logit) in lanes.iter_mut().zip(&mut broken).zip(chunk) {
            *lane = if logit > *lane { logit } else { *lane };
            *broken |= logit.is_nan() | (logit == f32::INFINITY);
        }
    }
    if broken.contains(&true) {
        return Err(EngineError::new(
            ErrorKind::Load,
            "the model's logits hold a value that is no finite number; its weights are damaged or overflow",
        ));
    }
    let max = lanes.into_iter().fold(f32::NEG_INFINITY, f32::max);
    if max == f32::NEG_INFINITY {
        return Err(EngineError::options(
            "no token is left to choose from; loosen no_repeat_ngram_size, the least length or the logit bias",
        ));
    }
    Ok(max)
}

/// The smallest weight that top-p, min-p or the draw can need.
fn floor(options: &SearchOptions, total: f64, vocab: usize) -> f32 {
    let floor = if options.top_p < 1.0 {
        // All tokens below this together are less than what top-p cuts off.
        ((1.0 - f64::from(options.top_p)) * total / vocab as f64) as f32
    } else {
        options.min_p
    };
    // The likeliest token weighs 1 and a forbidden one 0.
    floor.clamp(f32::MIN_POSITIVE, 1.0)
}

/// Likeliest first, then lowest id.
fn by_weight(a: &Candidate, b: &Candidate) -> Ordering {
    b.weight.total_cmp(&a.weight).then(a.id.cmp(&b.id))
}

/// Finds the largest logits of a row.
#[derive(Clone, Debug, Default)]
pub(super) struct TopK {
    maxima: Vec<f32>,
    ranked: Vec<f32>,
    found: Vec<(u32, f32)>,
}

impl TopK {
    /// The `k` largest logits and all that equal the last of them, in the order of their ids; forbidden tokens are
    /// left out.
    ///
    /// At least `k` chunks hold a logit as large as the `k`th largest maximum of chunks, so nothing below that has to
    /// be looked at.
    pub(super) fn largest(&mut self, logits: &[f32], k: usize) -> &[(u32, f32)] {
        self.maxima.clear();
        self.maxima.extend(logits.chunks(CHUNK).map(chunk_max));
        let bound = nth_largest(&self.maxima, k, &mut self.ranked)
            .unwrap_or(f32::MIN)
            .max(f32::MIN);
        self.found.clear();
        for ((start, chunk), &max) in (0..)
            .step_by(CHUNK)
            .zip(logits.chunks(CHUNK))
            .zip(&self.maxima)
        {
            if max >= bound {
                let ids = (start..).zip(chunk.iter().copied());
                self.found.extend(ids.filter(|&(_, logit)| logit >= bound));
            }
        }
        self.maxima.clear();
        self.maxima
            .extend(self.found.iter().map(|&(_, logit)| logit));
        if let Some(last) = nth_largest(&self.maxima, k, &mut self.ranked) {
            self.found.retain(|&(_, logit)| logit >= last);
        }
        &self.found
    }
}

/// The `n`th largest of `values`, or `None` where there are fewer.
fn nth_largest(values: &[f32], n: usize, scratch: &mut Vec<f32>) -> Option<f32> {
    if n == 0 || n > values.len() {
        return None;
    }
    scratch.clear();
    scratch.extend_from_slice(values);
    Some(
        *scratch
            .select_nth_unstable_by(n - 1, |a, b| b.total_cmp(a))
            .1,
    )
}

fn chunk_max(chunk: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for part in chunk.chunks(LANES) {
        for (lane, &logit) in lanes.iter_mut().zip(part) {
            *lane = if logit > *lane { logit } else { *lane };
        }
    }
    lanes.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

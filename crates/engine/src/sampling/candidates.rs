//! Temperature, top-k, top-p, min-p and typical-p without sorting the vocabulary, and the draw.

use std::cmp::Ordering;

use inhouse_kernels::Kernels;

use super::exp::exp;
use super::options::SearchOptions;
use crate::error::{EngineError, ErrorKind};

/// Logits whose largest is kept when the largest `k` are looked for.
const CHUNK: usize = 64;
/// Independent maxima, so that comparisons vectorise.
const LANES: usize = 16;
/// Candidates that are quickly put in order by comparing them.
const FEW: usize = 1024;
/// Weights from which on the likeliest tokens are looked for, before all are.
const BOUNDS: [f32; 6] = [0.5, 0.1, 0.02, 3e-3, 3e-4, 1e-5];

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
        } else if options.top_p == 1.0 && options.min_p > 0.0 {
            self.take_likely(logits, max, options)
        } else {
            self.take_all(logits, max, options)
        };
        self.top_p(options.top_p, total);
        self.kept
            .retain(|candidate| candidate.weight >= options.min_p);
        self.typical_p(options.typical_p);
        Ok(&self.kept)
    }

    /// Draws from the whole row, where no filter is set: what [`draw`] would from all candidates, without making them.
    pub(super) fn draw_from_all(
        &mut self,
        logits: &[f32],
        temperature: f32,
        uniform: f64,
    ) -> Result<Option<u32>, EngineError> {
        let max = max(logits)?;
        self.weights.resize(logits.len(), 0.0);
        Kernels::best().exp_weights(logits, max, temperature, &mut self.weights);
        let weights = self.weights.as_slice();
        Ok(invert(weights, |&weight| weight, uniform).map(|index| index as u32))
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

    /// Takes the tokens that min-p keeps, by their logits; nothing else needs the weights of others.
    fn take_likely(&mut self, logits: &[f32], max: f32, options: &SearchOptions) -> f64 {
        // A little lower than the logarithm says, as the filter itself goes by weights.
        let bound = max + options.temperature * (options.min_p.ln() - 1e-3) - max.abs() * 1e-6;
        self.kept.clear();
        for_each_from(logits, bound, |id, logit| {
            let scaled = (logit - max) / options.temperature;
            let weight = exp(scaled);
            if weight >= options.min_p {
                self.kept.push(Candidate { id, scaled, weight });
            }
        });
        0.0
    }

    /// Takes every token that the later filters may keep, and gives the sum of all weights.
    fn take_all(&mut self, logits: &[f32], max: f32, options: &SearchOptions) -> f64 {
        self.weights.resize(logits.len(), 0.0);
        let kernels = Kernels::best();
        let total = kernels.exp_weights(logits, max, options.temperature, &mut self.weights);
        let floor = floor(options, total, &self.weights);
        self.kept.clear();
        for_each_from(&self.weights, floor, |id, weight| {
            let logit = logits[id as usize];
            self.kept.push(Candidate {
                id,
                scaled: (logit - max) / options.temperature,
                weight,
            });
        });
        total
    }

    /// Keeps the likeliest tokens that together reach `top_p` of `total`.
    fn top_p(&mut self, top_p: f32, total: f64) {
        if top_p < 1.0 {
            // Logits are further apart than weights.
            let rank = |candidate: &Candidate| -candidate.scaled;
            let last = self.last_within(f64::from(top_p) * total, rank, by_weight);
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
        let rank = move |candidate: &Candidate| distance(candidate) as f32;
        let last = self.last_within(f64::from(typical_p) * sums.0, rank, by_distance);
        self.kept
            .retain(|candidate| last.is_none_or(|last| distance(candidate) <= distance(&last)));
    }

    /// The last of the candidates, in `order`, that are needed to reach a sum of weights of `mass`; `rank` is never
    /// smaller for one that comes later.
    ///
    /// Many are first told apart by their rank alone, in one pass; what is left is halved by selection.
    fn last_within(
        &mut self,
        mass: f64,
        rank: impl Fn(&Candidate) -> f32,
        order: impl Fn(&Candidate, &Candidate) -> Ordering,
    ) -> Option<Candidate> {
        self.scratch.clear();
        let mut before = 0.0;
        if self.kept.len() > FEW {
            let (bucket, mass_before) = bucket_within(&self.kept, mass, rank);
            before = mass_before;
            self.scratch
                .extend(self.kept.iter().filter(|candidate| bucket(candidate)));
        } else {
            self.scratch.extend_from_slice(&self.kept);
        }
        let mut left = self.scratch.as_mut_slice();
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

/// Which candidates lie in the interval of ranks in which the sum of weights reaches `mass`, and the sum before it.
fn bucket_within<'r>(
    candidates: &[Candidate],
    mass: f64,
    rank: impl Fn(&Candidate) -> f32 + 'r,
) -> (impl Fn(&Candidate) -> bool + 'r, f64) {
    const BUCKETS: usize = 2048;
    // Neighbours often fall into one bucket; apart, their sums do not wait for each other.
    const APART: usize = 4;
    let (mut least, mut most) = (f32::INFINITY, f32::NEG_INFINITY);
    for candidate in candidates {
        let rank = rank(candidate);
        least = if rank < least { rank } else { least };
        most = if rank > most { rank } else { most };
    }
    let scale = (BUCKETS - 1) as f32 / (most - least).max(f32::MIN_POSITIVE);
    let bucket = move |candidate: &Candidate| ((rank(candidate) - least) * scale) as usize;
    let mut sums = vec![[0.0; APART]; BUCKETS + 1];
    for (i, candidate) in candidates.iter().enumerate() {
        sums[bucket(candidate).min(BUCKETS)][i % APART] += f64::from(candidate.weight);
    }
    let last = (0..=BUCKETS).rev().find(|&i| sums[i] != [0.0; APART]);
    let (mut before, mut found) = (0.0, 0);
    for (i, sums) in sums.iter().enumerate() {
        found = i;
        let sum: f64 = sums.iter().sum();
        if before + sum >= mass || Some(i) == last {
            break;
        }
        before += sum;
    }
    (
        move |candidate: &Candidate| bucket(candidate).min(BUCKETS) == found,
        before,
    )
}

/// Draws one of `candidates` by inversion of their cumulated weights at `uniform`, which is in 0 to 1.
pub(super) fn draw(candidates: &[Candidate], uniform: f64) -> Option<u32> {
    let index = invert(candidates, |candidate| candidate.weight, uniform)?;
    Some(candidates[index].id)
}

/// The first item up to which the sum of weights exceeds `uniform` of the whole.
fn invert<T>(items: &[T], weight: impl Fn(&T) -> f32, uniform: f64) -> Option<usize> {
    const BLOCK: usize = 512;
    let sum = |items: &[T]| -> f64 { items.iter().map(|item| f64::from(weight(item))).sum() };
    let total: f64 = items.chunks(BLOCK).map(sum).sum();
    let mut left = uniform * total;
    for (start, block) in (0..).step_by(BLOCK).zip(items.chunks(BLOCK)) {
        let of_block = sum(block);
        if left >= of_block {
            left -= of_block;
            continue;
        }
        for (index, item) in (start..).zip(block) {
            left -= f64::from(weight(item));
            if left < 0.0 {
                return Some(index);
            }
        }
    }
    // Rounding can leave a trace of mass behind the last one.
    items.iter().rposition(|item| weight(item) > 0.0)
}

/// Calls `f` with the index and the value of each that is not below `bound`.
fn for_each_from(values: &[f32], bound: f32, mut f: impl FnMut(u32, f32)) {
    const CHUNK: usize = 32;
    for (start, chunk) in (0..).step_by(CHUNK).zip(values.chunks(CHUNK)) {
        // Mostly there is none, which is found without a branch for each.
        if chunk
            .iter()
            .fold(false, |any, &value| any | (value >= bound))
        {
            for (id, &value) in (start..).zip(chunk) {
                if value >= bound {
                    f(id, value);
                }
            }
        }
    }
}

/// The likeliest token, the lowest id where several are equal.
pub(super) fn argmax(logits: &[f32]) -> Result<u32, EngineError> {
    let max = max(logits)?;
    const CHUNK: usize = 256;
    let is_max = |&logit: &f32| logit == max;
    let found = logits.chunks(CHUNK).enumerate().find_map(|(i, chunk)| {
        // Without a branch for each, but where it is.
        let here = chunk.iter().fold(false, |any, logit| any | is_max(logit));
        let at = here.then(|| chunk.iter().position(is_max)).flatten()?;
        Some(i * CHUNK + at)
    });
    Ok(found.map_or(0, |id| id as u32))
}

/// The largest logit.
///
/// # Errors
/// A logit is not a number or infinite, or every token is forbidden.
pub(super) fn max(logits: &[f32]) -> Result<f32, EngineError> {
    let Some(max) = Kernels::best().max_of_logits(logits) else {
        return Err(EngineError::new(
            ErrorKind::Load,
            "the model's logits hold a value that is no finite number; its weights are damaged or overflow",
        ));
    };
    if max == f32::NEG_INFINITY {
        return Err(EngineError::options(
            "no token is left to choose from; loosen no_repeat_ngram_size, the least length or the logit bias",
        ));
    }
    Ok(max)
}

/// The smallest weight that top-p, min-p or the draw can need.
fn floor(options: &SearchOptions, total: f64, weights: &[f32]) -> f32 {
    let mut floor = options.min_p;
    if options.top_p < 1.0 {
        let top_p = f64::from(options.top_p);
        // All tokens below this together are less than what top-p cuts off.
        floor = floor.max(((1.0 - top_p) * total / weights.len() as f64) as f32);
        // Mostly few tokens reach the mass: those from the first bound that surely does.
        let sums = Kernels::best().sums_from(weights, BOUNDS);
        let mut reached = BOUNDS.into_iter().zip(sums);
        if let Some((bound, _)) = reached.find(|&(_, sum)| sum > 1.001 * top_p * total) {
            floor = floor.max(bound);
        }
    }
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

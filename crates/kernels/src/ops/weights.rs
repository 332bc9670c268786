//! What sampling does to a whole row of logits.
//!
//! A token drawn with a seed is to be the same everywhere, so results here do not depend on the instruction set: sums
//! are added up in a fixed order, and nothing is fused.

use crate::simd::{Op, Simd};

/// The largest logit; `None` where one is not a number or infinitely large.
pub(crate) struct MaxOfLogits<'a> {
    pub(crate) x: &'a [f32],
}

impl Op for MaxOfLogits<'_> {
    type Output = Option<f32>;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Option<f32> {
        const STATES: usize = 4;
        let (least, zero) = (s.splat(f32::MIN), s.splat(0.0));
        let mut largest = [s.splat(f32::NEG_INFINITY); STATES];
        let mut poison = [zero; STATES];
        let mut groups = self.x.chunks_exact(S::LANES * STATES);
        for group in &mut groups {
            for i in 0..STATES {
                let x = s.get(&group[i * S::LANES..]);
                largest[i] = s.max(x, largest[i]);
                // Not 0 where `x` is not a number or infinite; what is forbidden, -infinity, may be there.
                poison[i] = s.mul_add(s.max(least, x), zero, poison[i]);
            }
        }
        let rest = groups.remainder();
        let mut most = rest.iter().fold(f32::NEG_INFINITY, |most, &x| most.max(x));
        let mut broken = rest.iter().any(|&x| x.is_nan() || x == f32::INFINITY);
        for i in 0..STATES {
            most = most.max(s.reduce_max(largest[i]));
            broken |= s.reduce_add(poison[i]).is_nan();
        }
        (!broken).then_some(most)
    }
}

/// `out = exp((x - max) / temperature)`; returns the sum.
pub(crate) struct ExpWeights<'a> {
    pub(crate) x: &'a [f32],
    /// No `x` is above it.
    pub(crate) max: f32,
    pub(crate) temperature: f32,
    pub(crate) out: &'a mut [f32],
}

/// Terms of a sum that are added in `f32` before the `f64` total takes them.
const BLOCK: usize = 256;
/// Independent partial sums: as many as the widest vector has lanes.
const LANES: usize = 16;

impl Op for ExpWeights<'_> {
    type Output = f64;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        assert_eq!(self.x.len(), self.out.len(), "as many weights as logits");
        let (max, temperature) = (s.splat(self.max), s.splat(self.temperature));
        let mut total = 0.0;
        for (x, out) in self.x.chunks(BLOCK).zip(self.out.chunks_mut(BLOCK)) {
            // Vector `i` of `sums` holds the lanes from `i * S::LANES` on; there are 16 over all of them.
            let mut sums = [s.splat(0.0); LANES / 4];
            let (mut xs, mut outs) = (x.chunks_exact(LANES), out.chunks_exact_mut(LANES));
            for (x, out) in (&mut xs).zip(&mut outs) {
                for (i, sum) in sums.iter_mut().enumerate().take(LANES / S::LANES) {
                    let at = i * S::LANES;
                    let weight = exp(s, s.div(s.sub(s.get(&x[at..]), max), temperature));
                    s.put(weight, &mut out[at..]);
                    *sum = s.add(*sum, weight);
                }
            }
            let (rest, out) = (xs.remainder(), outs.into_remainder());
            let mut filled = [f32::NEG_INFINITY; LANES];
            filled[..rest.len()].copy_from_slice(rest);
            let mut weights = [0.0; LANES];
            for at in (0..LANES).step_by(S::LANES) {
                let weight = exp(s, s.div(s.sub(s.get(&filled[at..]), max), temperature));
                s.put(weight, &mut weights[at..]);
            }
            out.copy_from_slice(&weights[..rest.len()]);
            let mut lanes = [0.0; LANES];
            for (i, lanes) in lanes.chunks_exact_mut(S::LANES).enumerate() {
                s.put(sums[i], lanes);
            }
            let terms = lanes.iter().chain(&*out);
            total += terms.map(|&x| f64::from(x)).sum::<f64>();
        }
        total
    }
}

/// `e` to the power of `x`, for `x` of at most 0, to about one unit in the last place; 0 below -87.
///
/// The polynomial is that of the Cephes library. Unlike the one of softmax it is not fused.
#[inline(always)]
fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    const UNDERFLOW: f32 = -87.0;
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to a whole number
    let kept = s.max(x, s.splat(UNDERFLOW));
    let shifted = s.add(
        s.mul(kept, s.splat(std::f32::consts::LOG2_E)),
        s.splat(ROUND),
    );
    let n = s.sub(shifted, s.splat(ROUND));
    // ln 2 in two parts; products of the first with small integers are exact.
    let r = s.sub(kept, s.mul(n, s.splat(0.693_359_4)));
    let r = s.sub(r, s.mul(n, s.splat(-2.121_944_4e-4)));
    let mut p = s.splat(1.987_569_2e-4);
    for coefficient in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        5e-1,
    ] {
        p = s.add(s.mul(p, r), s.splat(coefficient));
    }
    let p = s.add(s.add(s.mul(s.mul(p, r), r), r), s.splat(1.0));
    s.zero_if_less(x, s.splat(UNDERFLOW), s.mul(p, s.pow2(n)))
}

/// For each bound the sum of the values that are not below it, to about four digits.
pub(crate) struct SumsFrom<'a, const N: usize> {
    pub(crate) x: &'a [f32],
    pub(crate) bounds: [f32; N],
}

impl<const N: usize> Op for SumsFrom<'_, N> {
    type Output = [f64; N];
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> [f64; N] {
        let mut totals = [0.0; N];
        for block in self.x.chunks(BLOCK * 4) {
            let mut sums = [s.splat(0.0); N];
            let mut whole = block.chunks_exact(S::LANES);
            for x in &mut whole {
                let x = s.get(x);
                for (sum, &bound) in sums.iter_mut().zip(&self.bounds) {
                    *sum = s.add(*sum, s.zero_if_less(x, s.splat(bound), x));
                }
            }
            for i in 0..N {
                totals[i] += f64::from(s.reduce_add(sums[i]));
                let rest = whole.remainder().iter();
                totals[i] += rest
                    .filter(|&&x| x >= self.bounds[i])
                    .map(|&x| f64::from(x))
                    .sum::<f64>();
            }
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, every_isa};

    /// As the operations are meant, one value after the other.
    fn plain_exp(x: f32) -> f32 {
        let kept = if x < -87.0 { -87.0 } else { x };
        let shifted = kept * std::f32::consts::LOG2_E + 12_582_912.0;
        let n = shifted - 12_582_912.0;
        let r = kept - n * 0.693_359_4 - n * -2.121_944_4e-4;
        let mut p = 1.987_569_2e-4_f32;
        for coefficient in [
            1.398_199_9e-3,
            8.333_452e-3,
            4.166_579_6e-2,
            1.666_666_5e-1,
            5e-1,
        ] {
            p = p * r + coefficient;
        }
        let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
        if x < -87.0 {
            0.0
        } else {
            (p * r * r + r + 1.0) * power
        }
    }

    fn plain_sum(weights: &[f32]) -> f64 {
        let block = |block: &[f32]| {
            let mut lanes = [0.0_f32; LANES];
            let whole = block.chunks_exact(LANES);
            let rest = whole.remainder();
            for chunk in whole {
                for (lane, &x) in lanes.iter_mut().zip(chunk) {
                    *lane += x;
                }
            }
            lanes.iter().chain(rest).map(|&x| f64::from(x)).sum::<f64>()
        };
        weights.chunks(BLOCK).map(block).sum()
    }

    #[test]
    fn weights_have_the_same_bits_in_every_instruction_set() {
        let mut random = Random::new(3);
        for len in (0..70).chain([255, 256, 257, 1000, 5003]) {
            let mut x: Vec<f32> = random.floats(len).iter().map(|x| 60.0 * x).collect();
            if len > 3 {
                x[len / 2] = f32::NEG_INFINITY;
            }
            let max = x.iter().fold(0.0_f32, |max, &x| max.max(x));
            for temperature in [1.0, 0.7, 0.3] {
                let want: Vec<f32> = x
                    .iter()
                    .map(|x| plain_exp((x - max) / temperature))
                    .collect();
                let total = plain_sum(&want);
                for kernels in every_isa() {
                    let mut out = vec![0.0; len];
                    let got = kernels.run(ExpWeights {
                        x: &x,
                        max,
                        temperature,
                        out: &mut out,
                    });
                    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    assert_eq!(bits(&out), bits(&want), "{:?} {len}", kernels.isa());
                    assert_eq!(got, total, "{:?} {len}", kernels.isa());
                }
            }
        }
    }

    #[test]
    fn the_largest_logit_is_found_unless_one_is_broken() {
        let mut random = Random::new(4);
        for kernels in every_isa() {
            for len in (1..140).chain([1000]) {
                let x = random.floats(len);
                let check = |x: &[f32], want| {
                    assert_eq!(
                        kernels.run(MaxOfLogits { x }),
                        want,
                        "{:?} {len}",
                        kernels.isa()
                    );
                };
                let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                check(&x, Some(largest));
                let at = random.bits() as usize % len;
                for (value, want) in [
                    (f32::NAN, None),
                    (f32::INFINITY, None),
                    (f32::MAX, Some(f32::MAX)),
                ] {
                    let mut x = x.clone();
                    x[at] = value;
                    check(&x, want);
                }
                check(&vec![f32::NEG_INFINITY; len], Some(f32::NEG_INFINITY));
            }
        }
    }

    #[test]
    fn sums_from_bounds_follow_a_plain_loop() {
        let mut random = Random::new(5);
        for kernels in every_isa() {
            for len in (0..70).chain([1023, 1024, 1025, 5000]) {
                let x: Vec<f32> = random.floats(len).iter().map(|x| x.abs()).collect();
                let bounds = [0.0, 0.25, 0.5, 2.0];
                let got = kernels.run(SumsFrom { x: &x, bounds });
                for (got, bound) in got.into_iter().zip(bounds) {
                    let from = x.iter().filter(|&&x| x >= bound);
                    let want: f64 = from.map(|&x| f64::from(x)).sum();
                    assert!(
                        (got - want).abs() <= 1e-4 * want,
                        "{:?} {len}: {got}, not {want}",
                        kernels.isa()
                    );
                }
            }
        }
    }
}

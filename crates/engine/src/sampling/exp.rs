//! An exponential that vectorises and gives the same bits on every platform.
//!
//! A token drawn with a seed must not depend on a platform's `expf`, so this one uses nothing but additions,
//! multiplications and shifts of IEEE numbers. The compiler neither fuses nor reorders those.

/// Below this the exponential counts as zero; its result would leave the normal numbers.
const UNDERFLOW: f32 = -87.0;
/// Adding this rounds a small number to an integer, which then sits in the low bits.
const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23
/// ln 2 in two parts; products of the first with small integers are exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Terms of a sum that are added in `f32` before the `f64` total takes them.
const BLOCK: usize = 256;
/// Independent partial sums, so that additions vectorise.
const LANES: usize = 16;

/// `e` to the power of `x`, for `x` of at most 0, to about one unit in the last place.
///
/// The polynomial is that of the Cephes library.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let kept = if x < UNDERFLOW { UNDERFLOW } else { x };
    let shifted = kept * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = kept - n * LN2_HIGH - n * LN2_LOW;
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
    let value = (p * r * r + r + 1.0) * power;
    if x < UNDERFLOW { 0.0 } else { value }
}

/// Writes `exp((logit - max) / temperature)` for every logit and gives their sum.
pub(super) fn weigh(logits: &[f32], max: f32, temperature: f32, weights: &mut Vec<f32>) -> f64 {
    weights.clear();
    weights.extend(logits.iter().map(|&logit| exp((logit - max) / temperature)));
    sum(weights)
}

/// The sum of `exp(logit - max)`.
pub(super) fn sum_exp(logits: &[f32], max: f32) -> f64 {
    let mut block = [0.0; BLOCK];
    let mut total = 0.0;
    for logits in logits.chunks(BLOCK) {
        for (weight, &logit) in block.iter_mut().zip(logits) {
            *weight = exp(logit - max);
        }
        total += sum_block(&block[..logits.len()]);
    }
    total
}

fn sum(values: &[f32]) -> f64 {
    values.chunks(BLOCK).map(sum_block).sum()
}

fn sum_block(values: &[f32]) -> f64 {
    let mut lanes = [0.0_f32; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes
        .iter()
        .chain(rest)
        .map(|&value| f64::from(value))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_real_exponential() {
        let mut worst = 0.0_f64;
        for step in 0..870_000 {
            let x = -(step as f32) * 1e-4;
            let expected = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) / expected - 1.0).abs());
        }
        assert!(worst < 2e-7, "{worst}");
    }

    #[test]
    fn the_ends_are_exact() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-0.0), 1.0);
        assert_eq!(exp(-87.1), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(-87.0) > 0.0);
    }

    #[test]
    fn bits_are_the_same_everywhere() {
        let bits: Vec<u32> = [-0.1, -1.0, -2.5, -10.0, -86.9]
            .iter()
            .map(|&x| exp(x).to_bits())
            .collect();
        assert_eq!(
            bits,
            [
                0x3f67_a36d,
                0x3ebc_5ab2,
                0x3da8_1c2e,
                0x383e_6bce,
                0x00c6_0f89
            ]
        );
    }

    #[test]
    fn sums_of_all_lengths_follow_a_plain_loop() {
        for len in (0..70).chain([255, 256, 257, 1000, 5003]) {
            let logits: Vec<f32> = (0..len)
                .map(|i| -((i * 7919 % 1000) as f32) / 100.0)
                .collect();
            let expected: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
            let mut weights = Vec::new();
            for total in [
                weigh(&logits, 0.0, 1.0, &mut weights),
                sum_exp(&logits, 0.0),
            ] {
                assert!(
                    (total - expected).abs() <= 1e-6 * expected,
                    "{len}: {total} for {expected}"
                );
            }
            assert_eq!(weights.len(), len);
        }
    }
}

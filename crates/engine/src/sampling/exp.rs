//! An exponential that vectorises and gives the same bits on every platform.
//!
//! Of single tokens; whole rows go through the kernels' `exp_weights`, which gives the same bits.
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
    fn whole_rows_have_the_same_bits() {
        let x: Vec<f32> = (0..2000).map(|i| i as f32 * -0.05).collect();
        let mut weights = vec![0.0; x.len()];
        inhouse_kernels::Kernels::best().exp_weights(&x, 0.0, 1.0, &mut weights);
        for (x, weight) in x.into_iter().zip(weights) {
            assert_eq!(exp(x).to_bits(), weight.to_bits(), "{x}");
        }
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
}

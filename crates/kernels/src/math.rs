//! The exponential and what is made of it.

use crate::simd::Simd;

/// `exp(x)`, within 2 units in the last place; 0 below -87 and infinity above 88.7.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    let (lowest, highest) = (s.splat(-87.0), s.splat(88.8));
    // The bounds come first, so that what is not a number stays so.
    let clamped = s.max(lowest, s.min(highest, x));
    let n = s.round(s.mul(clamped, s.splat(std::f32::consts::LOG2_E)));
    // ln 2 in two parts, the first with trailing zeros: `n` times it is exact (Cody and Waite).
    let r = s.neg_mul_add(n, s.splat(0.693_359_4), clamped);
    let r = s.neg_mul_add(n, s.splat(-2.121_944_4e-4), r);
    // The polynomial of Cephes' `expf` on [-ln 2 / 2, ln 2 / 2].
    let mut p = s.splat(1.987_569_2e-4);
    for c in [
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        p = s.mul_add(p, r, s.splat(c));
    }
    let p = s.add(s.mul_add(s.mul(r, r), p, r), s.splat(1.0));
    // One power short and then doubled: 2^128 alone would overflow while `exp` does not yet.
    let scale = s.pow2(s.sub(n, s.splat(1.0)));
    let y = s.mul(s.add(p, p), scale);
    s.zero_if_less(x, lowest, y)
}

/// `1 / (1 + exp(-x))`
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
    let one = s.splat(1.0);
    s.div(one, s.add(one, exp(s, s.sub(s.splat(0.0), x))))
}

/// `tanh(x)`, within 3 units in the last place.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(s: S, x: S::F) -> S::F {
    // Saturates beyond 10, which also keeps the exponential finite.
    let large = clamp(s, x, 10.0);
    let e = exp(s, s.add(large, large));
    let one = s.splat(1.0);
    let large = s.div(s.sub(e, one), s.add(e, one));
    // Near 0 that subtraction would lose what is small: there, the polynomial of Cephes' `tanhf`.
    let small = clamp(s, x, 0.625);
    let z = s.mul(small, small);
    let mut p = s.splat(-5.704_988_7e-3);
    for c in [2.063_909e-2, -5.373_971_5e-2, 1.333_144_2e-1, -3.333_328e-1] {
        p = s.mul_add(p, z, s.splat(c));
    }
    let small = s.mul_add(s.mul(p, z), small, small);
    s.add(
        small,
        s.zero_if_less(s.abs(x), s.splat(0.625), s.sub(large, small)),
    )
}

#[inline(always)]
fn clamp<S: Simd>(s: S, x: S::F, bound: f32) -> S::F {
    s.max(s.splat(-bound), s.min(s.splat(bound), x))
}

//! From products of queries and keys to the weights of values.

use crate::math::tanh;
use crate::ops::{exp_assign, max};
use crate::simd::Simd;

/// What is left of scores that became weights.
#[derive(Clone, Copy)]
pub(super) struct Weighed {
    /// The largest score, which the weights are relative to.
    pub(super) largest: f32,
    /// The sum of the weights.
    pub(super) total: f32,
}

/// Turns scores into weights `exp(score - largest)`, relative to the largest.
#[inline(always)]
pub(super) fn weigh<S: Simd>(s: S, scores: &mut [f32], softcap: Option<f32>) -> Weighed {
    if let Some(cap) = softcap {
        let (cap, inverse) = (s.splat(cap), s.splat(1.0 / cap));
        update(
            s,
            scores,
            #[inline(always)]
            |x| s.mul(tanh(s, s.mul(x, inverse)), cap),
        );
    }
    let largest = max(s, scores);
    let total = exp_assign(s, scores, largest);
    Weighed { largest, total }
}

/// `x *= factor`
#[inline(always)]
pub(super) fn scale<S: Simd>(s: S, x: &mut [f32], factor: f32) {
    let factor = s.splat(factor);
    update(
        s,
        x,
        #[inline(always)]
        |x| s.mul(x, factor),
    );
}

/// `x[i] *= y[i]`
#[inline(always)]
pub(super) fn scale_each<S: Simd>(s: S, x: &mut [f32], y: &[f32]) {
    for (x, y) in x.chunks_mut(S::LANES).zip(y.chunks(S::LANES)) {
        if x.len() == S::LANES {
            s.put(s.mul(s.get(x), s.get(y)), x);
        } else {
            s.put_part(s.mul(s.get_part(x, 0.0), s.get_part(y, 0.0)), x);
        }
    }
}

#[inline(always)]
fn update<S: Simd>(s: S, x: &mut [f32], f: impl Fn(S::F) -> S::F) {
    for x in x.chunks_mut(S::LANES) {
        if x.len() == S::LANES {
            s.put(f(s.get(x)), x);
        } else {
            s.put_part(f(s.get_part(x, 0.0)), x);
        }
    }
}

/// `out += x * factor`
#[inline(always)]
pub(super) fn add_scaled<S: Simd>(s: S, out: &mut [f32], x: &[f32], factor: f32) {
    let factor = s.splat(factor);
    for (out, x) in out.chunks_mut(S::LANES).zip(x.chunks(S::LANES)) {
        if out.len() == S::LANES {
            s.put(s.mul_add(s.get(x), factor, s.get(out)), out);
        } else {
            let sum = s.mul_add(s.get_part(x, 0.0), factor, s.get_part(out, 0.0));
            s.put_part(sum, out);
        }
    }
}

//! What is done to one row of values by one thread.

mod activation;
mod arithmetic;
mod convert;
mod norm;
mod rope;
mod softmax;
mod weights;

pub(crate) use activation::{GeluTanhMul, SiluMul};
pub(crate) use arithmetic::{AddAssign, Dot, ScaleAssign};
pub(crate) use convert::{F16ToF32, F32ToF16, QuantizeI8, QuantizeI16, widen};
pub(crate) use norm::RmsNorm;
pub(crate) use rope::Rope;
pub(crate) use softmax::{Argmax, LogSumExp, Max, Softmax, exp_assign, max};
pub(crate) use weights::{ExpWeights, MaxOfLogits, SumsFrom};

use crate::simd::Simd;

/// Replaces every vector of `x`.
#[inline(always)]
fn update<S: Simd>(s: S, x: &mut [f32], f: impl Fn(S::F) -> S::F) {
    let mut whole = x.chunks_exact_mut(S::LANES);
    for x in &mut whole {
        s.put(f(s.get(x)), x);
    }
    let rest = whole.into_remainder();
    if !rest.is_empty() {
        s.put_part(f(s.get_part(rest, 0.0)), rest);
    }
}

/// Replaces every vector of `x` by what is made of it and the vector of `y` beside it.
#[inline(always)]
fn update_with<S: Simd>(s: S, x: &mut [f32], y: &[f32], f: impl Fn(S::F, S::F) -> S::F) {
    assert_eq!(x.len(), y.len(), "the operands are of unequal length");
    let mut whole = x.chunks_exact_mut(S::LANES);
    let others = y.chunks_exact(S::LANES);
    let rest_y = others.remainder();
    for (x, y) in (&mut whole).zip(others) {
        s.put(f(s.get(x), s.get(y)), x);
    }
    let rest = whole.into_remainder();
    if !rest.is_empty() {
        s.put_part(f(s.get_part(rest, 0.0), s.get_part(rest_y, 0.0)), rest);
    }
}

/// Folds the vectors of `x`, four at a time so that one need not wait for the other, and then the
/// four results by `join`. The last vector is filled up with `fill`.
#[inline(always)]
fn fold<S: Simd>(
    s: S,
    x: &[f32],
    fill: f32,
    start: S::F,
    f: impl Fn(S::F, S::F) -> S::F,
    join: impl Fn(S::F, S::F) -> S::F,
) -> S::F {
    let mut state = [start; 4];
    let mut groups = x.chunks_exact(S::LANES * 4);
    for group in &mut groups {
        for (i, state) in state.iter_mut().enumerate() {
            *state = f(*state, s.get(&group[i * S::LANES..]));
        }
    }
    let mut whole = groups.remainder().chunks_exact(S::LANES);
    for x in &mut whole {
        state[0] = f(state[0], s.get(x));
    }
    let rest = whole.remainder();
    if !rest.is_empty() {
        state[1] = f(state[1], s.get_part(rest, fill));
    }
    join(join(state[0], state[1]), join(state[2], state[3]))
}

#[cfg(test)]
mod tests;

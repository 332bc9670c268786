//! The largest value, and sums of exponentials.

use super::{fold, update};
use crate::math::exp;
use crate::simd::{Op, Simd};

/// The largest value that is a number, or -infinity.
pub(crate) struct Max<'a> {
    pub(crate) x: &'a [f32],
}

impl Op for Max<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        max(s, self.x)
    }
}

#[inline(always)]
pub(crate) fn max<S: Simd>(s: S, x: &[f32]) -> f32 {
    let largest = fold(
        s,
        x,
        f32::NEG_INFINITY,
        s.splat(f32::NEG_INFINITY),
        #[inline(always)]
        |largest, x| s.max(x, largest),
        #[inline(always)]
        |a, b| s.max(a, b),
    );
    s.reduce_max(largest)
}

/// The index of the largest value, the first of equals.
pub(crate) struct Argmax<'a> {
    pub(crate) x: &'a [f32],
}

impl Op for Argmax<'_> {
    type Output = usize;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> usize {
        // Which piece has it is found with vectors, and the place inside it afterwards.
        const PIECE: usize = 512;
        let mut best = (0, f32::NEG_INFINITY);
        for (i, piece) in self.x.chunks(PIECE).enumerate() {
            let largest = max(s, piece);
            if largest > best.1 {
                best = (i * PIECE, largest);
            }
        }
        let found = self.x[best.0..].iter().position(|&x| x == best.1);
        best.0 + found.unwrap_or(0)
    }
}

/// `x = exp(x - max(x))`, divided by its sum.
pub(crate) struct Softmax<'a> {
    pub(crate) x: &'a mut [f32],
}

impl Op for Softmax<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let largest = max(s, self.x);
        if largest == f32::NEG_INFINITY {
            self.x.fill(0.0);
            return;
        }
        let sum = exp_assign(s, self.x, largest);
        let factor = s.splat(1.0 / sum);
        update(
            s,
            self.x,
            #[inline(always)]
            |x| s.mul(x, factor),
        );
    }
}

/// `x = exp(x - offset)`; returns the sum.
#[inline(always)]
pub(crate) fn exp_assign<S: Simd>(s: S, x: &mut [f32], offset: f32) -> f32 {
    let offset = s.splat(offset);
    let mut total = 0.0_f64;
    for piece in x.chunks_mut(1024) {
        let mut sum = s.splat(0.0);
        let mut whole = piece.chunks_exact_mut(S::LANES);
        for x in &mut whole {
            let y = exp(s, s.sub(s.get(x), offset));
            sum = s.add(sum, y);
            s.put(y, x);
        }
        let rest = whole.into_remainder();
        if !rest.is_empty() {
            let y = exp(s, s.sub(s.get_part(rest, f32::NEG_INFINITY), offset));
            sum = s.add(sum, y);
            s.put_part(y, rest);
        }
        total += f64::from(s.reduce_add(sum));
    }
    total as f32
}

/// `ln(sum(exp(x)))`
pub(crate) struct LogSumExp<'a> {
    pub(crate) x: &'a [f32],
}

impl Op for LogSumExp<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let largest = max(s, self.x);
        if largest.is_infinite() {
            return largest;
        }
        let offset = s.splat(largest);
        let mut total = 0.0_f64;
        // A vocabulary is long: the sums of pieces are added up in double precision.
        for piece in self.x.chunks(4096) {
            let sum = fold(
                s,
                piece,
                f32::NEG_INFINITY,
                s.splat(0.0),
                #[inline(always)]
                |sum, x| s.add(sum, exp(s, s.sub(x, offset))),
                #[inline(always)]
                |a, b| s.add(a, b),
            );
            total += f64::from(s.reduce_add(sum));
        }
        (f64::from(largest) + total.ln()) as f32
    }
}

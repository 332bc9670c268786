//! Rotary position embedding of one head.

use crate::simd::{Op, Simd};

/// Rotates the first `2 * cos.len()` values; see [`Kernels::rope`](crate::Kernels::rope).
pub(crate) struct Rope<'a> {
    pub(crate) head: &'a mut [f32],
    pub(crate) cos: &'a [f32],
    pub(crate) sin: &'a [f32],
    pub(crate) interleaved: bool,
}

impl Op for Rope<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Rope {
            head,
            cos,
            sin,
            interleaved,
        } = self;
        let half = cos.len();
        assert_eq!(half, sin.len(), "cosines and sines are of unequal length");
        assert!(
            half <= head.len() / 2,
            "{half} angles for a head of {}",
            head.len()
        );
        let rotated = &mut head[..2 * half];
        if interleaved {
            for ((pair, &cos), &sin) in rotated.chunks_exact_mut(2).zip(cos).zip(sin) {
                let (x, y) = (pair[0], pair[1]);
                pair[0] = x * cos - y * sin;
                pair[1] = y * cos + x * sin;
            }
        } else {
            let (first, second) = rotated.split_at_mut(half);
            rotate(s, first, second, cos, sin);
        }
    }
}

#[inline(always)]
fn rotate<S: Simd>(s: S, first: &mut [f32], second: &mut [f32], cos: &[f32], sin: &[f32]) {
    let angles = cos.chunks(S::LANES).zip(sin.chunks(S::LANES));
    for ((x, y), (cos, sin)) in first
        .chunks_mut(S::LANES)
        .zip(second.chunks_mut(S::LANES))
        .zip(angles)
    {
        if x.len() == S::LANES {
            let (a, b) = turn(s, s.get(x), s.get(y), s.get(cos), s.get(sin));
            s.put(a, x);
            s.put(b, y);
        } else {
            let part = [s.get_part(x, 0.0), s.get_part(y, 0.0)];
            let (a, b) = turn(
                s,
                part[0],
                part[1],
                s.get_part(cos, 0.0),
                s.get_part(sin, 0.0),
            );
            s.put_part(a, x);
            s.put_part(b, y);
        }
    }
}

#[inline(always)]
fn turn<S: Simd>(s: S, x: S::F, y: S::F, cos: S::F, sin: S::F) -> (S::F, S::F) {
    (
        s.neg_mul_add(y, sin, s.mul(x, cos)),
        s.mul_add(x, sin, s.mul(y, cos)),
    )
}

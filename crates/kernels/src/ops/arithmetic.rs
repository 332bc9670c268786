//! Sums and products.

use super::{fold, update, update_with};
use crate::simd::{Op, Simd};

/// `x += y`
pub(crate) struct AddAssign<'a> {
    pub(crate) x: &'a mut [f32],
    pub(crate) y: &'a [f32],
}

impl Op for AddAssign<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        update_with(
            s,
            self.x,
            self.y,
            #[inline(always)]
            |x, y| s.add(x, y),
        );
    }
}

/// `x *= factor`
pub(crate) struct ScaleAssign<'a> {
    pub(crate) x: &'a mut [f32],
    pub(crate) factor: f32,
}

impl Op for ScaleAssign<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let factor = s.splat(self.factor);
        update(
            s,
            self.x,
            #[inline(always)]
            |x| s.mul(x, factor),
        );
    }
}

/// The sum of the products.
pub(crate) struct Dot<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) y: &'a [f32],
}

impl Op for Dot<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        assert_eq!(
            self.x.len(),
            self.y.len(),
            "the operands are of unequal length"
        );
        let mut sums = [s.splat(0.0); 4];
        let groups = self
            .x
            .chunks_exact(S::LANES * 4)
            .zip(self.y.chunks_exact(S::LANES * 4));
        for (x, y) in groups {
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = s.mul_add(s.get(&x[i * S::LANES..]), s.get(&y[i * S::LANES..]), *sum);
            }
        }
        let done = self.x.len() / (S::LANES * 4) * (S::LANES * 4);
        for (x, y) in self.x[done..]
            .chunks(S::LANES)
            .zip(self.y[done..].chunks(S::LANES))
        {
            sums[0] = s.mul_add(s.get_part(x, 0.0), s.get_part(y, 0.0), sums[0]);
        }
        s.reduce_add(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])))
    }
}

/// The sum of the squares.
#[inline(always)]
pub(crate) fn sum_of_squares<S: Simd>(s: S, x: &[f32]) -> f32 {
    let sums = fold(
        s,
        x,
        0.0,
        s.splat(0.0),
        #[inline(always)]
        |sum, x| s.mul_add(x, x, sum),
        #[inline(always)]
        |a, b| s.add(a, b),
    );
    s.reduce_add(sums)
}

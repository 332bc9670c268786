//! The root mean square norm (ONNX Runtime's `SimplifiedLayerNormalization`).

use super::arithmetic::sum_of_squares;
use super::update_with;
use crate::simd::{Op, Simd};

/// `out = x / sqrt(mean(x^2) + eps) * weight`
pub(crate) struct RmsNorm<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) weight: &'a [f32],
    pub(crate) eps: f32,
    pub(crate) out: &'a mut [f32],
}

impl Op for RmsNorm<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mean = sum_of_squares(s, self.x) / self.x.len().max(1) as f32;
        let factor = s.splat(1.0 / (mean + self.eps).sqrt());
        self.out.copy_from_slice(self.x);
        update_with(
            s,
            self.out,
            self.weight,
            #[inline(always)]
            |x, weight| s.mul(s.mul(x, factor), weight),
        );
    }
}

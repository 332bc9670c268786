//! The gates of a feed-forward block.

use super::update_with;
use crate::math::sigmoid;
use crate::simd::{Op, Simd};

/// `gate = gate * sigmoid(gate) * up`
pub(crate) struct SiluMul<'a> {
    pub(crate) gate: &'a mut [f32],
    pub(crate) up: &'a [f32],
}

impl Op for SiluMul<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        update_with(
            s,
            self.gate,
            self.up,
            #[inline(always)]
            |gate, up| s.mul(s.mul(gate, sigmoid(s, gate)), up),
        );
    }
}

/// `gate = gelu(gate) * up`, with the approximation by `tanh`
pub(crate) struct GeluTanhMul<'a> {
    pub(crate) gate: &'a mut [f32],
    pub(crate) up: &'a [f32],
}

impl Op for GeluTanhMul<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // (1 + tanh(u)) / 2 is sigmoid(2 u), which loses nothing where the tanh is near -1.
        let twice =
            s.splat(2.0 * std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::FRAC_1_SQRT_2);
        let cubic = s.splat(0.044_715);
        update_with(
            s,
            self.gate,
            self.up,
            #[inline(always)]
            |x, up| {
                let inner = s.mul_add(s.mul(s.mul(x, x), x), cubic, x);
                s.mul(s.mul(x, sigmoid(s, s.mul(inner, twice))), up)
            },
        );
    }
}

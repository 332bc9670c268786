//! One row of activations: weights are read once, as they are stored.

use super::{Bits, Int8Task, ZeroPoints};
use crate::quantized::{CHUNK, GROUP, RowChunk};
use crate::scratch;
use crate::simd::{MAX_LANES, Simd};

#[inline(always)]
pub(super) fn multiply<S: Simd>(s: S, task: Int8Task<'_>) {
    let constant = matches!(task.weights.zero_points, ZeroPoints::None);
    match (task.weights.bits, constant) {
        (Bits::Four, true) => multiply_as::<S, false, false>(s, task),
        (Bits::Four, false) => multiply_as::<S, false, true>(s, task),
        (Bits::Eight, true) => multiply_as::<S, true, false>(s, task),
        (Bits::Eight, false) => multiply_as::<S, true, true>(s, task),
    }
}

/// `WIDE`: 8 bits; `ZP`: blocks have zero points of their own.
#[inline(always)]
fn multiply_as<S: Simd, const WIDE: bool, const ZP: bool>(s: S, task: Int8Task<'_>) {
    let weights = task.weights;
    let bias = if WIDE { S::WIDE_BIAS as f32 } else { 0.0 };
    let middle = f32::from(weights.bits.middle()) - bias;
    // SAFETY: no other task has these rows of the weights.
    let out = unsafe { task.output.row_part(0, task.range.start, task.range.len()) };
    scratch::with_f32(
        weights.blocks(),
        #[inline(always)]
        |zero_points| {
            for (row, out) in task.range.zip(out) {
                if ZP {
                    weights.row_zero_points(row, bias, zero_points);
                }
                let row = Row {
                    quants: weights.row_quants(row),
                    scales: weights.row_scales(row),
                    zero_points,
                    middle,
                    block_log: weights.block.ilog2(),
                };
                *out = row.dot::<S, WIDE, ZP>(s, task.x.single());
            }
        },
    );
}

struct Row<'a> {
    quants: &'a [u8],
    scales: &'a [f32],
    /// As many as scales.
    zero_points: &'a [f32],
    middle: f32,
    block_log: u32,
}

/// Where one step reads.
#[derive(Clone, Copy)]
struct Step {
    quants: *const u8,
    scales: *const f32,
    zero_points: *const f32,
}

impl Row<'_> {
    #[inline(always)]
    fn dot<S: Simd, const WIDE: bool, const ZP: bool>(&self, s: S, x: &[RowChunk]) -> f32 {
        // A lane of the weights is four bytes: 8 values of 4 bits or 4 of 8.
        let lane_log = if WIDE { 2 } else { 3 };
        let step_k = S::LANES << lane_log;
        let mut sum = s.splat(0.0);
        let whole = self.quants.len() / S::BYTES;
        // The last block may reach beyond the last activations, where nothing counts any more.
        let steps = whole.min(x.len() * CHUNK / step_k);
        for i in 0..steps {
            let block = (i * step_k) >> self.block_log;
            // SAFETY: step `i` has whole quants, so the scale and zero point of each of its blocks is
            // there; the activations are there by the bound on `steps`.
            sum = unsafe {
                let step = Step {
                    quants: self.quants.as_ptr().add(i * S::BYTES),
                    scales: self.scales.as_ptr().add(block),
                    zero_points: self.zero_points.as_ptr().add(block),
                };
                self.step::<S, WIDE, ZP>(s, step, x.as_ptr(), i * step_k, sum)
            };
        }
        let rest = &self.quants[steps * S::BYTES..];
        if !rest.is_empty() && steps * step_k < x.len() * CHUNK {
            let block = (steps * step_k) >> self.block_log;
            let (mut quants, mut scales, mut zero_points) =
                ([0; MAX_LANES * 4], [0.0; MAX_LANES], [0.0; MAX_LANES]);
            quants[..rest.len()].copy_from_slice(rest);
            let blocks = self.scales.len() - block;
            scales[..blocks].copy_from_slice(&self.scales[block..]);
            zero_points[..blocks].copy_from_slice(&self.zero_points[block..][..blocks]);
            let step = Step {
                quants: quants.as_ptr(),
                scales: scales.as_ptr(),
                zero_points: zero_points.as_ptr(),
            };
            // SAFETY: the buffers have room for the widest vector; activations come by whole chunks,
            // of which each is a whole number of steps, and this step starts before their end.
            sum = unsafe { self.step::<S, WIDE, ZP>(s, step, x.as_ptr(), steps * step_k, sum) };
        }
        s.reduce_add(sum)
    }

    /// # Safety
    /// `step` points to one vector of quants and to the scales and zero points of its blocks; `x`
    /// has a vector of activations at `k`.
    #[inline(always)]
    unsafe fn step<S: Simd, const WIDE: bool, const ZP: bool>(
        &self,
        s: S,
        step: Step,
        x: *const RowChunk,
        k: usize,
        sum: S::F,
    ) -> S::F {
        let lane_log = if WIDE { 2 } else { 3 };
        // SAFETY: the caller vouches for what is read from `step` and for this chunk.
        unsafe {
            let (x, offset) = (&*x.add(k / CHUNK), k % CHUNK);
            let quants = s.load_bytes(step.quants);
            let values = x.values.as_ptr().cast::<u8>();
            let dot = if WIDE {
                s.dot_wide(
                    s.splat_i(0),
                    s.wide_weights(quants),
                    s.load_bytes(values.add(offset)),
                )
            } else {
                let (even, odd) = (values.add(offset / 2), values.add(CHUNK / 2 + offset / 2));
                let low = s.dot(s.splat_i(0), s.low_nibbles(quants), s.load_bytes(even));
                s.dot(low, s.high_nibbles(quants), s.load_bytes(odd))
            };
            let sums = s.load(x.sums.as_ptr().add(offset >> lane_log));
            let shift = self.block_log - lane_log;
            let zero_point = if ZP {
                s.spread(step.zero_points, shift)
            } else {
                s.splat(self.middle)
            };
            let scale = s.spread(step.scales, shift);
            let x_scale = s.spread(
                x.scales.as_ptr().add(offset / GROUP),
                GROUP.ilog2() - lane_log,
            );
            s.mul_add(
                s.neg_mul_add(zero_point, sums, s.to_f32(dot)),
                s.mul(scale, x_scale),
                sum,
            )
        }
    }
}

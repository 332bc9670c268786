//! Quantised weights turned into floats, for products with unquantised activations.

use std::ops::Range;

use super::{Bits, NBits, ZeroPoints};
use crate::dense::WeightRows;
use crate::simd::{Op, Simd};

/// One row of weights as floats.
pub(crate) struct DequantizeRow<'a> {
    pub(crate) weights: &'a NBits<'a>,
    pub(crate) row: usize,
    pub(crate) out: &'a mut [f32],
}

impl Op for DequantizeRow<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        dequantize(self.weights, self.row, 0, self.out);
    }
}

/// Writes `(q - zero point) * scale` for the values of a row from `start` on, the first of a block.
///
/// Plain loops: the compiler makes vectors of them in each place this is inlined into.
#[inline(always)]
fn dequantize(weights: &NBits<'_>, row: usize, start: usize, out: &mut [f32]) {
    let (blocks, first) = (weights.blocks(), start / weights.block);
    let block_bytes = weights.block * weights.bits.count() / 8;
    let quants = weights.row_quants(row)[first * block_bytes..].chunks_exact(block_bytes);
    let scales = &weights.row_scales(row)[first..];
    for (i, ((out, quants), &scale)) in out
        .chunks_mut(weights.block)
        .zip(quants)
        .zip(scales)
        .enumerate()
    {
        let at = row * blocks + first + i;
        let zero_point = match weights.zero_points {
            ZeroPoints::None => f32::from(weights.bits.middle()),
            ZeroPoints::Bytes(bytes) => f32::from(bytes[at]),
            ZeroPoints::Floats(floats) => floats[at],
        };
        let value = |q: u8| (f32::from(q) - zero_point) * scale;
        match weights.bits {
            Bits::Four => {
                let (pairs, last) = out.as_chunks_mut::<2>();
                for (pair, &byte) in pairs.iter_mut().zip(quants) {
                    *pair = [value(byte & 15), value(byte >> 4)];
                }
                if let ([last], Some(&byte)) = (last, quants.get(pairs.len())) {
                    *last = value(byte & 15);
                }
            }
            Bits::Eight => {
                for (out, &byte) in out.iter_mut().zip(quants) {
                    *out = value(byte);
                }
            }
        }
    }
}

impl WeightRows for NBits<'_> {
    #[inline(always)]
    fn stretch<'a, S: Simd>(
        &'a self,
        _: S,
        row: usize,
        k: Range<usize>,
        room: &'a mut [f32],
    ) -> &'a [f32] {
        let room = &mut room[..k.len()];
        dequantize(self, row, k.start, room);
        room
    }

    fn row_bytes(&self) -> usize {
        NBits::row_bytes(self)
    }
}

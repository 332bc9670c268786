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
    fn run<S: Simd>(self, s: S) {
        dequantize(s, self.weights, self.row, 0, self.out);
    }
}

/// Writes `(q - zero point) * scale` for the values of a row from `start` on, the first of a block.
#[inline(always)]
fn dequantize<S: Simd>(s: S, weights: &NBits<'_>, row: usize, start: usize, out: &mut [f32]) {
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
        let block = Block {
            quants,
            zero_point,
            scale,
        };
        if out.len() == weights.block {
            block.whole(s, weights.bits, out);
        } else {
            block.part(weights.bits, out);
        }
    }
}

struct Block<'a> {
    quants: &'a [u8],
    zero_point: f32,
    scale: f32,
}

impl Block<'_> {
    /// A block is at least 16 values, so a whole number of vectors; in pairs for 4 bits but where
    /// 16 values are one vector.
    #[inline(always)]
    fn whole<S: Simd>(&self, s: S, bits: Bits, out: &mut [f32]) {
        let (zero_point, scale) = (s.splat(self.zero_point), s.splat(self.scale));
        match bits {
            Bits::Four if out.len() >= 2 * S::LANES => {
                let pairs = out.chunks_exact_mut(2 * S::LANES);
                for (out, quants) in pairs.zip(self.quants.chunks_exact(S::LANES)) {
                    // SAFETY: there are `LANES` bytes.
                    let [low, high] = unsafe { s.load_nibbles(quants.as_ptr()) };
                    let (low_out, high_out) = out.split_at_mut(S::LANES);
                    s.put(s.mul(s.sub(low, zero_point), scale), low_out);
                    s.put(s.mul(s.sub(high, zero_point), scale), high_out);
                }
            }
            Bits::Four => self.part(bits, out),
            Bits::Eight => {
                for (out, quants) in out
                    .chunks_exact_mut(S::LANES)
                    .zip(self.quants.chunks_exact(S::LANES))
                {
                    // SAFETY: there are `LANES` bytes.
                    let x = unsafe { s.load_u8(quants.as_ptr()) };
                    s.put(s.mul(s.sub(x, zero_point), scale), out);
                }
            }
        }
    }

    /// The first values, one by one.
    #[inline(always)]
    fn part(&self, bits: Bits, out: &mut [f32]) {
        for (i, out) in out.iter_mut().enumerate() {
            let q = match bits {
                Bits::Four => self.quants[i / 2] >> (i % 2 * 4) & 15,
                Bits::Eight => self.quants[i],
            };
            *out = (f32::from(q) - self.zero_point) * self.scale;
        }
    }
}

impl WeightRows for NBits<'_> {
    #[inline(always)]
    fn stretch<'a, S: Simd>(
        &'a self,
        s: S,
        row: usize,
        k: Range<usize>,
        room: &'a mut [f32],
    ) -> &'a [f32] {
        let room = &mut room[..k.len()];
        dequantize(s, self, row, k.start, room);
        room
    }

    fn row_bytes(&self) -> usize {
        NBits::row_bytes(self)
    }
}

//! Activations as 8-bit integers.

use crate::nbits::Bits;
use crate::simd::{Op, Simd};
use crate::{Kernels, Pool};

/// Rows of activations, quantised symmetrically to -127..127 with one scale for each 32 values
/// (the largest magnitude divided by 127), rounded to nearest.
///
/// Made once and reused: its memory is kept from one call of [`quantize`](QuantizedRows::quantize)
/// to the next. Values that are not finite make their 32 values not a number, and with them all
/// products, rather than pass for something else.
#[derive(Default)]
pub struct QuantizedRows {
    rows: usize,
    k: usize,
    bits: Option<Bits>,
    /// The row, where there is one.
    single: Vec<RowChunk>,
    /// Four rows after four, each with `k / 32` records; the last four filled up with zeros.
    quads: Vec<QuadBlock>,
}

/// How many values share a scale.
pub(crate) const GROUP: usize = 32;
/// How many values a [`RowChunk`] has.
pub(crate) const CHUNK: usize = 128;

/// 128 values of one row, for weights that are read as they are stored.
#[derive(Clone)]
#[repr(C, align(64))]
pub(crate) struct RowChunk {
    /// For 4 bits the values of even index, then those of odd: as low and high halves of bytes are.
    pub(crate) values: [i8; CHUNK],
    /// Sums of what one lane of weights meets: 8 values for 4 bits, 4 for 8.
    pub(crate) sums: [f32; CHUNK / 4],
    pub(crate) scales: [f32; CHUNK / GROUP],
}

/// 32 values of each of four rows, for weights that were packed into panels.
#[derive(Clone)]
#[repr(C, align(64))]
pub(crate) struct QuadBlock {
    /// Eight times four values of the first row, of the second, of the third, of the fourth. For
    /// 4 bits the order along `k` is that of [`k_of`].
    pub(crate) values: [i8; 4 * GROUP],
    pub(crate) scales: [f32; 4],
    /// The sums of the first and of the last 16 values.
    pub(crate) half_sums: [[f32; 4]; 2],
    /// What the middle zero point takes off the product: `-middle * sum`.
    pub(crate) bias: [i32; 4],
}

const EMPTY_CHUNK: RowChunk = RowChunk {
    values: [0; CHUNK],
    sums: [0.0; CHUNK / 4],
    scales: [0.0; CHUNK / GROUP],
};
const EMPTY_BLOCK: QuadBlock = QuadBlock {
    values: [0; 4 * GROUP],
    scales: [0.0; 4],
    half_sums: [[0.0; 4]; 2],
    bias: [0; 4],
};

impl QuantizedRows {
    /// No rows yet.
    pub fn new() -> QuantizedRows {
        QuantizedRows::default()
    }

    /// Replaces the content by `rows` rows of `k` values each, for weights of so many `bits`.
    ///
    /// # Panics
    /// When `x` has not just `rows * k` values.
    pub fn quantize(
        &mut self,
        kernels: Kernels,
        pool: &Pool,
        x: &[f32],
        rows: usize,
        k: usize,
        bits: Bits,
    ) {
        assert_eq!(
            Some(x.len()),
            rows.checked_mul(k),
            "{} values are not {rows} rows of {k}",
            x.len()
        );
        (self.rows, self.k, self.bits) = (rows, k, Some(bits));
        self.single.clear();
        self.quads.clear();
        if rows == 0 || k == 0 {
            return;
        }
        if rows == 1 {
            self.single.resize(k.div_ceil(CHUNK), EMPTY_CHUNK);
            kernels.run(QuantizeRow {
                x,
                bits,
                out: &mut self.single,
            });
        } else {
            let blocks = k.div_ceil(GROUP);
            self.quads.resize(rows.div_ceil(4) * blocks, EMPTY_BLOCK);
            pool.chunks_mut(&mut self.quads, blocks, |quad, out| {
                let x = &x[quad * 4 * k..rows.min(quad * 4 + 4) * k];
                kernels.run(QuantizeQuad { x, k, bits, out });
            });
        }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many values a row has.
    pub fn k(&self) -> usize {
        self.k
    }

    /// The width of the weights these rows were arranged for.
    pub fn bits(&self) -> Bits {
        self.bits.unwrap_or(Bits::Four)
    }

    /// The only row.
    pub(crate) fn single(&self) -> &[RowChunk] {
        &self.single
    }

    /// The records of four rows.
    pub(crate) fn quad(&self, quad: usize) -> &[QuadBlock] {
        let blocks = self.k.div_ceil(GROUP);
        &self.quads[quad * blocks..][..blocks]
    }
}

impl std::fmt::Debug for QuantizedRows {
    // Activations are made of somebody's prompt, and many.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let QuantizedRows { rows, k, bits, .. } = self;
        f.debug_struct("QuantizedRows")
            .field("rows", rows)
            .field("k", k)
            .field("bits", bits)
            .finish_non_exhaustive()
    }
}

/// Quantises up to 32 values; those missing are 0. Returns the scale.
#[inline(always)]
fn quantize_group<S: Simd>(s: S, x: &[f32], out: &mut [i8; GROUP]) -> f32 {
    let mut filled = [0.0; GROUP];
    let x = if let Ok(x) = x.try_into() {
        x
    } else {
        filled[..x.len()].copy_from_slice(x);
        &filled
    };
    let x: &[f32; GROUP] = x;
    let (mut largest, mut poison) = (s.splat(0.0), s.splat(0.0));
    for x in x.chunks_exact(S::LANES) {
        let x = s.get(x);
        largest = s.max(s.abs(x), largest);
        // 0 unless the value is not finite.
        poison = s.mul_add(x, s.splat(0.0), poison);
    }
    let largest = s.reduce_max(largest);
    let poison = s.reduce_add(poison);
    if largest == 0.0 || poison.is_nan() {
        out.fill(0);
        // One bad value is enough: a scale that is not a number spoils the products with zeros too.
        return poison;
    }
    let inverse = s.splat(127.0 / largest);
    let bound = s.splat(127.0);
    for (x, out) in x.chunks_exact(S::LANES).zip(out.chunks_exact_mut(S::LANES)) {
        // The bound matters for subnormal magnitudes, whose inverse is infinite or inexact.
        let q = s.round(s.mul(s.get(x), inverse));
        let q = s.max(s.splat(-127.0), s.min(bound, q));
        // SAFETY: `out` has `LANES` bytes.
        unsafe { s.store_i8(q, out.as_mut_ptr()) };
    }
    largest / 127.0
}

struct QuantizeRow<'a> {
    x: &'a [f32],
    bits: Bits,
    out: &'a mut [RowChunk],
}

impl Op for QuantizeRow<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (x, out) in self.x.chunks(CHUNK).zip(self.out) {
            let mut natural = [0_i8; CHUNK];
            let groups = natural.as_chunks_mut::<GROUP>().0.iter_mut();
            for ((x, natural), scale) in x.chunks(GROUP).zip(groups).zip(&mut out.scales) {
                *scale = quantize_group(s, x, natural);
            }
            match self.bits {
                Bits::Four => {
                    for i in 0..CHUNK / 2 {
                        out.values[i] = natural[2 * i];
                        out.values[CHUNK / 2 + i] = natural[2 * i + 1];
                    }
                    sum_each::<8>(&natural, &mut out.sums);
                }
                Bits::Eight => {
                    out.values = natural;
                    sum_each::<4>(&natural, &mut out.sums);
                }
            }
        }
    }
}

#[inline(always)]
fn sum_each<const N: usize>(values: &[i8], sums: &mut [f32]) {
    for (values, sum) in values.as_chunks::<N>().0.iter().zip(sums) {
        *sum = values.iter().map(|&x| i32::from(x)).sum::<i32>() as f32;
    }
}

struct QuantizeQuad<'a> {
    /// One to four rows.
    x: &'a [f32],
    k: usize,
    bits: Bits,
    out: &'a mut [QuadBlock],
}

impl Op for QuantizeQuad<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (m, x) in self.x.chunks_exact(self.k).enumerate() {
            for (x, out) in x.chunks(GROUP).zip(&mut *self.out) {
                let mut natural = [0_i8; GROUP];
                out.scales[m] = quantize_group(s, x, &mut natural);
                let mut sums = [0; 2];
                for (sum, half) in sums.iter_mut().zip(natural.chunks_exact(GROUP / 2)) {
                    *sum = half.iter().map(|&x| i32::from(x)).sum::<i32>();
                }
                out.half_sums[0][m] = sums[0] as f32;
                out.half_sums[1][m] = sums[1] as f32;
                out.bias[m] = -i32::from(self.bits.middle()) * (sums[0] + sums[1]);
                for d in 0..GROUP / 4 {
                    for j in 0..4 {
                        out.values[d * 16 + m * 4 + j] = natural[k_of(self.bits, d, j)];
                    }
                }
            }
        }
    }
}

/// Which of 32 values is the `j`-th of the `d`-th four: for 4 bits, two times four low halves come
/// before the high halves of the same bytes, so that 16 values stay together.
#[inline(always)]
fn k_of(bits: Bits, d: usize, j: usize) -> usize {
    match bits {
        Bits::Four => (d / 4) * 16 + (d % 2) * 8 + j * 2 + (d % 4) / 2,
        Bits::Eight => d * 4 + j,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, every_isa};

    /// What every variant has to give, written plainly.
    fn model(x: &[f32]) -> (Vec<i8>, f32) {
        let largest = x.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        let quantize = |&x: &f32| {
            if largest == 0.0 {
                0
            } else {
                (x * (127.0 / largest)).round_ties_even() as i8
            }
        };
        (x.iter().map(quantize).collect(), largest / 127.0)
    }

    /// Reads one value with its scale back out of either arrangement.
    fn value(q: &QuantizedRows, row: usize, k: usize) -> (i8, f32) {
        if q.rows() == 1 {
            let (chunk, k) = (&q.single()[k / CHUNK], k % CHUNK);
            let place = match q.bits() {
                Bits::Four => k / 2 + k % 2 * 64,
                Bits::Eight => k,
            };
            (chunk.values[place], chunk.scales[k / GROUP])
        } else {
            let (block, k) = (&q.quad(row / 4)[k / GROUP], k % GROUP);
            let place = (0..GROUP)
                .find(|i| k_of(q.bits(), i / 4, i % 4) == k)
                .expect("a permutation");
            (
                block.values[place / 4 * 16 + row % 4 * 4 + place % 4],
                block.scales[row % 4],
            )
        }
    }

    #[test]
    fn every_value_is_rounded_to_nearest() {
        let mut random = Random::new(1);
        for kernels in every_isa() {
            for bits in [Bits::Four, Bits::Eight] {
                let mut q = QuantizedRows::new();
                for (rows, k) in (1..=9)
                    .zip([1, 31, 32, 33, 127, 128, 129, 300, 64])
                    .chain((1..=300).map(|k| (1, k)))
                {
                    let x = random.floats(rows * k);
                    q.quantize(kernels, &Pool::new(2), &x, rows, k, bits);
                    assert_eq!((q.rows(), q.k(), q.bits()), (rows, k, bits));
                    for row in 0..rows {
                        for (g, group) in x[row * k..][..k].chunks(GROUP).enumerate() {
                            let (values, scale) = model(group);
                            for (i, &want) in values.iter().enumerate() {
                                assert_eq!(
                                    value(&q, row, g * GROUP + i),
                                    (want, scale),
                                    "{:?} {rows}x{k}",
                                    kernels.isa()
                                );
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn zeros_have_no_scale_and_what_is_not_finite_shows() {
        for kernels in every_isa() {
            let mut q = QuantizedRows::new();
            for rows in [1, 3] {
                for (x, scale_is) in [
                    (0.0, (|scale| scale == 0.0) as fn(f32) -> bool),
                    (f32::NAN, f32::is_nan),
                    (f32::INFINITY, f32::is_nan),
                    (1e-45, |scale| scale >= 0.0),
                    (f32::MAX, f32::is_finite),
                ] {
                    let mut values = vec![0.0; 40 * rows];
                    values[7] = x;
                    q.quantize(kernels, &Pool::new(1), &values, rows, 40, Bits::Four);
                    assert!(scale_is(value(&q, 0, 0).1), "{:?} {x}", kernels.isa());
                    assert_eq!(value(&q, 0, 39), (0, 0.0));
                }
            }
        }
    }
}

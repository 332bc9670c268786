//! Activations as integers.

use crate::simd::{Op, Simd};
use crate::{Kernels, Pool};

/// How finely activations are rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// To -127..=127: one byte a value, what `accuracy_level` 4 of `MatMulNBits` allows.
    #[default]
    Eight,
    /// To -16256..=16256, kept as two bytes that are multiplied one after the other: as good as floats
    /// beside weights of 4 or 8 bits, for twice the work of eight bits.
    Fifteen,
}

/// Rows of activations, quantised symmetrically with one scale for each 32 values (the largest
/// magnitude divided by the largest integer), rounded to nearest.
///
/// Made once and reused: its memory is kept from one call of [`quantize`](QuantizedRows::quantize)
/// to the next. Values that are not finite make their 32 values not a number, and with them all
/// products, rather than pass for something else.
#[derive(Default)]
pub struct QuantizedRows {
    rows: usize,
    k: usize,
    depth: Depth,
    single: Vec<Record<1, 1>>,
    single_deep: Vec<Record<1, 2>>,
    /// Four rows after four, each with `k / 32` records; the last four filled up with zeros.
    quads: Vec<Record<4, 1>>,
    quads_deep: Vec<Record<4, 2>>,
}

/// How many values share a scale.
pub(crate) const GROUP: usize = 32;

/// 32 values of each of `M` rows, in `P` planes of bytes: one with the values, or a first whose bytes
/// count 128 times and a second that is added to it.
#[derive(Clone)]
#[repr(C)]
pub(crate) struct Record<const M: usize, const P: usize> {
    /// Eight times four values of each row.
    pub(crate) values: [[[[i8; 4]; M]; GROUP / 4]; P],
    pub(crate) scales: [f32; M],
    /// The sums of all values, of the first 16 and of the last 16, times the scale.
    pub(crate) sums: [[f32; M]; 3],
    /// What the middle zero point takes off the product, for weights of 4 bits.
    pub(crate) bias: [i32; M],
}

impl<const M: usize, const P: usize> Record<M, P> {
    const EMPTY: Self = Record {
        values: [[[[0; 4]; M]; GROUP / 4]; P],
        scales: [0.0; M],
        sums: [[0.0; M]; 3],
        bias: [0; M],
    };
}

/// The records of all rows, `M` rows at a time.
#[derive(Clone, Copy)]
pub(crate) enum Records<'a> {
    Single(&'a [Record<1, 1>]),
    SingleDeep(&'a [Record<1, 2>]),
    Quads(&'a [Record<4, 1>]),
    QuadsDeep(&'a [Record<4, 2>]),
}

impl QuantizedRows {
    /// No rows yet.
    pub fn new() -> QuantizedRows {
        QuantizedRows::default()
    }

    /// Replaces the content by `rows` rows of `k` values each.
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
        depth: Depth,
    ) {
        assert_eq!(
            Some(x.len()),
            rows.checked_mul(k),
            "{} values are not {rows} rows of {k}",
            x.len()
        );
        (self.rows, self.k, self.depth) = (rows, k, depth);
        if x.is_empty() {
            return;
        }
        match (rows, depth) {
            (1, Depth::Eight) => fill(kernels, pool, x, k, &mut self.single),
            (1, Depth::Fifteen) => fill(kernels, pool, x, k, &mut self.single_deep),
            (_, Depth::Eight) => fill(kernels, pool, x, k, &mut self.quads),
            (_, Depth::Fifteen) => fill(kernels, pool, x, k, &mut self.quads_deep),
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

    /// How finely they were rounded.
    pub fn depth(&self) -> Depth {
        self.depth
    }

    /// Of memory that the records of a row take.
    pub(crate) fn bytes_a_row(&self) -> usize {
        let record = match self.records() {
            Records::Single(_) => size_of::<Record<1, 1>>(),
            Records::SingleDeep(_) => size_of::<Record<1, 2>>(),
            Records::Quads(_) => size_of::<Record<4, 1>>() / 4,
            Records::QuadsDeep(_) => size_of::<Record<4, 2>>() / 4,
        };
        self.k.div_ceil(GROUP) * record
    }

    pub(crate) fn records(&self) -> Records<'_> {
        match (self.rows, self.depth) {
            (1, Depth::Eight) => Records::Single(&self.single),
            (1, Depth::Fifteen) => Records::SingleDeep(&self.single_deep),
            (_, Depth::Eight) => Records::Quads(&self.quads),
            (_, Depth::Fifteen) => Records::QuadsDeep(&self.quads_deep),
        }
    }
}

impl std::fmt::Debug for QuantizedRows {
    // Activations are made of somebody's prompt, and many.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let QuantizedRows { rows, k, depth, .. } = self;
        f.debug_struct("QuantizedRows")
            .field("rows", rows)
            .field("k", k)
            .field("depth", depth)
            .finish_non_exhaustive()
    }
}

/// Writes the records of all rows; those of several rows are shared out.
fn fill<const M: usize, const P: usize>(
    kernels: Kernels,
    pool: &Pool,
    x: &[f32],
    k: usize,
    out: &mut Vec<Record<M, P>>,
) {
    let (rows, groups) = (x.len() / k, k.div_ceil(GROUP));
    out.resize(rows.div_ceil(M) * groups, Record::EMPTY);
    pool.chunks_mut(out, groups, |some, out| {
        let x = &x[some * M * k..rows.min((some + 1) * M) * k];
        kernels.run(Quantize { x, k, out });
    });
}

struct Quantize<'a, const M: usize, const P: usize> {
    /// One to `M` rows.
    x: &'a [f32],
    k: usize,
    /// Of all groups of these rows.
    out: &'a mut [Record<M, P>],
}

impl<const M: usize, const P: usize> Op for Quantize<'_, M, P> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (m, x) in self.x.chunks_exact(self.k).enumerate() {
            for (x, out) in x.chunks(GROUP).zip(&mut *self.out) {
                group(s, x, m, out);
            }
        }
        for m in self.x.len() / self.k..M {
            for out in &mut *self.out {
                clear(m, out);
            }
        }
    }
}

/// Quantises up to 32 values of row `m`; those missing are 0.
#[inline(always)]
fn group<S: Simd, const M: usize, const P: usize>(
    s: S,
    x: &[f32],
    m: usize,
    out: &mut Record<M, P>,
) {
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
    let most = if P == 1 { 127.0 } else { 127.0 * 128.0 };
    let inverse = most / largest;
    // Zeros, magnitudes next to nothing, or values that are not finite.
    if !inverse.is_finite() || poison.is_nan() {
        clear(m, out);
        // One bad value is enough: a scale that is not a number spoils the products with zeros too.
        out.scales[m] = poison;
        return;
    }
    let inverse = s.splat(inverse);
    let mut planes = [[0_i8; GROUP]; P];
    let mut sums = [s.splat(0.0); 2];
    for (i, x) in x.chunks_exact(S::LANES).enumerate() {
        // The bound matters for the smallest magnitudes, whose inverse is inexact.
        let q = s.round(s.mul(s.get(x), inverse));
        let q = s.max(s.splat(-most), s.min(s.splat(most), q));
        let half = i * S::LANES / (GROUP / 2);
        sums[half] = s.add(sums[half], q);
        // SAFETY: each plane has `LANES` bytes from here on.
        unsafe {
            if P == 1 {
                s.store_i8(q, planes[0].as_mut_ptr().add(i * S::LANES));
            } else {
                // The second plane is -64 to 64, so that the first stays within -127 to 127.
                let first = s.round(s.mul(q, s.splat(1.0 / 128.0)));
                let second = s.neg_mul_add(first, s.splat(128.0), q);
                s.store_i8(first, planes[0].as_mut_ptr().add(i * S::LANES));
                s.store_i8(second, planes[P - 1].as_mut_ptr().add(i * S::LANES));
            }
        }
    }
    for (plane, out) in planes.iter().zip(&mut out.values) {
        for (four, out) in plane.as_chunks::<4>().0.iter().zip(out) {
            out[m] = *four;
        }
    }
    let (first, last) = (s.reduce_add(sums[0]), s.reduce_add(sums[1]));
    let sum = first + last;
    let scale = largest / most;
    out.scales[m] = scale;
    (out.sums[0][m], out.sums[1][m], out.sums[2][m]) = (sum * scale, first * scale, last * scale);
    // Whole numbers below 2^24, so that nothing was rounded.
    out.bias[m] = -8 * sum as i32;
}

/// Makes the group of row `m` zeros.
#[inline(always)]
fn clear<const M: usize, const P: usize>(m: usize, out: &mut Record<M, P>) {
    for plane in &mut out.values {
        for four in plane {
            four[m] = [0; 4];
        }
    }
    out.scales[m] = 0.0;
    for sum in &mut out.sums {
        sum[m] = 0.0;
    }
    out.bias[m] = 0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, every_isa};

    /// What every variant has to give, written plainly.
    fn model(x: &[f32], most: f32) -> (Vec<i32>, f32) {
        let largest = x.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        let quantize = |&x: &f32| {
            if largest == 0.0 {
                0
            } else {
                (x * (most / largest)).round_ties_even() as i32
            }
        };
        (x.iter().map(quantize).collect(), largest / most)
    }

    /// One value, its scale and the sum of its group, read back.
    fn value(q: &QuantizedRows, row: usize, k: usize) -> (i32, f32, f32) {
        fn of<const M: usize, const P: usize>(
            records: &[Record<M, P>],
            groups: usize,
            row: usize,
            k: usize,
        ) -> (i32, f32, f32) {
            let record = &records[row / M * groups + k / GROUP];
            let (four, m) = (k % GROUP / 4, row % M);
            let byte = |plane: usize| i32::from(record.values[plane][four][m][k % 4]);
            let value = if P == 1 {
                byte(0)
            } else {
                (byte(0) << 7) + byte(P - 1)
            };
            (value, record.scales[m], record.sums[0][m])
        }
        let groups = q.k().div_ceil(GROUP);
        match q.records() {
            Records::Single(records) => of(records, groups, row, k),
            Records::SingleDeep(records) => of(records, groups, row, k),
            Records::Quads(records) => of(records, groups, row, k),
            Records::QuadsDeep(records) => of(records, groups, row, k),
        }
    }

    #[test]
    fn every_value_is_rounded_to_nearest() {
        let mut random = Random::new(1);
        for kernels in every_isa() {
            for (depth, most) in [(Depth::Eight, 127.0), (Depth::Fifteen, 16256.0)] {
                let mut q = QuantizedRows::new();
                for (rows, k) in (1..=9)
                    .zip([1, 31, 32, 33, 127, 128, 129, 300, 64])
                    .chain((1..=100).map(|k| (1, k)))
                {
                    let x = random.floats(rows * k);
                    q.quantize(kernels, &Pool::new(2), &x, rows, k, depth);
                    assert_eq!((q.rows(), q.k(), q.depth()), (rows, k, depth));
                    for row in 0..rows {
                        for (g, group) in x[row * k..][..k].chunks(GROUP).enumerate() {
                            let (values, scale) = model(group, most);
                            let sum = values.iter().sum::<i32>() as f32 * scale;
                            for (i, &want) in values.iter().enumerate() {
                                assert_eq!(
                                    value(&q, row, g * GROUP + i),
                                    (want, scale, sum),
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
            for depth in [Depth::Eight, Depth::Fifteen] {
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
                        q.quantize(kernels, &Pool::new(1), &values, rows, 40, depth);
                        assert!(scale_is(value(&q, 0, 0).1), "{:?} {x}", kernels.isa());
                        assert_eq!(value(&q, 0, 39), (0, 0.0, 0.0));
                    }
                }
            }
        }
    }
}

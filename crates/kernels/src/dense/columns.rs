//! Matrices whose columns are output features: rows of weights are added up, each times an input.

use std::ops::Range;

use crate::output::Output;
use crate::simd::{Element, Op, Simd};
use crate::{Kernels, Pool};

/// `[k, n]`
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a, E> {
    pub(super) data: &'a [E],
    pub(super) n: usize,
    pub(super) k: usize,
}

/// Columns a task has: whole cache lines of each row, and tiles of every vector width.
const COLUMNS: usize = 128;
/// Rows of weights that all rows of activations meet before the next: with those columns, 128 KB.
const DEPTH: usize = 256;

/// `out = x * weights`
pub(super) fn matmul_columns<E: Element>(
    kernels: Kernels,
    pool: &Pool,
    weights: Matrix<'_, E>,
    x: &[f32],
    out: &mut [f32],
) {
    assert!(
        weights.k > 0 && x.len().is_multiple_of(weights.k),
        "{} values are not rows of {}",
        x.len(),
        weights.k
    );
    let output = Output::new(out, x.len() / weights.k, weights.n);
    pool.for_each(weights.n.div_ceil(COLUMNS), |task| {
        let range = task * COLUMNS..weights.n.min((task + 1) * COLUMNS);
        kernels.run(ColumnsTask {
            weights,
            range,
            x,
            output,
        });
    });
}

struct ColumnsTask<'a, E> {
    weights: Matrix<'a, E>,
    /// No two tasks have a column in common.
    range: Range<usize>,
    x: &'a [f32],
    output: Output<'a>,
}

impl<E: Element> Op for ColumnsTask<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let rows = self.output.rows();
        for row in 0..rows {
            // SAFETY: these columns are this task's alone.
            unsafe {
                self.output
                    .row_part(row, self.range.start, self.range.len())
            }
            .fill(0.0);
        }
        for k in (0..self.weights.k).step_by(DEPTH) {
            let k = k..self.weights.k.min(k + DEPTH);
            let mut row = 0;
            while rows - row >= 4 {
                self.rows::<S, 4>(s, row, k.clone());
                row += 4;
            }
            while row < rows {
                self.rows::<S, 1>(s, row, k.clone());
                row += 1;
            }
        }
    }
}

impl<E: Element> ColumnsTask<'_, E> {
    #[inline(always)]
    fn rows<S: Simd, const M: usize>(&self, s: S, row: usize, k: Range<usize>) {
        let Matrix {
            data,
            n,
            k: row_len,
        } = self.weights;
        let mut x = [std::ptr::null(); M];
        let mut out = [std::ptr::null_mut(); M];
        for m in 0..M {
            x[m] = self.x[(row + m) * row_len..][k.clone()].as_ptr();
            // SAFETY: these columns are this task's alone, and none of the parts is turned into a
            // reference again until they are done with.
            out[m] = unsafe {
                self.output
                    .row_part(row + m, self.range.start, self.range.len())
            }
            .as_mut_ptr();
        }
        let weights = &data[k.start * n + self.range.start..];
        assert!(weights.len() >= (k.len() - 1) * n + self.range.len());
        // SAFETY: the line above is for the weights; inputs and outputs are parts of those lengths.
        unsafe {
            add_products::<S, E, M>(s, weights.as_ptr(), n, x, k.len(), out, self.range.len())
        };
    }
}

/// `out[m][j] += sum over i of x[m][i] * weights[i * stride + j]`
///
/// # Safety
/// Each `x` has `len` values, each `out` `columns` that nothing else uses meanwhile, and `weights` as
/// many at every multiple of `stride` below `len`.
#[inline(always)]
pub(crate) unsafe fn add_products<S: Simd, E: Element, const M: usize>(
    s: S,
    weights: *const E,
    stride: usize,
    x: [*const f32; M],
    len: usize,
    out: [*mut f32; M],
    columns: usize,
) {
    let mut column = 0;
    // SAFETY: of each call: whole vectors as long as there are columns for them, then a part of one.
    unsafe {
        while columns - column >= 4 * S::LANES && S::REGISTERS >= 32 {
            add_vectors::<S, E, M, 4>(
                s,
                weights.add(column),
                stride,
                x,
                len,
                out.map(|out| out.add(column)),
            );
            column += 4 * S::LANES;
        }
        while columns - column >= 2 * S::LANES {
            add_vectors::<S, E, M, 2>(
                s,
                weights.add(column),
                stride,
                x,
                len,
                out.map(|out| out.add(column)),
            );
            column += 2 * S::LANES;
        }
        while columns - column >= S::LANES {
            add_vectors::<S, E, M, 1>(
                s,
                weights.add(column),
                stride,
                x,
                len,
                out.map(|out| out.add(column)),
            );
            column += S::LANES;
        }
        if column < columns {
            let rest = columns - column;
            add_part::<S, E, M>(
                s,
                weights.add(column),
                stride,
                x,
                len,
                out.map(|out| out.add(column)),
                rest,
            );
        }
    }
}

/// # Safety
/// As [`add_products`], with `V` vectors of columns.
#[inline(always)]
unsafe fn add_vectors<S: Simd, E: Element, const M: usize, const V: usize>(
    s: S,
    weights: *const E,
    stride: usize,
    x: [*const f32; M],
    len: usize,
    out: [*mut f32; M],
) {
    // SAFETY: everything is inside what the caller vouches for.
    unsafe {
        let mut sums = [[s.splat(0.0); V]; M];
        for (sums, &out) in sums.iter_mut().zip(&out) {
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = s.load(out.add(v * S::LANES));
            }
        }
        for i in 0..len {
            let mut w = [s.splat(0.0); V];
            for (v, w) in w.iter_mut().enumerate() {
                *w = E::load(s, weights.add(i * stride + v * S::LANES));
            }
            for (sums, &x) in sums.iter_mut().zip(&x) {
                let x = s.splat(*x.add(i));
                for (sum, &w) in sums.iter_mut().zip(&w) {
                    *sum = s.mul_add(x, w, *sum);
                }
            }
        }
        for (sums, &out) in sums.iter().zip(&out) {
            for (v, &sum) in sums.iter().enumerate() {
                s.store(sum, out.add(v * S::LANES));
            }
        }
    }
}

/// # Safety
/// As [`add_products`], with fewer columns than a vector has.
#[inline(always)]
unsafe fn add_part<S: Simd, E: Element, const M: usize>(
    s: S,
    weights: *const E,
    stride: usize,
    x: [*const f32; M],
    len: usize,
    out: [*mut f32; M],
    columns: usize,
) {
    // SAFETY: everything is inside what the caller vouches for.
    unsafe {
        let mut sums = [s.splat(0.0); M];
        for (sum, &out) in sums.iter_mut().zip(&out) {
            *sum = f32::load_part(s, out, columns);
        }
        for i in 0..len {
            let w = E::load_part(s, weights.add(i * stride), columns);
            for (sum, &x) in sums.iter_mut().zip(&x) {
                *sum = s.mul_add(s.splat(*x.add(i)), w, *sum);
            }
        }
        for (sum, out) in sums.into_iter().zip(out) {
            s.put_part(sum, std::slice::from_raw_parts_mut(out, columns));
        }
    }
}

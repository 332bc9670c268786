//! Matrices whose rows are output features: every output is a dot product of two rows.

use std::ops::Range;

use crate::nbits::TASK_BYTES;
use crate::output::Output;
use crate::scratch;
use crate::simd::{Element, Op, Simd, array_of};
use crate::{Kernels, Pool};

/// Weights that can be had as floats, a stretch of a row at a time.
pub(crate) trait WeightRows: Sync {
    /// Writes the stretch into `room`, which is at least as long. `k` starts at a multiple of [`STRETCH`].
    fn stretch<'a, S: Simd>(
        &'a self,
        s: S,
        row: usize,
        k: Range<usize>,
        room: &'a mut [f32],
    ) -> &'a [f32];

    /// How much memory a row takes.
    fn row_bytes(&self) -> usize;
}

/// How much of a row is worked on at a time: four of them as floats fit the nearest cache.
pub(crate) const STRETCH: usize = 1024;
/// Rows of weights worked on together.
const N: usize = 4;

/// `out = x * weights^T`
pub(crate) fn matmul_rows<W: WeightRows>(
    kernels: Kernels,
    pool: &Pool,
    weights: &W,
    n: usize,
    k: usize,
    x: &[f32],
    out: &mut [f32],
) {
    assert!(
        k > 0 && x.len().is_multiple_of(k),
        "{} values are not rows of {k}",
        x.len()
    );
    let output = Output::new(out, x.len() / k, n);
    if x.is_empty() {
        return;
    }
    let per_task = (TASK_BYTES / weights.row_bytes().max(1))
        .next_multiple_of(N)
        .max(N);
    pool.for_each(n.div_ceil(per_task), |task| {
        let range = task * per_task..n.min((task + 1) * per_task);
        kernels.run(RowsTask {
            weights,
            range,
            k,
            x,
            output,
        });
    });
}

struct RowsTask<'a, W> {
    weights: &'a W,
    /// No two tasks have a row of the weights in common.
    range: Range<usize>,
    k: usize,
    x: &'a [f32],
    output: Output<'a>,
}

impl<W: WeightRows> Op for RowsTask<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        scratch::with_f32(
            N * STRETCH,
            #[inline(always)]
            |room| {
                for k in (0..self.k).step_by(STRETCH) {
                    let k = k..self.k.min(k + STRETCH);
                    for n in self.range.clone().step_by(N) {
                        self.stretch(s, n, k.clone(), room);
                    }
                }
            },
        );
    }
}

impl<W: WeightRows> RowsTask<'_, W> {
    /// A stretch of `k` of up to four output features, for all rows.
    #[inline(always)]
    fn stretch<S: Simd>(&self, s: S, n: usize, k: Range<usize>, room: &mut [f32]) {
        let features = N.min(self.range.end - n);
        // Where there are fewer than four, those left over are never stored; any content will do.
        let mut w = [std::ptr::null(); N];
        for (i, (w, room)) in w.iter_mut().zip(room.chunks_exact_mut(STRETCH)).enumerate() {
            let row = n + i.min(features - 1);
            *w = self.weights.stretch(s, row, k.clone(), room).as_ptr();
        }
        let rows = self.output.rows();
        let mut row = 0;
        while rows - row >= 4 && S::REGISTERS >= 32 {
            self.rows::<S, 4>(s, w, row, n..n + features, k.clone());
            row += 4;
        }
        while rows - row >= 2 {
            self.rows::<S, 2>(s, w, row, n..n + features, k.clone());
            row += 2;
        }
        if row < rows {
            self.rows::<S, 1>(s, w, row, n..n + features, k);
        }
    }

    #[inline(always)]
    fn rows<S: Simd, const M: usize>(
        &self,
        s: S,
        w: [*const f32; N],
        row: usize,
        n: Range<usize>,
        k: Range<usize>,
    ) {
        let x: [*const f32; M] =
            std::array::from_fn(|m| self.x[(row + m) * self.k..][k.clone()].as_ptr());
        // SAFETY: both sides have a stretch of this length at each pointer.
        let sums = unsafe { dots::<S, N, M>(s, w, x, k.len()) };
        for m in 0..M {
            // SAFETY: these columns are this task's alone.
            let out = unsafe { self.output.row_part(row + m, n.start, n.len()) };
            for (out, sums) in out.iter_mut().zip(&sums) {
                *out = if k.start == 0 {
                    sums[m]
                } else {
                    *out + sums[m]
                };
            }
        }
    }
}

/// The dot products of each of `N` rows with each of `M`.
///
/// # Safety
/// There are `len` values at each pointer.
#[inline(always)]
pub(crate) unsafe fn dots<S: Simd, const N: usize, const M: usize>(
    s: S,
    w: [*const f32; N],
    x: [*const f32; M],
    len: usize,
) -> [[f32; M]; N] {
    let mut sums = [[s.splat(0.0); M]; N];
    let whole = len / S::LANES * S::LANES;
    for at in (0..whole).step_by(S::LANES) {
        // SAFETY: a vector from `at` on ends before `len`.
        unsafe { add_outer(s, &mut sums, load_each(s, w, at), load_each(s, x, at)) };
    }
    if whole < len {
        // SAFETY: from `whole` on there are this many values, fewer than a vector has.
        unsafe {
            let rest = len - whole;
            let (w, x) = (
                load_part_of_each(s, w, whole, rest),
                load_part_of_each(s, x, whole, rest),
            );
            add_outer(s, &mut sums, w, x);
        }
    }
    let mut out = [[0.0; M]; N];
    for (out, sums) in out.iter_mut().zip(&sums) {
        for (out, &sum) in out.iter_mut().zip(sums) {
            *out = s.reduce_add(sum);
        }
    }
    out
}

/// # Safety
/// There is a vector at `at` of each.
#[inline(always)]
unsafe fn load_each<S: Simd, const N: usize>(s: S, from: [*const f32; N], at: usize) -> [S::F; N] {
    array_of(
        s.splat(0.0),
        #[inline(always)]
        // SAFETY: the caller vouches for it.
        |i| unsafe { s.load(from[i].add(at)) },
    )
}

/// # Safety
/// There are `len` values, at most a vector, at `at` of each.
#[inline(always)]
unsafe fn load_part_of_each<S: Simd, const N: usize>(
    s: S,
    from: [*const f32; N],
    at: usize,
    len: usize,
) -> [S::F; N] {
    array_of(
        s.splat(0.0),
        #[inline(always)]
        // SAFETY: the caller vouches for it.
        |i| unsafe { f32::load_part(s, from[i].add(at), len) },
    )
}

#[inline(always)]
fn add_outer<S: Simd, const N: usize, const M: usize>(
    s: S,
    sums: &mut [[S::F; M]; N],
    w: [S::F; N],
    x: [S::F; M],
) {
    for n in 0..N {
        for m in 0..M {
            sums[n][m] = s.mul_add(w[n], x[m], sums[n][m]);
        }
    }
}

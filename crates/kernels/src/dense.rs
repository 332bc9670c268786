//! Products with unquantised weights.

mod columns;
mod rows;

use std::ops::Range;

use half::{bf16, f16};

use crate::ops::widen;
use crate::simd::{Element, Op, Simd};
use crate::{Kernels, Pool};

pub(crate) use rows::{WeightRows, matmul_rows};

/// How a dense matrix lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[k, n]`: the second operand of ONNX `MatMul`.
    KN,
    /// `[n, k]`: of `Gemm` with `transB`, or an embedding table.
    NK,
}

/// The numbers of a dense matrix.
#[derive(Clone, Copy, Debug)]
pub enum DenseData<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// Half precision.
    F16(&'a [f16]),
    /// The upper half of single precision.
    Bf16(&'a [bf16]),
}

impl DenseData<'_> {
    /// How many numbers there are.
    pub fn len(&self) -> usize {
        match self {
            DenseData::F32(x) => x.len(),
            DenseData::F16(x) => x.len(),
            DenseData::Bf16(x) => x.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An unquantised matrix of `n` output and `k` input features.
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a> {
    /// Output features.
    pub n: usize,
    /// Input features.
    pub k: usize,
    /// Which of the two comes first.
    pub layout: Layout,
    /// `n * k` numbers.
    pub data: DenseData<'a>,
}

/// Does the same for each type of number.
macro_rules! for_each_type {
    ($data:expr, $x:ident => $body:expr) => {
        match $data {
            DenseData::F32($x) => $body,
            DenseData::F16($x) => $body,
            DenseData::Bf16($x) => $body,
        }
    };
}

impl Dense<'_> {
    /// Copies a row of `k` values, as for an embedding.
    ///
    /// # Panics
    /// Unless the layout is [`Layout::NK`], `row` below `n` and `out` of length `k`.
    pub fn copy_row(&self, row: usize, out: &mut [f32]) {
        self.assert_valid();
        assert_eq!(
            self.layout,
            Layout::NK,
            "only a matrix with its rows together can be copied from by rows"
        );
        let range = row * self.k..(row + 1) * self.k;
        assert_eq!(out.len(), self.k, "a row has {} values", self.k);
        for_each_type!(self.data, x => Kernels::best().run(Widen { from: &x[range], to: out }));
    }

    #[track_caller]
    fn assert_valid(&self) {
        let expected = self.n.checked_mul(self.k);
        assert_eq!(
            expected,
            Some(self.data.len()),
            "{} numbers are not {} x {}",
            self.data.len(),
            self.n,
            self.k
        );
    }
}

struct Widen<'a, E> {
    from: &'a [E],
    to: &'a mut [f32],
}

impl<E: Element> Op for Widen<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        widen(s, self.from, self.to);
    }
}

/// Multiplies rows of `f32`; shared out by output features.
pub(crate) fn matmul(
    kernels: Kernels,
    pool: &Pool,
    weights: &Dense<'_>,
    x: &[f32],
    out: &mut [f32],
) {
    weights.assert_valid();
    let (n, k) = (weights.n, weights.k);
    for_each_type!(weights.data, data => match weights.layout {
        Layout::KN => columns::matmul_columns(kernels, pool, columns::Matrix { data, n, k }, x, out),
        Layout::NK => matmul_rows(kernels, pool, &DenseRows { data, k }, n, k, x, out),
    });
}

/// A matrix whose rows are together.
struct DenseRows<'a, E> {
    data: &'a [E],
    k: usize,
}

impl<E: Element> WeightRows for DenseRows<'_, E> {
    #[inline(always)]
    fn stretch<'a, S: Simd>(
        &'a self,
        s: S,
        row: usize,
        k: Range<usize>,
        room: &'a mut [f32],
    ) -> &'a [f32] {
        let room = &mut room[..k.len()];
        widen(s, &self.data[row * self.k..][k], room);
        room
    }

    fn row_bytes(&self) -> usize {
        self.k * size_of::<E>()
    }
}

#[cfg(test)]
mod tests;

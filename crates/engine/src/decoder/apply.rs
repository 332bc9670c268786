//! Weights at work: norms, linear layers and the embedding on rows of activations.

use std::borrow::Cow;

use half::f16;
use inhouse_kernels::{Depth, Kernels, Layout, Pool, QuantizedRows};

use crate::weights::{DenseValues, DenseWeight, Embedding, Linear, Norm, Weight};

/// What a forward runs on.
pub(crate) struct Machine {
    pub(crate) kernels: Kernels,
    pub(crate) pool: Pool,
    /// f32 arithmetic everywhere, whatever the nodes allow.
    pub(crate) exact: bool,
}

/// Rows that linear layers read, with their integer forms made at most once each.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) values: Vec<f32>,
    eight: QuantizedRows,
    fifteen: QuantizedRows,
    eight_is_fresh: bool,
    fifteen_is_fresh: bool,
}

impl Rows {
    /// The rows to be written anew, `len` values in all.
    pub(super) fn fill(&mut self, len: usize) -> &mut [f32] {
        (self.eight_is_fresh, self.fifteen_is_fresh) = (false, false);
        resized(&mut self.values, len)
    }

    pub(super) fn quantized(
        &mut self,
        machine: &Machine,
        k: usize,
        depth: Depth,
    ) -> &QuantizedRows {
        let (rows, fresh) = match depth {
            Depth::Eight => (&mut self.eight, &mut self.eight_is_fresh),
            Depth::Fifteen => (&mut self.fifteen, &mut self.fifteen_is_fresh),
        };
        if !std::mem::replace(fresh, true) {
            let (x, count) = (&self.values, self.values.len() / k);
            rows.quantize(machine.kernels, &machine.pool, x, count, k, depth);
        }
        rows
    }
}

/// The buffer with just `len` values, whatever they are. Room that a long prompt took is given back.
pub(super) fn resized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    const SPARE: usize = 1 << 20;
    if buffer.capacity() > 4 * len + SPARE {
        *buffer = Vec::new();
    }
    buffer.resize(len, 0.0);
    buffer
}

impl Norm {
    pub(super) fn apply(&self, kernels: Kernels, x: &[f32], out: &mut [f32]) {
        kernels.rms_norm(x, &self.weight, self.epsilon, out);
    }

    /// Norms each piece of `x` that is as long as the weight.
    pub(super) fn apply_in_place(&self, kernels: Kernels, x: &mut [f32]) {
        let mut copy = vec![0.0; self.weight.len()];
        for piece in x.chunks_exact_mut(self.weight.len()) {
            copy.copy_from_slice(piece);
            kernels.rms_norm(&copy, &self.weight, self.epsilon, piece);
        }
    }
}

impl Linear {
    /// `out = (x * W^T + bias) * scale` for all rows of `x`, in f32.
    pub(super) fn apply(&self, machine: &Machine, x: &Rows, out: &mut [f32]) {
        let Machine { kernels, pool, .. } = machine;
        match &self.weight {
            Weight::NBits(weight) => {
                let x = self.in_order(&x.values);
                kernels.matmul_nbits_f32(pool, &weight.view(), &x, out);
            }
            Weight::Dense(weight) => kernels.matmul_dense(pool, &weight.view(), &x.values, out),
        }
        if self.is_affine() {
            for row in out.chunks_exact_mut(self.n()) {
                self.add_bias(*kernels, row);
            }
        }
    }

    /// Whether there is more to it than a matrix.
    pub(super) fn is_affine(&self) -> bool {
        self.bias.is_some() || self.scale != 1.0
    }

    /// What follows the product, for one row.
    pub(super) fn add_bias(&self, kernels: Kernels, row: &mut [f32]) {
        if let Some(bias) = &self.bias {
            kernels.add_assign(row, bias);
        }
        if self.scale != 1.0 {
            kernels.scale_assign(row, self.scale);
        }
    }
}

impl Linear {
    /// The rows of `x` with their values in the order of our columns.
    fn in_order<'x>(&self, x: &'x [f32]) -> Cow<'x, [f32]> {
        let Some(columns) = &self.columns else {
            return x.into();
        };
        let row = |row: &'x [f32]| columns.iter().map(|&column| row[column as usize]);
        x.chunks_exact(columns.len()).flat_map(row).collect()
    }
}

impl Embedding {
    /// Width of a row.
    pub(crate) fn width(&self) -> usize {
        match &self.table {
            Weight::NBits(weight) => weight.k,
            Weight::Dense(weight) => weight.k,
        }
    }

    /// Rows of the table.
    pub(crate) fn rows(&self) -> usize {
        match &self.table {
            Weight::NBits(weight) => weight.n,
            Weight::Dense(weight) => weight.n,
        }
    }

    pub(super) fn gather(&self, machine: &Machine, ids: &[u32], out: &mut [f32]) {
        let kernels = machine.kernels;
        for (&id, out) in ids.iter().zip(out.chunks_exact_mut(self.width())) {
            match &self.table {
                Weight::NBits(weight) => kernels.dequantize_row(&weight.view(), id as usize, out),
                Weight::Dense(weight) => weight.copy_row(id as usize, out),
            }
            if self.scale != 1.0 {
                kernels.scale_assign(out, self.scale);
            }
            if let Some(release) = &self.release {
                release.count(&self.table);
            }
        }
    }
}

impl DenseWeight {
    /// Copies row `row` of [n, k], whichever way the matrix lies.
    fn copy_row(&self, row: usize, out: &mut [f32]) {
        let (first, step) = match self.layout {
            Layout::NK => (row * self.k, 1),
            Layout::KN => (row, self.n),
        };
        let indices = (first..).step_by(step);
        match &self.values {
            DenseValues::F32(values) => out
                .iter_mut()
                .zip(indices)
                .for_each(|(out, i)| *out = values[i]),
            DenseValues::F16(values) => out
                .iter_mut()
                .zip(indices)
                .for_each(|(out, i)| *out = f16::to_f32(values[i])),
            DenseValues::Bf16(values) => out
                .iter_mut()
                .zip(indices)
                .for_each(|(out, i)| *out = values[i].to_f32()),
        }
    }
}

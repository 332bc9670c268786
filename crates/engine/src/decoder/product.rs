//! Linear layers that read the same rows, multiplied as one.
//!
//! The lift gives each matrix as it lies in the file. Here the ones that belong together (query, key and value; gate
//! and up) are joined, and repacked for the kernels; what cannot be packed (unquantised matrices, sorted columns) is
//! computed in f32 from the file, and so is everything where exactness is asked for.

use bytes::Bytes;
use inhouse_kernels::{Depth, Join, NBits, Packed, PackedLayout, Pool, Then};

use super::Activation;
use super::apply::{Machine, Rows, resized};
use crate::weights::{Linear, NBitsWeight, Weight};

/// Linear layers with one input, their outputs side by side.
pub(crate) struct Product {
    parts: Vec<Linear>,
    join: Join,
    packed: Option<PackedWeight>,
}

/// Weights as the kernels want them.
pub(crate) struct PackedWeight {
    layout: PackedLayout,
    bytes: Bytes,
}

impl Product {
    /// Outputs one after the other in each row.
    pub(crate) fn stacked(parts: Vec<Linear>) -> Self {
        Self {
            parts,
            join: Join::Stacked,
            packed: None,
        }
    }

    /// A gate and what it opens: two layers, or one whose first half is the gate.
    pub(crate) fn gated(parts: Vec<Linear>) -> Self {
        Self {
            parts,
            join: Join::Gated,
            packed: None,
        }
    }

    /// The layers.
    pub(crate) fn parts(&self) -> &[Linear] {
        &self.parts
    }

    /// Width of the outputs together.
    pub(crate) fn n(&self) -> usize {
        self.parts.iter().map(Linear::n).sum()
    }

    /// Width of the input.
    pub(crate) fn k(&self) -> usize {
        self.parts[0].k()
    }

    /// Bytes that one pass over the weights reads.
    pub(crate) fn bytes(&self) -> usize {
        match &self.packed {
            Some(packed) => packed.bytes.len(),
            None => self.parts.iter().map(Linear::bytes).sum(),
        }
    }

    /// How finely activations are rounded for this product; `None` where they stay floats.
    pub(crate) fn depth(&self) -> Option<Depth> {
        self.packed.as_ref().map(|_| self.allowed_depth())
    }

    /// Where a level below 4 asks for more than 8 bits, 15 are as good as floats beside such weights.
    fn allowed_depth(&self) -> Depth {
        if self.parts.iter().all(|part| part.int8_activations) {
            Depth::Eight
        } else {
            Depth::Fifteen
        }
    }

    /// The layout that the weights can be packed in, if any.
    pub(crate) fn layout(&self) -> Option<PackedLayout> {
        PackedLayout::of(&self.views()?, self.join, self.allowed_depth())
    }

    /// The layouts of which one is that of [`Self::layout`], found without a look at the weights.
    pub(crate) fn layout_candidates(&self) -> Vec<PackedLayout> {
        let views = self.views().unwrap_or_default();
        PackedLayout::candidates(&views, self.join)
    }

    /// Whether it reads some weights where they lie in the model's file.
    pub(crate) fn reads_in_place(&self, weights: &Weight) -> bool {
        let start = |weights: &Weight| weights.slices()[0].as_ptr();
        let mut parts = self.parts.iter();
        self.packed.is_none() && parts.any(|part| start(&part.weight) == start(weights))
    }

    /// Takes weights that were packed in a layout of [`Self::layout`].
    pub(crate) fn set_packed(&mut self, layout: PackedLayout, bytes: Bytes) {
        self.packed = Some(PackedWeight { layout, bytes });
    }

    /// Packs some pieces of the weights.
    pub(crate) fn pack_pieces(
        &self,
        pool: &Pool,
        layout: &PackedLayout,
        pieces: std::ops::Range<usize>,
        out: &mut [u8],
    ) {
        let views = self.views().unwrap_or_default();
        layout.pack(pool, &views, pieces, out);
    }

    /// The matrices to be joined, if all can be packed.
    fn views(&self) -> Option<Vec<NBits<'_>>> {
        let gated = self.join == Join::Gated;
        let mut views = Vec::new();
        for part in &self.parts {
            let Weight::NBits(weight) = &part.weight else {
                return None;
            };
            // A gate is applied in the product, where a bias would come too late.
            if part.columns.is_some() || (gated && part.is_affine()) {
                return None;
            }
            views.push(weight);
        }
        match views.as_slice() {
            [both] if gated => {
                let half = both.n / 2;
                Some(vec![both.rows(0..half), both.rows(half..both.n)])
            }
            views => Some(views.iter().map(|weight| weight.view()).collect()),
        }
    }

    fn packed(&self, machine: &Machine) -> Option<(Packed<'_>, Depth)> {
        let packed = self.packed.as_ref().filter(|_| !machine.exact)?;
        let weights = Packed::new(packed.layout, &packed.bytes).ok()?;
        Some((weights, self.allowed_depth()))
    }

    /// `out = x * W^T` with biases and scales, [rows, n].
    pub(crate) fn apply(
        &self,
        machine: &Machine,
        x: &mut Rows,
        spare: &mut Vec<f32>,
        out: &mut [f32],
    ) {
        if let Some((weights, depth)) = self.packed(machine) {
            let x = x.quantized(machine, self.k(), depth);
            let Machine { kernels, pool, .. } = machine;
            kernels.matmul_packed(pool, &weights, x, Then::Store, out);
            return self.add_biases(machine, out);
        }
        if let [part] = self.parts.as_slice() {
            return part.apply(machine, x, out);
        }
        let (n, rows) = (self.n(), x.values.len() / self.k());
        let mut at = 0;
        for part in &self.parts {
            let result = resized(spare, rows * part.n());
            part.apply(machine, x, result);
            for (out, result) in out.chunks_exact_mut(n).zip(result.chunks_exact(part.n())) {
                out[at..][..part.n()].copy_from_slice(result);
            }
            at += part.n();
        }
    }

    fn add_biases(&self, machine: &Machine, out: &mut [f32]) {
        if !self.parts.iter().any(Linear::is_affine) {
            return;
        }
        for row in out.chunks_exact_mut(self.n()) {
            let mut rest = row;
            for part in &self.parts {
                let (own, others) = rest.split_at_mut(part.n());
                part.add_bias(machine.kernels, own);
                rest = others;
            }
        }
    }

    /// `out += x * W^T` with biases and scales, [rows, n].
    pub(crate) fn add(
        &self,
        machine: &Machine,
        x: &mut Rows,
        spare: &mut Vec<f32>,
        out: &mut [f32],
    ) {
        let plain = !self.parts.iter().any(Linear::is_affine);
        if let Some((weights, depth)) = self.packed(machine).filter(|_| plain) {
            let x = x.quantized(machine, self.k(), depth);
            let Machine { kernels, pool, .. } = machine;
            return kernels.matmul_packed(pool, &weights, x, Then::Add, out);
        }
        let mut branch = std::mem::take(spare);
        self.apply(machine, x, spare, resized(&mut branch, out.len()));
        machine.kernels.add_assign(out, &branch);
        *spare = branch;
    }

    /// `out = activation(gate) * up`, [rows, n / 2].
    pub(crate) fn gate(
        &self,
        machine: &Machine,
        x: &mut Rows,
        spare: &mut Vec<f32>,
        activation: Activation,
        out: &mut [f32],
    ) {
        let Machine { kernels, pool, .. } = machine;
        if let Some((weights, depth)) = self.packed(machine) {
            let then = match activation {
                Activation::Silu => Then::Silu,
                Activation::GeluTanh => Then::GeluTanh,
            };
            let x = x.quantized(machine, self.k(), depth);
            return kernels.matmul_packed(pool, &weights, x, then, out);
        }
        let (n, width) = (self.n(), self.n() / 2);
        let rows = out.len() / width;
        let mut both = std::mem::take(spare);
        self.apply(machine, x, spare, resized(&mut both, rows * n));
        pool.chunks_mut(out, width, |i, out| {
            let (gate, up) = both[i * n..][..n].split_at(width);
            out.copy_from_slice(gate);
            match activation {
                Activation::Silu => kernels.silu_mul(out, up),
                Activation::GeluTanh => kernels.gelu_tanh_mul(out, up),
            }
        });
        *spare = both;
    }
}

impl NBitsWeight {
    /// Some rows of the matrix.
    fn rows(&self, rows: std::ops::Range<usize>) -> NBits<'_> {
        self.view().rows(rows)
    }
}

/// Bytes that begin at a cache line, for kernels to write packed weights to.
pub(crate) fn aligned(len: usize, fill: impl FnOnce(&mut [u8])) -> Bytes {
    const LINE: usize = 64;
    let mut bytes = vec![0; len + LINE];
    let start = bytes.as_ptr().align_offset(LINE).min(LINE);
    fill(&mut bytes[start..start + len]);
    Bytes::from(bytes).slice(start..start + len)
}

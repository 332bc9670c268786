//! Quantised matrices in the form of `MatMulNBits`: levels, a scale per block, zero points.
//!
//! ONNX writes `value = scale * (level - zero_point)`. Formats with a centre (Q4_0, Q5_0, Q8_0,
//! Q6_K) fit exactly. Formats with an offset (Q4_1, Q4_K) fit exactly with a float zero point,
//! `-offset / scale`; 4-bit integer ones are the nearest that can be found. Five-bit formats with
//! an offset (Q5_1, Q5_K) go into 8 bits, whose spare levels bring an integer zero point
//! within a small part of a step of the true offset: ONNX Runtime takes no float ones there.

mod requantise;

use std::fmt;

use crate::ZeroPoints;
use crate::blocks::{Row, Shape};
use crate::error::ConvertError;
use crate::gguf::TensorType;
use requantise::{Affine, Search};

/// How a matrix's bytes are laid out. Matrices of one form can be joined row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) bits: usize,
    pub(crate) block: usize,
    pub(crate) zero_points: ZeroPointForm,
}

/// What stands in `MatMulNBits`' zero point input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ZeroPointForm {
    /// Nothing: the middle level is zero.
    Absent,
    /// A float per block.
    Float,
    /// A level per block, packed as the levels are.
    Packed,
}

/// What a matrix will be used for, which decides the forms it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// `MatMulNBits`.
    Multiply,
    /// `GatherBlockQuantized`, which takes no float zero points.
    Gather,
}

impl Form {
    /// The form a quantised type is given.
    pub(crate) fn of(shape: Shape, wanted: ZeroPoints, used: Use) -> Form {
        let (bits, zero_points) = match (shape.centre, wanted) {
            (Some(_), _) if shape.levels <= 16 => (4, ZeroPointForm::Absent),
            (Some(_), _) => (8, ZeroPointForm::Absent),
            (None, ZeroPoints::None) if shape.levels <= 16 => (4, ZeroPointForm::Absent),
            (None, ZeroPoints::None) => (8, ZeroPointForm::Absent),
            (None, ZeroPoints::Packed) if shape.levels <= 16 => (4, ZeroPointForm::Packed),
            (None, ZeroPoints::Float) if shape.levels <= 16 && used == Use::Multiply => {
                (4, ZeroPointForm::Float)
            }
            (None, _) => (8, ZeroPointForm::Packed),
        };
        Form {
            bits,
            block: shape.block,
            zero_points,
        }
    }

    /// Whether every value of a format of this shape comes out as it went in.
    pub(crate) fn is_exact(self, shape: Shape) -> bool {
        shape.centre.is_some() || self.zero_points == ZeroPointForm::Float
    }

    fn level_bytes(self, k: usize) -> usize {
        k * self.bits / 8
    }

    /// Bytes of one row's packed zero points; each row begins a byte.
    pub(crate) fn zero_point_bytes(self, k: usize) -> usize {
        (k / self.block * self.bits).div_ceil(8)
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bits, block {}", self.bits, self.block)?;
        match self.zero_points {
            ZeroPointForm::Absent => Ok(()),
            ZeroPointForm::Float => f.write_str(", float zero points"),
            ZeroPointForm::Packed => f.write_str(", packed zero points"),
        }
    }
}

/// A matrix ready to be written.
pub(crate) struct Matrix {
    pub(crate) form: Form,
    pub(crate) n: usize,
    pub(crate) k: usize,
    /// `[n, k / block, block * bits / 8]`, low nibbles first.
    pub(crate) levels: Vec<u8>,
    /// `[n, k / block]`.
    pub(crate) scales: Vec<f32>,
    /// `[n, k / block]` where the form says float, otherwise empty.
    pub(crate) float_zero_points: Vec<f32>,
    /// `[n, ceil(k / block * bits / 8)]` where the form says packed, otherwise empty.
    pub(crate) packed_zero_points: Vec<u8>,
}

/// Rows of a tensor, in an order of their own.
pub(crate) struct Source<'a> {
    pub(crate) name: &'a str,
    pub(crate) tensor_type: TensorType,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) data: &'a [u8],
    /// Which of the tensor's rows is the given row of the output.
    pub(crate) row: &'a (dyn Fn(usize) -> usize + Sync),
}

impl Source<'_> {
    /// The bytes of an output row.
    pub(crate) fn row_bytes(&self, row: usize) -> &[u8] {
        let len = self.k / self.tensor_type.block_len() * self.tensor_type.block_bytes();
        let start = (self.row)(row) * len;
        self.data.get(start..start + len).unwrap_or_default()
    }
}

impl Matrix {
    /// Converts a quantised tensor whose shape is `shape`, the rows shared out among threads.
    pub(crate) fn convert(
        source: &Source<'_>,
        shape: Shape,
        form: Form,
    ) -> Result<Matrix, ConvertError> {
        let (n, k) = (source.n, source.k);
        let blocks = k / form.block;
        let has = |z| usize::from(form.zero_points == z);
        let mut matrix = Matrix {
            form,
            n,
            k,
            levels: vec![0; n * form.level_bytes(k)],
            scales: vec![0.0; n * blocks],
            float_zero_points: vec![0.0; n * blocks * has(ZeroPointForm::Float)],
            packed_zero_points: vec![0; n * form.zero_point_bytes(k) * has(ZeroPointForm::Packed)],
        };
        let threads = std::thread::available_parallelism().map_or(1, |t| t.get());
        let rows_each = n.div_ceil(threads).max(1);
        let results = std::thread::scope(|scope| {
            let parts = matrix.parts(rows_each);
            let workers: Vec<_> = parts
                .into_iter()
                .map(|part| scope.spawn(move || part.fill(source, shape, form)))
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join())
                .collect::<Vec<_>>()
        });
        for result in results {
            // A worker that panicked has a bug; let it be seen as such.
            result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok(matrix)
    }

    /// Puts another matrix of the same form and width below this one.
    pub(crate) fn append(&mut self, other: Matrix) {
        self.n += other.n;
        self.levels.extend(other.levels);
        self.scales.extend(other.scales);
        self.float_zero_points.extend(other.float_zero_points);
        self.packed_zero_points.extend(other.packed_zero_points);
    }

    /// Bytes of everything that is written.
    pub(crate) fn byte_len(&self) -> usize {
        let floats = self.scales.len() + self.float_zero_points.len();
        self.levels.len() + self.packed_zero_points.len() + floats * 4
    }

    /// Disjoint runs of rows.
    fn parts(&mut self, rows_each: usize) -> Vec<Part<'_>> {
        let blocks = self.k / self.form.block;
        let row_levels = self.form.level_bytes(self.k);
        let row_zeros = self.form.zero_point_bytes(self.k);
        let mut levels = self.levels.chunks_mut(row_levels * rows_each);
        let mut scales = self.scales.chunks_mut(blocks * rows_each);
        let mut floats = self.float_zero_points.chunks_mut(blocks * rows_each);
        let mut packed = self.packed_zero_points.chunks_mut(row_zeros * rows_each);
        (0..self.n)
            .step_by(rows_each)
            .map(|first| Part {
                first,
                blocks,
                levels: levels.next().unwrap_or_default(),
                scales: scales.next().unwrap_or_default(),
                floats: floats.next().unwrap_or_default(),
                packed: packed.next().unwrap_or_default(),
            })
            .collect()
    }
}

/// Rows that one thread fills.
struct Part<'a> {
    first: usize,
    blocks: usize,
    levels: &'a mut [u8],
    scales: &'a mut [f32],
    floats: &'a mut [f32],
    packed: &'a mut [u8],
}

impl Part<'_> {
    fn fill(self, source: &Source<'_>, shape: Shape, form: Form) -> Result<(), ConvertError> {
        let row_levels = form.level_bytes(source.k);
        let row_zeros = form.zero_point_bytes(source.k);
        let mut row = Row::default();
        let mut zeros = vec![0u8; self.blocks];
        let mut floats = self.floats.chunks_mut(self.blocks);
        let mut packed = self.packed.chunks_mut(row_zeros);
        let outputs = self
            .levels
            .chunks_mut(row_levels)
            .zip(self.scales.chunks_mut(self.blocks));
        for (index, (levels, scales)) in outputs.enumerate() {
            row.decode(source.tensor_type, source.row_bytes(self.first + index));
            if !row.is_finite() {
                return Err(ConvertError::damaged(format!(
                    "gguf tensor `{}` has scales that are not numbers: the file is damaged",
                    source.name
                )));
            }
            let float_zeros = floats.next().unwrap_or_default();
            encode_row(&mut row, shape, form, &mut zeros, float_zeros);
            scales.copy_from_slice(&row.scales);
            pack(&row.levels, form.bits, levels);
            if let Some(packed) = packed.next() {
                pack(&zeros, form.bits, packed);
            }
        }
        Ok(())
    }
}

/// Rewrites a decoded row's levels and scales into `form`, with its zero points beside.
fn encode_row(row: &mut Row, shape: Shape, form: Form, zeros: &mut [u8], floats: &mut [f32]) {
    let middle = if form.bits == 4 { 8 } else { 128 };
    if let Some(centre) = shape.centre {
        let shift = middle - centre;
        row.levels.iter_mut().for_each(|level| *level += shift);
        return;
    }
    let search = Search::new(form.bits, form.zero_points == ZeroPointForm::Packed);
    let blocks = row.levels.chunks_mut(shape.block);
    let scales = row.scales.iter_mut().zip(&row.offsets);
    for (index, (levels, (scale, &offset))) in blocks.zip(scales).enumerate() {
        let affine = Affine {
            scale: *scale,
            offset,
        };
        if form.zero_points == ZeroPointForm::Float {
            if let Some(zero) = floats.get_mut(index) {
                (*scale, *zero) = float_zero_point(affine, levels);
            }
        } else {
            let zero;
            (*scale, zero) = search.encode(affine, levels);
            if let Some(slot) = zeros.get_mut(index) {
                *slot = zero;
            }
        }
    }
}

/// Scale and zero point that give `scale * level + offset`.
fn float_zero_point(affine: Affine, levels: &mut [u8]) -> (f32, f32) {
    let zero = -affine.offset / affine.scale;
    if affine.scale != 0.0 && zero.is_finite() {
        return (affine.scale, zero);
    }
    // A constant block has no step to measure its offset in: take steps of 1.
    levels.fill(0);
    (1.0, -affine.offset)
}

/// Packs levels, for 4 bits the first of each pair in the low nibble.
fn pack(levels: &[u8], bits: usize, out: &mut [u8]) {
    if bits == 8 {
        out.copy_from_slice(levels);
        return;
    }
    for (byte, pair) in out.iter_mut().zip(levels.chunks(2)) {
        let high = pair.get(1).copied().unwrap_or(0);
        *byte = pair.first().copied().unwrap_or(0) | (high << 4);
    }
}

#[cfg(test)]
mod tests;

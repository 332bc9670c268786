//! GGUF's block formats, decoded to one form: `value = scale * level + offset` per block.
//!
//! Levels come out in the order of the values. (ggml keeps the low nibbles of a byte for the
//! first half of a block and the high ones for the second; ONNX pairs neighbours.)

mod legacy;
mod super_blocks;

use half::f16;

use crate::gguf::TensorType;

/// What a block format can express.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Values that share a scale.
    pub(crate) block: usize,
    /// Levels are `0..levels`.
    pub(crate) levels: usize,
    /// The level that stands for zero; `None` where each block has an offset of its own.
    pub(crate) centre: Option<u8>,
}

impl Shape {
    /// The shape of a quantised type; `None` for floats.
    pub(crate) fn of(tensor_type: TensorType) -> Option<Shape> {
        let (block, levels, centre) = match tensor_type {
            TensorType::Q4_0 => (32, 16, Some(8)),
            TensorType::Q4_1 => (32, 16, None),
            TensorType::Q5_0 => (32, 32, Some(16)),
            TensorType::Q5_1 => (32, 32, None),
            TensorType::Q8_0 => (32, 256, Some(128)),
            TensorType::Q4_K => (32, 16, None),
            TensorType::Q5_K => (32, 32, None),
            TensorType::Q6_K => (16, 64, Some(32)),
            TensorType::F32 | TensorType::F16 | TensorType::BF16 => return None,
        };
        Some(Shape {
            block,
            levels,
            centre,
        })
    }
}

/// One row, decoded. Kept between rows so that nothing is allocated per row.
#[derive(Default)]
pub(crate) struct Row {
    pub(crate) levels: Vec<u8>,
    pub(crate) scales: Vec<f32>,
    /// One per block; empty where the format has a centre instead.
    pub(crate) offsets: Vec<f32>,
}

impl Row {
    /// Decodes the bytes of one row of a quantised type.
    pub(crate) fn decode(&mut self, tensor_type: TensorType, bytes: &[u8]) {
        self.levels.clear();
        self.scales.clear();
        self.offsets.clear();
        let push: fn(&mut Row, &[u8]) = match tensor_type {
            TensorType::Q4_0 => legacy::q4_0,
            TensorType::Q4_1 => legacy::q4_1,
            TensorType::Q5_0 => legacy::q5_0,
            TensorType::Q5_1 => legacy::q5_1,
            TensorType::Q8_0 => legacy::q8_0,
            TensorType::Q4_K => super_blocks::q4_k,
            TensorType::Q5_K => super_blocks::q5_k,
            TensorType::Q6_K => super_blocks::q6_k,
            TensorType::F32 | TensorType::F16 | TensorType::BF16 => return,
        };
        for block in bytes.chunks_exact(tensor_type.block_bytes()) {
            push(self, block);
        }
    }

    /// Whether every scale and offset is a number.
    pub(crate) fn is_finite(&self) -> bool {
        self.scales
            .iter()
            .chain(&self.offsets)
            .all(|v| v.is_finite())
    }

    /// The values themselves, appended to `out`.
    pub(crate) fn values(&self, shape: Shape, out: &mut Vec<f32>) {
        let centre = f32::from(shape.centre.unwrap_or(0));
        for (index, levels) in self.levels.chunks(shape.block).enumerate() {
            let scale = self.scales.get(index).copied().unwrap_or(0.0);
            let offset = self.offsets.get(index).copied();
            out.extend(levels.iter().map(|&level| match offset {
                Some(offset) => scale * f32::from(level) + offset,
                None => scale * (f32::from(level) - centre),
            }));
        }
    }
}

/// The values of whole rows of any readable type.
pub(crate) fn dequantise(tensor_type: TensorType, bytes: &[u8]) -> Vec<f32> {
    match tensor_type {
        TensorType::F32 => le_chunks(bytes, f32::from_le_bytes),
        TensorType::F16 => le_chunks(bytes, |b| f16::from_le_bytes(b).to_f32()),
        TensorType::BF16 => le_chunks(bytes, |b| half::bf16::from_le_bytes(b).to_f32()),
        quantised => {
            let mut row = Row::default();
            let mut out = Vec::new();
            row.decode(quantised, bytes);
            if let Some(shape) = Shape::of(quantised) {
                row.values(shape, &mut out);
            }
            out
        }
    }
}

fn le_chunks<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|&chunk| read(chunk)).collect()
}

/// The f16 at `at`; 0 where the block is too short, which `chunks_exact` rules out.
fn half_at(block: &[u8], at: usize) -> f32 {
    match block.get(at..at + 2) {
        Some(&[low, high]) => f16::from_le_bytes([low, high]).to_f32(),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests;

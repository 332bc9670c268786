//! Weights as the decoder holds them: in place in the mapped file where they lie well, copied where they do not.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytemuck::Pod;
use bytes::Bytes;
use half::{bf16, f16};
use inhouse_kernels::{Bits, Dense, DenseData, Layout, NBits, ZeroPoints};
use inhouse_onnx::SourceFiles;

/// Little-endian values of a model file, read in place where they are aligned and copied once where they are not.
#[derive(Clone)]
pub(crate) struct Values<T> {
    bytes: Bytes,
    item: PhantomData<T>,
}

impl<T: Pod + Send + Sync> Values<T> {
    pub(crate) fn new(bytes: Bytes) -> Self {
        if bytemuck::try_cast_slice::<u8, T>(&bytes).is_ok() {
            return Self {
                bytes,
                item: PhantomData,
            };
        }
        Self::from_vec(bytemuck::pod_collect_to_vec(&bytes))
    }

    pub(crate) fn from_vec(values: Vec<T>) -> Self {
        // The vector stays where it is, so the alignment that `deref` needs is kept.
        Self {
            bytes: Bytes::from_owner(Owner(values)),
            item: PhantomData,
        }
    }
}

struct Owner<T>(Vec<T>);

impl<T: Pod> AsRef<[u8]> for Owner<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

impl<T: Pod> Deref for Values<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        bytemuck::cast_slice(&self.bytes)
    }
}

/// A weight matrix [n, k] in the layout of `com.microsoft.MatMulNBits`.
#[derive(Clone)]
pub(crate) struct NBitsWeight {
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) bits: Bits,
    pub(crate) block: usize,
    pub(crate) quants: Bytes,
    pub(crate) scales: Values<f32>,
    pub(crate) zero_points: ZeroPointValues,
}

/// Zero points, one a block.
#[derive(Clone)]
pub(crate) enum ZeroPointValues {
    /// The middle of the range: 8 for 4 bits, 128 for 8.
    Middle,
    /// One byte a block, unpacked from nibbles where the file packs them.
    Bytes(Bytes),
    /// Floats, which `MatMulNBits` takes in the type of the scales.
    Floats(Values<f32>),
}

impl NBitsWeight {
    pub(crate) fn view(&self) -> NBits<'_> {
        NBits {
            n: self.n,
            k: self.k,
            bits: self.bits,
            block: self.block,
            quants: &self.quants,
            scales: &self.scales,
            zero_points: match &self.zero_points {
                ZeroPointValues::Middle => ZeroPoints::None,
                ZeroPointValues::Bytes(bytes) => ZeroPoints::Bytes(bytes),
                ZeroPointValues::Floats(values) => ZeroPoints::Floats(values),
            },
        }
    }
}

/// An unquantised matrix.
#[derive(Clone)]
pub(crate) struct DenseWeight {
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) layout: Layout,
    pub(crate) values: DenseValues,
}

/// The values of an unquantised matrix, in the type of the file.
#[derive(Clone)]
pub(crate) enum DenseValues {
    F32(Values<f32>),
    F16(Values<f16>),
    Bf16(Values<bf16>),
}

impl DenseWeight {
    pub(crate) fn view(&self) -> Dense<'_> {
        Dense {
            n: self.n,
            k: self.k,
            layout: self.layout,
            data: match &self.values {
                DenseValues::F32(values) => DenseData::F32(values),
                DenseValues::F16(values) => DenseData::F16(values),
                DenseValues::Bf16(values) => DenseData::Bf16(values),
            },
        }
    }
}

/// A linear layer, `out = (x * W^T + bias) * scale`, with the arithmetic its node asks for.
#[derive(Clone)]
pub(crate) struct Linear {
    pub(crate) weight: Weight,
    /// The order that the input's values are to be put in, where the weight's columns were sorted.
    pub(crate) columns: Option<Box<[u32]>>,
    pub(crate) bias: Option<Vec<f32>>,
    /// A constant the graph multiplies the output by; 1 in most families (Granite scales its branches and logits).
    pub(crate) scale: f32,
    /// Whether activations may be quantised to int8 (accuracy_level 4).
    pub(crate) int8_activations: bool,
}

/// A matrix in one of the forms that exports carry.
#[derive(Clone)]
pub(crate) enum Weight {
    NBits(NBitsWeight),
    Dense(DenseWeight),
}

impl Linear {
    /// Width of the output.
    pub(crate) fn n(&self) -> usize {
        match &self.weight {
            Weight::NBits(weight) => weight.n,
            Weight::Dense(weight) => weight.n,
        }
    }

    /// Width of the input.
    pub(crate) fn k(&self) -> usize {
        match &self.weight {
            Weight::NBits(weight) => weight.k,
            Weight::Dense(weight) => weight.k,
        }
    }

    /// How the weights are stored, for people: `int4 block 32`, `f16`.
    pub(crate) fn describe(&self) -> String {
        match &self.weight {
            Weight::NBits(weight) => {
                let bits = match weight.bits {
                    Bits::Four => 4,
                    Bits::Eight => 8,
                };
                format!("int{bits} block {}", weight.block)
            }
            Weight::Dense(weight) => match weight.values {
                DenseValues::F32(_) => "f32".into(),
                DenseValues::F16(_) => "f16".into(),
                DenseValues::Bf16(_) => "bf16".into(),
            },
        }
    }

    /// Bytes that one pass over the weights reads.
    pub(crate) fn bytes(&self) -> usize {
        match &self.weight {
            Weight::NBits(weight) => {
                let zero_points = match &weight.zero_points {
                    ZeroPointValues::Middle => 0,
                    ZeroPointValues::Bytes(bytes) => bytes.len(),
                    ZeroPointValues::Floats(values) => values.len() * 4,
                };
                weight.quants.len() + weight.scales.len() * 4 + zero_points
            }
            Weight::Dense(weight) => {
                let width = if matches!(weight.values, DenseValues::F32(_)) {
                    4
                } else {
                    2
                };
                weight.n * weight.k * width
            }
        }
    }
}

impl Weight {
    /// The memory it lies in.
    pub(crate) fn slices(&self) -> Vec<&[u8]> {
        match self {
            Weight::NBits(weight) => {
                let zero_points = match &weight.zero_points {
                    ZeroPointValues::Middle => &[],
                    ZeroPointValues::Bytes(bytes) => &bytes[..],
                    ZeroPointValues::Floats(values) => &values.bytes,
                };
                vec![&weight.quants, &weight.scales.bytes, zero_points]
            }
            Weight::Dense(weight) => match &weight.values {
                DenseValues::F32(values) => vec![&values.bytes],
                DenseValues::F16(values) => vec![&values.bytes],
                DenseValues::Bf16(values) => vec![&values.bytes],
            },
        }
    }
}

/// The table that turns token ids into rows of the residual stream.
pub(crate) struct Embedding {
    pub(crate) table: Weight,
    /// Gemma-like models scale the rows; 1 elsewhere.
    pub(crate) scale: f32,
    /// Set where nothing else reads the table.
    pub(crate) release: Option<Release>,
}

/// Gives back the memory of rows that were read.
///
/// The table may have gigabytes, of which a token needs some kilobytes and systems map up to two megabytes at a touch:
/// a few thousand tokens would bring all of it in.
pub(crate) struct Release {
    files: SourceFiles,
    rows: AtomicUsize,
}

impl Release {
    /// Rows whose memory is kept.
    const ROWS: usize = 32;

    pub(crate) fn new(files: SourceFiles) -> Self {
        let rows = AtomicUsize::new(0);
        Self { files, rows }
    }

    /// Counts a row of `table` that was read.
    pub(crate) fn count(&self, table: &Weight) {
        let rows = 1 + self.rows.fetch_add(1, Ordering::Relaxed);
        if rows.is_multiple_of(Self::ROWS) {
            let slices = table.slices().into_iter();
            slices.for_each(|bytes| self.files.release_pages_of(bytes));
        }
    }
}

/// The weight of a root-mean-square norm.
#[derive(Clone)]
pub(crate) struct Norm {
    pub(crate) weight: Vec<f32>,
    pub(crate) epsilon: f32,
}

//! Weights of 4 or 8 bits in the layout of `com.microsoft.MatMulNBits`, and their products.

pub(crate) mod float;
pub(crate) mod packed;

use std::fmt;

/// How many bits a weight has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bits {
    /// Two weights a byte, the low half first.
    Four,
    /// One weight a byte.
    Eight,
}

impl Bits {
    /// The number.
    pub fn count(self) -> usize {
        match self {
            Bits::Four => 4,
            Bits::Eight => 8,
        }
    }

    /// The zero point of weights that come without.
    pub fn middle(self) -> u8 {
        match self {
            Bits::Four => 8,
            Bits::Eight => 128,
        }
    }
}

/// What stands for 0 in each block.
#[derive(Clone, Copy, Debug)]
pub enum ZeroPoints<'a> {
    /// The middle: 8, or 128 for 8 bits.
    None,
    /// One byte for each block, `[n, ceil(k / block)]`; for 4 bits already unpacked.
    Bytes(&'a [u8]),
    /// One float for each block, of the same shape.
    Floats(&'a [f32]),
}

/// A matrix of `n` rows (output features) and `k` columns: `w[n][k] = (q - zero point) * scale`,
/// with one scale and zero point for each `block` values along `k`.
///
/// `k` need not be a multiple of `block`; what follows in the last block counts for nothing.
#[derive(Clone, Copy, Debug)]
pub struct NBits<'a> {
    /// Rows: output features.
    pub n: usize,
    /// Columns: input features.
    pub k: usize,
    /// The width of a weight.
    pub bits: Bits,
    /// How many weights share a scale: 16, 32, 64, 128 or 256.
    pub block: usize,
    /// `[n, ceil(k / block), block * bits / 8]`
    pub quants: &'a [u8],
    /// `[n, ceil(k / block)]`
    pub scales: &'a [f32],
    /// What stands for 0.
    pub zero_points: ZeroPoints<'a>,
}

/// What is wrong with the parts of an [`NBits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// A dimension is 0, or the sizes overflow.
    Dimensions {
        /// Rows.
        n: usize,
        /// Columns.
        k: usize,
    },
    /// The block size is not one of those that exist.
    Block(usize),
    /// A part has not as many elements as the dimensions ask for.
    Length {
        /// Which part.
        part: &'static str,
        /// How many elements the dimensions ask for.
        expected: usize,
        /// How many there are.
        actual: usize,
    },
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            LayoutError::Dimensions { n, k } => {
                write!(f, "a quantised matrix cannot have {n} rows of {k}")
            }
            LayoutError::Block(block) => write!(
                f,
                "a block size of {block} is not one of 16, 32, 64, 128 and 256"
            ),
            LayoutError::Length {
                part,
                expected,
                actual,
            } => {
                write!(
                    f,
                    "the {part} have {actual} elements where the dimensions ask for {expected}"
                )
            }
        }
    }
}

impl std::error::Error for LayoutError {}

impl<'a> NBits<'a> {
    /// Checks that the parts have the lengths that the dimensions ask for.
    pub fn validate(&self) -> Result<(), LayoutError> {
        if !matches!(self.block, 16 | 32 | 64 | 128 | 256) {
            return Err(LayoutError::Block(self.block));
        }
        let blocks = self.n.checked_mul(self.blocks());
        let bytes = blocks.and_then(|blocks| blocks.checked_mul(self.block));
        let (Some(blocks), Some(bytes)) = (blocks, bytes) else {
            return Err(LayoutError::Dimensions {
                n: self.n,
                k: self.k,
            });
        };
        if blocks == 0 {
            return Err(LayoutError::Dimensions {
                n: self.n,
                k: self.k,
            });
        }
        check_length("quants", bytes * self.bits.count() / 8, self.quants.len())?;
        check_length("scales", blocks, self.scales.len())?;
        match self.zero_points {
            ZeroPoints::None => Ok(()),
            ZeroPoints::Bytes(bytes) => check_length("zero points", blocks, bytes.len()),
            ZeroPoints::Floats(floats) => check_length("zero points", blocks, floats.len()),
        }
    }

    /// Some rows of the matrix, which is to be [valid](NBits::validate).
    ///
    /// # Panics
    /// When they are not there.
    pub fn rows(&self, rows: std::ops::Range<usize>) -> NBits<'a> {
        let blocks = rows.start * self.blocks()..rows.end * self.blocks();
        let bytes = rows.start * self.row_bytes()..rows.end * self.row_bytes();
        NBits {
            n: rows.len(),
            quants: &self.quants[bytes],
            scales: &self.scales[blocks.clone()],
            zero_points: match self.zero_points {
                ZeroPoints::None => ZeroPoints::None,
                ZeroPoints::Bytes(bytes) => ZeroPoints::Bytes(&bytes[blocks]),
                ZeroPoints::Floats(floats) => ZeroPoints::Floats(&floats[blocks]),
            },
            ..*self
        }
    }

    /// Blocks in a row.
    pub fn blocks(&self) -> usize {
        self.k.div_ceil(self.block)
    }

    /// Bytes of quants in a row.
    pub(crate) fn row_bytes(&self) -> usize {
        self.blocks() * self.block * self.bits.count() / 8
    }

    pub(crate) fn row_quants(&self, row: usize) -> &'a [u8] {
        &self.quants[row * self.row_bytes()..][..self.row_bytes()]
    }

    pub(crate) fn row_scales(&self, row: usize) -> &'a [f32] {
        &self.scales[row * self.blocks()..][..self.blocks()]
    }

    /// Panics unless the parts fit together, which is what the kernels' reads rely on.
    #[track_caller]
    pub(crate) fn assert_valid(&self) {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
    }
}

fn check_length(part: &'static str, expected: usize, actual: usize) -> Result<(), LayoutError> {
    if expected == actual {
        Ok(())
    } else {
        Err(LayoutError::Length {
            part,
            expected,
            actual,
        })
    }
}

/// How many bytes of weights make a task: enough that handing it out costs nothing beside it.
pub(crate) const TASK_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests;

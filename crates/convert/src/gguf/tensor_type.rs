//! How tensors are stored: the types that can be read, and the names of those that cannot.

use crate::error::ConvertError;

/// The tensor types this crate reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, non_camel_case_types)] // the names are the format's own
pub enum TensorType {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q4_K,
    Q5_K,
    Q6_K,
}

/// id, name, type, values a block, bytes a block.
const READABLE: &[(u32, &str, TensorType, usize, usize)] = &[
    (0, "F32", TensorType::F32, 1, 4),
    (1, "F16", TensorType::F16, 1, 2),
    (2, "Q4_0", TensorType::Q4_0, 32, 18),
    (3, "Q4_1", TensorType::Q4_1, 32, 20),
    (6, "Q5_0", TensorType::Q5_0, 32, 22),
    (7, "Q5_1", TensorType::Q5_1, 32, 24),
    (8, "Q8_0", TensorType::Q8_0, 32, 34),
    (12, "Q4_K", TensorType::Q4_K, 256, 144),
    (13, "Q5_K", TensorType::Q5_K, 256, 176),
    (14, "Q6_K", TensorType::Q6_K, 256, 210),
    (30, "BF16", TensorType::BF16, 1, 2),
];

/// Types that exist but are not read, so that the error can name them.
const UNREADABLE: &[(u32, &str)] = &[
    (9, "Q8_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
];

impl TensorType {
    pub(super) fn from_id(id: u32, tensor: &str) -> Result<TensorType, ConvertError> {
        if let Some(row) = READABLE.iter().find(|row| row.0 == id) {
            return Ok(row.2);
        }
        let name = match UNREADABLE.iter().find(|row| row.0 == id) {
            Some((_, name)) => (*name).to_owned(),
            None => format!("number {id}"),
        };
        let readable: Vec<&str> = READABLE.iter().map(|row| row.1).collect();
        Err(ConvertError::unsupported(format!(
            "gguf tensor `{tensor}` has type {name}, which is not read: take a file quantised to one of {}",
            readable.join(", ")
        )))
    }

    /// The format's name for it.
    pub fn name(self) -> &'static str {
        READABLE
            .iter()
            .find(|row| row.2 == self)
            .map_or("?", |row| row.1)
    }

    /// Values that are stored together.
    pub fn block_len(self) -> usize {
        READABLE
            .iter()
            .find(|row| row.2 == self)
            .map_or(1, |row| row.3)
    }

    /// Bytes of one block.
    pub fn block_bytes(self) -> usize {
        READABLE
            .iter()
            .find(|row| row.2 == self)
            .map_or(1, |row| row.4)
    }

    /// Whether values are stored one by one, as floats.
    pub fn is_float(self) -> bool {
        self.block_len() == 1
    }

    /// Bytes of a tensor with these dimensions (fastest first).
    pub(super) fn byte_len(self, dims: &[usize], tensor: &str) -> Result<usize, ConvertError> {
        let row = dims.first().copied().unwrap_or(1);
        if row % self.block_len() != 0 {
            return Err(ConvertError::damaged(format!(
                "gguf tensor `{tensor}` has rows of {row} values, no multiple of the {} in a {} block",
                self.block_len(),
                self.name()
            )));
        }
        dims.iter()
            .try_fold(1usize, |product, &dim| product.checked_mul(dim))
            .and_then(|values| (values / self.block_len()).checked_mul(self.block_bytes()))
            .ok_or_else(|| {
                ConvertError::damaged(format!(
                    "gguf tensor `{tensor}` has dimensions {dims:?}, more values than any file can hold"
                ))
            })
    }
}

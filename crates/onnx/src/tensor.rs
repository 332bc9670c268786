//! Tensors: a name, a type, a shape and bytes that may belong to a mapped file.

use std::fmt;

use bytes::Bytes;
use half::{bf16, f16};

use crate::DataType;
use crate::error::quote;

/// A tensor with its data in little-endian order. Cloning it copies no data.
///
/// The data may be a slice of a mapped file, which stays mapped for as long as the tensor (or any clone) lives. Nothing
/// is promised about its alignment: raw data inside an `.onnx` file begins where the bytes before it end.
#[derive(Clone, PartialEq)]
pub struct Tensor {
    /// The value's name; empty for most attributes.
    pub name: String,
    /// Type of the elements.
    pub dtype: DataType,
    /// Shape; empty for a scalar.
    pub dims: Vec<usize>,
    data: Bytes,
}

impl Tensor {
    /// A tensor over `data`, whose length must be what the type and the shape ask for.
    pub fn new(
        name: impl Into<String>,
        dtype: DataType,
        dims: impl Into<Vec<usize>>,
        data: impl Into<Bytes>,
    ) -> Result<Tensor, TensorError> {
        let (name, dims, data) = (name.into(), dims.into(), data.into());
        let error = |problem| TensorError::new(&name, problem);
        let expected = byte_len(dtype, &dims).map_err(error)?;
        if data.len() != expected {
            return Err(error(Problem::Length {
                dtype,
                dims: dims.clone(),
                expected,
                got: data.len(),
            }));
        }
        Ok(Tensor {
            name,
            dtype,
            dims,
            data,
        })
    }

    /// The elements, little-endian; 4-bit ones two to a byte.
    pub fn bytes(&self) -> &Bytes {
        &self.data
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        // The product was checked when the tensor was made.
        self.dims.iter().product()
    }

    /// Whether there are no elements, that is, whether a dimension is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements of a floating-point tensor, f16 and bf16 widened; any other type is an error.
    pub fn to_f32(&self) -> Result<Vec<f32>, TensorError> {
        match self.dtype {
            DataType::F32 => Ok(self.read(f32::from_le_bytes)),
            DataType::F16 => Ok(self.read(|b| f16::from_le_bytes(b).to_f32())),
            DataType::BF16 => Ok(self.read(|b| bf16::from_le_bytes(b).to_f32())),
            _ => Err(self.wrong_type("f32, f16 or bf16")),
        }
    }

    /// The elements of an integer or boolean tensor; any other type, and a u64 beyond `i64::MAX`, is an error.
    pub fn to_i64(&self) -> Result<Vec<i64>, TensorError> {
        Ok(match self.dtype {
            DataType::I64 => self.read(i64::from_le_bytes),
            DataType::I32 => self.read(|b| i32::from_le_bytes(b).into()),
            DataType::I16 => self.read(|b| i16::from_le_bytes(b).into()),
            DataType::I8 => self.read(|b| i8::from_le_bytes(b).into()),
            DataType::U32 => self.read(|b| u32::from_le_bytes(b).into()),
            DataType::U16 => self.read(|b| u16::from_le_bytes(b).into()),
            DataType::U8 | DataType::Bool => self.read(|b| u8::from_le_bytes(b).into()),
            DataType::U4 => self.nibbles(|nibble| nibble.into()),
            // Shifted up and back so that bit 3 becomes the sign.
            DataType::I4 => self.nibbles(|nibble| ((nibble << 4) as i8 >> 4).into()),
            DataType::U64 => {
                let wide = self.read(u64::from_le_bytes);
                let narrow: Result<Vec<i64>, _> = wide.into_iter().map(i64::try_from).collect();
                narrow.map_err(|_| TensorError::new(&self.name, Problem::TooLargeForI64))?
            }
            DataType::F32 | DataType::F16 | DataType::BF16 | DataType::F64 => {
                return Err(self.wrong_type("integers"));
            }
        })
    }

    fn read<const N: usize, T>(&self, from: impl Fn([u8; N]) -> T) -> Vec<T> {
        let (elements, _) = self.data.as_chunks::<N>();
        elements.iter().map(|bytes| from(*bytes)).collect()
    }

    fn nibbles(&self, from: impl Fn(u8) -> i64) -> Vec<i64> {
        let halves = self.data.iter().flat_map(|byte| [byte & 0xf, byte >> 4]);
        halves.take(self.len()).map(from).collect()
    }

    fn wrong_type(&self, wanted: &'static str) -> TensorError {
        TensorError::new(
            &self.name,
            Problem::Type {
                wanted,
                got: self.dtype,
            },
        )
    }
}

/// Shows the shape and not the weights.
impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Tensor({:?}, {} {:?}, {} bytes)",
            self.name,
            self.dtype,
            self.dims,
            self.data.len()
        )
    }
}

/// Bytes that a tensor of this type and shape takes.
pub(crate) fn byte_len(dtype: DataType, dims: &[usize]) -> Result<usize, Problem> {
    let len = dims
        .iter()
        .try_fold(1_usize, |product, dim| product.checked_mul(*dim));
    len.and_then(|len| dtype.byte_len(len))
        .ok_or_else(|| Problem::Overflow {
            dtype,
            dims: shorten(dims),
        })
}

/// The first few dimensions, so that a hostile shape does not become a message of megabytes.
fn shorten(dims: &[usize]) -> Vec<usize> {
    dims.iter().copied().take(8).collect()
}

/// Why a tensor cannot be made, or its elements not be had as the type asked for.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("tensor {} {problem}", quote(.name))]
pub struct TensorError {
    /// The tensor's name.
    pub name: String,
    problem: Problem,
}

impl TensorError {
    pub(crate) fn new(name: &str, problem: Problem) -> TensorError {
        TensorError {
            name: name.to_owned(),
            problem,
        }
    }
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("of {dtype} {} needs {expected} bytes of data but has {got}", shape(.dims))]
    Length {
        dtype: DataType,
        dims: Vec<usize>,
        expected: usize,
        got: usize,
    },
    #[error("of {dtype} has the impossible shape {}", shape(.dims))]
    Overflow { dtype: DataType, dims: Vec<usize> },
    #[error("holds {got} where {wanted} is needed")]
    Type { wanted: &'static str, got: DataType },
    #[error("holds a u64 that is too large for an i64")]
    TooLargeForI64,
}

fn shape(dims: &[usize]) -> String {
    let rest = if dims.len() > 8 { ", .." } else { "" };
    let dims: Vec<String> = dims.iter().take(8).map(usize::to_string).collect();
    format!("[{}{rest}]", dims.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(dtype: DataType, dims: &[usize], data: &'static [u8]) -> Tensor {
        Tensor::new("t", dtype, dims, data).unwrap()
    }

    #[test]
    fn lengths_must_match() {
        let check = |dtype, dims: &[usize], len, message: &str| {
            let error = Tensor::new("w", dtype, dims, vec![0; len]).unwrap_err();
            assert_eq!(error.to_string(), message);
        };
        check(
            DataType::F32,
            &[2, 2],
            15,
            "tensor \"w\" of f32 [2, 2] needs 16 bytes of data but has 15",
        );
        check(
            DataType::U4,
            &[3],
            1,
            "tensor \"w\" of u4 [3] needs 2 bytes of data but has 1",
        );
        check(
            DataType::U8,
            &[usize::MAX, 2],
            0,
            &format!(
                "tensor \"w\" of u8 has the impossible shape [{}, 2]",
                usize::MAX
            ),
        );
        check(
            DataType::I64,
            &[1; 9],
            0,
            "tensor \"w\" of i64 [1, 1, 1, 1, 1, 1, 1, 1, ..] needs 8 bytes of data but has 0",
        );
    }

    #[test]
    fn zero_sized_and_scalar() {
        assert_eq!(tensor(DataType::F32, &[0, 7], &[]).len(), 0);
        assert_eq!(tensor(DataType::I8, &[], &[5]).to_i64().unwrap(), [5]);
    }

    #[test]
    fn floats_widen() {
        let check =
            |dtype, data| assert_eq!(tensor(dtype, &[2], data).to_f32().unwrap(), [1.0, -2.0]);
        check(DataType::F32, &[0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
        check(DataType::F16, &[0, 0x3c, 0, 0xc0]);
        check(DataType::BF16, &[0x80, 0x3f, 0, 0xc0]);
        assert_eq!(
            tensor(DataType::I8, &[1], &[0])
                .to_f32()
                .unwrap_err()
                .to_string(),
            "tensor \"t\" holds i8 where f32, f16 or bf16 is needed"
        );
    }

    #[test]
    fn integers_widen() {
        let check = |dtype, dims: &[usize], data, expected: &[i64]| {
            assert_eq!(
                tensor(dtype, dims, data).to_i64().unwrap(),
                expected,
                "{dtype}"
            );
        };
        check(
            DataType::I64,
            &[1],
            &[0xfe, 255, 255, 255, 255, 255, 255, 255],
            &[-2],
        );
        check(DataType::I32, &[1], &[0xfe, 255, 255, 255], &[-2]);
        check(DataType::U32, &[1], &[0xfe, 255, 255, 255], &[0xffff_fffe]);
        check(DataType::I16, &[1], &[0xfe, 255], &[-2]);
        check(DataType::U16, &[1], &[0xfe, 255], &[0xfffe]);
        check(DataType::I8, &[1], &[0xfe], &[-2]);
        check(DataType::Bool, &[2], &[0, 1], &[0, 1]);
        check(DataType::U4, &[3], &[0xf1, 0x07], &[1, 15, 7]);
        check(DataType::I4, &[3], &[0xf1, 0x08], &[1, -1, -8]);
        assert!(tensor(DataType::U64, &[1], &[255; 8]).to_i64().is_err());
        assert!(tensor(DataType::F32, &[1], &[0; 4]).to_i64().is_err());
    }
}

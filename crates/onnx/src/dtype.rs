//! Element types.

use std::fmt;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// bfloat16: the upper half of a single.
    BF16,
    /// IEEE double precision.
    F64,
    /// Unsigned 8 bits.
    U8,
    /// Signed 8 bits.
    I8,
    /// Unsigned 4 bits, two to a byte, the first in the low half.
    U4,
    /// Signed 4 bits, two to a byte, the first in the low half.
    I4,
    /// Signed 16 bits.
    I16,
    /// Unsigned 16 bits.
    U16,
    /// Signed 32 bits.
    I32,
    /// Signed 64 bits.
    I64,
    /// Unsigned 32 bits.
    U32,
    /// Unsigned 64 bits.
    U64,
    /// One byte, 0 or 1.
    Bool,
}

impl DataType {
    /// Every type with its number in `TensorProto.DataType`.
    const NUMBERS: [(DataType, i32); 15] = [
        (DataType::F32, 1),
        (DataType::U8, 2),
        (DataType::I8, 3),
        (DataType::U16, 4),
        (DataType::I16, 5),
        (DataType::I32, 6),
        (DataType::I64, 7),
        (DataType::Bool, 9),
        (DataType::F16, 10),
        (DataType::F64, 11),
        (DataType::U32, 12),
        (DataType::U64, 13),
        (DataType::BF16, 16),
        (DataType::U4, 21),
        (DataType::I4, 22),
    ];

    /// The type that `TensorProto.DataType` numbers so; `None` for strings, complex numbers and the 8-, 6- and 2-bit types.
    pub fn from_onnx(number: i32) -> Option<DataType> {
        let found = Self::NUMBERS.iter().find(|(_, n)| *n == number);
        found.map(|(dtype, _)| *dtype)
    }

    /// Its number in `TensorProto.DataType`.
    pub fn to_onnx(self) -> i32 {
        let found = Self::NUMBERS.iter().find(|(dtype, _)| *dtype == self);
        found.map_or(0, |(_, number)| *number)
    }

    /// Bits of one element.
    pub fn bits(self) -> usize {
        match self {
            DataType::U4 | DataType::I4 => 4,
            DataType::U8 | DataType::I8 | DataType::Bool => 8,
            DataType::F16 | DataType::BF16 | DataType::I16 | DataType::U16 => 16,
            DataType::F32 | DataType::I32 | DataType::U32 => 32,
            DataType::F64 | DataType::I64 | DataType::U64 => 64,
        }
    }

    /// Bytes that `len` elements take, or `None` if that overflows. Half a byte left over counts as one.
    pub fn byte_len(self, len: usize) -> Option<usize> {
        match self.bits() {
            4 => Some(len.div_ceil(2)),
            bits => len.checked_mul(bits / 8),
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DataType::F32 => "f32",
            DataType::F16 => "f16",
            DataType::BF16 => "bf16",
            DataType::F64 => "f64",
            DataType::U8 => "u8",
            DataType::I8 => "i8",
            DataType::U4 => "u4",
            DataType::I4 => "i4",
            DataType::I16 => "i16",
            DataType::U16 => "u16",
            DataType::I32 => "i32",
            DataType::I64 => "i64",
            DataType::U32 => "u32",
            DataType::U64 => "u64",
            DataType::Bool => "bool",
        })
    }
}

/// What the schema calls the element types that this crate does not read.
pub(crate) fn unsupported_name(number: i32) -> &'static str {
    match number {
        0 => "undefined",
        8 => "string",
        14 => "complex64",
        15 => "complex128",
        17 => "float8e4m3fn",
        18 => "float8e4m3fnuz",
        19 => "float8e5m2",
        20 => "float8e5m2fnuz",
        23 => "float4e2m1",
        24 => "float8e8m0",
        25 => "uint2",
        26 => "int2",
        27 => "float6e2m3",
        28 => "float6e3m2",
        _ => "unknown to this version",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_both_ways() {
        for (dtype, number) in DataType::NUMBERS {
            assert_eq!(DataType::from_onnx(number), Some(dtype));
            assert_eq!(dtype.to_onnx(), number);
        }
        for number in [-1, 0, 8, 14, 15, 17, 23, 29, i32::MAX, i32::MIN] {
            assert_eq!(DataType::from_onnx(number), None);
        }
    }

    #[test]
    fn byte_lengths() {
        for (dtype, len, bytes) in [
            (DataType::F32, 3, Some(12)),
            (DataType::U4, 3, Some(2)),
            (DataType::I4, 0, Some(0)),
            (DataType::U4, usize::MAX, Some(usize::MAX / 2 + 1)),
            (DataType::Bool, 5, Some(5)),
            (DataType::I64, usize::MAX / 4, None),
        ] {
            assert_eq!(dtype.byte_len(len), bytes, "{dtype} x {len}");
        }
    }
}

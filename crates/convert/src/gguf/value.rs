//! Metadata values. Arrays stay as the file's bytes and are walked on demand.

use bytes::Bytes;

use super::reader::Reader;
use crate::error::ConvertError;

const MAX_DEPTH: usize = 4;

/// One metadata value.
#[derive(Clone, Debug)]
pub enum Value {
    /// u8, u16, u32 or u64.
    Uint(u64),
    /// i8, i16, i32 or i64.
    Int(i64),
    /// f32 or f64.
    Float(f64),
    /// A byte that is 0 or 1.
    Bool(bool),
    /// A string, checked to be UTF-8.
    String(String),
    /// Values of one type.
    Array(Array),
}

/// The types a value can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum ValueType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    String,
    Array,
    U64,
    I64,
    F64,
}

impl ValueType {
    fn from_id(id: u32) -> Option<ValueType> {
        use ValueType::*;
        const ALL: [ValueType; 13] = [
            U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64,
        ];
        ALL.get(id as usize).copied()
    }

    /// Bytes of one value, where that is fixed.
    fn width(self) -> Option<usize> {
        Some(match self {
            ValueType::U8 | ValueType::I8 | ValueType::Bool => 1,
            ValueType::U16 | ValueType::I16 => 2,
            ValueType::U32 | ValueType::I32 | ValueType::F32 => 4,
            ValueType::U64 | ValueType::I64 | ValueType::F64 => 8,
            ValueType::String | ValueType::Array => return None,
        })
    }
}

/// An array whose elements were checked to lie inside the file.
#[derive(Clone, Debug)]
pub struct Array {
    element: ValueType,
    len: usize,
    data: Bytes,
}

impl Array {
    /// What the elements are.
    pub fn element(&self) -> ValueType {
        self.element
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements as raw UTF-8 candidates; `None` unless they are strings.
    pub fn strings(&self) -> Option<impl Iterator<Item = &[u8]>> {
        let mut rest: &[u8] = &self.data;
        (self.element == ValueType::String).then_some(std::iter::from_fn(move || {
            let (length, tail) = rest.split_first_chunk::<8>()?;
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            let (string, tail) = tail.split_at_checked(length)?;
            rest = tail;
            Some(string)
        }))
    }

    /// The elements as numbers; `None` unless they are.
    pub fn numbers(&self) -> Option<impl Iterator<Item = f64>> {
        let element = self.element;
        let width = element.width()?;
        Some(
            self.data
                .chunks_exact(width)
                .filter_map(move |bytes| Value::scalar(element, bytes)?.as_f64()),
        )
    }

    fn read(reader: &mut Reader<'_>, key: &str, depth: usize) -> Result<Array, ConvertError> {
        let element = read_type(reader, key)?;
        let len = reader.length("an array's length")?;
        let start = reader.position();
        match element.width() {
            Some(width) => {
                let size = len.checked_mul(width).ok_or_else(|| {
                    ConvertError::damaged(format!("gguf key `{key}` promises {len} elements"))
                })?;
                reader.bytes(size, "an array")?;
            }
            None if element == ValueType::String => {
                for _ in 0..len {
                    let size = reader.length("a string's length")?;
                    reader.bytes(size, "a string")?;
                }
            }
            None if depth >= MAX_DEPTH => {
                return Err(ConvertError::damaged(format!(
                    "gguf key `{key}` nests arrays more than {MAX_DEPTH} deep"
                )));
            }
            None => {
                for _ in 0..len {
                    Array::read(reader, key, depth + 1)?;
                }
            }
        }
        Ok(Array {
            element,
            len,
            data: reader.since(start),
        })
    }
}

impl Value {
    pub(super) fn read(reader: &mut Reader<'_>, key: &str) -> Result<Value, ConvertError> {
        let value_type = read_type(reader, key)?;
        match value_type {
            ValueType::Array => Array::read(reader, key, 0).map(Value::Array),
            ValueType::String => {
                let len = reader.length("a string's length")?;
                let text = std::str::from_utf8(reader.bytes(len, "a string")?)
                    .map_err(|_| ConvertError::damaged(format!("gguf key `{key}` is not utf-8")))?;
                Ok(Value::String(text.to_owned()))
            }
            other => {
                let bytes = reader.bytes(other.width().unwrap_or(0), "a value")?;
                Value::scalar(other, bytes).ok_or_else(|| {
                    ConvertError::damaged(format!("gguf key `{key}` holds an impossible value"))
                })
            }
        }
    }

    fn scalar(value_type: ValueType, bytes: &[u8]) -> Option<Value> {
        Some(match value_type {
            ValueType::U8 => Value::Uint(u8::from_le_bytes(bytes.try_into().ok()?).into()),
            ValueType::U16 => Value::Uint(u16::from_le_bytes(bytes.try_into().ok()?).into()),
            ValueType::U32 => Value::Uint(u32::from_le_bytes(bytes.try_into().ok()?).into()),
            ValueType::U64 => Value::Uint(u64::from_le_bytes(bytes.try_into().ok()?)),
            ValueType::I8 => Value::Int(i8::from_le_bytes(bytes.try_into().ok()?).into()),
            ValueType::I16 => Value::Int(i16::from_le_bytes(bytes.try_into().ok()?).into()),
            ValueType::I32 => Value::Int(i32::from_le_bytes(bytes.try_into().ok()?).into()),
            ValueType::I64 => Value::Int(i64::from_le_bytes(bytes.try_into().ok()?)),
            ValueType::F32 => Value::Float(f32::from_le_bytes(bytes.try_into().ok()?).into()),
            ValueType::F64 => Value::Float(f64::from_le_bytes(bytes.try_into().ok()?)),
            ValueType::Bool => match bytes {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                _ => return None,
            },
            ValueType::String | ValueType::Array => return None,
        })
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(s) => Some(s),
            _ => None,
        }
    }

    /// The value, if it is an integer that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Value::Uint(v) => Some(v),
            Value::Int(v) => u64::try_from(v).ok(),
            _ => None,
        }
    }

    /// The value, if it is a number.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Value::Uint(v) => Some(v as f64),
            Value::Int(v) => Some(v as f64),
            Value::Float(v) => Some(v),
            _ => None,
        }
    }

    /// The value, if it is a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Value::Bool(v) => Some(v),
            _ => None,
        }
    }

    /// The array, if it is one.
    pub fn as_array(&self) -> Option<&Array> {
        match self {
            Value::Array(a) => Some(a),
            _ => None,
        }
    }

    /// A few words for an error message; never the value of a long string.
    pub(super) fn describe(&self) -> String {
        match self {
            Value::Uint(v) => v.to_string(),
            Value::Int(v) => v.to_string(),
            Value::Float(v) => v.to_string(),
            Value::Bool(v) => v.to_string(),
            Value::String(_) => "a string".to_owned(),
            Value::Array(a) => format!("an array of {} values", a.len),
        }
    }
}

fn read_type(reader: &mut Reader<'_>, key: &str) -> Result<ValueType, ConvertError> {
    let id = reader.u32("a value's type")?;
    ValueType::from_id(id).ok_or_else(|| {
        ConvertError::damaged(format!(
            "gguf key `{key}` has the unknown value type {id}: the file is damaged or of a newer kind"
        ))
    })
}

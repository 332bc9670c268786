//! GGUF files: the metadata and the tensors' places, read without copying and
//! without trusting a single length.

mod reader;
mod tensor_type;
mod tensors;
mod value;

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

use crate::error::ConvertError;
use reader::Reader;
pub use tensor_type::TensorType;
use tensors::{place_tensors, read_tensor_infos};
pub use value::{Array, Value, ValueType};

/// Real files have some dozens of keys and some thousands of tensors.
const MAX_KEYS: u64 = 1 << 16;
const MAX_TENSORS: u64 = 1 << 16;
/// The format's own limit for a key; tensor names are shorter still.
const MAX_NAME: usize = 65_535;
const DEFAULT_ALIGNMENT: u64 = 32;
const MAX_ALIGNMENT: u64 = 1 << 20;

/// A parsed GGUF file, version 2 or 3, little endian.
///
/// Strings, arrays and tensors stay in the file's bytes; parsing allocates for names alone.
#[derive(Debug)]
pub struct Gguf {
    data: Bytes,
    metadata: HashMap<String, Value>,
    tensors: Vec<TensorInfo>,
    by_name: HashMap<String, usize>,
}

/// Where a tensor lies in its file, and how to read it.
#[derive(Clone, Debug)]
pub struct TensorInfo {
    name: String,
    /// Fastest-varying dimension first, as GGUF has them.
    dims: Vec<usize>,
    tensor_type: TensorType,
    data: Range<usize>,
}

impl TensorInfo {
    /// The tensor's name, such as `blk.0.attn_q.weight`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Dimensions, the fastest-varying first: `[k, n]` for a matrix of `n` rows of `k` values.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// How the values are stored.
    pub fn tensor_type(&self) -> TensorType {
        self.tensor_type
    }

    /// Bytes in the file.
    pub fn byte_len(&self) -> usize {
        self.data.len()
    }
}

impl Gguf {
    /// Maps `path` and parses it.
    pub fn open(path: &Path) -> Result<Gguf, ConvertError> {
        let data = inhouse_onnx::map_file(path).map_err(|e| ConvertError::reading(path, e))?;
        Gguf::from_bytes(data)
    }

    /// Parses a file that is in memory.
    pub fn from_bytes(data: impl Into<Bytes>) -> Result<Gguf, ConvertError> {
        let data = data.into();
        let mut reader = Reader::new(&data);
        let header = Header::read(&mut reader)?;
        let metadata = read_metadata(&mut reader, header.keys)?;
        let raw = read_tensor_infos(&mut reader, header.tensors)?;
        let tensors = place_tensors(raw, alignment(&metadata)?, reader.position(), data.len())?;
        let by_name = tensors
            .iter()
            .enumerate()
            .map(|(index, tensor)| (tensor.name.clone(), index))
            .collect();
        Ok(Gguf {
            data,
            metadata,
            tensors,
            by_name,
        })
    }

    /// The value of a metadata key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// The tensors in the file's order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.by_name.get(name).and_then(|&i| self.tensors.get(i))
    }

    /// A tensor's bytes, sharing the file's memory.
    pub fn tensor_data(&self, tensor: &TensorInfo) -> Bytes {
        // A `TensorInfo` of another file is the only way this range can be outside.
        let end = tensor.data.end.min(self.data.len());
        self.data.slice(tensor.data.start.min(end)..end)
    }

    /// A string value; an error when the key holds something else.
    pub fn string(&self, key: &str) -> Result<Option<&str>, ConvertError> {
        self.typed(key, "a string", Value::as_str)
    }

    /// An unsigned integer value of any width.
    pub fn uint(&self, key: &str) -> Result<Option<u64>, ConvertError> {
        self.typed(key, "a non-negative integer", Value::as_u64)
    }

    /// A number as a float.
    pub fn float(&self, key: &str) -> Result<Option<f64>, ConvertError> {
        self.typed(key, "a number", Value::as_f64)
    }

    /// A boolean value.
    pub fn bool(&self, key: &str) -> Result<Option<bool>, ConvertError> {
        self.typed(key, "a boolean", Value::as_bool)
    }

    /// An array value.
    pub fn array(&self, key: &str) -> Result<Option<&Array>, ConvertError> {
        self.typed(key, "an array", Value::as_array)
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        wanted: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ConvertError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        read(value).map(Some).ok_or_else(|| {
            ConvertError::damaged(format!(
                "gguf key `{key}` holds {}, not {wanted}: the file is damaged or of a newer kind",
                value.describe()
            ))
        })
    }
}

struct Header {
    tensors: u64,
    keys: u64,
}

impl Header {
    fn read(reader: &mut Reader<'_>) -> Result<Header, ConvertError> {
        if reader.bytes(4, "the magic").ok() != Some(b"GGUF") {
            return Err(ConvertError::damaged(
                "not a gguf file: it does not start with the letters GGUF",
            ));
        }
        let version = reader.u32("the version")?;
        if !(2..=3).contains(&version) {
            return Err(ConvertError::unsupported(match version.swap_bytes() {
                2 | 3 => "gguf file is big endian: convert it to little endian first".to_owned(),
                _ => format!("gguf version {version} is not supported: only 2 and 3 are"),
            }));
        }
        let tensors = reader.u64("the number of tensors")?;
        let keys = reader.u64("the number of keys")?;
        check_count(tensors, MAX_TENSORS, "tensors")?;
        check_count(keys, MAX_KEYS, "metadata keys")?;
        Ok(Header { tensors, keys })
    }
}

fn check_count(count: u64, max: u64, what: &str) -> Result<(), ConvertError> {
    if count > max {
        return Err(ConvertError::damaged(format!(
            "gguf header promises {count} {what}, more than the {max} that are accepted: the file is damaged"
        )));
    }
    Ok(())
}

fn read_metadata(
    reader: &mut Reader<'_>,
    count: u64,
) -> Result<HashMap<String, Value>, ConvertError> {
    let mut metadata = HashMap::new();
    for index in 0..count {
        let key = reader.name(MAX_NAME, || format!("metadata key {index}"))?;
        let value = Value::read(reader, &key)?;
        if metadata.insert(key.clone(), value).is_some() {
            return Err(ConvertError::damaged(format!(
                "gguf key `{key}` appears twice: the file is damaged"
            )));
        }
    }
    Ok(metadata)
}

fn alignment(metadata: &HashMap<String, Value>) -> Result<u64, ConvertError> {
    let Some(value) = metadata.get("general.alignment") else {
        return Ok(DEFAULT_ALIGNMENT);
    };
    value
        .as_u64()
        .filter(|a| a.is_power_of_two() && *a <= MAX_ALIGNMENT)
        .ok_or_else(|| {
            ConvertError::damaged(format!(
                "gguf key `general.alignment` must be a power of two up to {MAX_ALIGNMENT}, not {}",
                value.describe()
            ))
        })
}

#[cfg(test)]
mod tests;

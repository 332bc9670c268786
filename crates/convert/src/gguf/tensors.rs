//! Tensor infos: read, checked against the file's length, and turned into ranges of it.

use std::collections::HashSet;
use std::ops::Range;

use super::reader::Reader;
use super::{MAX_NAME, TensorInfo, TensorType};
use crate::error::ConvertError;

const MAX_DIMENSIONS: u32 = 4;

pub(super) struct RawTensor {
    name: String,
    dims: Vec<usize>,
    tensor_type: TensorType,
    offset: u64,
}

pub(super) fn read_tensor_infos(
    reader: &mut Reader<'_>,
    count: u64,
) -> Result<Vec<RawTensor>, ConvertError> {
    let mut seen = HashSet::new();
    let mut tensors = Vec::new();
    for index in 0..count {
        let tensor = RawTensor::read(reader, index)?;
        if !seen.insert(tensor.name.clone()) {
            return Err(ConvertError::damaged(format!(
                "gguf tensor `{}` appears twice: the file is damaged",
                tensor.name
            )));
        }
        tensors.push(tensor);
    }
    Ok(tensors)
}

impl RawTensor {
    fn read(reader: &mut Reader<'_>, index: u64) -> Result<RawTensor, ConvertError> {
        let name = reader.name(MAX_NAME, || format!("tensor {index}"))?;
        let n_dims = reader.u32("a tensor's number of dimensions")?;
        if n_dims == 0 || n_dims > MAX_DIMENSIONS {
            return Err(ConvertError::damaged(format!(
                "gguf tensor `{name}` has {n_dims} dimensions; 1 to {MAX_DIMENSIONS} are possible"
            )));
        }
        let mut dims = Vec::new();
        for _ in 0..n_dims {
            let dim = reader.u64("a tensor's dimension")?;
            let dim = usize::try_from(dim).ok().filter(|&d| d > 0);
            dims.push(dim.ok_or_else(|| {
                ConvertError::damaged(format!(
                    "gguf tensor `{name}` has an empty or absurd dimension"
                ))
            })?);
        }
        let tensor_type = TensorType::from_id(reader.u32("a tensor's type")?, &name)?;
        let offset = reader.u64("a tensor's offset")?;
        Ok(RawTensor {
            name,
            dims,
            tensor_type,
            offset,
        })
    }
}

/// Turns offsets into ranges of the file, each inside it, aligned, and apart from the others.
pub(super) fn place_tensors(
    raw: Vec<RawTensor>,
    alignment: u64,
    infos_end: usize,
    file_len: usize,
) -> Result<Vec<TensorInfo>, ConvertError> {
    let start = (infos_end as u64).next_multiple_of(alignment);
    let mut tensors = Vec::with_capacity(raw.len());
    for tensor in raw {
        let data = tensor.range(start, alignment, file_len)?;
        tensors.push(TensorInfo {
            name: tensor.name,
            dims: tensor.dims,
            tensor_type: tensor.tensor_type,
            data,
        });
    }
    check_overlaps(&tensors)?;
    Ok(tensors)
}

impl RawTensor {
    fn range(
        &self,
        start: u64,
        alignment: u64,
        file_len: usize,
    ) -> Result<Range<usize>, ConvertError> {
        let len = self.tensor_type.byte_len(&self.dims, &self.name)?;
        if !self.offset.is_multiple_of(alignment) {
            return Err(ConvertError::damaged(format!(
                "gguf tensor `{}` starts at offset {}, which is no multiple of the alignment {alignment}",
                self.name, self.offset
            )));
        }
        let begin = start
            .checked_add(self.offset)
            .and_then(|b| usize::try_from(b).ok());
        let end = begin.and_then(|b| b.checked_add(len));
        match (begin, end) {
            (Some(begin), Some(end)) if end <= file_len => Ok(begin..end),
            _ => Err(ConvertError::damaged(format!(
                "gguf tensor `{}` needs {len} bytes at offset {} of the data, beyond the file's {file_len}: \
                 the file is cut off, fetch it again",
                self.name, self.offset
            ))),
        }
    }
}

fn check_overlaps(tensors: &[TensorInfo]) -> Result<(), ConvertError> {
    let mut order: Vec<&TensorInfo> = tensors.iter().collect();
    order.sort_by_key(|t| t.data.start);
    for (first, second) in order.iter().zip(order.iter().skip(1)) {
        if second.data.start < first.data.end {
            return Err(ConvertError::damaged(format!(
                "gguf tensors `{}` and `{}` share bytes: the file is damaged",
                first.name, second.name
            )));
        }
    }
    Ok(())
}

//! Matrices of floats, written in the type the file has.

use inhouse_onnx::DataType;

use super::{Rows, Weights, Written};
use crate::error::ConvertError;
use crate::gguf::TensorType;

impl Weights<'_> {
    /// `[k, n]`, as `MatMul` wants it, in the file's own float type.
    pub(super) fn transposed(
        &mut self,
        weight: &str,
        parts: &[Rows<'_>],
    ) -> Result<Written, ConvertError> {
        let Some((first, k)) = parts.first().map(|part| (part.tensor, part.k)) else {
            return Err(ConvertError::unsupported(format!("`{weight}` has no rows")));
        };
        let dtype = float_type(first.tensor_type());
        let width = first.tensor_type().block_bytes();
        let n: usize = parts.iter().map(|part| part.n).sum();
        let mut out = vec![0u8; n * k * width];
        let mut column = 0;
        for part in parts {
            let data = self.gguf.tensor_data(part.tensor);
            transpose_into(&mut out, n, column, part, &data, width);
            column += part.n;
            self.count(part.tensor, type_name(dtype), true, part.n * k * width);
        }
        self.add(weight, dtype, &[k, n], &out)?;
        let name = weight.to_owned();
        Ok(Written::Float { name, dtype })
    }

    pub(super) fn table(&mut self, name: &str, rows: Rows<'_>) -> Result<Written, ConvertError> {
        let dtype = float_type(rows.tensor.tensor_type());
        let data = self.gguf.tensor_data(rows.tensor);
        self.add(name, dtype, &[rows.n, rows.k], &data)?;
        self.count(rows.tensor, type_name(dtype), true, data.len());
        let name = name.to_owned();
        Ok(Written::Float { name, dtype })
    }
}

fn float_type(tensor_type: TensorType) -> DataType {
    match tensor_type {
        TensorType::F16 => DataType::F16,
        TensorType::BF16 => DataType::BF16,
        _ => DataType::F32,
    }
}

fn type_name(dtype: DataType) -> &'static str {
    match dtype {
        DataType::F16 => "f16",
        DataType::BF16 => "bf16",
        _ => "f32",
    }
}

/// Columns from `first_column` on of a `[k, n]` table, from the rows of `part`.
fn transpose_into(
    out: &mut [u8],
    n: usize,
    first_column: usize,
    part: &Rows<'_>,
    data: &[u8],
    width: usize,
) {
    // A strip of rows at a time, so that what is written stays in the cache.
    const STRIP: usize = 64;
    let row_bytes = part.k * width;
    for strip in (0..part.n).step_by(STRIP) {
        let rows = strip..(strip + STRIP).min(part.n);
        for (k, out_row) in out.chunks_exact_mut(n * width).enumerate() {
            for row in rows.clone() {
                let from = part.order.source(row) * row_bytes + k * width;
                let to = (first_column + row) * width;
                if let (Some(from), Some(to)) = (
                    data.get(from..from + width),
                    out_row.get_mut(to..to + width),
                ) {
                    to.copy_from_slice(from);
                }
            }
        }
    }
}

//! Tensors on their way from the GGUF file into the folder, one at a time.

mod floats;
mod rows;

use std::collections::HashSet;

use inhouse_onnx::{DataType, Writer};

use crate::blocks::{Shape, dequantise};
use crate::error::ConvertError;
use crate::gguf::{Gguf, TensorInfo, TensorType};
use crate::matrix::{Form, Matrix, Source, Use, ZeroPointForm};
use crate::report::{Progress, Report};
use crate::{GgufOptions, ZeroPoints};
pub(crate) use rows::{RowOrder, Rows};

/// Reads tensors, writes initializers, and keeps count.
pub(crate) struct Weights<'a> {
    gguf: &'a Gguf,
    writer: Writer,
    zero_points: ZeroPoints,
    progress: &'a mut dyn FnMut(Progress<'_>),
    used: HashSet<&'a str>,
    read: u64,
    total: u64,
    pub(crate) report: Report,
}

/// A matrix that has been written, as the graph needs to know it.
#[derive(Clone, Debug)]
pub(crate) enum Written {
    /// `MatMulNBits`' inputs.
    Quantised {
        levels: String,
        scales: String,
        zero_points: Option<String>,
        form: Form,
        n: usize,
        k: usize,
    },
    /// One tensor of floats.
    Float { name: String, dtype: DataType },
}

impl<'a> Weights<'a> {
    pub(crate) fn new(
        gguf: &'a Gguf,
        writer: Writer,
        options: &GgufOptions,
        progress: &'a mut dyn FnMut(Progress<'_>),
    ) -> Self {
        Weights {
            gguf,
            writer,
            zero_points: options.zero_points,
            progress,
            used: HashSet::new(),
            read: 0,
            total: gguf.tensors().iter().map(|t| t.byte_len() as u64).sum(),
            report: Report::default(),
        }
    }

    pub(crate) fn zero_points(&self) -> ZeroPoints {
        self.zero_points
    }

    /// The tensor of this name with these dimensions (fastest first).
    pub(crate) fn tensor(
        &mut self,
        name: &str,
        dims: &[usize],
    ) -> Result<&'a TensorInfo, ConvertError> {
        self.optional(name, dims)?.ok_or_else(|| {
            ConvertError::damaged(format!(
                "gguf tensor `{name}` is missing: the file is no complete model of its architecture"
            ))
        })
    }

    /// The same, where the model may do without it.
    pub(crate) fn optional(
        &mut self,
        name: &str,
        dims: &[usize],
    ) -> Result<Option<&'a TensorInfo>, ConvertError> {
        let Some(tensor) = self.gguf.tensor(name) else {
            return Ok(None);
        };
        // Dimensions of 1 may be spelled out at the end.
        let spelled = tensor.dims();
        let extra = spelled.get(dims.len()..).unwrap_or_default();
        if !spelled.starts_with(dims) || extra.iter().any(|&dim| dim != 1) {
            return Err(ConvertError::damaged(format!(
                "gguf tensor `{name}` has dimensions {spelled:?}, but the metadata asks for {dims:?}"
            )));
        }
        self.used.insert(tensor.name());
        Ok(Some(tensor))
    }

    /// Marks a tensor as read by other means.
    pub(crate) fn mark_used(&mut self, name: &str) {
        if let Some(tensor) = self.gguf.tensor(name) {
            self.used.insert(tensor.name());
        }
    }

    /// Writes a vector, or several end to end, as f32.
    pub(crate) fn vector(&mut self, name: &str, parts: &[Rows<'_>]) -> Result<(), ConvertError> {
        let mut out = Vec::new();
        for part in parts {
            let values = dequantise(
                part.tensor.tensor_type(),
                &self.gguf.tensor_data(part.tensor),
            );
            for row in 0..part.n {
                let value = values.get(part.order.source(row)).copied().unwrap_or(0.0);
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
        self.add(name, DataType::F32, &[out.len() / 4], &out)?;
        for part in parts {
            self.count(part.tensor, "f32", true, part.n * 4);
        }
        Ok(())
    }

    /// Writes a table that is computed, not read, piece by piece.
    pub(crate) fn computed(
        &mut self,
        name: &str,
        dims: &[usize],
        pieces: impl Iterator<Item = Vec<u8>>,
    ) -> Result<(), ConvertError> {
        let failed = |e| ConvertError::writing("the weights", e);
        self.writer
            .begin(name, DataType::F32, dims)
            .map_err(failed)?;
        for piece in pieces {
            self.writer.write(&piece).map_err(failed)?;
        }
        self.writer.end().map_err(failed)
    }

    /// Whether these matrices can be written as one, row after row.
    pub(crate) fn can_join(&self, parts: &[Rows<'_>]) -> bool {
        let form = |part: &Rows<'_>| self.form(part.tensor.tensor_type(), Use::Multiply);
        let same = |a: &Rows<'_>, b: &Rows<'_>| match (form(a), form(b)) {
            (Some(a), Some(b)) => a == b,
            (None, None) => a.tensor.tensor_type() == b.tensor.tensor_type(),
            _ => false,
        };
        parts.windows(2).all(|pair| match pair {
            [a, b] => same(a, b),
            _ => true,
        })
    }

    /// The form a type's matrices get; `None` for floats.
    pub(crate) fn form(&self, tensor_type: TensorType, used: Use) -> Option<Form> {
        Shape::of(tensor_type).map(|shape| Form::of(shape, self.zero_points, used))
    }

    /// Writes matrices that can be joined, for `MatMulNBits` or `MatMul`, under `<name>.MatMul`.
    pub(crate) fn matrix(
        &mut self,
        name: &str,
        parts: &[Rows<'_>],
    ) -> Result<Written, ConvertError> {
        let weight = format!("{name}.MatMul.weight");
        match parts
            .first()
            .and_then(|part| self.form(part.tensor.tensor_type(), Use::Multiply))
        {
            Some(form) => self.quantised(&weight, form, parts),
            None => self.transposed(&weight, parts),
        }
    }

    /// Writes an embedding of its own: quantised rows, or a table of floats.
    pub(crate) fn embedding(
        &mut self,
        name: &str,
        rows: Rows<'_>,
    ) -> Result<Written, ConvertError> {
        match self.form(rows.tensor.tensor_type(), Use::Gather) {
            Some(form) => self.quantised(name, form, &[rows]),
            None => self.table(name, rows),
        }
    }

    fn quantised(
        &mut self,
        weight: &str,
        form: Form,
        parts: &[Rows<'_>],
    ) -> Result<Written, ConvertError> {
        let mut joined: Option<Matrix> = None;
        for part in parts {
            let matrix = self.convert(form, part)?;
            match &mut joined {
                Some(joined) => joined.append(matrix),
                None => joined = Some(matrix),
            }
        }
        let Some(matrix) = joined else {
            return Err(ConvertError::unsupported(format!("`{weight}` has no rows")));
        };
        self.write_quantised(weight, matrix)
    }

    fn convert(&mut self, form: Form, part: &Rows<'_>) -> Result<Matrix, ConvertError> {
        let tensor_type = part.tensor.tensor_type();
        let data = self.gguf.tensor_data(part.tensor);
        let shape = Shape::of(tensor_type).ok_or_else(|| {
            ConvertError::unsupported(format!(
                "gguf tensor `{}` is not quantised",
                part.tensor.name()
            ))
        })?;
        let source = Source {
            name: part.tensor.name(),
            tensor_type,
            n: part.n,
            k: part.k,
            data: &data,
            row: &|row| part.order.source(row),
        };
        let matrix = Matrix::convert(&source, shape, form)?;
        self.count(
            part.tensor,
            &form.to_string(),
            form.is_exact(shape),
            matrix.byte_len(),
        );
        Ok(matrix)
    }

    fn write_quantised(&mut self, weight: &str, matrix: Matrix) -> Result<Written, ConvertError> {
        let Form { bits, block, .. } = matrix.form;
        let (n, k, blocks) = (matrix.n, matrix.k, matrix.k / block);
        let levels = format!("{weight}_Q{bits}");
        let scales = format!("{weight}_scales");
        let zeros = format!("{weight}_zero_points");
        self.add(
            &levels,
            DataType::U8,
            &[n, blocks, block * bits / 8],
            &matrix.levels,
        )?;
        let floats =
            |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
        self.add(
            &scales,
            DataType::F32,
            &[n, blocks],
            &floats(&matrix.scales),
        )?;
        let zero_points = match matrix.form.zero_points {
            ZeroPointForm::Absent => None,
            ZeroPointForm::Float => {
                self.add(
                    &zeros,
                    DataType::F32,
                    &[n, blocks],
                    &floats(&matrix.float_zero_points),
                )?;
                Some(zeros)
            }
            ZeroPointForm::Packed => {
                let dims = [n, matrix.form.zero_point_bytes(k)];
                self.add(&zeros, DataType::U8, &dims, &matrix.packed_zero_points)?;
                Some(zeros)
            }
        };
        Ok(Written::Quantised {
            levels,
            scales,
            zero_points,
            form: matrix.form,
            n,
            k,
        })
    }

    fn add(
        &mut self,
        name: &str,
        dtype: DataType,
        dims: &[usize],
        data: &[u8],
    ) -> Result<(), ConvertError> {
        self.writer
            .add_external(name, dtype, dims, data)
            .map_err(|e| ConvertError::writing("the weights", e))
    }

    fn count(&mut self, tensor: &TensorInfo, to: &str, exact: bool, bytes_out: usize) {
        self.report.add(tensor, to, exact, bytes_out as u64);
        // A tied head is converted twice, but there is only one of it.
        self.read = (self.read + tensor.byte_len() as u64).min(self.total);
        (self.progress)(Progress {
            tensor: tensor.name(),
            bytes_done: self.read,
            bytes_total: self.total,
        });
    }

    /// Hands the writer back when every tensor of the file was used: one that was not would be
    /// a part of the model that the graph lacks.
    pub(crate) fn finish(self) -> Result<(Writer, Report), ConvertError> {
        let tensors = self.gguf.tensors().iter();
        let mut unused = tensors.filter(|tensor| !self.used.contains(tensor.name()));
        match unused.next() {
            Some(tensor) => Err(ConvertError::unsupported(format!(
                "gguf tensor `{}` is not part of the architecture as it is converted: this is another kind of model",
                tensor.name()
            ))),
            None => Ok((self.writer, self.report)),
        }
    }
}

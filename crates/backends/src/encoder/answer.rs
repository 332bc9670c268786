//! What a graph gives for some texts.

use half::{bf16, f16};
use inhouse_engine::{EngineError, ErrorKind};
use ort::value::{DynValue, TensorElementType};

use crate::failure::Failure;

/// Numbers of an output, and their shape.
pub(super) struct Answer {
    pub(super) numbers: Vec<f32>,
    pub(super) shape: Vec<usize>,
    /// It is one vector for each text, not one for each token.
    pub(super) is_pooled: bool,
}

impl Answer {
    pub(super) fn read(value: &DynValue, is_pooled: bool) -> Result<Self, Failure> {
        let element = value.dtype().tensor_type();
        let shape = value.dtype().tensor_shape();
        let shape = shape.map(|shape| shape.iter().map(|&dim| dim.max(0) as usize).collect());
        let numbers = match element {
            Some(TensorElementType::Float32) => value.try_extract_tensor::<f32>()?.1.to_vec(),
            Some(TensorElementType::Float64) => {
                let numbers = value.try_extract_tensor::<f64>()?.1.iter();
                numbers.map(|&number| number as f32).collect()
            }
            Some(TensorElementType::Float16) => {
                let numbers = value.try_extract_tensor::<f16>()?.1.iter();
                numbers.map(|number| number.to_f32()).collect()
            }
            Some(TensorElementType::Bfloat16) => {
                let numbers = value.try_extract_tensor::<bf16>()?.1.iter();
                numbers.map(|number| number.to_f32()).collect()
            }
            _ => Vec::new(), // `Layout` refuses outputs of other types
        };
        Ok(Self {
            numbers,
            shape: shape.unwrap_or_default(),
            is_pooled,
        })
    }

    /// Checks the shape against the `rows` and `columns` that were given, and gives the length of a vector.
    pub(super) fn check(&self, rows: usize, columns: usize) -> Result<usize, EngineError> {
        let width = match (self.is_pooled, self.shape.as_slice()) {
            (true, &[r, width]) if r == rows => width,
            (false, &[r, c, width]) if (r, c) == (rows, columns) => width,
            _ => 0,
        };
        if width > 0 {
            return Ok(width);
        }
        Err(EngineError::new(
            ErrorKind::UnsupportedGraph,
            format!(
                "the graph answered {rows} texts of {columns} tokens with the shape {:?}",
                self.shape
            ),
        ))
    }
}

//! Products with weights, quantised or not.

use inhouse_onnx::DataType;

use super::Decoder;
use crate::ZeroPoints;
use crate::error::ConvertError;
use crate::graph::{Builder, int};
use crate::weights::{RowOrder, Rows, Written};

/// ONNX's number for f32, as `Cast` takes it.
const FLOAT: i64 = 1;

/// How precisely a product is computed, as `MatMulNBits` numbers it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Accuracy {
    /// In f32.
    Full = 0,
    /// Activations may be quantised to 8 bits, block by block.
    Int8 = 4,
}

impl<'w> Decoder<'_, 'w> {
    /// Whoever wants the weights as they are wants near-ties between tokens decided by them, not by the rounding of
    /// activations: the first word of a short answer of a small model can hang on less.
    pub(super) fn accuracy(&self) -> Accuracy {
        match self.weights.zero_points() {
            ZeroPoints::Float => Accuracy::Full,
            ZeroPoints::Packed | ZeroPoints::None => Accuracy::Int8,
        }
    }

    /// A projection of one matrix, with its bias where there is one.
    pub(super) fn project(
        &mut self,
        name: &str,
        tensor: &str,
        input: &str,
        k: usize,
        n: usize,
    ) -> Result<String, ConvertError> {
        let matrix = self.rows(&format!("{tensor}.weight"), k, n, RowOrder::Same)?;
        let bias: Vec<Rows<'_>> = self
            .bias_rows(tensor, n, RowOrder::Same)?
            .into_iter()
            .collect();
        self.project_rows(name, &[matrix], &bias, input)
    }

    pub(super) fn project_rows(
        &mut self,
        name: &str,
        matrices: &[Rows<'_>],
        biases: &[Rows<'_>],
        input: &str,
    ) -> Result<String, ConvertError> {
        let dotted = format!("model.{}", name.replace('/', "."));
        let weight = self.weights.matrix(&dotted, matrices)?;
        let node = format!("/model/{name}/MatMul");
        let product = Product {
            name: &node,
            output: None,
            accuracy: self.accuracy(),
        };
        let product = multiply(&mut self.graph, &product, input, &weight);
        if biases.is_empty() {
            return Ok(product);
        }
        let bias = format!("{dotted}.Add.bias");
        self.weights.vector(&bias, biases)?;
        Ok(self.graph.node(
            "Add",
            &format!("/model/{name}/Add"),
            &[&product, &bias],
            vec![],
        ))
    }

    pub(super) fn rows(
        &mut self,
        name: &str,
        k: usize,
        n: usize,
        order: RowOrder,
    ) -> Result<Rows<'w>, ConvertError> {
        let tensor = self.weights.tensor(name, &[k, n])?;
        Ok(Rows {
            tensor,
            k,
            n,
            order,
        })
    }

    /// A vector, as rows of one value.
    pub(super) fn vector_rows(
        &mut self,
        name: &str,
        n: usize,
        order: RowOrder,
    ) -> Result<Rows<'w>, ConvertError> {
        let tensor = self.weights.tensor(name, &[n])?;
        Ok(Rows {
            tensor,
            k: 1,
            n,
            order,
        })
    }

    pub(super) fn bias_rows(
        &mut self,
        tensor: &str,
        n: usize,
        order: RowOrder,
    ) -> Result<Option<Rows<'w>>, ConvertError> {
        let tensor = self.weights.optional(&format!("{tensor}.bias"), &[n])?;
        Ok(tensor.map(|tensor| Rows {
            tensor,
            k: 1,
            n,
            order,
        }))
    }
}

/// A node that multiplies.
pub(super) struct Product<'a> {
    pub(super) name: &'a str,
    /// The result's name where it is the graph's own output.
    pub(super) output: Option<&'a str>,
    pub(super) accuracy: Accuracy,
}

/// `input` times a weight.
pub(super) fn multiply(
    graph: &mut Builder,
    product: &Product<'_>,
    input: &str,
    weight: &Written,
) -> String {
    let name = product.name;
    let usual = format!("{name}/output_0");
    let output = product.output.unwrap_or(&usual);
    match weight {
        Written::Quantised {
            levels,
            scales,
            zero_points,
            form,
            n,
            k,
        } => {
            let mut inputs = vec![input, levels, scales];
            inputs.extend(zero_points.as_deref());
            let attributes = vec![
                int("K", *k as i64),
                int("N", *n as i64),
                int("accuracy_level", product.accuracy as i64),
                int("bits", form.bits as i64),
                int("block_size", form.block as i64),
            ];
            let name = format!("{name}_Q{}", form.bits);
            graph.add("MatMulNBits", &name, &inputs, &[output], attributes);
        }
        Written::Float {
            name: weight,
            dtype,
        } => {
            let widened = to_f32(graph, &format!("{name}/Cast"), weight.clone(), *dtype);
            graph.add("MatMul", name, &[input, &widened], &[output], vec![]);
        }
    }
    output.to_owned()
}

/// Half-width weights are widened by the graph, so that the file stays as small as it was.
pub(super) fn to_f32(graph: &mut Builder, name: &str, value: String, dtype: DataType) -> String {
    match dtype {
        DataType::F32 => value,
        _ => graph.node("Cast", name, &[&value], vec![int("to", FLOAT)]),
    }
}

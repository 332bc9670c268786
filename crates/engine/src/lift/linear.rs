//! Linear layers in the forms exports carry: `MatMulNBits`, `MatMul`, `Gemm`, with an `Add` for the bias.

use inhouse_kernels::Layout;
use inhouse_onnx::{DataType, Node, Tensor};

use super::Lift;
use super::nbits::BlockQuantized;
use crate::error::EngineError;
use crate::weights::{
    DenseValues, DenseWeight, Linear, NBitsWeight, Values, Weight, ZeroPointValues,
};

/// `accuracy_level` of `MatMulNBits` that allows int8 activations; below it arithmetic is in f32.
const INT8_ACTIVATIONS: i64 = 4;

impl<'a> Lift<'a> {
    /// The linear layer whose output is `value`, and the value it reads.
    pub(super) fn linear(&self, value: &'a str) -> Result<(Linear, &'a str), EngineError> {
        let node = self.graph.producer(value)?;
        match node.op_type.as_str() {
            "MatMulNBits" => self.matmul_nbits(node),
            "MatMul" => self.matmul(node),
            "Gemm" => self.gemm(node),
            "Add" => self.add_bias(node),
            "Mul" => self.scaled(node),
            _ => Err(self.graph.differs(
                node,
                "a linear layer is expected here: MatMulNBits, MatMul or Gemm",
            )),
        }
    }

    fn add_bias(&self, node: &'a Node) -> Result<(Linear, &'a str), EngineError> {
        let (inner, bias) = self.with_constant(node)?;
        let (mut linear, input) = self.linear(inner)?;
        let bias = self.graph.floats(node, bias)?;
        if bias.len() != linear.n() {
            let what = format!(
                "the bias has {} values and the layer {}",
                bias.len(),
                linear.n()
            );
            return Err(self.graph.differs(node, what));
        }
        let before = linear.bias.take().unwrap_or_else(|| vec![0.0; bias.len()]);
        linear.bias = Some(
            before
                .iter()
                .zip(&bias)
                .map(|(a, b)| a + b / linear.scale)
                .collect(),
        );
        Ok((linear, input))
    }

    fn scaled(&self, node: &'a Node) -> Result<(Linear, &'a str), EngineError> {
        let (inner, scale) = self.with_constant(node)?;
        let (mut linear, input) = self.linear(inner)?;
        match self.graph.floats(node, scale)?.as_slice() {
            [scale] if scale.is_finite() && *scale != 0.0 => linear.scale *= scale,
            _ => {
                return Err(self.graph.differs(
                    node,
                    "a linear layer is multiplied by something other than one number",
                ));
            }
        }
        Ok((linear, input))
    }

    /// The variable and the constant input of a node with one of each.
    fn with_constant(&self, node: &'a Node) -> Result<(&'a str, &'a Tensor), EngineError> {
        let (a, b) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?);
        match (self.graph.constant(a), self.graph.constant(b)) {
            (None, Some(constant)) => Ok((a, constant)),
            (Some(constant), None) => Ok((b, constant)),
            _ => Err(self
                .graph
                .differs(node, "one constant and one computed input are expected")),
        }
    }

    fn matmul_nbits(&self, node: &'a Node) -> Result<(Linear, &'a str), EngineError> {
        let size = |name: &str| {
            node.int(name)
                .and_then(|value| usize::try_from(value).ok())
                .filter(|&value| value > 0)
                .ok_or_else(|| {
                    self.graph
                        .differs(node, format!("attribute {name} is missing or not positive"))
                })
        };
        let (zero_points, groups) = self.zero_points_and_groups(node)?;
        let mut parts = BlockQuantized {
            n: size("N")?,
            k: size("K")?,
            bits: node.int("bits").unwrap_or(4),
            block: size("block_size")?,
            quants: self.graph.weight(node, 1)?,
            scales: self.graph.weight(node, 2)?,
            zero_points,
        };
        let columns = match groups {
            Some(groups) => self.column_order(node, groups, parts.k, parts.block)?,
            None => None,
        };
        let sorted = columns
            .as_deref()
            .map(|order| self.reordered(node, &parts, order))
            .transpose()?;
        if let Some(sorted) = &sorted {
            parts.quants = sorted;
        }
        let weight = self.block_quantized(node, parts)?;
        let bias = node
            .input(5)
            .map(|_| self.graph.floats(node, self.graph.weight(node, 5)?))
            .transpose()?;
        if bias.as_ref().is_some_and(|bias| bias.len() != weight.n) {
            return Err(self
                .graph
                .differs(node, "the bias has another length than N"));
        }
        let int8_activations = node.int("accuracy_level") == Some(INT8_ACTIVATIONS)
            && groups.is_none()
            && int8_is_meant(&weight);
        let linear = Linear {
            weight: Weight::NBits(weight),
            columns,
            bias,
            scale: 1.0,
            int8_activations,
        };
        Ok((linear, self.graph.input(node, 0)?))
    }

    /// Inputs 3 and 4 of `MatMulNBits`. Exports without zero points have been seen to carry g_idx in their place.
    fn zero_points_and_groups(
        &self,
        node: &'a Node,
    ) -> Result<(Option<&'a Tensor>, Option<&'a Tensor>), EngineError> {
        let optional = |input: usize| {
            node.input(input)
                .map(|_| self.graph.weight(node, input))
                .transpose()
        };
        match (optional(3)?, optional(4)?) {
            (Some(groups), None) if groups.dtype == DataType::I32 => Ok((None, Some(groups))),
            both => Ok(both),
        }
    }

    fn matmul(&self, node: &'a Node) -> Result<(Linear, &'a str), EngineError> {
        let weight = self.graph.input(node, 1)?;
        let weight = match self.graph.constant(weight) {
            Some(tensor) => Weight::Dense(self.dense(node, tensor, Layout::KN)?),
            None => self.computed_weight(node, weight)?,
        };
        let linear = Linear {
            weight,
            columns: None,
            bias: None,
            scale: 1.0,
            int8_activations: false,
        };
        Ok((linear, self.graph.input(node, 0)?))
    }

    /// A weight behind a `Transpose` (tied to a table) or a `DequantizeLinear` (QDQ exports).
    fn computed_weight(&self, node: &'a Node, value: &'a str) -> Result<Weight, EngineError> {
        let producer = self.graph.producer(value)?;
        match producer.op_type.as_str() {
            "Transpose" => {
                let inner = self.graph.input(producer, 0)?;
                match self.graph.constant(inner) {
                    Some(tensor) => Ok(Weight::Dense(self.dense(producer, tensor, Layout::NK)?)),
                    None => self
                        .dequantized(self.graph.producer(inner)?, Layout::NK)
                        .map(Weight::NBits),
                }
            }
            "DequantizeLinear" => self.dequantized(producer, Layout::KN).map(Weight::NBits),
            _ => Err(self
                .graph
                .differs(node, "its weight is computed in a way that is not known")),
        }
    }

    fn gemm(&self, node: &'a Node) -> Result<(Linear, &'a str), EngineError> {
        let plain = |name: &str| node.float(name).is_none_or(|value| value == 1.0);
        if !plain("alpha") || !plain("beta") || node.int("transA").unwrap_or(0) != 0 {
            return Err(self
                .graph
                .differs(node, "only alpha 1, beta 1 and transA 0 are supported"));
        }
        let layout = if node.int("transB") == Some(1) {
            Layout::NK
        } else {
            Layout::KN
        };
        let weight = self.dense(node, self.graph.weight(node, 1)?, layout)?;
        let bias = node
            .input(2)
            .map(|_| self.graph.floats(node, self.graph.weight(node, 2)?))
            .transpose()?;
        if bias.as_ref().is_some_and(|bias| bias.len() != weight.n) {
            return Err(self
                .graph
                .differs(node, "the bias has another length than the output"));
        }
        let linear = Linear {
            weight: Weight::Dense(weight),
            columns: None,
            bias,
            scale: 1.0,
            int8_activations: false,
        };
        Ok((linear, self.graph.input(node, 0)?))
    }

    /// An unquantised matrix, left in the type the file has.
    pub(super) fn dense(
        &self,
        node: &Node,
        tensor: &Tensor,
        layout: Layout,
    ) -> Result<DenseWeight, EngineError> {
        let (n, k) = match (tensor.dims.as_slice(), layout) {
            (&[n, k], Layout::NK) | (&[k, n], Layout::KN) => (n, k),
            (dims, _) => {
                let what = format!(
                    "weight {:?} has the shape {dims:?}; two dimensions are expected",
                    tensor.name
                );
                return Err(self.graph.differs(node, what));
            }
        };
        let bytes = tensor.bytes().clone();
        let values = match tensor.dtype {
            DataType::F32 => DenseValues::F32(Values::new(bytes)),
            DataType::F16 => DenseValues::F16(Values::new(bytes)),
            DataType::BF16 => DenseValues::Bf16(Values::new(bytes)),
            other => {
                let what = format!(
                    "weight {:?} is of type {other:?}; f32, f16 or bf16 is expected",
                    tensor.name
                );
                return Err(self.graph.differs(node, what));
            }
        };
        Ok(DenseWeight {
            n,
            k,
            layout,
            values,
        })
    }
}

/// Whether level 4 stands for int8 activations with these weights. ONNX Runtime computes in f32 where zero points are
/// floats (and where columns are in another order), and exports were judged that way; blocks of 16 are finer than the groups our kernels quantise activations
/// in, so f32 keeps what such an export was made for.
fn int8_is_meant(weight: &NBitsWeight) -> bool {
    !matches!(weight.zero_points, ZeroPointValues::Floats(_)) && weight.block >= 32
}

//! Graphs of one node, for what is to be done with tensors where they lie: on the device, without a way to the host.

use inhouse_onnx::{Attribute, AttributeValue, DataType, Dim, Graph, Model, Node, ValueInfo};
use ort::value::TensorElementType;

/// The one input that is changed, and what comes out.
pub(crate) const X: &str = "x";
pub(crate) const Y: &str = "y";
/// How long what is kept is: one integer.
pub(crate) const LENGTH: &str = "length";

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tiny {
    /// `y = Concat(x, x)` along positions. What is in the second half does not matter, but that it is finite.
    Double,
    /// `y = x[:, :, from:length]`.
    Cut,
    /// `y = x`, of so many dimensions: from the host to the device, or back, as they are bound.
    Copy(usize),
}

impl Tiny {
    /// The graph for tensors of this type.
    pub(crate) fn graph(self, element: TensorElementType) -> Vec<u8> {
        const FROM: &str = "from";
        const AXIS: &str = "axis";
        let (op_type, inputs, rank): (_, &[&str], _) = match self {
            Self::Double => ("Concat", &[X, X], 4),
            Self::Cut => ("Slice", &[X, FROM, LENGTH, AXIS], 4),
            Self::Copy(rank) => ("Identity", &[X], rank),
        };
        let along_positions = Attribute::new("axis", AttributeValue::Int(2));
        let node = Node {
            op_type: op_type.to_owned(),
            inputs: inputs.iter().map(|name| (*name).to_owned()).collect(),
            outputs: vec![Y.to_owned()],
            attributes: (self == Self::Double)
                .then_some(along_positions)
                .into_iter()
                .collect(),
            ..Node::default()
        };
        let integers = inputs.iter().filter(|name| **name != X);
        let integers = integers.map(|name| value(name, Some(DataType::I64), 1));
        let element = data_type(element);
        let graph = Graph {
            name: "inhouse".to_owned(),
            nodes: vec![node],
            inputs: std::iter::once(value(X, element, rank))
                .chain(integers)
                .collect(),
            outputs: vec![value(Y, element, rank)],
            ..Graph::default()
        };
        let model = Model {
            ir_version: 8,
            opsets: vec![(String::new(), 17)],
            producer: String::new(),
            producer_version: String::new(),
            graph,
        };
        model.to_bytes()
    }
}

fn value(name: &str, dtype: Option<DataType>, rank: usize) -> ValueInfo {
    ValueInfo {
        name: name.to_owned(),
        dtype,
        shape: vec![Dim::Unknown; rank],
    }
}

/// Of integers, and of what keys, values and logits come in. ONNX Runtime will say of others that it does not know them.
fn data_type(element: TensorElementType) -> Option<DataType> {
    match element {
        TensorElementType::Float32 => Some(DataType::F32),
        TensorElementType::Float16 => Some(DataType::F16),
        TensorElementType::Bfloat16 => Some(DataType::BF16),
        TensorElementType::Uint8 => Some(DataType::U8),
        TensorElementType::Int8 => Some(DataType::I8),
        TensorElementType::Int32 => Some(DataType::I32),
        TensorElementType::Int64 => Some(DataType::I64),
        _ => None,
    }
}

//! Graphs of one node, for what is to be done with tensors where they lie: on the device, without a way to the host.

use ort::value::TensorElementType;
use prost::Message;

use crate::graph::splice::{IntAttribute, Node, Value, put, put_varint};

/// The one input that is changed, and what comes out.
pub(crate) const X: &str = "x";
pub(crate) const Y: &str = "y";
/// How long what is kept is: one integer.
pub(crate) const LENGTH: &str = "length";

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Tiny {
    /// `y = Concat(x, x)` along positions. What is in the second half does not matter, but that it is finite.
    Double,
    /// `y = x[:, :, from:length]`.
    Cut,
    /// `y = x`: from the host to the device, or back, as they are bound.
    Copy,
}

impl Tiny {
    /// The graph for keys and values of this type.
    pub(crate) fn graph(self, element: TensorElementType) -> Vec<u8> {
        match self {
            Self::Double => double(element),
            Self::Cut => cut(element),
            Self::Copy => copy(element),
        }
    }
}

fn double(element: TensorElementType) -> Vec<u8> {
    let node = Node {
        input: vec![X.into(), X.into()],
        output: vec![Y.into()],
        op_type: Some("Concat".into()),
        attribute: vec![IntAttribute::new("axis", 2)],
        name: None,
    };
    model(&node, element, &[])
}

fn cut(element: TensorElementType) -> Vec<u8> {
    let node = Node {
        input: vec![X.into(), "from".into(), LENGTH.into(), "axis".into()],
        output: vec![Y.into()],
        op_type: Some("Slice".into()),
        attribute: Vec::new(),
        name: None,
    };
    model(&node, element, &["from", LENGTH, "axis"])
}

fn copy(element: TensorElementType) -> Vec<u8> {
    let node = Node {
        input: vec![X.into()],
        output: vec![Y.into()],
        op_type: Some("Identity".into()),
        attribute: Vec::new(),
        name: None,
    };
    model(&node, element, &[])
}

/// A model of this node from `x` and integers to `y`.
fn model(node: &Node, element: TensorElementType, integers: &[&str]) -> Vec<u8> {
    let value = |name, element| Value {
        name,
        element: number(element),
        dims: None,
    };
    let mut graph = Vec::new();
    put(&mut graph, 1, &node.encode_to_vec());
    put(&mut graph, 2, b"inhouse");
    put(&mut graph, 11, &value(X, element).encode());
    for name in integers {
        put(
            &mut graph,
            11,
            &value(name, TensorElementType::Int64).encode(),
        );
    }
    put(&mut graph, 12, &value(Y, element).encode());
    let mut opset = Vec::new();
    put_varint(&mut opset, 2 << 3); // version
    put_varint(&mut opset, 17);
    let mut model = Vec::new();
    put_varint(&mut model, 1 << 3); // ir_version
    put_varint(&mut model, 8);
    put(&mut model, 7, &graph);
    put(&mut model, 8, &opset);
    model
}

/// `TensorProto.DataType`: of integers, and of what keys, values and logits come in.
fn number(element: TensorElementType) -> u64 {
    match element {
        TensorElementType::Float32 => 1,
        TensorElementType::Uint8 => 2,
        TensorElementType::Int8 => 3,
        TensorElementType::Int32 => 6,
        TensorElementType::Int64 => 7,
        TensorElementType::Float16 => 10,
        TensorElementType::Bfloat16 => 16,
        _ => 0, // ONNX Runtime will say that it does not know it
    }
}

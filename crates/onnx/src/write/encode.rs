//! From the crate's structs to messages.

use crate::proto::*;
use crate::{Attribute, AttributeValue, Dim, Graph, ModelMeta, Node, Tensor, ValueInfo};

/// The whole model; `external` are the initializers whose data is in another file.
pub(super) fn model(meta: ModelMeta, graph: Graph, external: Vec<TensorProto>) -> ModelProto {
    let opsets = meta.opsets.into_iter();
    let mut graph = self::graph(graph, Place::Model);
    graph.initializer.extend(external);
    ModelProto {
        ir_version: Some(meta.ir_version),
        producer_name: Some("inhouse".into()),
        producer_version: Some(env!("CARGO_PKG_VERSION").into()),
        graph: Some(Box::new(graph)),
        opset_import: opsets
            .map(|(domain, version)| OperatorSetIdProto {
                domain: Some(domain),
                version: Some(version),
            })
            .collect(),
        functions: Vec::new(),
    }
}

pub(super) fn entry(key: &str, value: String) -> StringStringEntryProto {
    StringStringEntryProto {
        key: Some(key.to_owned()),
        value: Some(value),
    }
}

/// Whether a graph is the model's or an attribute's.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Model,
    Attribute,
}

fn graph(graph: Graph, place: Place) -> GraphProto {
    let value_info = |value| value_info(value, place);
    GraphProto {
        node: graph.nodes.into_iter().map(node).collect(),
        name: Some(graph.name),
        initializer: graph.initializers.into_iter().map(tensor).collect(),
        input: graph.inputs.into_iter().map(value_info).collect(),
        output: graph.outputs.into_iter().map(value_info).collect(),
        sparse_initializer: Vec::new(),
    }
}

pub(crate) fn node(node: Node) -> NodeProto {
    NodeProto {
        input: node.inputs,
        output: node.outputs,
        name: Some(node.name),
        op_type: Some(node.op_type),
        attribute: node.attributes.into_iter().map(attribute).collect(),
        domain: Some(node.domain),
    }
}

fn attribute(attribute: Attribute) -> AttributeProto {
    let name = Some(attribute.name);
    let of = |r#type| AttributeProto {
        name,
        r#type: Some(r#type),
        ..AttributeProto::default()
    };
    match attribute.value {
        AttributeValue::Int(i) => AttributeProto {
            i: Some(i),
            ..of(attribute_type::INT)
        },
        AttributeValue::Float(f) => AttributeProto {
            f: Some(f),
            ..of(attribute_type::FLOAT)
        },
        AttributeValue::String(s) => AttributeProto {
            s: Some(s.into()),
            ..of(attribute_type::STRING)
        },
        AttributeValue::Tensor(t) => AttributeProto {
            t: Some(Box::new(tensor(t))),
            ..of(attribute_type::TENSOR)
        },
        AttributeValue::Graph(g) => AttributeProto {
            g: Some(Box::new(graph(g, Place::Attribute))),
            ..of(attribute_type::GRAPH)
        },
        AttributeValue::Ints(ints) => AttributeProto {
            ints,
            ..of(attribute_type::INTS)
        },
        AttributeValue::Floats(floats) => AttributeProto {
            floats,
            ..of(attribute_type::FLOATS)
        },
        AttributeValue::Strings(values) => {
            let strings = values.into_iter().map(Into::into).collect();
            AttributeProto {
                strings,
                ..of(attribute_type::STRINGS)
            }
        }
    }
}

fn tensor(tensor: Tensor) -> TensorProto {
    TensorProto {
        data_type: Some(tensor.dtype.to_onnx()),
        // A tensor with a dimension past i64 could only be an empty one.
        dims: tensor
            .dims
            .iter()
            .map(|dim| i64::try_from(*dim).unwrap_or(i64::MAX))
            .collect(),
        raw_data: Some(tensor.bytes().clone()),
        name: Some(tensor.name),
        ..TensorProto::default()
    }
}

/// An input or output of the model.
pub(crate) fn of_model(value: ValueInfo) -> ValueInfoProto {
    value_info(value, Place::Model)
}

fn value_info(value: ValueInfo, place: Place) -> ValueInfoProto {
    // Inside attributes shapes are optional, and one that was not given must not be taken for a scalar's.
    let shape = (place == Place::Model || !value.shape.is_empty()).then(|| TensorShapeProto {
        dim: value.shape.into_iter().map(dim).collect(),
    });
    let tensor_type = value.dtype.map(|dtype| TensorTypeProto {
        elem_type: Some(dtype.to_onnx()),
        shape,
    });
    let r#type = tensor_type.map(|tensor_type| TypeProto {
        tensor_type: Some(tensor_type),
        ..TypeProto::default()
    });
    ValueInfoProto {
        name: Some(value.name),
        r#type,
    }
}

fn dim(dim: Dim) -> DimensionProto {
    match dim {
        Dim::Fixed(len) => DimensionProto {
            dim_value: i64::try_from(len).ok(),
            dim_param: None,
        },
        Dim::Named(name) => DimensionProto {
            dim_value: None,
            dim_param: Some(name),
        },
        Dim::Unknown => DimensionProto::default(),
    }
}

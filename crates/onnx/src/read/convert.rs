//! From the decoded messages to the crate's structs, checking what the format leaves open.

use std::collections::HashSet;

use bytes::Bytes;

use super::external::ExternalData;
use crate::dtype::unsupported_name;
use crate::error::quote;
use crate::proto::*;
use crate::{
    Attribute, AttributeValue, DataType, Dim, Graph, LoadError, Model, Node, Tensor, ValueInfo,
};

/// The model, with tensors taken from `external` where they say so.
pub(super) fn model(proto: ModelProto, external: &mut ExternalData) -> Result<Model, LoadError> {
    let graph = proto
        .graph
        .ok_or_else(|| LoadError::malformed("is not an ONNX model: it has no graph"))?;
    let functions = proto.functions.into_iter();
    let functions = functions.map(|f| (f.domain.unwrap_or_default(), f.name.unwrap_or_default()));
    let mut converter = Converter {
        functions: functions.collect(),
        sparse: HashSet::new(),
        external,
    };
    let opsets = proto.opset_import.into_iter();
    Ok(Model {
        ir_version: proto.ir_version.unwrap_or_default(),
        opsets: opsets
            .map(|o| (o.domain.unwrap_or_default(), o.version.unwrap_or_default()))
            .collect(),
        producer: proto.producer_name.unwrap_or_default(),
        producer_version: proto.producer_version.unwrap_or_default(),
        graph: converter.graph(*graph)?,
    })
}

struct Converter<'a> {
    /// Domain and name of the model's own functions.
    functions: HashSet<(String, String)>,
    /// Names of the sparse initializers of this graph and those around it.
    sparse: HashSet<String>,
    external: &'a mut ExternalData,
}

impl Converter<'_> {
    fn graph(&mut self, proto: GraphProto) -> Result<Graph, LoadError> {
        let sparse = proto.sparse_initializer.into_iter();
        self.sparse.extend(sparse.filter_map(|s| s.values?.name));
        Ok(Graph {
            name: proto.name.unwrap_or_default(),
            initializers: collect(proto.initializer, |t| self.tensor(t))?,
            nodes: collect(proto.node, |n| self.node(n))?,
            inputs: collect(proto.input, value_info)?,
            outputs: collect(proto.output, value_info)?,
        })
    }

    fn node(&mut self, proto: NodeProto) -> Result<Node, LoadError> {
        let node = Node {
            name: proto.name.unwrap_or_default(),
            op_type: proto.op_type.unwrap_or_default(),
            domain: proto.domain.unwrap_or_default(),
            inputs: proto.input,
            outputs: proto.output,
            attributes: Vec::new(),
        };
        self.check_node(&node)?;
        let owner = (node.name.as_str(), node.op_type.as_str());
        let attributes = collect(proto.attribute, |a| self.attribute(owner, a))?;
        Ok(Node { attributes, ..node })
    }

    fn check_node(&self, node: &Node) -> Result<(), LoadError> {
        let whose = |node: &Node| format!("node {} ({})", quote(&node.name), quote(&node.op_type));
        if !self.functions.is_empty()
            && self
                .functions
                .contains(&(node.domain.clone(), node.op_type.clone()))
        {
            return Err(LoadError::unsupported(format!(
                "{} calls a function that the model defines, which is not supported: inline the functions first",
                whose(node)
            )));
        }
        match node.inputs.iter().find(|name| self.sparse.contains(*name)) {
            Some(name) => Err(LoadError::unsupported(format!(
                "{} takes {}, a sparse initializer, which is not supported: store it dense",
                whose(node),
                quote(name)
            ))),
            None => Ok(()),
        }
    }

    fn attribute(
        &mut self,
        (node, op): (&str, &str),
        proto: AttributeProto,
    ) -> Result<Attribute, LoadError> {
        let name = proto.name.clone().unwrap_or_default();
        let whose = || {
            format!(
                "attribute {} of node {} ({})",
                quote(&name),
                quote(node),
                quote(op)
            )
        };
        let missing = || LoadError::malformed(format!("{} has no value", whose()));
        let value = match proto.r#type.unwrap_or(attribute_type::UNDEFINED) {
            attribute_type::UNDEFINED => self.untyped(proto)?.ok_or_else(missing)?,
            // A proto3 writer leaves out what is zero.
            attribute_type::FLOAT => AttributeValue::Float(proto.f.unwrap_or_default()),
            attribute_type::INT => AttributeValue::Int(proto.i.unwrap_or_default()),
            attribute_type::STRING => AttributeValue::String(proto.s.unwrap_or_default().to_vec()),
            attribute_type::TENSOR => {
                AttributeValue::Tensor(self.tensor(*proto.t.ok_or_else(missing)?)?)
            }
            attribute_type::GRAPH => {
                AttributeValue::Graph(self.graph(*proto.g.ok_or_else(missing)?)?)
            }
            attribute_type::FLOATS => AttributeValue::Floats(proto.floats),
            attribute_type::INTS => AttributeValue::Ints(proto.ints),
            attribute_type::STRINGS => strings(proto.strings),
            other => {
                let what = attribute_type::name(other);
                return Err(LoadError::unsupported(format!(
                    "{} is {what}, which is not supported",
                    whose()
                )));
            }
        };
        Ok(Attribute { name, value })
    }

    /// The first IR version had no attribute types: the field that is there tells.
    fn untyped(&mut self, proto: AttributeProto) -> Result<Option<AttributeValue>, LoadError> {
        Ok(match proto {
            AttributeProto { g: Some(graph), .. } => {
                Some(AttributeValue::Graph(self.graph(*graph)?))
            }
            AttributeProto {
                t: Some(tensor), ..
            } => Some(AttributeValue::Tensor(self.tensor(*tensor)?)),
            AttributeProto { s: Some(s), .. } => Some(AttributeValue::String(s.to_vec())),
            AttributeProto { i: Some(i), .. } => Some(AttributeValue::Int(i)),
            AttributeProto { f: Some(f), .. } => Some(AttributeValue::Float(f)),
            AttributeProto { ints, .. } if !ints.is_empty() => Some(AttributeValue::Ints(ints)),
            AttributeProto { floats, .. } if !floats.is_empty() => {
                Some(AttributeValue::Floats(floats))
            }
            AttributeProto { strings: s, .. } if !s.is_empty() => Some(strings(s)),
            _ => None,
        })
    }

    fn tensor(&mut self, proto: TensorProto) -> Result<Tensor, LoadError> {
        let name = proto.name.clone().unwrap_or_default();
        let number = proto.data_type.unwrap_or_default();
        let dtype = DataType::from_onnx(number).ok_or_else(|| {
            let what = unsupported_name(number);
            LoadError::unsupported(format!(
                "tensor {} has the element type {number} ({what}), which is not supported",
                quote(&name)
            ))
        })?;
        let dims: Result<Vec<usize>, _> =
            proto.dims.iter().map(|dim| usize::try_from(*dim)).collect();
        let dims = dims.map_err(|_| {
            LoadError::malformed(format!("tensor {} has a negative dimension", quote(&name)))
        })?;
        let data = match (proto.data_location, proto.raw_data.as_ref()) {
            (Some(EXTERNAL), _) => self.external.bytes(&name, &proto.external_data)?,
            (_, Some(raw)) if !raw.is_empty() => raw.clone(),
            _ => typed_data(&name, dtype, &proto)?,
        };
        Ok(Tensor::new(name, dtype, dims, data)?)
    }
}

/// Like `collect`, but lets go of what was decoded as it goes on.
fn collect<P, T>(
    protos: Vec<P>,
    convert: impl FnMut(P) -> Result<T, LoadError>,
) -> Result<Vec<T>, LoadError> {
    protos.into_iter().map(convert).collect()
}

fn strings(values: Vec<Bytes>) -> AttributeValue {
    AttributeValue::Strings(values.iter().map(|s| s.to_vec()).collect())
}

/// The elements in the field that ONNX gives each type when they are not raw.
fn typed_data(name: &str, dtype: DataType, proto: &TensorProto) -> Result<Bytes, LoadError> {
    let too_wide = || {
        LoadError::malformed(format!(
            "tensor {} of {dtype} has an element too large for its type",
            quote(name)
        ))
    };
    let narrow = |least: i32, greatest: i32| {
        let fits = proto
            .int32_data
            .iter()
            .all(|value| (least..=greatest).contains(value));
        if fits {
            Ok(&proto.int32_data)
        } else {
            Err(too_wide())
        }
    };
    Ok(match dtype {
        DataType::F32 => flatten(&proto.float_data, |v| v.to_le_bytes()),
        DataType::F64 => flatten(&proto.double_data, |v| v.to_le_bytes()),
        DataType::I64 => flatten(&proto.int64_data, |v| v.to_le_bytes()),
        DataType::U64 => flatten(&proto.uint64_data, |v| v.to_le_bytes()),
        DataType::I32 => flatten(&proto.int32_data, |v| v.to_le_bytes()),
        DataType::U32 => {
            if proto.uint64_data.iter().any(|v| u32::try_from(*v).is_err()) {
                return Err(too_wide());
            }
            flatten(&proto.uint64_data, |v| (v as u32).to_le_bytes())
        }
        // Signed and unsigned alike may be stored as their bits.
        DataType::F16 | DataType::BF16 | DataType::I16 | DataType::U16 => {
            flatten(narrow(i16::MIN.into(), u16::MAX.into())?, |v| {
                (v as u16).to_le_bytes()
            })
        }
        // Each number holds a byte, which for the 4-bit types is two elements.
        DataType::U8 | DataType::I8 | DataType::Bool | DataType::U4 | DataType::I4 => {
            flatten(narrow(i8::MIN.into(), u8::MAX.into())?, |v| [v as u8])
        }
    })
}

fn flatten<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Bytes {
    let mut data = Vec::with_capacity(values.len() * N);
    values
        .iter()
        .for_each(|value| data.extend_from_slice(&bytes(*value)));
    data.into()
}

fn value_info(proto: ValueInfoProto) -> Result<ValueInfo, LoadError> {
    let name = proto.name.unwrap_or_default();
    let r#type = proto.r#type.unwrap_or_default();
    let other = [
        (&r#type.sequence_type, "a sequence"),
        (&r#type.map_type, "a map"),
        (&r#type.sparse_tensor_type, "a sparse tensor"),
        (&r#type.optional_type, "an optional"),
    ];
    if let Some((_, what)) = other.iter().find(|(field, _)| field.is_some()) {
        let message = format!(
            "graph input or output {} is {what}, which is not supported",
            quote(&name)
        );
        return Err(LoadError::unsupported(message));
    }
    let tensor = r#type.tensor_type.unwrap_or_default();
    let dims = tensor.shape.unwrap_or_default().dim.into_iter();
    Ok(ValueInfo {
        name,
        dtype: tensor.elem_type.and_then(DataType::from_onnx),
        shape: dims.map(dim).collect(),
    })
}

fn dim(proto: DimensionProto) -> Dim {
    match (proto.dim_value, proto.dim_param) {
        // Some exporters write -1 for a dimension they do not know.
        (Some(value), _) => usize::try_from(value).map_or(Dim::Unknown, Dim::Fixed),
        (None, Some(name)) if !name.is_empty() => Dim::Named(name),
        _ => Dim::Unknown,
    }
}

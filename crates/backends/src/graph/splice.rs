//! Changes a model file's bytes: nodes replaced or put in, inputs added. Everything else stays as it is.
//!
//! Reading a model into structs and writing it again would lose what the structs do not know. A file is a list of fields
//! ([Protocol Buffers' encoding](https://protobuf.dev/programming-guides/encoding/)), so a changed model is the old fields
//! with a few new ones among them.

use std::collections::BTreeMap;
use std::ops::Range;

use prost::Message;

/// `ModelProto.graph`.
const GRAPH: u64 = 7;
/// `GraphProto.node`.
const NODE: u64 = 1;
/// `GraphProto.input`.
const INPUT: u64 = 11;
/// `GraphProto.output`.
const OUTPUT: u64 = 12;
/// `GraphProto.value_info`: shapes of values between nodes. They are left out: a change behind which shapes differ would
/// belie them, some exports' are wrong as they come, and ONNX Runtime infers its own.
const VALUE_INFO: u64 = 13;
/// The wire type of messages, strings and bytes.
const LENGTH_DELIMITED: u64 = 2;

/// A node, as far as changes need it.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Node {
    #[prost(string, repeated, tag = "1")]
    pub(crate) input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(crate) output: Vec<String>,
    #[prost(string, optional, tag = "3")]
    pub(crate) name: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub(crate) op_type: Option<String>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) attribute: Vec<IntAttribute>,
}

/// An attribute that is an integer.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct IntAttribute {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(int64, optional, tag = "3")]
    i: Option<i64>,
    #[prost(int32, optional, tag = "20")]
    r#type: Option<i32>,
}

impl IntAttribute {
    pub(crate) fn new(name: &str, value: i64) -> Self {
        const INT: i32 = 2; // AttributeProto.AttributeType
        Self {
            name: Some(name.to_owned()),
            i: Some(value),
            r#type: Some(INT),
        }
    }
}

/// What is to be changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// For a node's place among the graph's nodes: what is to be there instead.
    nodes: BTreeMap<usize, NodeChange>,
    inputs: Vec<Vec<u8>>,
    /// By name.
    outputs: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, Debug, Default)]
struct NodeChange {
    before: Vec<Vec<u8>>,
    /// Inputs by place, with their new names.
    inputs: BTreeMap<usize, String>,
    /// Integer attributes by name, with their new values.
    attributes: BTreeMap<String, i64>,
}

impl Changes {
    /// Puts `node` before the `index`th one.
    pub(crate) fn insert(&mut self, index: usize, node: &Node) {
        let change = self.nodes.entry(index).or_default();
        change.before.push(node.encode_to_vec());
    }

    /// Gives the `index`th node another `input`th input.
    pub(crate) fn rename_input(&mut self, index: usize, input: usize, name: &str) {
        let change = self.nodes.entry(index).or_default();
        change.inputs.insert(input, name.to_owned());
    }

    /// Gives an integer attribute of the `index`th node another value; where it has none of that name nothing changes.
    pub(crate) fn set_attribute(&mut self, index: usize, name: &str, value: i64) {
        let change = self.nodes.entry(index).or_default();
        change.attributes.insert(name.to_owned(), value);
    }

    /// Adds an input of the graph.
    pub(crate) fn add_input(&mut self, input: &Value<'_>) {
        self.inputs.push(input.encode());
    }

    /// Replaces what the file says about an output.
    pub(crate) fn replace_output(&mut self, output: &Value<'_>) {
        self.outputs.insert(output.name.to_owned(), output.encode());
    }

    /// The bytes of `model` with the changes made; `None` where it is not a model file.
    pub(crate) fn apply(&self, model: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(model.len() + (64 << 10));
        for field in fields(model) {
            let field = field?;
            if field.number == GRAPH && field.kind == LENGTH_DELIMITED {
                let graph = self.apply_to_graph(&model[field.payload])?;
                put(&mut out, GRAPH, &graph);
            } else {
                out.extend_from_slice(&model[field.whole]);
            }
        }
        Some(out)
    }

    fn apply_to_graph(&self, graph: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(graph.len() + (64 << 10));
        let mut index = 0;
        for field in fields(graph) {
            let field = field?;
            if field.number == NODE && field.kind == LENGTH_DELIMITED {
                match self.nodes.get(&index) {
                    Some(change) => change.apply(&graph[field.payload], &mut out)?,
                    None => out.extend_from_slice(&graph[field.whole]),
                }
                index += 1;
            } else if field.number == OUTPUT
                && let Some(output) = self.replaced(&graph[field.payload.clone()])
            {
                put(&mut out, OUTPUT, output);
            } else if field.number != VALUE_INFO {
                out.extend_from_slice(&graph[field.whole]);
            }
        }
        for input in &self.inputs {
            put(&mut out, INPUT, input);
        }
        Some(out)
    }

    fn replaced(&self, output: &[u8]) -> Option<&[u8]> {
        #[derive(Clone, PartialEq, prost::Message)]
        struct Named {
            #[prost(string, optional, tag = "1")]
            name: Option<String>,
        }
        let named = Named::decode(output).ok()?;
        self.outputs.get(&named.name?).map(Vec::as_slice)
    }
}

impl NodeChange {
    fn apply(&self, node: &[u8], out: &mut Vec<u8>) -> Option<()> {
        for before in &self.before {
            put(out, NODE, before);
        }
        let mut changed = Vec::with_capacity(node.len() + 64);
        let mut input = 0;
        for field in fields(node) {
            let field = field?;
            let payload = &node[field.payload.clone()];
            match field.number {
                1 => {
                    match self.inputs.get(&input) {
                        Some(name) => put(&mut changed, 1, name.as_bytes()),
                        None => changed.extend_from_slice(&node[field.whole]),
                    }
                    input += 1;
                }
                5 => match self.attribute(payload) {
                    Some(attribute) => put(&mut changed, 5, &attribute),
                    None => changed.extend_from_slice(&node[field.whole]),
                },
                _ => changed.extend_from_slice(&node[field.whole]),
            }
        }
        put(out, NODE, &changed);
        Some(())
    }

    fn attribute(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let attribute = IntAttribute::decode(payload).ok()?;
        let name = attribute.name.as_deref()?;
        let value = *self.attributes.get(name)?;
        attribute.i?;
        Some(IntAttribute::new(name, value).encode_to_vec())
    }
}

/// An input or output of a graph: a tensor.
pub(crate) struct Value<'a> {
    pub(crate) name: &'a str,
    /// `TensorProto.DataType`.
    pub(crate) element: u64,
    /// For each dimension the name of its length; none for a scalar. `None` says nothing of them.
    pub(crate) dims: Option<&'a [&'a str]>,
}

impl Value<'_> {
    /// `ValueInfoProto { name = 1, type = 2: TypeProto { tensor_type = 1: { elem_type = 1, shape = 2: { dim = 1 } } } }`
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut tensor = Vec::new();
        put_varint(&mut tensor, 1 << 3);
        put_varint(&mut tensor, self.element);
        if let Some(dims) = self.dims {
            let mut shape = Vec::new();
            for dim in dims {
                let mut named = Vec::new();
                put(&mut named, 2, dim.as_bytes()); // dim_param
                put(&mut shape, 1, &named);
            }
            put(&mut tensor, 2, &shape);
        }
        let mut of_type = Vec::new();
        put(&mut of_type, 1, &tensor);
        let mut value = Vec::new();
        put(&mut value, 1, self.name.as_bytes());
        put(&mut value, 2, &of_type);
        value
    }
}

/// A field of a message.
struct Field {
    number: u64,
    kind: u64,
    /// Key and all.
    whole: Range<usize>,
    /// What is inside, where the field holds bytes.
    payload: Range<usize>,
}

/// The fields of a message in order; `None` where the bytes are none.
fn fields(bytes: &[u8]) -> impl Iterator<Item = Option<Field>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= bytes.len() {
            return None;
        }
        let field = field(bytes, at);
        at = field.as_ref().map_or(bytes.len(), |field| field.whole.end);
        Some(field)
    })
}

fn field(bytes: &[u8], start: usize) -> Option<Field> {
    let (key, at) = varint(bytes, start)?;
    let kind = key & 7;
    let payload = match kind {
        0 => at..varint(bytes, at)?.1,
        1 => at..at.checked_add(8)?,
        LENGTH_DELIMITED => {
            let (length, at) = varint(bytes, at)?;
            at..at.checked_add(usize::try_from(length).ok()?)?
        }
        5 => at..at.checked_add(4)?,
        _ => return None, // groups are not used by the schema
    };
    (payload.end <= bytes.len()).then_some(Field {
        number: key >> 3,
        kind,
        whole: start..payload.end,
        payload,
    })
}

fn varint(bytes: &[u8], mut at: usize) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(at)?;
        at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
    }
    None
}

pub(crate) fn put(out: &mut Vec<u8>, number: u64, payload: &[u8]) {
    put_varint(out, number << 3 | LENGTH_DELIMITED);
    put_varint(out, payload.len() as u64);
    out.extend_from_slice(payload);
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytes::Bytes;
    use inhouse_onnx::{Dim, Model};

    use super::*;

    fn zoo(name: &str) -> Vec<u8> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/zoo");
        std::fs::read(path.join(name).join("model.onnx")).unwrap()
    }

    fn node(op_type: &str) -> Node {
        Node {
            input: vec!["a".into(), "b".into()],
            output: vec!["c".into()],
            name: Some("put in".into()),
            op_type: Some(op_type.into()),
            attribute: vec![IntAttribute::new("axis", 1)],
        }
    }

    #[test]
    fn without_changes_a_model_says_the_same() {
        let model = zoo("llama-fp32");
        let same = Changes::default().apply(&model).unwrap();
        assert!(
            same.len() < model.len(),
            "shapes between nodes are left out"
        );
        assert_eq!(read(same), read(model));
        assert_eq!(Changes::default().apply(&small()).unwrap(), small());
    }

    /// Without external data, which a model in memory cannot have.
    fn read(model: Vec<u8>) -> Vec<inhouse_onnx::Node> {
        #[derive(Clone, PartialEq, prost::Message)]
        struct ModelProto {
            #[prost(message, optional, tag = "7")]
            graph: Option<GraphProto>,
        }
        #[derive(Clone, PartialEq, prost::Message)]
        struct GraphProto {
            #[prost(message, repeated, tag = "1")]
            node: Vec<Node>,
        }
        let graph = ModelProto::decode(model.as_slice()).unwrap().graph.unwrap();
        let nodes = graph.node.into_iter();
        let operator = |node: Node| inhouse_onnx::Node {
            op_type: node.op_type.unwrap(),
            inputs: node.input,
            outputs: node.output,
            ..inhouse_onnx::Node::default()
        };
        nodes.map(operator).collect()
    }

    #[test]
    fn nodes_and_inputs_are_where_they_were_put() {
        let before = small();
        let old = Model::from_bytes(Bytes::from(before.clone())).unwrap();
        let mut changes = Changes::default();
        changes.insert(1, &node("Gather"));
        changes.rename_input(1, 0, "c");
        changes.set_attribute(1, "axis", 3);
        changes.set_attribute(1, "not there", 3);
        changes.add_input(&Value {
            name: "rows",
            element: 7,
            dims: Some(&["rows"]),
        });
        let new = Model::from_bytes(Bytes::from(changes.apply(&before).unwrap())).unwrap();
        let nodes = &new.graph.nodes;
        assert_eq!(nodes.len(), old.graph.nodes.len() + 1);
        assert_eq!(nodes[0], old.graph.nodes[0]);
        assert_eq!(
            (nodes[1].op_type.as_str(), nodes[1].int("axis")),
            ("Gather", Some(1))
        );
        assert_eq!(nodes[2].inputs, ["c", "y"]);
        assert_eq!(
            (nodes[2].int("axis"), nodes[2].attributes.len()),
            (Some(3), 1)
        );
        let input = new.graph.inputs.last().unwrap();
        assert_eq!(input.name, "rows");
        assert_eq!(input.shape, [Dim::Named("rows".into())]);
    }

    /// Two nodes, the second with an attribute.
    fn small() -> Vec<u8> {
        let mut graph = Vec::new();
        for op_type in ["Abs", "Concat"] {
            let node = Node {
                input: vec!["x".into(), "y".into()],
                output: vec![op_type.into()],
                op_type: Some(op_type.into()),
                attribute: vec![IntAttribute::new("axis", 0)],
                name: None,
            };
            put(&mut graph, NODE, &node.encode_to_vec());
        }
        let mut model = vec![1 << 3, 10]; // ir_version
        put(&mut model, GRAPH, &graph);
        model
    }

    #[test]
    fn what_is_no_model_is_not_changed() {
        let whole = small();
        for end in 1..whole.len() {
            let cut = Changes::default().apply(&whole[..end]);
            assert!(cut.is_none_or(|bytes| bytes == whole[..end]), "{end}");
        }
        assert_eq!(Changes::default().apply(&[0xff; 20]), None);
        assert_eq!(Changes::default().apply(&[0x3b]), None);
    }
}

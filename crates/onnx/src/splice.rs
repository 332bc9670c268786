//! Changes a model file's bytes: nodes replaced or put in, inputs added. Everything else stays as it is.
//!
//! Reading a model into structs and writing it again would lose what the structs do not know. A file is a list of fields
//! ([Protocol Buffers' encoding](https://protobuf.dev/programming-guides/encoding/)), so a changed model is the old fields
//! with a few new ones among them.

use std::collections::BTreeMap;
use std::ops::Range;

use prost::Message;

use crate::proto::{AttributeProto, attribute_type};
use crate::write::encode;
use crate::{Node, ValueInfo};

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

/// What is to be changed in a model file.
///
/// ```
/// use inhouse_onnx::{Changes, Dim, DataType, ValueInfo};
///
/// let mut changes = Changes::default();
/// changes.add_input(ValueInfo {
///     name: "rows".into(),
///     dtype: Some(DataType::I64),
///     shape: vec![Dim::Named("n_rows".into())],
/// });
/// assert_eq!(changes.apply(b"not a model"), None);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Changes {
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
    pub fn insert(&mut self, index: usize, node: Node) {
        let change = self.nodes.entry(index).or_default();
        change.before.push(encode::node(node).encode_to_vec());
    }

    /// Gives the `index`th node another `input`th input.
    pub fn rename_input(&mut self, index: usize, input: usize, name: &str) {
        let change = self.nodes.entry(index).or_default();
        change.inputs.insert(input, name.to_owned());
    }

    /// Gives an integer attribute of the `index`th node another value; where it has none of that name nothing changes.
    pub fn set_attribute(&mut self, index: usize, name: &str, value: i64) {
        let change = self.nodes.entry(index).or_default();
        change.attributes.insert(name.to_owned(), value);
    }

    /// Adds an input of the graph.
    pub fn add_input(&mut self, input: ValueInfo) {
        self.inputs.push(encode::of_model(input).encode_to_vec());
    }

    /// Replaces what the file says about an output.
    pub fn replace_output(&mut self, output: ValueInfo) {
        let name = output.name.clone();
        let bytes = encode::of_model(output).encode_to_vec();
        self.outputs.insert(name, bytes);
    }

    /// The bytes of `model` with the changes made; `None` where it is not a model file.
    pub fn apply(&self, model: &[u8]) -> Option<Vec<u8>> {
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
        if self.attributes.is_empty() {
            return None; // a branch may hold megabytes, which nobody needs to look at
        }
        let attribute = AttributeProto::decode(payload).ok()?;
        let value = *self.attributes.get(attribute.name.as_deref()?)?;
        let changed = AttributeProto {
            i: Some(value),
            ..attribute
        };
        (changed.r#type == Some(attribute_type::INT)).then(|| changed.encode_to_vec())
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

fn put(out: &mut Vec<u8>, number: u64, payload: &[u8]) {
    put_varint(out, number << 3 | LENGTH_DELIMITED);
    put_varint(out, payload.len() as u64);
    out.extend_from_slice(payload);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
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

    use super::*;
    use crate::proto::ModelProto;
    use crate::{Attribute, AttributeValue, DataType, Dim, Graph, Model};

    fn zoo(name: &str) -> Vec<u8> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/zoo");
        std::fs::read(path.join(name).join("model.onnx")).unwrap()
    }

    fn node(op_type: &str, inputs: [&str; 2], axis: i64) -> Node {
        Node {
            inputs: inputs.map(str::to_owned).to_vec(),
            outputs: vec![op_type.to_lowercase()],
            op_type: op_type.into(),
            attributes: vec![Attribute::new("axis", AttributeValue::Int(axis))],
            ..Node::default()
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

    /// As messages: a model in memory cannot have external data.
    fn read(model: Vec<u8>) -> ModelProto {
        ModelProto::decode(model.as_slice()).unwrap()
    }

    #[test]
    fn nodes_and_inputs_are_where_they_were_put() {
        let before = small();
        let old = Model::from_bytes(Bytes::from(before.clone())).unwrap();
        let mut changes = Changes::default();
        changes.insert(1, node("Gather", ["a", "b"], 1));
        changes.rename_input(1, 0, "c");
        changes.set_attribute(1, "axis", 3);
        changes.set_attribute(1, "not there", 3);
        changes.add_input(ValueInfo {
            name: "rows".into(),
            dtype: Some(DataType::I64),
            shape: vec![Dim::Named("rows".into())],
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

    /// Two nodes.
    fn small() -> Vec<u8> {
        let nodes = ["Abs", "Concat"].map(|op_type| node(op_type, ["x", "y"], 0));
        let graph = Graph {
            nodes: nodes.to_vec(),
            ..Graph::default()
        };
        let model = Model {
            ir_version: 10,
            opsets: vec![(String::new(), 17)],
            producer: String::new(),
            producer_version: String::new(),
            graph,
        };
        model.to_bytes()
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

//! A model as plain structs.

use crate::{DataType, Tensor};

/// An ONNX model: its graph, and what its operators' versions are.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Version of the file format.
    pub ir_version: i64,
    /// Operator sets: domain (empty for ONNX's own) and version.
    pub opsets: Vec<(String, i64)>,
    /// Name of the program that wrote the file.
    pub producer: String,
    /// Version of that program.
    pub producer_version: String,
    /// The graph.
    pub graph: Graph,
}

impl Model {
    /// The version of a domain's operator set, if the model imports it. ONNX's own domain is `""`.
    pub fn opset(&self, domain: &str) -> Option<i64> {
        let plain = |d: &str| if d == "ai.onnx" { "" } else { d }.to_owned();
        let found = self.opsets.iter().find(|(d, _)| plain(d) == plain(domain));
        found.map(|(_, version)| *version)
    }
}

/// A graph: the model's, or the branch of an `If`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// Its name.
    pub name: String,
    /// Operators, each after those it takes values from.
    pub nodes: Vec<Node>,
    /// Weights and constants.
    pub initializers: Vec<Tensor>,
    /// Values fed by the caller. Old files list the initializers here too.
    pub inputs: Vec<ValueInfo>,
    /// Values handed back.
    pub outputs: Vec<ValueInfo>,
}

/// One operator in a graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// Its name; may be empty.
    pub name: String,
    /// Which operator, `MatMul` say.
    pub op_type: String,
    /// The operator's domain; empty for ONNX's own.
    pub domain: String,
    /// Names of the values it takes; an empty one is absent.
    pub inputs: Vec<String>,
    /// Names of the values it makes; an empty one is not wanted.
    pub outputs: Vec<String>,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
}

impl Node {
    /// The `i`th input's name, or `None` if it is absent.
    pub fn input(&self, i: usize) -> Option<&str> {
        present(&self.inputs, i)
    }

    /// The `i`th output's name, or `None` if it is not wanted.
    pub fn output(&self, i: usize) -> Option<&str> {
        present(&self.outputs, i)
    }

    /// The value of an attribute, whatever its type.
    pub fn attribute(&self, name: &str) -> Option<&AttributeValue> {
        let found = self.attributes.iter().find(|a| a.name == name);
        found.map(|a| &a.value)
    }

    /// An integer attribute; `None` if it is absent or of another type.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.attribute(name)? {
            AttributeValue::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// A float attribute; `None` if it is absent or of another type.
    pub fn float(&self, name: &str) -> Option<f32> {
        match self.attribute(name)? {
            AttributeValue::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// A string attribute; `None` if it is absent, of another type, or not UTF-8.
    pub fn string(&self, name: &str) -> Option<&str> {
        match self.attribute(name)? {
            AttributeValue::String(value) => str::from_utf8(value).ok(),
            _ => None,
        }
    }

    /// A list of integers; `None` if it is absent or of another type.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.attribute(name)? {
            AttributeValue::Ints(values) => Some(values),
            _ => None,
        }
    }

    /// A list of floats; `None` if it is absent or of another type.
    pub fn floats(&self, name: &str) -> Option<&[f32]> {
        match self.attribute(name)? {
            AttributeValue::Floats(values) => Some(values),
            _ => None,
        }
    }

    /// A tensor attribute; `None` if it is absent or of another type.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        match self.attribute(name)? {
            AttributeValue::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// A graph attribute; `None` if it is absent or of another type.
    pub fn graph(&self, name: &str) -> Option<&Graph> {
        match self.attribute(name)? {
            AttributeValue::Graph(graph) => Some(graph),
            _ => None,
        }
    }
}

fn present(names: &[String], i: usize) -> Option<&str> {
    names
        .get(i)
        .map(String::as_str)
        .filter(|name| !name.is_empty())
}

/// A named attribute of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: AttributeValue,
}

impl Attribute {
    /// An attribute of that name and value.
    pub fn new(name: impl Into<String>, value: AttributeValue) -> Attribute {
        Attribute {
            name: name.into(),
            value,
        }
    }
}

/// What an attribute can hold.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    /// An integer.
    Int(i64),
    /// A float.
    Float(f32),
    /// Bytes, most often UTF-8.
    String(Vec<u8>),
    /// A tensor.
    Tensor(Tensor),
    /// A graph: an `If`'s branch, a `Loop`'s body.
    Graph(Graph),
    /// Integers.
    Ints(Vec<i64>),
    /// Floats.
    Floats(Vec<f32>),
    /// Strings of bytes.
    Strings(Vec<Vec<u8>>),
}

/// A graph's input or output.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueInfo {
    /// Its name.
    pub name: String,
    /// Its element type, if the file says one that this crate knows.
    pub dtype: Option<DataType>,
    /// Its shape.
    pub shape: Vec<Dim>,
}

/// One dimension of a graph's input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// Always this long.
    Fixed(usize),
    /// As long as the caller makes it; equal names are equally long.
    Named(String),
    /// Nothing is said.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_inputs_and_attributes() {
        let node = Node {
            inputs: vec!["a".into(), String::new()],
            attributes: vec![
                Attribute::new("axis", AttributeValue::Int(-1)),
                Attribute::new("mode", AttributeValue::String(b"half".to_vec())),
                Attribute::new("odd", AttributeValue::String(vec![0xff])),
            ],
            ..Node::default()
        };
        assert_eq!(
            (node.input(0), node.input(1), node.input(2), node.output(0)),
            (Some("a"), None, None, None)
        );
        assert_eq!(
            (node.int("axis"), node.float("axis"), node.int("none")),
            (Some(-1), None, None)
        );
        assert_eq!(
            (node.string("mode"), node.string("odd")),
            (Some("half"), None)
        );
    }

    #[test]
    fn default_domain_has_two_names() {
        let model = Model {
            ir_version: 10,
            opsets: vec![("ai.onnx".into(), 21), ("com.microsoft".into(), 1)],
            producer: String::new(),
            producer_version: String::new(),
            graph: Graph::default(),
        };
        assert_eq!(
            (
                model.opset(""),
                model.opset("com.microsoft"),
                model.opset("x")
            ),
            (Some(21), Some(1), None)
        );
    }
}

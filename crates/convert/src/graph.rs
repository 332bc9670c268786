//! The graph as onnxruntime-genai's model builder writes it for a CPU export.

use std::collections::HashSet;

use inhouse_onnx::{Attribute, AttributeValue, DataType, Dim, Graph, Node, Tensor, ValueInfo};

use crate::family::Config;

/// The domain of ONNX Runtime's own operators.
pub(crate) const MICROSOFT: &str = "com.microsoft";

/// Sequence lengths, as `GroupQueryAttention` wants them, made from the attention mask.
pub(crate) const PAST_LENGTH: &str =
    "/model/attn_mask_reformat/attn_mask_subgraph/Sub/Cast/output_0";
pub(crate) const TOTAL_LENGTH: &str =
    "/model/attn_mask_reformat/attn_mask_subgraph/Gather/Cast/output_0";

/// ONNX's number for a type, as `Cast` takes it.
const INT32: i64 = 6;
/// The total length before it is narrowed.
const TOTAL_LENGTH_INT64: &str = "/model/attn_mask_reformat/attn_mask_subgraph/Gather/output_0";

/// Nodes in the order they are computed.
#[derive(Default)]
pub(crate) struct Builder {
    nodes: Vec<Node>,
    constants: HashSet<String>,
}

impl Builder {
    /// Adds a node named `name` whose first output is `<name>/output_0`, which is returned.
    pub(crate) fn node(
        &mut self,
        op_type: &str,
        name: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
    ) -> String {
        let output = format!("{name}/output_0");
        self.add(op_type, name, inputs, &[&output], attributes);
        output
    }

    /// Adds a node whose outputs have names of their own.
    pub(crate) fn add(
        &mut self,
        op_type: &str,
        name: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: Vec<Attribute>,
    ) {
        let owned = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect();
        self.nodes.push(Node {
            name: name.to_owned(),
            op_type: op_type.to_owned(),
            domain: domain(op_type).to_owned(),
            inputs: owned(inputs),
            outputs: owned(outputs),
            attributes,
        });
    }

    /// The name of a constant list of integers, added on its first use.
    pub(crate) fn ints(&mut self, values: &[i64]) -> String {
        let listed: Vec<String> = values.iter().map(i64::to_string).collect();
        self.constant(
            &format!("[{}]", listed.join(", ")),
            vec![values.len()],
            values,
        )
    }

    /// The name of a constant integer.
    pub(crate) fn int(&mut self, value: i64) -> String {
        self.constant(&value.to_string(), Vec::new(), &[value])
    }

    fn constant(&mut self, label: &str, dims: Vec<usize>, values: &[i64]) -> String {
        let output = format!("/model/constants/INT64/{label}");
        if self.constants.insert(output.clone()) {
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            let tensor = Tensor::new(output.clone(), DataType::I64, dims, bytes);
            // The length fits the shape by construction.
            let value = tensor.map_or(
                AttributeValue::Ints(values.to_vec()),
                AttributeValue::Tensor,
            );
            let name = format!("/model/constant_nodes/INT64/{label}");
            self.add(
                "Constant",
                &name,
                &[],
                &[&output],
                vec![Attribute::new("value", value)],
            );
        }
        output
    }

    /// The lengths every attention node needs: past length per sequence, and the total.
    pub(crate) fn sequence_lengths(&mut self) {
        let base = "/model/attn_mask_reformat/attn_mask_subgraph";
        let name = |part: &str| format!("{base}/{part}");
        let ones = self.ints(&[1]);
        let sum = self.node(
            "ReduceSum",
            &name("ReduceSum"),
            &["attention_mask", &ones],
            vec![int("keepdims", 0)],
        );
        let past = self.node("Sub", &name("Sub"), &[&sum, &ones], vec![]);
        self.node("Cast", &name("Sub/Cast"), &[&past], vec![int("to", INT32)]);
        let shape = self.node("Shape", &name("Shape"), &["attention_mask"], vec![]);
        let one = self.int(1);
        let total = self.node(
            "Gather",
            &name("Gather"),
            &[&shape, &one],
            vec![int("axis", 0)],
        );
        self.node(
            "Cast",
            &name("Gather/Cast"),
            &[&total],
            vec![int("to", INT32)],
        );
    }

    /// LongRoPE: `cos_cache` and `sin_cache` are the branch's first and second table, the `long`
    /// ones when there are more than `original` positions.
    pub(crate) fn long_rope(&mut self, original: usize, short: [Tensor; 2], long: [Tensor; 2]) {
        let limit = self.int(original as i64);
        let base = "/model/rope_caches_subgraph";
        let inputs = [TOTAL_LENGTH_INT64, &limit];
        let beyond = self.node("Greater", &format!("{base}/Greater"), &inputs, vec![]);
        let branch = |name: &str, tables: [Tensor; 2]| {
            AttributeValue::Graph(constant_graph(
                &format!("{name}_rope_caches_graph"),
                name,
                tables,
            ))
        };
        let attributes = vec![
            Attribute::new("else_branch", branch("small", short)),
            Attribute::new("then_branch", branch("large", long)),
        ];
        self.add(
            "If",
            &format!("{base}/If"),
            &[&beyond],
            &["cos_cache", "sin_cache"],
            attributes,
        );
    }

    /// The finished graph of a decoder.
    pub(crate) fn finish(self, config: &Config) -> Graph {
        let named = |name: &str| Dim::Named(name.to_owned());
        let value = |name: String, dtype, shape| ValueInfo {
            name,
            dtype: Some(dtype),
            shape,
        };
        let batch = || named("batch_size");
        let tokens = |name: &str, length: &str| {
            value(name.to_owned(), DataType::I64, vec![batch(), named(length)])
        };
        let cache = |when: &str, part: &str, layer: usize, length: &str| {
            let heads = Dim::Fixed(config.kv_heads);
            let shape = vec![batch(), heads, named(length), Dim::Fixed(config.head_size)];
            value(format!("{when}.{layer}.{part}"), DataType::F32, shape)
        };
        let caches = |when: &'static str, length: &'static str| {
            let parts = ["key", "value"].into_iter();
            parts.flat_map(move |part| {
                (0..config.layers).map(move |layer| (when, part, layer, length))
            })
        };
        let cache = |(when, part, layer, length): (&str, &str, usize, &str)| {
            cache(when, part, layer, length)
        };
        let mut inputs = vec![
            tokens("input_ids", "sequence_length"),
            tokens("attention_mask", "total_sequence_length"),
        ];
        inputs.extend(caches("past_key_values", "past_sequence_length").map(cache));
        let logits = vec![batch(), named("sequence_length"), Dim::Fixed(config.vocab)];
        let mut outputs = vec![value("logits".to_owned(), DataType::F32, logits)];
        outputs.extend(caches("present", "total_sequence_length").map(cache));
        Graph {
            name: "main_graph".to_owned(),
            nodes: self.nodes,
            initializers: Vec::new(),
            inputs,
            outputs,
        }
    }
}

/// A branch that only hands out constants, each named after its tensor.
fn constant_graph(name: &str, prefix: &str, tensors: [Tensor; 2]) -> Graph {
    let output = |tensor: &Tensor| format!("{}_{prefix}", tensor.name);
    let outputs = tensors.iter().map(|tensor| ValueInfo {
        name: output(tensor),
        dtype: Some(tensor.dtype),
        shape: tensor.dims.iter().map(|&dim| Dim::Fixed(dim)).collect(),
    });
    Graph {
        name: name.to_owned(),
        outputs: outputs.collect(),
        nodes: tensors
            .into_iter()
            .map(|tensor| Node {
                name: format!("/{prefix}/{}/Constant", tensor.name),
                op_type: "Constant".to_owned(),
                outputs: vec![output(&tensor)],
                attributes: vec![Attribute::new("value", AttributeValue::Tensor(tensor))],
                ..Node::default()
            })
            .collect(),
        ..Graph::default()
    }
}

fn domain(op_type: &str) -> &'static str {
    match op_type {
        "MatMulNBits"
        | "GatherBlockQuantized"
        | "GroupQueryAttention"
        | "SkipSimplifiedLayerNormalization" => MICROSOFT,
        _ => "",
    }
}

/// An integer attribute.
pub(crate) fn int(name: &str, value: i64) -> Attribute {
    Attribute::new(name, AttributeValue::Int(value))
}

/// A float attribute.
pub(crate) fn float(name: &str, value: f32) -> Attribute {
    Attribute::new(name, AttributeValue::Float(value))
}

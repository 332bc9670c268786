//! What is not recognised is named: model type, node, operator and what differs.

use std::path::Path;

use inhouse_onnx::{AttributeValue, DataType, Graph, Model, Node, Tensor};

use super::lift;
use crate::config::GenaiConfig;
use crate::error::ErrorKind;

/// Lifts a zoo model after `change` and expects an error with all of `words`.
fn check(folder: &str, change: impl FnOnce(&mut Graph), words: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/zoo")
        .join(folder);
    let config = std::fs::read(folder.join("genai_config.json")).unwrap();
    let config = GenaiConfig::parse(&config).unwrap();
    let mut model = Model::load(&folder.join("model.onnx")).unwrap();
    assert!(lift(&model, &config).is_ok());
    change(&mut model.graph);
    let Err(error) = lift(&model, &config) else {
        panic!("lifted although {words:?} was expected")
    };
    assert_eq!(error.kind(), ErrorKind::UnsupportedGraph);
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

fn node<'g>(graph: &'g mut Graph, name: &str) -> &'g mut Node {
    let found = graph.nodes.iter_mut().find(|node| node.name == name);
    found.unwrap_or_else(|| panic!("there is no node {name}"))
}

fn set_int(node: &mut Node, name: &str, value: i64) {
    let attribute = node.attributes.iter_mut().find(|a| a.name == name);
    attribute.unwrap().value = AttributeValue::Int(value);
}

#[test]
fn another_operator() {
    let name = "/model/layers.1/mlp/act_fn/Sigmoid";
    check(
        "llama-fp32",
        |graph| node(graph, name).op_type = "Relu".into(),
        &["\"llama\"", "/model/layers.1/mlp/Mul", "Mul", "SiLU"],
    );
    let name = "/model/layers.2/attn/GroupQueryAttention";
    check(
        "qwen3-int8",
        |graph| node(graph, name).op_type = "PagedAttention".into(),
        &["\"qwen3\"", name, "PagedAttention", "GroupQueryAttention"],
    );
}

#[test]
fn a_missing_output() {
    check(
        "llama-fp32",
        |graph| graph.outputs[0].name = "scores".into(),
        &["no output \"logits\"", "scores"],
    );
}

#[test]
fn attributes_that_do_not_fit() {
    let name = "/lm_head/MatMul_Q4";
    for (attribute, value, word) in [
        ("bits", 3, "3-bit"),
        ("block_size", 48, "block size 48"),
        ("K", 224, "quants"),
        ("N", 1 << 40, "quants"),
        ("N", -1, "attribute N"),
    ] {
        check(
            "phi4mini-int4",
            |graph| set_int(node(graph, name), attribute, value),
            &["\"phi3\"", name, "MatMulNBits", word],
        );
    }
    let name = "/model/layers.0/attn/GroupQueryAttention";
    check(
        "llama-fp32",
        |graph| set_int(node(graph, name), "kv_num_heads", 4),
        &[name, "share"],
    );
}

#[test]
fn wires_that_lead_elsewhere() {
    // A layer that reads another layer's cache.
    let name = "/model/layers.0/attn/GroupQueryAttention";
    check(
        "mistral-int4-b64",
        |graph| node(graph, name).inputs[3] = "past_key_values.1.key".into(),
        &[name, "past_key_values.1.key", "past_key_values.0.key"],
    );
    // A norm of another stream than the one the branch is added to.
    let name = "/model/layers.1/mlp/up_proj/MatMul";
    check(
        "llama-fp32",
        |graph| {
            let elsewhere = node(graph, "/model/layers.0/mlp/up_proj/MatMul").inputs[0].clone();
            node(graph, name).inputs[0] = elsewhere;
        },
        &[name, "different values"],
    );
    // Rows picked by something else than the tokens.
    let name = "/model/embed_tokens/Gather";
    check(
        "llama-fp32",
        |graph| node(graph, name).inputs[1] = "position_ids".into(),
        &[name, "input_ids"],
    );
}

/// Tables are read without looking, so what is too short or too wide must not get that far.
#[test]
fn rotary_tables_that_do_not_fit() {
    let resize = |graph: &mut Graph, dims: [usize; 2]| {
        for tensor in &mut graph.initializers {
            if tensor.name.ends_with("_cache") {
                tensor.dims = dims.to_vec();
            }
        }
    };
    // [1024, 16] for heads of 32.
    check(
        "llama-fp32",
        |graph| resize(graph, [512, 32]),
        &["rotary", "heads of 32"],
    );
    check(
        "llama-fp32",
        |graph| resize(graph, [0, 16]),
        &["rotary tables"],
    );
    let name = "/model/rope_caches_subgraph/Greater";
    check(
        "phi4mini-int4",
        |graph| {
            let limit = node(graph, name).inputs[1].clone();
            let constant = graph.nodes.iter_mut().find(|node| node.outputs[0] == limit);
            let tensor = Tensor::new("", DataType::I64, vec![], 65i64.to_le_bytes().to_vec());
            constant.unwrap().attributes[0].value = AttributeValue::Tensor(tensor.unwrap());
        },
        &["/model/rope_caches_subgraph/If", "64 positions", "65"],
    );
}

#[test]
fn attention_of_f16_exports_made_otherwise() {
    let folder = "../zoo-extra/llama-fp16-cpu";
    let name = "/model/layers.2/attn/MultiHeadAttention";
    check(
        folder,
        |graph| node(graph, name).inputs[5] = "position_ids".into(),
        &[name, "mask"],
    );
    let name = "/model/layers.2/attn/k_rotary/RotaryEmbedding";
    check(
        folder,
        |graph| node(graph, name).inputs[1] = "input_ids".into(),
        &[name, "input of positions"],
    );
}

#[test]
fn weights_of_another_shape() {
    let name = "model.layers.1.mlp.down_proj.MatMul.weight";
    let swap = |graph: &mut Graph| {
        let tensor = graph.initializers.iter_mut().find(|t| t.name == name);
        tensor.unwrap().dims.swap(0, 1);
    };
    check("llama-fp32", swap, &["layer 1", "down projection"]);
}

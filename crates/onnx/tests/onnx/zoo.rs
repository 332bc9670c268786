//! The zoo's models, as the official exporter wrote them.

use std::path::{Path, PathBuf};

use inhouse_onnx::{DataType, Dim, Graph, Model};

/// Every model of the zoo.
pub(crate) fn models() -> Vec<PathBuf> {
    let zoo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/zoo");
    let folders = std::fs::read_dir(zoo)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut models: Vec<PathBuf> = folders
        .filter(|p| p.is_dir())
        .map(|p| p.join("model.onnx"))
        .collect();
    models.sort();
    assert_eq!(models.len(), 8);
    models
}

fn load(folder: &str) -> Model {
    let path = models()
        .into_iter()
        .find(|path| path.parent().unwrap().ends_with(folder));
    Model::load(&path.unwrap()).unwrap()
}

fn count(graph: &Graph, op_type: &str) -> usize {
    graph
        .nodes
        .iter()
        .filter(|node| node.op_type == op_type)
        .count()
}

#[test]
fn every_model_loads() {
    for path in models() {
        let model = Model::load(&path).unwrap();
        assert_eq!(
            count(&model.graph, "GroupQueryAttention"),
            3,
            "{}",
            path.display()
        );
        assert_eq!(model.opset("com.microsoft"), Some(1));
        let logits = model
            .graph
            .outputs
            .iter()
            .find(|value| value.name == "logits")
            .unwrap();
        assert_eq!(logits.dtype, Some(DataType::F32));
        assert_eq!(
            logits.shape,
            [
                Dim::Named("batch_size".into()),
                Dim::Named("sequence_length".into()),
                Dim::Fixed(512)
            ]
        );
    }
}

/// Values as the official Python package prints them.
#[test]
fn phi4mini_int4_in_detail() {
    let model = load("phi4mini-int4");
    assert_eq!(
        (model.producer.as_str(), model.ir_version, model.opset("")),
        ("onnxruntime-genai", 10, Some(22))
    );

    let weight = model
        .graph
        .initializers
        .iter()
        .find(|t| t.name == "model.layers.0.attn.qkv_proj.MatMul.weight_Q4");
    let weight = weight.unwrap();
    assert_eq!(
        (weight.dtype, &weight.dims[..]),
        (DataType::U8, &[320, 6, 16][..])
    );

    let rope = model
        .graph
        .nodes
        .iter()
        .find(|node| node.op_type == "If")
        .unwrap();
    let table = |branch| {
        rope.graph(branch).unwrap().nodes[0]
            .tensor("value")
            .unwrap()
    };
    assert_eq!(
        (
            &table("else_branch").dims[..],
            &table("then_branch").dims[..]
        ),
        (&[64, 24][..], &[4096, 24][..])
    );
    assert_eq!(
        table("else_branch").to_f32().unwrap()[..2],
        [std::f32::consts::SQRT_2; 2]
    );
    assert_eq!(
        rope.graph("else_branch").unwrap().outputs[0].name,
        "cos_cache_small"
    );

    let attention = model
        .graph
        .nodes
        .iter()
        .find(|node| node.op_type == "GroupQueryAttention")
        .unwrap();
    assert_eq!(
        (attention.domain.as_str(), attention.int("do_rotary")),
        ("com.microsoft", Some(1))
    );
    assert_eq!(
        (attention.input(1), attention.input(3)),
        (None, Some("past_key_values.0.key"))
    );
    let constant = model
        .graph
        .nodes
        .iter()
        .find(|node| node.op_type == "Constant")
        .unwrap();
    assert_eq!(constant.tensor("value").unwrap().to_i64().unwrap(), [64]);
}

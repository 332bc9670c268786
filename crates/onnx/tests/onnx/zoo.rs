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

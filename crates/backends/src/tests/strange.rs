//! Folders that come from anywhere: configurations and graphs that are not as exports are.

use inhouse_onnx::{Changes, DataType, Dim, Graph, Model, Node, ValueInfo};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::*;

/// A copy of a model with another configuration and another graph.
struct Changed(TempDir);

impl Changed {
    fn new(
        name: &str,
        configure: impl FnOnce(&mut Json),
        change: impl FnOnce(&Graph, &mut Changes),
    ) -> Self {
        let folder = TempDir::new().unwrap();
        for entry in std::fs::read_dir(testdata(name)).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        let config = folder.path().join("genai_config.json");
        let mut json = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
        configure(&mut json);
        std::fs::write(&config, json.to_string()).unwrap();
        let path = folder.path().join("model.onnx");
        let mut changes = Changes::default();
        change(&Model::load(&path).unwrap().graph, &mut changes);
        let bytes = changes.apply(&std::fs::read(&path).unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        Self(folder)
    }

    fn load(&self) -> Result<Arc<dyn Backend>, EngineError> {
        load(self.0.path(), &options(Choice::OnnxRuntime), &mut |_| {})
    }
}

/// With another value somewhere in the configuration.
fn configured(place: &[&str], value: Json) -> Changed {
    let set = |json: &mut Json| *place.iter().fold(json, |json, key| &mut json[*key]) = value;
    Changed::new("zoo/llama-fp32", set, |_, _| {})
}

#[test]
fn names_that_do_not_fit_are_named() {
    let check = |key: &str, value: &str, expected: &str| {
        let (section, name) = key.split_once('/').unwrap();
        let folder = configured(&["model", "decoder", section, name], json!(value));
        let error = folder.load().err().unwrap();
        assert_eq!(error.kind(), ErrorKind::UnsupportedGraph, "{error}");
        assert!(error.to_string().contains(expected), "{key}: {error}");
    };
    let key = "inputs/past_key_names";
    check(key, "past_key_values.0.key", "\"past_key_values.0.key\"");
    check(key, "past_key_values.%d.value", "past_key_values.0.key");
    check("outputs/present_key_names", "present.%d", "\"present.0\"");
    let twice = "present.%d.value";
    check("outputs/present_key_names", twice, "for it alone");
    check("outputs/logits", "present.0.key", "three dimensions");
    check("outputs/logits", "nothing", "no output \"nothing\"");
    check("inputs/input_ids", "nothing", "\"input_ids\"");
    let floats = "past_key_values.0.key";
    check("inputs/position_ids", floats, "integers of 32 or 64 bits");
}

#[test]
fn counts_that_do_not_fit_are_the_graphs() {
    let layers = json!((1 << 24) - 1);
    let folder = configured(&["model", "decoder", "num_hidden_layers"], layers);
    assert_eq!(folder.load().unwrap().info().layers, 3);
    for context in [1, 3, 65] {
        let folder = configured(&["model", "context_length"], json!(context));
        let model = folder.load().unwrap();
        let mut session = model.session().unwrap();
        for id in ids(context) {
            last(&mut *session, &[id]);
        }
        let error = session.extend(&[1], Want::Last, &Cancel::new());
        assert!(error.is_err());
    }
}

#[test]
fn a_provider_that_nobody_knows_is_told_of() {
    let place = ["model", "decoder", "session_options"];
    let folder = configured(&place, json!({"provider_options": [{"abacus": {}}]}));
    let notes = folder.load().unwrap().notes();
    assert!(notes[0].contains("abacus"), "{notes:?}");
    let mut options = options(Choice::OnnxRuntime);
    options.onnxruntime.providers = vec![ExecutionProvider::Cpu];
    let model = load(folder.0.path(), &options, &mut |_| {}).unwrap();
    assert_eq!(
        model.notes(),
        Vec::<String>::new(),
        "another list was given"
    );
}

#[test]
fn a_graph_without_keys_and_values_is_no_decoder() {
    let folder = configured(&["model", "vocab_size"], json!(512));
    let node = Node {
        op_type: "Identity".into(),
        inputs: vec!["input_ids".into()],
        outputs: vec!["logits".into()],
        ..Node::default()
    };
    let value = |name: &str| ValueInfo {
        name: name.into(),
        dtype: Some(DataType::I64),
        shape: vec![Dim::Unknown; 2],
    };
    let model = Model {
        ir_version: 8,
        opsets: vec![(String::new(), 17)],
        producer: String::new(),
        producer_version: String::new(),
        graph: Graph {
            name: "graph".into(),
            nodes: vec![node],
            inputs: vec![value("input_ids")],
            outputs: vec![value("logits")],
            ..Graph::default()
        },
    };
    let model = model.to_bytes();
    std::fs::write(folder.0.path().join("model.onnx"), model).unwrap();
    let error = folder.load().err().unwrap();
    assert_eq!(error.kind(), ErrorKind::UnsupportedGraph, "{error}");
    assert!(error.to_string().contains("keys and values"), "{error}");
}

/// The head's weights come out of an operator that is not looked through.
fn hide_weights(graph: &Graph, changes: &mut Changes) {
    let is_product = |(_, node): &(usize, &Node)| node.op_type.starts_with("MatMul");
    let mut nodes = graph.nodes.iter().enumerate();
    let (index, head) = nodes.rfind(is_product).unwrap();
    let node = Node {
        op_type: "Identity".into(),
        inputs: vec![head.inputs[1].clone()],
        outputs: vec!["weights".into()],
        ..Node::default()
    };
    changes.insert(index, node);
    changes.rename_input(index, 1, "weights");
}

#[test]
fn a_batch_finds_the_rows_of_a_head_that_is_not_pruned() {
    for name in ["zoo/llama-fp32", "zoo-extra/llama-prune-head"] {
        let model = Changed::new(name, |_| {}, hide_weights).load().unwrap();
        for lengths in [[2, 1], [1, 2], [5, 3], [3, 3]] {
            let prompts = lengths.map(|length| ids(length + 4)[4..].to_vec());
            let borrowed = prompts.each_ref().map(Vec::as_slice);
            let mut batch = model.batch().unwrap();
            let together = batch.prefill(&borrowed, &Cancel::new()).unwrap();
            for (row, prompt) in prompts.iter().enumerate() {
                let alone = last(&mut *model.session().unwrap(), prompt);
                assert_close(together.row(row), &alone);
            }
        }
        let all = model
            .session()
            .unwrap()
            .extend(&ids(3), Want::All, &Cancel::new());
        assert_eq!(all.unwrap().rows, 3);
    }
}

// === over LongRoPE's original length, in pieces of four tokens ===

/// The folder, the model on two processors, and the original length.
fn in_pieces() -> (Changed, OrtModel, usize) {
    let set = |json: &mut Json| json["search"]["chunk_size"] = json!(4);
    let folder = Changed::new("zoo/phi4mini-fp32", set, |_, _| {});
    let model = on_processors(folder.0.path().to_str().unwrap(), &[false, false]);
    let original = model.shared().current().original_length.unwrap();
    (folder, model, original)
}

fn fresh(model: &OrtModel, ids: &[u32]) -> Vec<f32> {
    last(&mut *model.session().unwrap(), ids)
}

#[test]
fn what_is_stopped_on_the_way_over_goes_on_from_where_it_is() {
    let (_folder, model, original) = in_pieces();
    let all = ids(original as u32 + 2);
    let mut session = model.session().unwrap();
    last(&mut *session, &all[..original - 1]);
    fail_after(
        &model,
        2,
        "Exiting due to terminate flag being set to true.",
    );
    let over = session.extend(&all[original - 1..], Want::Last, &Cancel::new());
    assert_eq!(over.unwrap_err().kind(), ErrorKind::Cancelled);
    *lock(&model.shared().current().runner.fault) = None;
    assert_eq!(session.ids(), &all[..8]);
    // On this side again, and over at last.
    let here = [&all[..8], &[5]].concat();
    assert_close(&last(&mut *session, &[5]), &fresh(&model, &here));
    session.truncate(8);
    let over = last(&mut *session, &all[8..]);
    assert_close(&over, &fresh(&model, &all));
    session.truncate(original);
    let at_the_end = last(&mut *session, &[]);
    assert!(at_the_end.is_empty());
    session.truncate(8);
    assert_close(&last(&mut *session, &[5]), &fresh(&model, &here));
}

#[test]
fn a_device_that_is_lost_on_the_way_over_is_left() {
    let (_folder, model, original) = in_pieces();
    let all = ids(original as u32 + 2);
    let mut session = model.session().unwrap();
    last(&mut *session, &all[..original - 1]);
    fail_after(&model, 2, "device lost");
    let over = last(&mut *session, &all[original - 1..]);
    assert_eq!(session.ids(), all);
    assert_close(&over, &fresh(&model, &all));
    assert!(model.notes().join("\n").contains("went on with cpu"));
}

#[test]
fn sequences_of_a_batch_go_over_one_after_the_other() {
    let (_folder, model, original) = in_pieces();
    let all = ids(original as u32 + 4);
    let lengths = [original - 1, original - 3, 2];
    let prompts = lengths.map(|length| &all[..length]);
    let mut batch = model.batch().unwrap();
    batch.prefill(&prompts, &Cancel::new()).unwrap();
    for step in 0..5 {
        let new = lengths.map(|length| all[length + step]);
        let rows = batch.step(&new, &Cancel::new()).unwrap();
        for (row, length) in lengths.iter().enumerate() {
            // One token at a time is summed up in another order than a prompt is.
            assert_within(1e-3, rows.row(row), &fresh(&model, &all[..=length + step]));
        }
    }
}

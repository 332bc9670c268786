//! Graphs made on the spot, whose answers can be told.

use inhouse_onnx::{
    Attribute, AttributeValue, DataType, Dim, Graph, ModelMeta, Node, Tensor, ValueInfo, Writer,
};

use super::*;

/// A graph whose tokens have one number, their id, and what else of the inputs it takes.
struct Made {
    integers: DataType,
    output: &'static str,
    mask: bool,
    types: bool,
    positions: bool,
    /// It has keys of what came before, and adds to each token how many there are.
    past: bool,
    /// It rounds to 255 steps up to the largest number of a run.
    rounds: bool,
    shape: [Dim; 2],
}

impl Default for Made {
    fn default() -> Self {
        Self {
            integers: DataType::I64,
            output: "last_hidden_state",
            mask: true,
            types: false,
            positions: false,
            past: false,
            rounds: false,
            shape: [Dim::Unknown, Dim::Unknown],
        }
    }
}

/// Operators, each after those it takes values from.
#[derive(Default)]
struct Nodes(Vec<Node>);

impl Nodes {
    /// Adds an operator, and gives its first output.
    fn add(&mut self, op: &str, inputs: &[&str], attributes: &[(&str, AttributeValue)]) -> String {
        let name = format!("{op}_{}", self.0.len());
        let attributes = attributes.iter().cloned();
        self.0.push(Node {
            op_type: op.to_owned(),
            inputs: inputs.iter().map(|&input| input.to_owned()).collect(),
            outputs: ["", "_scale", "_zero"]
                .map(|end| format!("{name}{end}"))
                .to_vec(),
            attributes: attributes
                .map(|(name, value)| Attribute::new(name, value))
                .collect(),
            ..Node::default()
        });
        let outputs = match op {
            "DynamicQuantizeLinear" => 3,
            _ => 1,
        };
        self.0.last_mut().unwrap().outputs.truncate(outputs);
        name
    }
}

fn value(name: &str, dtype: DataType, shape: &[Dim]) -> ValueInfo {
    ValueInfo {
        name: name.to_owned(),
        dtype: Some(dtype),
        shape: shape.to_vec(),
    }
}

const KEYS: &str = "past_key_values.0.key";

impl Made {
    /// A folder with this graph, whose tokens are averaged and not normalised.
    fn folder(&self) -> TempDir {
        self.folder_with(self.graph())
    }

    fn folder_with(&self, graph: Graph) -> TempDir {
        let folder = copy("bert-mean", &["model.onnx", "modules.json", "config.json"]);
        let modules = json!([
            {"path": "", "type": "sentence_transformers.models.Transformer"},
            {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        ]);
        write(&folder, "modules.json", &modules);
        let meta = ModelMeta {
            ir_version: 8,
            opsets: vec![(String::new(), 17)],
        };
        let writer = Writer::create(folder.path(), "model.onnx").unwrap();
        writer.finish(meta, graph).unwrap();
        folder
    }

    fn graph(&self) -> Graph {
        let mut inputs = vec![value("input_ids", self.integers, &self.shape)];
        if self.mask {
            inputs.push(value("attention_mask", self.integers, &self.shape));
        }
        let mut nodes = Nodes::default();
        let mut sum = "input_ids".to_owned();
        let added = [
            ("token_type_ids", self.types),
            ("position_ids", self.positions),
        ];
        for (name, _) in added.into_iter().filter(|(_, is_added)| *is_added) {
            inputs.push(value(name, self.integers, &self.shape));
            sum = nodes.add("Add", &[&sum, name], &[]);
        }
        if self.past {
            let shape = [Dim::Unknown, Dim::Fixed(2), Dim::Unknown, Dim::Fixed(4)];
            inputs.push(value(KEYS, DataType::F32, &shape));
            let shape = nodes.add("Shape", &[KEYS], &[]);
            let count = nodes.add("Gather", &[&shape, "two"], &[]);
            sum = nodes.add("Add", &[&sum, &count], &[]);
        }
        let mut numbers = nodes.add("Cast", &[&sum], &[("to", AttributeValue::Int(1))]);
        if self.rounds {
            let rounded = nodes.add("DynamicQuantizeLinear", &[&numbers], &[]);
            let (scale, zero) = (format!("{rounded}_scale"), format!("{rounded}_zero"));
            numbers = nodes.add("DequantizeLinear", &[&rounded, &scale, &zero], &[]);
        }
        let tokens = nodes.add("Unsqueeze", &[&numbers, "two"], &[]);
        let last = match self.output {
            "sentence_embedding" => {
                let axes = ("axes", AttributeValue::Ints(vec![1]));
                let keep = ("keepdims", AttributeValue::Int(0));
                nodes.add("ReduceMax", &[&tokens], &[axes, keep])
            }
            _ => tokens,
        };
        nodes.add("Identity", &[&last], &[]);
        nodes.0.last_mut().unwrap().outputs = vec![self.output.to_owned()];
        let open = match self.output {
            "sentence_embedding" => 1,
            _ => 2,
        };
        let shape = [vec![Dim::Unknown; open], vec![Dim::Fixed(1)]].concat();
        let two = Tensor::new("two", DataType::I64, [1], 2_i64.to_le_bytes().to_vec());
        Graph {
            name: "made".to_owned(),
            nodes: nodes.0,
            initializers: vec![two.unwrap()],
            inputs,
            outputs: vec![value(self.output, DataType::F32, &shape)],
        }
    }
}

/// "the cat" is [CLS] the cat [SEP]: 2, 111, 123, 3.
const CAT: f32 = (2.0 + 111.0 + 123.0 + 3.0) / 4.0;
/// "the" is 2, 111, 3, and "the cat the" 2, 111, 123, 111, 3.
const TEXTS: [&str; 3] = ["the", "the cat", "the cat the"];
const MEANS: [f32; 3] = [116.0 / 3.0, CAT, 350.0 / 5.0];

fn check(made: &Made, expected: [f32; 3]) -> Encoder {
    let encoder = open(made.folder().path());
    let found = embed(&encoder, &TEXTS);
    for (at, expected) in expected.iter().enumerate() {
        assert_close(&found[at], &[*expected]);
        assert_close(&embed(&encoder, &[TEXTS[at]])[0], &[*expected]);
    }
    encoder
}

#[test]
fn graphs_take_their_inputs_as_they_want_them() {
    check(&Made::default(), MEANS);
    let narrow = Made {
        integers: DataType::I32,
        types: true,
        ..Made::default()
    };
    check(&narrow, MEANS);
    let without_mask = Made {
        mask: false,
        ..Made::default()
    };
    check(&without_mask, MEANS);
    // The mean of the positions comes on top.
    let positions = Made {
        positions: true,
        ..Made::default()
    };
    check(&positions, [MEANS[0] + 1.0, MEANS[1] + 1.5, MEANS[2] + 2.0]);
    let past = Made {
        past: true,
        ..Made::default()
    };
    check(&past, MEANS);
}

#[test]
fn graphs_of_a_fixed_size_are_filled_up() {
    let one = Made {
        shape: [Dim::Fixed(1), Dim::Unknown],
        ..Made::default()
    };
    check(&one, MEANS);
    let eight = Made {
        shape: [Dim::Fixed(1), Dim::Fixed(8)],
        ..Made::default()
    };
    let encoder = check(&eight, MEANS);
    assert_eq!(encoder.max_tokens(), Some(8));
}

#[test]
fn a_graph_that_pools_is_taken_at_its_word() {
    let pools = Made {
        output: "sentence_embedding",
        ..Made::default()
    };
    check(&pools, [111.0, 123.0, 123.0]);
    let folder = pools.folder();
    fs::remove_file(folder.path().join("modules.json")).unwrap();
    let encoder = open(folder.path());
    assert_close(&embed(&encoder, &["the cat"])[0], &[123.0]);
    assert!(
        encoder.notes()[0].ends_with("as the graph gives them"),
        "{:?}",
        encoder.notes()
    );
    // What is before the text cannot be told from it any more.
    write(
        &folder,
        "1_Pooling/config.json",
        &json!({"include_prompt": false}),
    );
    let prompts = json!({"prompts": {"query": "the"}});
    write(&folder, "config_sentence_transformers.json", &prompts);
    let error = with_prompt(&open(folder.path()), "query", " cat").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsupportedGraph, "{error}");
}

#[test]
fn a_prompt_can_be_left_out_of_the_mean() {
    let folder = Made::default().folder();
    write(
        &folder,
        "1_Pooling/config.json",
        &json!({"include_prompt": false}),
    );
    let prompts = json!({"prompts": {"query": "the "}});
    write(&folder, "config_sentence_transformers.json", &prompts);
    let encoder = open(folder.path());
    let made = with_prompt(&encoder, "query", "cat").unwrap();
    assert_close(&made, &[(123.0 + 3.0) / 2.0]);
    assert_close(&with_prompt(&encoder, "", "the cat").unwrap(), &[CAT]);
}

#[test]
fn an_output_of_another_name_is_taken_where_it_is_the_only_one() {
    let named = |output| Made {
        output,
        ..Made::default()
    };
    check(&named("token_embeddings"), MEANS);
    check(&named("output_0"), MEANS);
    let error = refused(named("logits").folder().path());
    assert_eq!(error.kind(), ErrorKind::UnsupportedGraph);
    assert!(error.to_string().ends_with("it has logits"), "{error}");
}

#[test]
fn graphs_that_nothing_can_be_put_into_are_refused() {
    let check = |made: Made, change: &dyn Fn(&mut Graph), expected: &str| {
        let mut graph = made.graph();
        change(&mut graph);
        let folder = made.folder_with(graph);
        let error = refused(folder.path());
        assert_eq!(error.kind(), ErrorKind::UnsupportedGraph, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    let another = |graph: &mut Graph| {
        let mut input = graph.inputs[0].clone();
        input.name = "pixel_values".to_owned();
        graph.inputs.push(input);
    };
    check(Made::default(), &another, "\"pixel_values\"");
    let floats = |graph: &mut Graph| graph.inputs[1].dtype = Some(DataType::F32);
    check(Made::default(), &floats, "\"attention_mask\"");
    let two = Made {
        shape: [Dim::Fixed(2), Dim::Unknown],
        ..Made::default()
    };
    check(two, &|_| {}, "a fixed number of texts");
    let unmasked = Made {
        shape: [Dim::Unknown, Dim::Fixed(8)],
        mask: false,
        ..Made::default()
    };
    check(unmasked, &|_| {}, "texts of one length");
}

#[test]
fn what_runs_with_a_text_does_not_change_it() {
    let rounds = Made {
        rounds: true,
        ..Made::default()
    };
    let encoder = open(rounds.folder().path());
    assert!(
        encoder.notes()[0].ends_with("texts run one by one"),
        "{:?}",
        encoder.notes()
    );
    // An empty text is [CLS] and [SEP], 2 and 3, which are nothing beside the 123 of "cat".
    let together = embed(&encoder, &["", "the cat"]);
    assert_eq!(together[0], embed(&encoder, &[""])[0]);
    assert!((together[0][0] - 2.5).abs() < 0.01, "{together:?}");
}

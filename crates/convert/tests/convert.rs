//! Whole models, converted and read back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use inhouse_convert::{
    ConvertError, ConvertErrorKind, GgufOptions, Report, ZeroPoints, convert_gguf,
};
use inhouse_onnx::{DataType, Graph, Model, Node, Tensor};
use serde_json::Value;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn convert(file: &Path, out: &Path, zero_points: ZeroPoints) -> Result<Report, ConvertError> {
    convert_gguf(file, out, &GgufOptions { zero_points }, &mut |_| {})
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A folder that was converted, and how to read weights from it.
struct Converted {
    _folder: tempfile::TempDir,
    path: PathBuf,
    graph: Graph,
}

impl Converted {
    fn new(name: &str, zero_points: ZeroPoints) -> Converted {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        convert(&data(&format!("tiny-{name}.gguf")), &path, zero_points).unwrap();
        let graph = Model::load(&path.join("model.onnx")).unwrap().graph;
        Converted {
            _folder: folder,
            path,
            graph,
        }
    }

    fn tensor(&self, name: &str) -> &Tensor {
        let found = self.graph.initializers.iter().find(|t| t.name == name);
        found.unwrap_or_else(|| panic!("no initializer {name}"))
    }

    fn node(&self, name: &str) -> Option<&Node> {
        self.graph.nodes.iter().find(|node| node.name == name)
    }

    fn ops(&self) -> BTreeMap<&str, usize> {
        let mut ops = BTreeMap::new();
        for node in &self.graph.nodes {
            *ops.entry(node.op_type.as_str()).or_default() += 1;
        }
        ops
    }

    /// The rows of the matrix that a projection multiplies by, as ONNX Runtime reads them.
    fn rows(&self, base: &str) -> Vec<Vec<f64>> {
        for bits in [4, 8] {
            if let Some(node) = self.node(&format!("{base}_Q{bits}")) {
                let block = node.int("block_size").unwrap() as usize;
                return self.blocks(node, 1, bits, block);
            }
        }
        let node = self.node(base).unwrap_or_else(|| panic!("no node {base}"));
        let weight = match self.node(&format!("{base}/Cast")) {
            Some(cast) => cast.input(0).unwrap(),
            None => node.input(1).unwrap(),
        };
        let weight = self.tensor(weight);
        let (values, n) = (weight.to_f32().unwrap(), weight.dims[1]);
        let column = |at: usize| {
            values
                .iter()
                .skip(at)
                .step_by(n)
                .map(|&v| v.into())
                .collect()
        };
        (0..n).map(column).collect()
    }

    /// Rows of levels, scales and zero points, which are a node's inputs from `first` on.
    fn blocks(&self, node: &Node, first: usize, bits: usize, block: usize) -> Vec<Vec<f64>> {
        let levels = self.tensor(node.input(first).unwrap());
        let (n, blocks) = (levels.dims[0], levels.dims[1]);
        let bytes = levels.bytes();
        let scales = self
            .tensor(&levels.name.replace(&format!("_Q{bits}"), "_scales"))
            .to_f32()
            .unwrap();
        let zeros = node
            .inputs
            .iter()
            .find(|name| name.ends_with("_zero_points"));
        let zeros = zeros.map(|name| self.tensor(name));
        let unpack = |bytes: &[u8], at: usize| match bits {
            8 => f64::from(bytes[at]),
            _ => f64::from((bytes[at / 2] >> (4 * (at % 2))) & 15),
        };
        let zero = |row: usize, at: usize| match zeros {
            None => f64::from(1u32 << (bits - 1)),
            Some(t) if t.dtype == DataType::F32 => t.to_f32().unwrap()[row * blocks + at].into(),
            Some(t) => unpack(&t.bytes()[row * t.dims[1]..], at),
        };
        let row = |row: usize| {
            let of_block = |at: usize| {
                let (scale, zero) = (f64::from(scales[row * blocks + at]), zero(row, at));
                let start = (row * blocks + at) * block;
                (start..start + block).map(move |i| scale * (unpack(bytes, i) - zero))
            };
            (0..blocks).flat_map(of_block).collect()
        };
        (0..n).map(row).collect()
    }

    fn embedding(&self) -> Vec<Vec<f64>> {
        let gather = self
            .node("/model/embed_tokens/GatherBlockQuantized")
            .unwrap();
        let (bits, block) = (
            gather.int("bits").unwrap(),
            gather.int("block_size").unwrap(),
        );
        let mut node = gather.clone();
        let reshape = self.node("/model/embed_tokens/Reshape").unwrap();
        node.inputs[0] = reshape.inputs[0].clone();
        self.blocks(&node, 0, bits as usize, block as usize)
    }
}

/// Holds rows against the recorded products with cos(1), cos(2), ..
fn check_rows(rows: &[Vec<f64>], expected: &Value, most: f64, what: &str) {
    let expected: Vec<f64> = serde_json::from_value(expected.clone()).unwrap();
    assert_eq!(rows.len(), expected.len(), "{what}");
    let product = |row: &Vec<f64>| -> f64 {
        let weights = (1..=row.len()).map(|k| (k as f64).cos());
        row.iter().zip(weights).map(|(a, b)| a * b).sum()
    };
    let error: f64 = rows
        .iter()
        .zip(&expected)
        .map(|(row, e)| (product(row) - e).powi(2))
        .sum();
    let size: f64 = expected.iter().map(|e| e * e).sum();
    let relative = (error / size).sqrt();
    assert!(relative <= most, "{what}: {relative} > {most}");
}

/// Every matrix of a layer; those in `nearest` were not carried exactly.
fn check_layer(model: &Converted, products: &Value, layer: usize, nearest: &[(&str, f64)]) {
    let base = format!("/model/layers.{layer}");
    let check = |rows: &[Vec<f64>], tensor: &str| {
        let most = nearest
            .iter()
            .find(|(name, _)| *name == tensor)
            .map_or(2e-6, |(_, most)| *most);
        let name = format!("blk.{layer}.{tensor}.weight");
        check_rows(rows, &products[name.as_str()], most, &name);
    };
    let attention = |part: &str| format!("{base}/attn/{part}_proj/MatMul");
    if model
        .node(&format!("{base}/attn/q_proj/MatMul_Q4"))
        .is_some()
        || model
            .node(&format!("{base}/attn/q_proj/MatMul_Q8"))
            .is_some()
    {
        for part in ["q", "k", "v"] {
            check(&model.rows(&attention(part)), &format!("attn_{part}"));
        }
    } else {
        let rows = model.rows(&attention("qkv"));
        check(&rows[..64], "attn_q");
        check(&rows[64..96], "attn_k");
        check(&rows[96..], "attn_v");
    }
    check(&model.rows(&attention("o")), "attn_output");
    for part in ["gate", "up", "down"] {
        check(
            &model.rows(&format!("{base}/mlp/{part}_proj/MatMul")),
            &format!("ffn_{part}"),
        );
    }
}

#[test]
fn a_llama_model_keeps_its_weights() {
    let model = Converted::new("llama", ZeroPoints::Float);
    let products = json(&data("tiny-llama.json"));
    check_layer(&model, &products, 0, &[]);
    check_layer(&model, &products, 1, &[("ffn_gate", 0.05)]);
    check_rows(
        &model.rows("/lm_head/MatMul"),
        &products["token_embd.weight"],
        2e-6,
        "head",
    );
    check_rows(
        &model.embedding(),
        &products["token_embd.weight"],
        2e-6,
        "embedding",
    );
    // The tied head is written once.
    assert!(
        model
            .graph
            .initializers
            .iter()
            .all(|t| !t.name.starts_with("model.embed_tokens"))
    );
    let ops = model.ops();
    assert_eq!(
        (
            ops["GroupQueryAttention"],
            ops["MatMulNBits"],
            ops["MatMul"]
        ),
        (2, 11, 2)
    );
    assert_eq!(
        (
            ops["SimplifiedLayerNormalization"],
            ops["SkipSimplifiedLayerNormalization"]
        ),
        (1, 4)
    );
    // One product for q, k and v where they have one form, three where they have not.
    let attention = |layer| {
        model
            .node(&format!("/model/layers.{layer}/attn/GroupQueryAttention"))
            .unwrap()
    };
    assert_eq!(attention(0).input(1), None);
    assert_eq!(
        attention(1).input(1),
        Some("/model/layers.1/attn/k_proj/MatMul/output_0")
    );
    assert_eq!(attention(0).int("do_rotary"), Some(1));
}

#[test]
fn other_families_keep_their_weights() {
    let model = Converted::new("qwen3", ZeroPoints::Float);
    let products = json(&data("tiny-qwen3.json"));
    check_layer(&model, &products, 0, &[("ffn_down", 0.05)]);
    check_rows(
        &model.rows("/lm_head/MatMul"),
        &products["output.weight"],
        2e-6,
        "head",
    );
    check_rows(
        &model.embedding(),
        &products["token_embd.weight"],
        0.02,
        "embedding",
    );
    assert!(
        model
            .node("/model/layers.0/attn/k_norm/SimplifiedLayerNormalization")
            .is_some()
    );

    let model = Converted::new("qwen2", ZeroPoints::Float);
    let products = json(&data("tiny-qwen2.json"));
    check_layer(&model, &products, 0, &[]);
    check_rows(
        &model.rows("/lm_head/MatMul"),
        &products["token_embd.weight"],
        2e-6,
        "head",
    );
    check_rows(
        &model.embedding(),
        &products["token_embd.weight"],
        0.02,
        "embedding",
    );
    assert!(model.node("/model/layers.0/attn/v_proj/Add").is_some());
}

#[test]
fn fused_projections_and_long_rope() {
    let model = Converted::new("phi3", ZeroPoints::Float);
    let products = json(&data("tiny-phi3.json"));
    let check = |rows: &[Vec<f64>], name: &str| check_rows(rows, &products[name], 2e-6, name);
    check(
        &model.rows("/model/layers.0/attn/qkv_proj/MatMul"),
        "blk.0.attn_qkv.weight",
    );
    let mut both = model.rows("/model/layers.0/mlp/gate_proj/MatMul");
    both.extend(model.rows("/model/layers.0/mlp/up_proj/MatMul"));
    check(&both, "blk.0.ffn_up.weight");
    // A tied head of floats is one tensor, which the embedding reads turned.
    check(&model.rows("/lm_head/MatMul"), "token_embd.weight");
    let table = model.node("/model/embed_tokens/Transpose").unwrap();
    assert_eq!(table.input(0), Some("lm_head.MatMul.weight"));
    let choice = model.node("/model/rope_caches_subgraph/If").unwrap();
    assert_eq!(choice.outputs, ["cos_cache", "sin_cache"]);
    let table = |branch: &str, index: usize| {
        let branch = choice.graph(branch).unwrap();
        let tensor = branch.nodes[index].tensor("value").unwrap();
        (tensor.dims.clone(), tensor.to_f32().unwrap())
    };
    let frequency = |pair: usize| 5000f64.powf(-(pair as f64) / 8.0);
    let (dims, cos) = table("else_branch", 0);
    assert_eq!(dims, [32, 8]);
    let expected = 1.125 * (31.0 * frequency(7) / 1.5).cos();
    assert!((f64::from(cos[31 * 8 + 7]) - expected).abs() < 1e-5);
    let (dims, sin) = table("then_branch", 1);
    assert_eq!(dims, [48, 8]);
    let expected = 1.125 * (47.0 * frequency(0) / 2.0).sin();
    assert!((f64::from(sin[47 * 8]) - expected).abs() < 1e-5);
}

#[test]
fn integer_zero_points_are_near() {
    let products = json(&data("tiny-llama.json"));
    for (zero_points, most) in [(ZeroPoints::Packed, 0.15), (ZeroPoints::None, 0.25)] {
        let model = Converted::new("llama", zero_points);
        let names = ["attn_q", "attn_k", "attn_v", "ffn_down"];
        check_layer(&model, &products, 0, &names.map(|name| (name, most)));
        let floats = |t: &&Tensor| t.name.ends_with("zero_points") && t.dtype == DataType::F32;
        assert!(model.graph.initializers.iter().find(floats).is_none());
    }
}

#[test]
fn rope_tables_follow_base_and_factors() {
    let model = Converted::new("llama", ZeroPoints::Float);
    let (cos, sin) = (model.tensor("cos_cache"), model.tensor("sin_cache"));
    assert_eq!(
        (cos.dims.as_slice(), sin.dims.as_slice()),
        (&[48, 8][..], &[48, 8][..])
    );
    let (cos, sin) = (cos.to_f32().unwrap(), sin.to_f32().unwrap());
    for (position, pair) in [(0usize, 0usize), (1, 0), (17, 3), (47, 7)] {
        let factor = 1.0 + pair as f64; // 1 to 8, as the file was made
        let angle = position as f64 / (5000f64.powf(pair as f64 / 8.0) * factor);
        let at = position * 8 + pair;
        assert!((f64::from(cos[at]) - angle.cos()).abs() < 1e-5);
        assert!((f64::from(sin[at]) - angle.sin()).abs() < 1e-5);
    }
}

#[test]
fn the_folder_is_a_genai_folder() {
    let model = Converted::new("llama", ZeroPoints::Float);
    let config = json(&model.path.join("genai_config.json"));
    assert_eq!(config["model"]["type"], "llama");
    assert_eq!(config["model"]["eos_token_id"], serde_json::json!([2, 0]));
    assert_eq!(config["model"]["context_length"], 48);
    assert_eq!(config["model"]["decoder"]["head_size"], 16);
    assert_eq!(config["search"]["do_sample"], false);
    let mut names: Vec<String> = fs::read_dir(&model.path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = [
        "chat_template.jinja",
        "genai_config.json",
        "model.onnx",
        "model.onnx.data",
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    assert_eq!(names, expected);
    let inputs: Vec<&str> = model.graph.inputs.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(
        &inputs[..3],
        ["input_ids", "attention_mask", "past_key_values.0.key"]
    );
}

#[test]
fn progress_and_report_cover_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    let report = convert_gguf(
        &data("tiny-llama.gguf"),
        &folder.path().join("model"),
        &GgufOptions::default(),
        &mut |progress| seen.push((progress.bytes_done, progress.bytes_total)),
    )
    .unwrap();
    assert!(seen.is_sorted());
    assert!(!report.is_exact());
    let inexact: Vec<&str> = report
        .conversions
        .iter()
        .filter(|c| !c.exact)
        .map(|c| c.from)
        .collect();
    assert_eq!(inexact, ["Q5_1"]);
    let tensors: usize = report.conversions.iter().map(|c| c.tensors).sum();
    assert_eq!(tensors, 1 + 2 * 9 + 1);
}

/// Converting must fail with these words and leave nothing behind.
fn check_refused(file: &[u8], kind: ConvertErrorKind, expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.gguf");
    fs::write(&path, file).unwrap();
    let error = convert(&path, &folder.path().join("model"), ZeroPoints::Float).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(
        error.to_string().contains(expected),
        "{error} lacks {expected}"
    );
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "something was left behind"
    );
}

/// The file with one run of bytes replaced by another of the same length.
fn replaced(name: &str, from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut file = fs::read(data(name)).unwrap();
    assert_eq!(from.len(), to.len());
    let at = file
        .windows(from.len())
        .position(|window| window == from)
        .unwrap();
    file[at..at + to.len()].copy_from_slice(to);
    file
}

#[test]
fn models_that_are_something_else_are_refused() {
    use ConvertErrorKind::{Damaged, Unsupported};
    let check = |from: &str, to: &str, kind, expected: &str| {
        check_refused(
            &replaced("tiny-llama.gguf", from.as_bytes(), to.as_bytes()),
            kind,
            expected,
        );
    };
    check(
        "\x05\0\0\0\0\0\0\0llama",
        "\x05\0\0\0\0\0\0\0gemma",
        Unsupported,
        "`gemma`",
    );
    check(
        "blk.1.ffn_up.weight",
        "blk.1.ffn_xx.weight",
        Damaged,
        "`blk.1.ffn_up.weight` is missing",
    );
    check(
        "rope_freqs.weight",
        "some_other.weight",
        Unsupported,
        "`some_other.weight`",
    );
    check("smollm", "klingo", Unsupported, "klingo");
    check(
        "tokenizer.ggml.model",
        "tokenizer.ggml.xxxxx",
        Unsupported,
        "tokenizer.ggml.model",
    );
    check(
        "tokenizer.ggml.merges",
        "tokenizer.ggml.xxxxxx",
        Unsupported,
        "tokenizer.ggml.merges",
    );
    check(
        "llama.block_count",
        "llama.block_xxxxx",
        Damaged,
        "`llama.block_count` is missing",
    );
    let number = |key: &str, value: u32| {
        [key.as_bytes(), &4u32.to_le_bytes(), &value.to_le_bytes()].concat()
    };
    let key = |name: &str, from: u32, to: u32, kind, expected: &str| {
        check_refused(
            &replaced("tiny-llama.gguf", &number(name, from), &number(name, to)),
            kind,
            expected,
        );
    };
    key("llama.block_count", 2, 1, Unsupported, "blk.1");
    key(
        "llama.block_count",
        2,
        u32::MAX,
        Damaged,
        "llama.block_count",
    );
    key(
        "llama.context_length",
        48,
        u32::MAX,
        Damaged,
        "llama.context_length",
    );
    key("llama.embedding_length", 64, 96, Damaged, "[96, 266]");
    key("llama.attention.head_count", 4, 3, Damaged, "heads");
    key("llama.attention.head_count", 4, 0, Damaged, "heads");
    key(
        "tokenizer.ggml.eos_token_id",
        2,
        9999,
        Damaged,
        "eos_token_id",
    );
}

#[test]
fn files_that_cannot_be_read_or_written_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.gguf");
    let error = convert(&missing, &folder.path().join("model"), ZeroPoints::Float).unwrap_err();
    assert_eq!(error.kind(), ConvertErrorKind::Input);
    assert!(error.to_string().contains("missing.gguf"));
    let occupied = folder.path().join("occupied");
    fs::create_dir(&occupied).unwrap();
    fs::write(occupied.join("precious"), "x").unwrap();
    let error = convert(&data("tiny-llama.gguf"), &occupied, ZeroPoints::Float).unwrap_err();
    assert_eq!(error.kind(), ConvertErrorKind::Output);
    assert!(occupied.join("precious").exists());
}

#[test]
fn flipped_bits_never_panic() {
    let good = fs::read(data("tiny-qwen2.gguf")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flipped.gguf");
    for (round, bit) in (64..11_000 * 8).step_by(997).enumerate() {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        let _ = convert(
            &path,
            &folder.path().join(format!("model{round}")),
            ZeroPoints::Float,
        );
    }
}

//! Encoders on ONNX Runtime: the recorded ones, folders of every form, and what fails.

mod made;

use std::fs;
use std::path::{Path, PathBuf};

use inhouse_engine::LoadOptions;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::device::Device;
use crate::library::{self, Search};
use crate::runner::{lock, tests::Fault};
use crate::{ExecutionProvider, RuntimeOptions, provider};

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/onnxruntime")
        .join(name)
}

fn options() -> Options {
    let home = inhouse_testing::onnxruntime::home();
    Options {
        backend: Choice::Auto,
        load: LoadOptions {
            threads: Some(1),
            ..LoadOptions::default()
        },
        onnxruntime: RuntimeOptions::new(Search::from_env(&|_| None, home, home)),
    }
}

fn open(folder: &Path) -> Encoder {
    Encoder::load(folder, &options()).unwrap()
}

fn refused(folder: &Path) -> EngineError {
    Encoder::load(folder, &options()).unwrap_err()
}

fn embed(encoder: &Encoder, texts: &[&str]) -> Vec<Vec<f32>> {
    let made = encoder.embed(texts, &Cancel::new()).unwrap();
    assert_eq!(made.tokens.len(), texts.len());
    made.vectors
}

fn with_prompt(encoder: &Encoder, name: &str, text: &str) -> Result<Vec<f32>, EngineError> {
    let options = EmbedOptions {
        prompt: Some(name.to_owned()),
        ..EmbedOptions::default()
    };
    let made = encoder.embed_with(&[text], &options, &Cancel::new())?;
    Ok(made.vectors[0].clone())
}

/// Every number within 0.00001 times the embedding's length.
#[track_caller]
fn assert_close(ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len());
    let length = theirs.iter().map(|n| n * n).sum::<f32>().sqrt();
    let apart = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
    let worst = apart.fold(0.0, f32::max);
    assert!(worst <= 1e-5 * length, "they differ by {worst}");
}

// === as recorded ===

struct Case {
    text: String,
    tokens: usize,
    alone: Vec<f32>,
    in_batch: Vec<f32>,
}

fn cases(name: &str) -> Vec<Case> {
    let file = fs::read(testdata(name).join("expected.json")).unwrap();
    let file: Value = serde_json::from_slice(&file).unwrap();
    let numbers = |value: &Value| serde_json::from_value(value.clone()).unwrap();
    let cases = file["cases"].as_array().unwrap().iter();
    cases
        .map(|case| Case {
            text: case["text"].as_str().unwrap().to_owned(),
            tokens: case["input_ids"].as_array().unwrap().len(),
            alone: numbers(&case["embedding"]),
            in_batch: numbers(&case["embedding_in_batch"]),
        })
        .collect()
}

const CUT: EmbedOptions = EmbedOptions {
    too_long: TooLong::Cut,
    prompt: None,
};

#[test]
fn recorded_embeddings_come_out_alone_and_together() {
    for name in ["bert-mean", "bert-cls"] {
        let encoder = open(&testdata(name));
        assert_eq!(encoder.max_tokens(), Some(40));
        assert_eq!(encoder.execution_providers(), ["cpu"]);
        assert!(encoder.computed_by().starts_with("ONNX Runtime 1."));
        assert_eq!(encoder.notes(), [""; 0]);
        let cases = cases(name);
        let texts: Vec<&str> = cases.iter().map(|case| case.text.as_str()).collect();
        let together = encoder.embed_with(&texts, &CUT, &Cancel::new()).unwrap();
        assert_eq!(together.dimensions, 32);
        assert_eq!(
            together.cut,
            [Cut {
                text: 4,
                tokens: 48
            }],
            "{name}"
        );
        for (at, case) in cases.iter().enumerate() {
            let alone = encoder.embed_with(&[&case.text], &CUT, &Cancel::new());
            let alone = alone.unwrap();
            assert_eq!([together.tokens[at], alone.tokens[0]], [case.tokens; 2]);
            assert_close(&alone.vectors[0], &case.alone);
            assert_close(&together.vectors[at], &case.in_batch);
        }
    }
}

#[test]
fn what_is_too_long_is_refused_by_its_place() {
    let encoder = open(&testdata("bert-mean"));
    let long = "the cat sits on the mat . ".repeat(9);
    let error = encoder
        .embed(&["short", &long], &Cancel::new())
        .unwrap_err();
    let kind = ErrorKind::ContextOverflow {
        needed: 65,
        limit: 40,
    };
    assert_eq!(error.kind(), kind);
    let said = "text 2 of 2 has 65 tokens and the model takes 40";
    assert!(error.to_string().starts_with(said), "{error}");
    assert!(!error.to_string().contains("cat"));
}

#[test]
fn many_texts_come_back_in_their_order() {
    let encoder = open(&testdata("bert-cls"));
    let words = ["the", "cat", "dog", "river", "light", "small", "house"];
    let text = |at: usize| {
        let words = (0..at * 7 % 31).map(|word| words[(at + word) % words.len()]);
        words.collect::<Vec<_>>().join(" ")
    };
    let texts: Vec<String> = (0..400).map(text).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let together = embed(&encoder, &texts);
    for at in [0, 1, 17, 200, 399] {
        assert_close(&together[at], &embed(&encoder, &[texts[at]])[0]);
    }
    assert_eq!(together.len(), 400);
    let nothing = encoder.embed(&[], &Cancel::new()).unwrap();
    assert_eq!((nothing.vectors.len(), nothing.dimensions), (0, 0));
}

// === folders ===

/// A copy of a recorded folder, less some of its files.
fn copy(name: &str, without: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for file in [
        "1_Pooling/config.json",
        "config.json",
        "config_sentence_transformers.json",
        "model.onnx",
        "modules.json",
        "onnx/model.onnx",
        "sentence_bert_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ] {
        let from = testdata(name).join(file);
        if from.exists() && !without.contains(&file) {
            let to = folder.path().join(file);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(from, to).unwrap();
        }
    }
    folder
}

fn write(folder: &TempDir, name: &str, json: &Value) {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, json.to_string()).unwrap();
}

const TEXT: &str = "The cat sits on the mat.";

#[test]
fn without_modules_the_mean_is_normalised_and_that_is_said() {
    let plain = copy("bert-mean", &["modules.json", "1_Pooling/config.json"]);
    let encoder = open(plain.path());
    assert_close(&embed(&encoder, &[TEXT])[0], &cases("bert-mean")[0].alone);
    let [note] = encoder.notes().try_into().unwrap();
    assert!(note.starts_with("the folder has no modules.json: tokens are averaged"));

    let pooled = copy("bert-cls", &["modules.json"]);
    let mut expected = cases("bert-cls")[0].alone.clone();
    pooling::normalize(&mut expected);
    assert_close(&embed(&open(pooled.path()), &[TEXT])[0], &expected);
}

#[test]
fn a_length_that_nobody_gives_is_no_limit() {
    let files = [
        "sentence_bert_config.json",
        "tokenizer_config.json",
        "config.json",
    ];
    let encoder = open(copy("bert-mean", &files).path());
    assert_eq!(encoder.max_tokens(), None);
    assert_eq!(
        encoder.notes(),
        ["the folder does not say how long a text may be"]
    );
    let long = "the cat sits on the mat . ".repeat(8);
    assert_eq!(embed(&encoder, &[&long])[0].len(), 32);
}

#[test]
fn the_modules_may_be_in_folders_of_their_own() {
    let folder = copy("bert-mean", &["modules.json", "sentence_bert_config.json"]);
    let modules = json!([
        {"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Dropout", "type": "sentence_transformers.models.Dropout"},
        {"idx": 3, "name": "3", "path": "3_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]);
    write(&folder, "modules.json", &modules);
    let length = json!({"max_seq_length": 30});
    write(&folder, "0_Transformer/sentence_bert_config.json", &length);
    let encoder = open(folder.path());
    assert_eq!(encoder.max_tokens(), Some(30));
    assert_close(&embed(&encoder, &[TEXT])[0], &cases("bert-mean")[0].alone);
}

#[test]
fn a_dense_layer_comes_behind_the_pooling() {
    let folder = copy("bert-mean", &["modules.json"]);
    let modules = json!([
        {"path": "", "type": "sentence_transformers.models.Transformer"},
        {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"path": "2_Dense", "type": "sentence_transformers.models.Dense"},
    ]);
    write(&folder, "modules.json", &modules);
    let config = json!({"in_features": 32, "out_features": 1, "bias": false,
        "activation_function": "torch.nn.modules.linear.Identity"});
    write(&folder, "2_Dense/config.json", &config);
    let header = r#"{"linear.weight":{"dtype":"F32","shape":[1,32],"data_offsets":[0,128]}}"#;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend([1.0_f32; 32].iter().flat_map(|one| one.to_le_bytes()));
    fs::write(folder.path().join("2_Dense/model.safetensors"), file).unwrap();
    let sum = embed(&open(folder.path()), &[TEXT])[0][0];
    let pooled = copy("bert-mean", &["modules.json"]);
    write(&pooled, "modules.json", &json!([modules[0], modules[1]]));
    let expected: f32 = embed(&open(pooled.path()), &[TEXT])[0].iter().sum();
    assert!((sum - expected).abs() < 1e-4, "{sum} {expected}");
}

#[test]
fn prompts_go_before_the_text() {
    let folder = copy("bert-mean", &["config_sentence_transformers.json"]);
    let prompts =
        json!({"prompts": {"query": "where is ", "none": ""}, "default_prompt_name": "query"});
    write(&folder, "config_sentence_transformers.json", &prompts);
    let encoder = open(folder.path());
    assert_eq!(encoder.prompts().collect::<Vec<_>>(), ["none", "query"]);
    let bare = open(&testdata("bert-mean"));
    let asked = embed(&bare, &["where is the cat"]);
    assert_close(&embed(&encoder, &["the cat"])[0], &asked[0]);
    assert_close(
        &with_prompt(&encoder, "query", "the cat").unwrap(),
        &asked[0],
    );
    let plain = embed(&bare, &["the cat"]);
    assert_close(&with_prompt(&encoder, "", "the cat").unwrap(), &plain[0]);
    assert_close(
        &with_prompt(&encoder, "none", "the cat").unwrap(),
        &plain[0],
    );
    let error = with_prompt(&encoder, "document", "the cat").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Options);
}

#[test]
fn texts_are_lowered_where_the_folder_wants_it() {
    let folder = copy("bert-mean", &["sentence_bert_config.json"]);
    let sentence = json!({"max_seq_length": 40, "do_lower_case": true});
    write(&folder, "sentence_bert_config.json", &sentence);
    let mut tokenizer: Value =
        serde_json::from_slice(&fs::read(folder.path().join("tokenizer.json")).unwrap()).unwrap();
    tokenizer["normalizer"]["lowercase"] = json!(false);
    write(&folder, "tokenizer.json", &tokenizer);
    let made = embed(&open(folder.path()), &["THE CAT", "the cat"]);
    assert_close(&made[0], &made[1]);
}

#[test]
fn folders_that_cannot_be_used_say_why() {
    let check = |name: &str, file: Value, kind: ErrorKind, expected: &str| {
        let folder = copy("bert-mean", &[name]);
        write(&folder, name, &file);
        let error = refused(folder.path());
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    let module = |path: &str, kind: &str| json!([{"path": path, "type": kind}]);
    let config = ErrorKind::Config;
    let transformer = "sentence_transformers.models.Transformer";
    check("modules.json", json!([]), config, "it has no modules");
    check("modules.json", json!({}), config, "modules.json");
    check(
        "modules.json",
        module("..", transformer),
        config,
        "not inside the model's folder",
    );
    check(
        "modules.json",
        module("/", transformer),
        config,
        "not inside the model's folder",
    );
    check(
        "modules.json",
        module("", "custom_st.Transformer"),
        config,
        "\"custom_st.Transformer\"",
    );
    let router = "sentence_transformers.models.Router";
    check("modules.json", module("", router), config, router);
    check(
        "modules.json",
        module("", transformer),
        config,
        "no Pooling",
    );
    let pooling = json!({"pooling_mode": "median"});
    check("1_Pooling/config.json", pooling, config, "\"median\"");
    let short = json!({"max_seq_length": 2});
    check(
        "sentence_bert_config.json",
        short,
        config,
        "the model takes 2 tokens",
    );
    check(
        "tokenizer_config.json",
        json!({"model_max_length": "x"}),
        config,
        "tokenizer_config.json",
    );
    check(
        "tokenizer.json",
        json!({}),
        ErrorKind::Text,
        "tokenizer.json",
    );
    let mut tokenizer: Value =
        serde_json::from_slice(&fs::read(testdata("bert-mean/tokenizer.json")).unwrap()).unwrap();
    tokenizer["post_processor"]["special_tokens"] = json!({});
    check(
        "tokenizer.json",
        tokenizer,
        ErrorKind::Text,
        "tokenizer.json",
    );
    let few = json!({"vocab_size": 3});
    check("config.json", few, config, "gives the id 3");
    check("model.onnx", json!({}), ErrorKind::Load, "model.onnx");
}

#[test]
fn the_model_file_is_found_or_asked_for() {
    let folder = copy("bert-mean", &["model.onnx"]);
    let error = refused(folder.path());
    assert_eq!(error.kind(), ErrorKind::Load);
    assert!(
        error.to_string().starts_with("there is no model.onnx in"),
        "{error}"
    );
    let put = |name: &str| {
        let to = folder.path().join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(testdata("bert-mean/model.onnx"), to).unwrap();
    };
    put("onnx/model_O2.onnx");
    let note = "there is no model.onnx; onnx/model_O2.onnx is taken";
    assert_eq!(open(folder.path()).notes(), [note]);
    put("onnx/model_O3.onnx");
    let error = refused(folder.path()).to_string();
    assert!(
        error.contains("onnx/model_O2.onnx, onnx/model_O3.onnx"),
        "{error}"
    );
    let pooling = copy("bert-mean", &["1_Pooling/config.json"]);
    let error = refused(pooling.path()).to_string();
    assert!(error.ends_with("config.json: it is missing"), "{error}");
}

#[test]
fn options_that_do_not_fit_are_refused() {
    let mut wrong = options();
    wrong.backend = Choice::Native;
    let error = Encoder::load(&testdata("bert-mean"), &wrong).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Options);
    let mut small = options();
    small.load.available_memory = Some(1000);
    let error = Encoder::load(&testdata("bert-mean"), &small).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Memory);
    let mut absent = options();
    absent.onnxruntime.providers = vec![ExecutionProvider::Cuda];
    let error = Encoder::load(&testdata("bert-mean"), &absent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Device);
    absent.onnxruntime.providers.push(ExecutionProvider::Cpu);
    let encoder = Encoder::load(&testdata("bert-mean"), &absent).unwrap();
    assert!(
        encoder.notes()[0].contains("cuda cannot be used"),
        "{:?}",
        encoder.notes()
    );
}

// === stopping and failing ===

#[test]
fn threads_share_an_encoder() {
    let encoder = open(&testdata("bert-mean"));
    let expected = embed(&encoder, &[TEXT]);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| embed(&encoder, &[TEXT])))
            .collect();
        for one in all {
            assert_eq!(one.join().unwrap(), expected);
        }
    });
}

#[test]
fn a_flag_ends_it() {
    let encoder = open(&testdata("bert-mean"));
    let cancel = Cancel::new();
    cancel.cancel();
    let error = encoder.embed(&[TEXT], &cancel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn where_a_device_is_lost_the_next_goes_on() {
    let mut encoder = open(&testdata("bert-mean"));
    let library = library::load(&options().onnxruntime.search).unwrap();
    let device = || {
        Device::new(
            ExecutionProvider::Cpu,
            provider::Options::default(),
            library,
        )
    };
    encoder.place = Fallback::load(vec![device(), device()], Vec::new(), |_| true, &|device| {
        Loaded::open(&encoder.recipe, library, device, &encoder.opening)
    })
    .unwrap();
    let fail = |message| {
        *lock(&encoder.place.current().runner.fault) = Some(Fault {
            runs_left: 0,
            message,
        });
    };
    fail("CUDA failure 719: unspecified launch failure");
    assert_close(&embed(&encoder, &[TEXT])[0], &cases("bert-mean")[0].alone);
    let notes = encoder.notes().join("\n");
    assert!(notes.contains("cpu lost: CUDA failure 719"), "{notes}");
    assert!(notes.contains("went on with cpu"), "{notes}");
    fail("Failed to allocate memory for requested buffer of size 64");
    let error = encoder.embed(&[TEXT], &Cancel::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Memory);
}

#[test]
fn nothing_of_a_text_is_shown() {
    let encoder = open(&testdata("bert-mean"));
    let made = encoder.embed(&[TEXT], &Cancel::new()).unwrap();
    let shown = format!("{made:?}");
    assert_eq!(
        shown,
        "Embeddings { vectors: 1, dimensions: 32, tokens: [9], cut: [] }"
    );
    assert!(format!("{encoder:?}").contains("on cpu"));
}

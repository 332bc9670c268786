//! What an encoder is given, held against recorded ids.

use std::path::PathBuf;

use inhouse_text::{TextErrorKind, Tokenizer};
use serde_json::{Value, json};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/onnxruntime")
        .join(name)
}

fn read(name: &str) -> Value {
    let text = std::fs::read(folder(name)).expect(name);
    serde_json::from_slice(&text).expect(name)
}

#[test]
fn texts_have_the_recorded_ids_and_are_cut_as_recorded() {
    for name in ["bert-mean", "bert-cls"] {
        let tokenizer = Tokenizer::from_folder(&folder(name)).expect(name);
        let expected = read(&format!("{name}/expected.json"));
        let most = expected["max_length"].as_u64().expect("a number") as usize;
        let mut cut = 0;
        for case in expected["cases"].as_array().expect("a list") {
            let text = case["text"].as_str().expect("a text");
            let mut encoded = tokenizer.encode_for_encoder(text).expect(text);
            cut += usize::from(encoded.ids().len() > most);
            encoded.cut(most);
            assert_eq!(json!(encoded.ids()), case["input_ids"], "{name}: {text}");
            assert_eq!(encoded.type_ids(), vec![0; encoded.ids().len()]);
            assert_eq!(encoded.added(), 2, "[CLS] and [SEP]");
        }
        assert_eq!(cut, 1, "{name}");
    }
}

#[test]
fn the_parts_of_the_input_are_the_post_processors() {
    let mut file = read("bert-mean/tokenizer.json");
    file["post_processor"]["single"][1]["Sequence"]["type_id"] = json!(1);
    let tokenizer = Tokenizer::from_json(file.to_string().as_bytes()).expect("a tokenizer");
    let encoded = tokenizer.encode_for_encoder("the cat").expect("ids");
    assert_eq!(encoded.type_ids(), [0, 1, 1, 0]);
}

#[test]
fn a_post_processor_without_its_tokens_is_an_error() {
    let mut file = read("bert-mean/tokenizer.json");
    file["post_processor"]["special_tokens"] = json!({});
    let tokenizer = Tokenizer::from_json(file.to_string().as_bytes()).expect("a tokenizer");
    let error = tokenizer.encode_for_encoder("a").expect_err("no [CLS]");
    assert_eq!(error.kind(), TextErrorKind::Encode, "{error}");
    assert!(error.to_string().contains("tokenizer.json"), "{error}");
}

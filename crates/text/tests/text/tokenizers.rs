//! The small models' tokenizers, held against the `tokenizers` package of Python.

use inhouse_text::{Detokenizer, Tokenizer};
use serde_json::Value;

use crate::data;

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).expect("ids")
}

fn streamed(tokenizer: &Tokenizer, ids: &[u32], skip_special: bool) -> String {
    let mut detokenizer = Detokenizer::new(tokenizer).skip_special(skip_special);
    let mut text: String = ids.iter().map(|&id| detokenizer.push(id)).collect();
    text.push_str(&detokenizer.finish());
    text
}

#[test]
fn ids_and_texts_are_those_of_the_reference() {
    for (name, recorded) in data::json("tokenizers.json")
        .as_object()
        .expect("tokenizers")
    {
        let tokenizer = Tokenizer::from_folder(&data::zoo(name)).expect(name);
        for row in recorded["texts"].as_array().expect("texts") {
            let text = row["text"].as_str().expect("text");
            let raw = tokenizer.encode_raw(text).expect(text);
            assert_eq!(raw, ids(&row["raw"]), "{name}, raw: {text:?}");
            let plain = tokenizer.encode(text).expect(text);
            assert_eq!(plain, ids(&row["plain"]), "{name}, plain: {text:?}");
            // Qwen's tokenizers compose characters first; what comes back is what the reference gives back.
            let back = row["back"].as_str().expect("text");
            assert_eq!(tokenizer.decode(&plain, true), back, "{name}");
            assert_eq!(tokenizer.decode(&raw, false), back, "{name}");
        }
        for row in recorded["ids"].as_array().expect("ids") {
            let ids = ids(&row["ids"]);
            for (skip, wanted) in [(true, &row["shown"]), (false, &row["all"])] {
                let wanted = wanted.as_str().expect("text");
                assert_eq!(tokenizer.decode(&ids, skip), wanted, "{name}: {ids:?}");
                assert_eq!(streamed(&tokenizer, &ids, skip), wanted, "{name}: {ids:?}");
            }
        }
    }
}

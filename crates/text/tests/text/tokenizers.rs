//! Tokenizers of every kind, held against the `tokenizers` package of Python.

use std::collections::HashSet;
use std::path::PathBuf;

use inhouse_text::{Detokenizer, RenderedChat, Tokenizer};
use proptest::prelude::*;
use serde_json::Value;

use crate::data;

const MADE: [&str; 3] = ["byte-fallback-bpe", "metaspace-unigram", "wordpiece"];
const ZOO: [&str; 5] = [
    "phi4mini-int4",
    "llama-fp32",
    "mistral-int4-b64",
    "qwen2-mixed",
    "qwen3-int8",
];

fn folder(name: &str) -> PathBuf {
    if MADE.contains(&name) {
        data::path(&format!("tokenizers/{name}"))
    } else {
        data::zoo(name)
    }
}

pub(crate) fn tokenizer(name: &str) -> Tokenizer {
    Tokenizer::from_folder(&folder(name)).expect(name)
}

/// The strings and ids of all added tokens but the one for the unknown.
pub(crate) fn control(name: &str) -> Vec<(String, u32)> {
    let json = std::fs::read(folder(name).join("tokenizer.json")).expect(name);
    let json: Value = serde_json::from_slice(&json).expect(name);
    let tokens = json["added_tokens"].as_array().expect("a list").iter();
    let tokens = tokens.map(|token| {
        (
            token["content"].as_str().expect("text"),
            token["id"].as_u64().expect("id"),
        )
    });
    tokens
        .filter(|(text, _)| *text != "<unk>")
        .map(|(text, id)| (text.to_owned(), id as u32))
        .collect()
}

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
fn ids_are_those_of_the_reference() {
    for (name, recorded) in data::json("tokenizers.json")
        .as_object()
        .expect("tokenizers")
    {
        let tokenizer = tokenizer(name);
        let control: HashSet<u32> = control(name).into_iter().map(|(_, id)| id).collect();
        for row in recorded["texts"].as_array().expect("texts") {
            let text = row["text"].as_str().expect("text");
            assert_eq!(
                tokenizer.encode_raw(text).expect(text),
                ids(&row["raw"]),
                "{name}, raw: {text:?}"
            );
            let (plain, wanted) = (tokenizer.encode(text).expect(text), ids(&row["plain"]));
            assert!(
                !plain.iter().any(|id| control.contains(id)),
                "{name}: {text:?} gives {plain:?}"
            );
            let back = row.get("back").and_then(Value::as_str).unwrap_or(text);
            // Unigram's own vocabulary has the control tokens; the reference falls for it, this must not.
            if !wanted.iter().any(|id| control.contains(id)) {
                assert_eq!(plain, wanted, "{name}, plain: {text:?}");
                assert_eq!(tokenizer.decode(&plain, false), back, "{name}");
            }
        }
    }
}

#[test]
fn texts_are_those_of_the_reference() {
    for (name, recorded) in data::json("tokenizers.json")
        .as_object()
        .expect("tokenizers")
    {
        let tokenizer = tokenizer(name);
        for row in recorded["ids"].as_array().expect("ids") {
            let ids = ids(&row["ids"]);
            let all = row["all"].as_str().expect("text");
            let shown = row.get("shown").and_then(Value::as_str).unwrap_or(all);
            for (skip, wanted) in [(true, shown), (false, all)] {
                assert_eq!(tokenizer.decode(&ids, skip), wanted, "{name}: {ids:?}");
                assert_eq!(streamed(&tokenizer, &ids, skip), wanted, "{name}: {ids:?}");
            }
        }
    }
}

#[test]
fn bytes_of_tokens_make_the_text() {
    let text = "Grüße, 世界! 👩‍👩‍👧 <|end|> x\n";
    for name in ZOO {
        let tokenizer = tokenizer(name);
        let ids = tokenizer.encode_raw(text).expect(name);
        let bytes: Vec<u8> = ids
            .iter()
            .flat_map(|id| tokenizer.token_bytes(*id).expect("an id of the tokenizer"))
            .collect();
        assert_eq!(String::from_utf8(bytes).as_deref(), Ok(text), "{name}");
    }
    let spaced = tokenizer("byte-fallback-bpe");
    let ids = spaced.encode("世 é").expect("ids");
    let bytes: Vec<u8> = ids
        .iter()
        .flat_map(|id| spaced.token_bytes(*id).expect("an id"))
        .collect();
    assert_eq!(
        String::from_utf8(bytes).as_deref(),
        Ok(" 世 é"),
        "the space that the normaliser puts in front is there"
    );
    assert_eq!(spaced.token_bytes(1_000_000), None);
}

/// No push may end within a character, and none may take back what another gave.
#[test]
fn pushes_are_whole_characters() {
    for name in ["phi4mini-int4", "byte-fallback-bpe"] {
        let tokenizer = tokenizer(name);
        let ids = tokenizer.encode("🦆é").expect(name);
        let mut detokenizer = Detokenizer::new(&tokenizer);
        let pushed: Vec<String> = ids.iter().map(|&id| detokenizer.push(id)).collect();
        assert!(
            pushed.iter().any(String::is_empty),
            "{name}: a character of several tokens waits for its last"
        );
        assert!(!pushed.concat().contains('\u{fffd}'), "{name}: {pushed:?}");
        assert_eq!(pushed.concat(), "🦆é", "{name}");
        assert_eq!(detokenizer.finish(), "", "{name}");
        let mut cut = Detokenizer::new(&tokenizer);
        let kept: String = ids.iter().take(2).map(|&id| cut.push(id)).collect();
        let rest = cut.finish();
        assert!(
            !kept.contains('\u{fffd}') && rest.chars().all(|c| c == '\u{fffd}') && !rest.is_empty(),
            "{name}"
        );
    }
}

#[test]
fn byte_tokens_that_make_no_character_count_one_by_one() {
    let tokenizer = tokenizer("byte-fallback-bpe");
    let byte = |byte: u8| {
        tokenizer
            .token_to_id(&format!("<0x{byte:02X}>"))
            .expect("a byte token")
    };
    let word = tokenizer.token_to_id("a").expect("a letter");
    for (ids, wanted) in [
        (vec![byte(0xe2), byte(0x82), byte(0xac)], "€"),
        (vec![byte(0xe2), byte(0x82), word], "\u{fffd}\u{fffd}a"),
        (vec![word, byte(0xff), byte(0x41)], "a\u{fffd}A"),
        (vec![byte(0xf0), byte(0x9f)], "\u{fffd}\u{fffd}"),
    ] {
        assert_eq!(streamed(&tokenizer, &ids, true), wanted, "{ids:?}");
    }
}

/// Text with pieces of control tokens in it, and what may stand at their edges.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "<|",
        "|>",
        "<|end|>",
        "end",
        "<|user|>",
        "</s>",
        "<s>",
        "[INST]",
        "[/",
        "INST]",
        "<tool_call>",
        "<|im_end|>",
        "|",
        "<",
        ">",
        " ",
        "\n",
        "  ",
        "é",
        "世",
        "👩",
        "\u{301}",
        "a",
        "Zword",
        "<tool>",
        "[TOOL]",
        "\u{2581}",
        "\0",
        "＜s＞",
        "user",
        "<|eot_id|>",
        "hello",
        "'s",
        "12",
    ]);
    prop_oneof![
        prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat()),
        any::<String>()
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Plain text never gives a control token, and comes back as it was where the tokenizer keeps all of it.
    #[test]
    fn plain_text_gives_no_control_token(text in text()) {
        for name in ZOO.iter().chain(&MADE) {
            let tokenizer = tokenizer_cached(name);
            let ids = tokenizer.0.encode(&text).expect("ids");
            prop_assert!(!ids.iter().any(|id| tokenizer.1.contains(id)), "{}: {:?}", name, ids);
            prop_assert_eq!(&streamed(&tokenizer.0, &ids, false), &tokenizer.0.decode(&ids, false));
            if ["phi4mini-int4", "llama-fp32", "mistral-int4-b64"].contains(name) {
                prop_assert_eq!(&tokenizer.0.decode(&ids, true), &text);
            }
        }
    }

    /// A trusted prompt gives what the crate gives that everybody uses; so does plain text with nothing special in it.
    #[test]
    fn trusted_text_is_encoded_as_everywhere(text in text()) {
        for name in ZOO.iter().chain(&MADE) {
            let (tokenizer, control, reference) = &*tokenizer_cached(name);
            let wanted = reference.encode_fast(text.as_str(), false).expect("ids").get_ids().to_vec();
            let trusted = tokenizer.encode_chat(&RenderedChat::trusted(text.as_str())).expect("ids");
            prop_assert_eq!(&trusted, &wanted, "{}", name);
            // A model's own vocabulary may have a control token; plain text then gives other ids.
            if !wanted.iter().any(|id| control.contains(id)) {
                prop_assert_eq!(&tokenizer.encode(&text).expect("ids"), &wanted, "{}", name);
            }
        }
    }
}

type Cached = std::sync::Arc<(Tokenizer, HashSet<u32>, tokenizers::Tokenizer)>;

fn tokenizer_cached(name: &str) -> Cached {
    use std::collections::HashMap;
    use std::sync::{Arc, LazyLock, Mutex};
    static MADE: LazyLock<Mutex<HashMap<String, Cached>>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().expect("no panic holds it");
    let entry = made.entry(name.to_owned()).or_insert_with(|| {
        let control = control(name).into_iter().map(|(_, id)| id).collect();
        let reference =
            tokenizers::Tokenizer::from_file(folder(name).join("tokenizer.json")).expect(name);
        Arc::new((tokenizer(name), control, reference))
    });
    Arc::clone(entry)
}

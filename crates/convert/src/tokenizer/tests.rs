use super::*;

const LLAMA: &[u8] = include_bytes!("../../tests/data/tiny-llama.gguf");
const QWEN3: &[u8] = include_bytes!("../../tests/data/tiny-qwen3.gguf");

fn files(gguf: &'static [u8]) -> TokenizerFiles {
    let gguf = Gguf::from_bytes(gguf).unwrap();
    let rows = gguf.tensor("token_embd.weight").unwrap().dims()[1];
    convert(&gguf, rows).unwrap()
}

fn check(files: &TokenizerFiles, text: &str, tokens: &[&str]) {
    let json = serde_json::to_vec(&files.tokenizer).unwrap();
    let tokenizer = tokenizers::Tokenizer::from_bytes(json).unwrap();
    let encoding = tokenizer.encode(text, false).unwrap();
    assert_eq!(encoding.get_tokens(), tokens, "{text:?}");
    let decoded = tokenizer.decode(encoding.get_ids(), false).unwrap();
    assert_eq!(decoded, text);
}

#[test]
fn byte_level_bpe() {
    let files = files(LLAMA);
    check(&files, "in the", &["in", "Ġthe"]);
    // Digits stand alone, so the merge of 1 and 2 is never used.
    check(&files, "12", &["1", "2"]);
    check(
        &files,
        "<|im_start|>é<tool>",
        &["<|im_start|>", "Ã", "©", "<tool>"],
    );
    let added = files.tokenizer["added_tokens"].as_array().unwrap();
    let special: Vec<bool> = added
        .iter()
        .map(|t| t["special"].as_bool().unwrap())
        .collect();
    assert_eq!(special, [true, true, true, false]);
    assert_eq!(files.tokenizer["post_processor"], Value::Null);
    let expected = SpecialIds {
        bos: Some(1),
        eos: vec![2, 0],
        pad: Some(0),
        unk: None,
    };
    assert_eq!(files.special, expected);
    assert_eq!(files.config["eos_token"], "<|im_end|>");
    assert!(files.chat_template.unwrap().contains("im_start"));
}

#[test]
fn sentence_piece_bpe() {
    let files = files(QWEN3);
    // "an" has a higher score than "▁a".
    check(&files, "the an", &["▁the", "▁", "an"]);
    // What no piece covers falls back to bytes.
    check(&files, "é", &["▁", "<0xC3>", "<0xA9>"]);
    let json = serde_json::to_vec(&files.tokenizer).unwrap();
    let tokenizer = tokenizers::Tokenizer::from_bytes(json).unwrap();
    let with_bos = tokenizer.encode("the", true).unwrap();
    assert_eq!(with_bos.get_tokens(), ["<s>", "▁the"]);
    assert_eq!((files.special.bos, files.special.eos), (Some(1), vec![2]));
}

#[test]
fn unknown_pre_tokenizers_are_named() {
    let error = pre_tokenizer::of("klingon").unwrap_err().to_string();
    assert!(
        error.contains("klingon") && error.contains("llama-bpe"),
        "{error}"
    );
    // Every pattern must compile in the library that will use it.
    for name in [
        "default",
        "gpt-2",
        "smollm",
        "llama-bpe",
        "qwen2",
        "tekken",
        "gpt-4o",
    ] {
        let json = pre_tokenizer::of(name).unwrap().to_json(false);
        serde_json::from_value::<tokenizers::PreTokenizerWrapper>(json).unwrap();
    }
}

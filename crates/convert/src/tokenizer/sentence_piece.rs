//! SentencePiece BPE ("llama" in GGUF): scores instead of merges, which are derived from them.

use serde_json::{Value, json};

use super::Model;
use super::byte_level::vocab;
use super::vocabulary::{Kind, Vocabulary, numbers};
use crate::error::ConvertError;
use crate::gguf::Gguf;

/// SentencePiece's mark for a space.
const SPACE: &str = "\u{2581}";
/// A vocabulary's longest tokens are runs of spaces or dashes; longer ones would
/// make the search for merges quadratic in the file's size.
const MAX_TOKEN_CHARS: usize = 256;

pub(super) fn model(gguf: &Gguf, vocabulary: &Vocabulary) -> Result<Model, ConvertError> {
    let key = "tokenizer.ggml.scores";
    let scores = numbers(gguf, key, vocabulary.len())?.ok_or_else(|| {
        ConvertError::unsupported(format!(
            "gguf key `{key}` is missing: a llama tokenizer needs its scores"
        ))
    })?;
    let prefix = gguf
        .bool("tokenizer.ggml.add_space_prefix")?
        .unwrap_or(true);
    let unknown = vocabulary.tokens().find(|token| token.2 == Kind::Unknown);
    Ok(Model {
        model: json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": unknown.map(|(_, text, _)| text),
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": true,
            "byte_fallback": true,
            "ignore_merges": false,
            "vocab": vocab(vocabulary),
            "merges": merges(vocabulary, &scores)?,
        }),
        normalizer: normalizer(prefix),
        pre_tokenizer: Value::Null,
        decoder: decoder(prefix),
        class: "LlamaTokenizer",
        add_bos: gguf.bool("tokenizer.ggml.add_bos_token")?.unwrap_or(true),
        add_prefix_space: prefix,
    })
}

fn normalizer(prefix: bool) -> Value {
    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
    if prefix {
        let prepend = json!({"type": "Prepend", "prepend": SPACE});
        json!({"type": "Sequence", "normalizers": [prepend, replace]})
    } else {
        replace
    }
}

fn decoder(prefix: bool) -> Value {
    let mut steps = vec![
        json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if prefix {
        steps.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    json!({"type": "Sequence", "decoders": steps})
}

/// Real vocabularies have two to five ways to make a token; a made-up one could have hundreds.
const MAX_MERGES_PER_TOKEN: usize = 16;

/// One way to make a token of two others.
struct Merge<'a> {
    left: &'a str,
    right: &'a str,
    score: f64,
    chars: (usize, usize),
}

/// SentencePiece joins whichever neighbours make the token of the highest score. As merges: every
/// pair that makes a token, the highest scores first. Ties are broken as Hugging Face's
/// converter breaks them: longer left parts first, then longer right ones, then lower ids.
fn merges(vocabulary: &Vocabulary, scores: &[f64]) -> Result<Vec<Value>, ConvertError> {
    let mut merges = Vec::new();
    // Control tokens are found before BPE and are neither made nor used by merges.
    let most = vocabulary.len() * MAX_MERGES_PER_TOKEN;
    let normal = |kind| matches!(kind, Kind::Normal | Kind::UserDefined | Kind::Unused);
    for (id, text, _) in vocabulary.tokens().filter(|token| normal(token.2)) {
        let score = scores.get(id as usize).copied().unwrap_or(0.0);
        let length = text.chars().count();
        if length > MAX_TOKEN_CHARS {
            return Err(ConvertError::damaged(format!(
                "gguf token {id} has {length} characters: more than {MAX_TOKEN_CHARS} are not accepted"
            )));
        }
        let first = merges.len();
        for (chars, (at, _)) in text.char_indices().enumerate().skip(1) {
            let (left, right) = text.split_at(at);
            let known = |part: &str| vocabulary.id(part).is_some();
            if known(left) && known(right) {
                merges.push(Merge {
                    left,
                    right,
                    score,
                    chars: (chars, length - chars),
                });
            }
        }
        if merges.len() > most {
            return Err(ConvertError::damaged(format!(
                "gguf vocabulary of {} tokens has more than {most} ways to join two into a third: this is no real vocabulary",
                vocabulary.len()
            )));
        }
        if let Some(new) = merges.get_mut(first..) {
            new.sort_by_key(|merge| (vocabulary.id(merge.left), vocabulary.id(merge.right)));
        }
    }
    // Stable, so that equal merges stay in the order of ids.
    merges.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.chars.cmp(&a.chars)));
    Ok(merges
        .iter()
        .map(|merge| json!([merge.left, merge.right]))
        .collect())
}

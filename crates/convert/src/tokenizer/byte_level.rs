//! Byte-level BPE ("gpt2" in GGUF): the merges are in the file.

use serde_json::{Map, Value, json};

use super::vocabulary::{Vocabulary, strings};
use super::{Model, pre_tokenizer};
use crate::error::ConvertError;
use crate::gguf::Gguf;

pub(super) fn model(gguf: &Gguf, vocabulary: &Vocabulary) -> Result<Model, ConvertError> {
    let pre = pre_tokenizer::of(gguf.string("tokenizer.ggml.pre")?.unwrap_or("default"))?;
    let add_bos = gguf
        .bool("tokenizer.ggml.add_bos_token")?
        .unwrap_or(pre.add_bos);
    let prefix = gguf
        .bool("tokenizer.ggml.add_space_prefix")?
        .unwrap_or(false);
    Ok(Model {
        model: json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": pre.ignore_merges,
            "vocab": vocab(vocabulary),
            "merges": merges(gguf, vocabulary)?,
        }),
        normalizer: if pre.nfc {
            json!({"type": "NFC"})
        } else {
            Value::Null
        },
        pre_tokenizer: pre.to_json(prefix),
        decoder: json!({
            "type": "ByteLevel",
            "add_prefix_space": true,
            "trim_offsets": true,
            "use_regex": true,
        }),
        class: pre.class,
        add_bos,
        add_prefix_space: prefix,
    })
}

/// Text to id, in the order of the ids.
pub(super) fn vocab(vocabulary: &Vocabulary) -> Map<String, Value> {
    vocabulary
        .tokens()
        .map(|(id, text, _)| (text.to_owned(), json!(id)))
        .collect()
}

fn merges(gguf: &Gguf, vocabulary: &Vocabulary) -> Result<Vec<Value>, ConvertError> {
    let key = "tokenizer.ggml.merges";
    let lines = strings(gguf, key)?.ok_or_else(|| {
        ConvertError::unsupported(format!(
            "gguf key `{key}` is missing: a gpt2 tokenizer needs its merges"
        ))
    })?;
    let mut merges = Vec::with_capacity(lines.len());
    for line in &lines {
        let (left, right) = split(line).ok_or_else(|| {
            ConvertError::damaged(format!(
                "gguf key `{key}` holds a merge that is not two tokens"
            ))
        })?;
        // A merge of or into something that is no token can never happen, and
        // the tokenizers library refuses to load it.
        let parts = [left, right, &format!("{left}{right}")];
        if parts.iter().all(|part| vocabulary.id(part).is_some()) {
            merges.push(json!([left, right]));
        }
    }
    Ok(merges)
}

/// At the first space that is not the first character.
fn split(line: &str) -> Option<(&str, &str)> {
    let start = line.chars().next()?.len_utf8();
    let space = start + line.get(start..)?.find(' ')?;
    Some((line.get(..space)?, line.get(space + 1..)?))
}

//! `tokenizer.json`, `tokenizer_config.json` and the chat template, from a GGUF's own vocabulary.

mod byte_level;
mod pre_tokenizer;
mod sentence_piece;
mod vocabulary;

use serde_json::{Value, json};

use crate::error::ConvertError;
use crate::gguf::Gguf;
use vocabulary::{Kind, Vocabulary};

/// Everything about text that a model folder holds.
pub(crate) struct TokenizerFiles {
    /// `tokenizer.json`, in Hugging Face's format.
    pub(crate) tokenizer: Value,
    /// `tokenizer_config.json`.
    pub(crate) config: Value,
    /// `chat_template.jinja`.
    pub(crate) chat_template: Option<String>,
    /// Ids with a meaning of their own.
    pub(crate) special: SpecialIds,
}

/// Ids with a meaning of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SpecialIds {
    pub(crate) bos: Option<u32>,
    /// Every token that ends an answer, the model's own end token first.
    pub(crate) eos: Vec<u32>,
    pub(crate) pad: Option<u32>,
    pub(crate) unk: Option<u32>,
}

/// Control tokens that end an answer, whatever the metadata calls the end token.
const END_TOKENS: &[&str] = &[
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<end_of_turn>",
    "</s>",
];

/// What the two kinds of BPE say differently.
struct Model {
    model: Value,
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    /// The class that Hugging Face's code and ONNX Runtime GenAI know the kind by.
    class: &'static str,
    add_bos: bool,
    add_prefix_space: bool,
}

/// Converts the tokenizer of a file whose embedding has `rows` rows.
pub(crate) fn convert(gguf: &Gguf, rows: usize) -> Result<TokenizerFiles, ConvertError> {
    let vocabulary = Vocabulary::read(gguf, rows)?;
    let kind = gguf.string("tokenizer.ggml.model")?;
    let model = match kind {
        Some("gpt2") => byte_level::model(gguf, &vocabulary)?,
        Some("llama") => sentence_piece::model(gguf, &vocabulary)?,
        Some(other) => {
            return Err(ConvertError::unsupported(format!(
                "gguf key `tokenizer.ggml.model` is `{other}`: only gpt2 (byte-level BPE) and llama (SentencePiece BPE) tokenizers are converted"
            )));
        }
        None => {
            return Err(ConvertError::unsupported(
                "gguf key `tokenizer.ggml.model` is missing: the file holds no tokenizer",
            ));
        }
    };
    let special = special_ids(gguf, &vocabulary, kind == Some("llama"))?;
    let chat_template = gguf.string("tokenizer.chat_template")?.map(str::to_owned);
    Ok(TokenizerFiles {
        config: tokenizer_config(
            &model,
            &vocabulary,
            &special,
            chat_template.as_deref(),
            gguf,
        )?,
        tokenizer: tokenizer_json(model, &vocabulary, &special),
        chat_template,
        special,
    })
}

fn special_ids(
    gguf: &Gguf,
    vocabulary: &Vocabulary,
    sentence_piece: bool,
) -> Result<SpecialIds, ConvertError> {
    let id = |name: &str| vocabulary.special_id(gguf, name);
    // SentencePiece files may leave out the ids that are always the same.
    let usual = |id| {
        if sentence_piece {
            vocabulary.known(id)
        } else {
            None
        }
    };
    let eos = id("eos_token_id")?.or(usual(2));
    let mut ends: Vec<u32> = eos.into_iter().collect();
    let named = END_TOKENS.iter().filter_map(|text| vocabulary.id(text));
    let named = named.filter(|&id| vocabulary.kind(id) == Some(Kind::Control));
    for end in [id("eot_token_id")?, id("eom_token_id")?]
        .into_iter()
        .flatten()
        .chain(named)
    {
        if !ends.contains(&end) {
            ends.push(end);
        }
    }
    Ok(SpecialIds {
        bos: id("bos_token_id")?.or(usual(1)),
        pad: id("padding_token_id")?.or(eos),
        unk: id("unknown_token_id")?.or(usual(0)),
        eos: ends,
    })
}

fn tokenizer_json(model: Model, vocabulary: &Vocabulary, special: &SpecialIds) -> Value {
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens(vocabulary),
        "normalizer": model.normalizer,
        "pre_tokenizer": model.pre_tokenizer,
        "post_processor": post_processor(model.add_bos, vocabulary, special),
        "decoder": model.decoder,
        "model": model.model,
    })
}

/// Tokens that are found in text before anything else is done with it.
fn added_tokens(vocabulary: &Vocabulary) -> Vec<Value> {
    vocabulary
        .tokens()
        .filter(|(_, _, kind)| matches!(kind, Kind::Control | Kind::Unknown | Kind::UserDefined))
        .map(|(id, content, kind)| {
            json!({
                "id": id,
                "content": content,
                "single_word": false,
                "lstrip": false,
                "rstrip": false,
                "normalized": false,
                "special": kind != Kind::UserDefined,
            })
        })
        .collect()
}

fn post_processor(add_bos: bool, vocabulary: &Vocabulary, special: &SpecialIds) -> Value {
    let bos = special.bos.filter(|_| add_bos);
    let Some((id, token)) = bos.and_then(|id| Some((id, vocabulary.text(id)?))) else {
        return Value::Null;
    };
    let mark = |type_id: u32| json!({"SpecialToken": {"id": token, "type_id": type_id}});
    let text = |name: &str, type_id: u32| json!({"Sequence": {"id": name, "type_id": type_id}});
    let mut specials = serde_json::Map::new();
    specials.insert(
        token.to_owned(),
        json!({"id": token, "ids": [id], "tokens": [token]}),
    );
    json!({
        "type": "TemplateProcessing",
        "single": [mark(0), text("A", 0)],
        "pair": [mark(0), text("A", 0), mark(1), text("B", 1)],
        "special_tokens": specials,
    })
}

fn tokenizer_config(
    model: &Model,
    vocabulary: &Vocabulary,
    special: &SpecialIds,
    chat_template: Option<&str>,
    gguf: &Gguf,
) -> Result<Value, ConvertError> {
    let mut config = json!({
        "add_bos_token": model.add_bos,
        "add_eos_token": gguf.bool("tokenizer.ggml.add_eos_token")?.unwrap_or(false),
        "add_prefix_space": model.add_prefix_space,
        "clean_up_tokenization_spaces": false,
        "tokenizer_class": model.class,
    });
    let eos = special.eos.first().copied();
    let named = [
        ("bos_token", special.bos),
        ("eos_token", eos),
        ("pad_token", special.pad),
        ("unk_token", special.unk),
    ];
    for (key, id) in named {
        if let Some(text) = id.and_then(|id| vocabulary.text(id)) {
            config[key] = json!(text);
        }
    }
    if let Some(template) = chat_template {
        config["chat_template"] = json!(template);
    }
    Ok(config)
}

#[cfg(test)]
mod tests;

//! Reading a tokenizer from a model folder.

use std::collections::HashSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use tokenizers::ModelWrapper;

use super::{ControlTokens, Inner, Style, Tokenizer};
use crate::{TextError, TextErrorKind};

/// A `tokenizer.json` beyond this is refused: the largest in use are about 35 MB.
const MAX_TOKENIZER_BYTES: u64 = 256 << 20;
/// The same for the small files beside it.
pub(crate) const MAX_CONFIG_BYTES: u64 = 32 << 20;

/// The strings of the tokens that begin and end a text.
#[derive(Default)]
pub(super) struct Ends {
    bos: Option<String>,
    eos: Option<String>,
}

pub(super) fn from_folder(folder: &Path) -> Result<Tokenizer, TextError> {
    let path = folder.join("tokenizer.json");
    let json = read_limited(&path, MAX_TOKENIZER_BYTES)?.ok_or_else(|| {
        let message = format!(
            "there is no tokenizer.json in {}; a model folder must have one",
            folder.display()
        );
        TextError::new(TextErrorKind::File, message)
    })?;
    let ends = Ends::read(folder)?;
    from_json(&json, ends)
        .map_err(|error| TextError::new(error.kind(), format!("{}: {error}", path.display())))
}

pub(super) fn from_json(json: &[u8], ends: Ends) -> Result<Tokenizer, TextError> {
    let wrong = |reason: String| {
        TextError::new(
            TextErrorKind::Tokenizer,
            format!("not a tokenizer.json that can be used: {reason}"),
        )
    };
    // The crate's readers have a few `expect`s that a hostile file can reach.
    let mut hf = catch_unwind(AssertUnwindSafe(|| tokenizers::Tokenizer::from_bytes(json)))
        .map_err(|_| wrong("its parts contradict each other".into()))?
        .map_err(|error| wrong(error.to_string()))?;
    // What these would cut or pad here, they would do in silence.
    hf.with_truncation(None)
        .map_err(|error| wrong(error.to_string()))?;
    hf.with_padding(None);

    let added = hf.get_added_tokens_decoder();
    let control = ControlTokens::new(&hf).map_err(wrong)?;
    let unknown = unknown_id(&hf, json);
    let control_ids: HashSet<u32> = control.ids().filter(|id| Some(*id) != unknown).collect();
    let special_ids = added
        .iter()
        .filter(|(_, token)| token.special)
        .map(|(id, _)| *id)
        .collect();
    let vocab_size = hf
        .get_vocab(true)
        .values()
        .max()
        .map_or(0, |id| *id as usize + 1);
    let decoder = serde_json::to_value(hf.get_decoder()).unwrap_or(Value::Null);
    Ok(Tokenizer(Arc::new(Inner {
        style: Style::of_decoder(&decoder),
        hf,
        control,
        control_ids,
        special_ids,
        vocab_size,
        bos: ends.bos,
        eos: ends.eos,
    })))
}

/// The id that the model gives for what it does not know. It is often among the special tokens, and any text may give it.
fn unknown_id(hf: &tokenizers::Tokenizer, json: &[u8]) -> Option<u32> {
    match hf.get_model() {
        ModelWrapper::BPE(model) => hf.token_to_id(model.get_unk_token().as_deref()?),
        ModelWrapper::WordPiece(model) => hf.token_to_id(&model.unk_token),
        ModelWrapper::WordLevel(model) => hf.token_to_id(&model.unk_token),
        ModelWrapper::Unigram(_) => {
            #[derive(serde::Deserialize)]
            struct File {
                model: Model,
            }
            #[derive(serde::Deserialize)]
            struct Model {
                unk_id: Option<u32>,
            }
            serde_json::from_slice::<File>(json).ok()?.model.unk_id
        }
    }
}

impl Ends {
    fn read(folder: &Path) -> Result<Self, TextError> {
        let config = read_object(&folder.join("tokenizer_config.json"))?;
        let map = read_object(&folder.join("special_tokens_map.json"))?;
        let find = |name| special_token(&config, name).or_else(|| special_token(&map, name));
        Ok(Self {
            bos: find("bos_token"),
            eos: find("eos_token"),
        })
    }
}

/// A special token of a config: a string, or an object with the string as its `content`.
pub(crate) fn special_token(config: &Map<String, Value>, name: &str) -> Option<String> {
    let value = config.get(name)?;
    let text = value.as_str().or_else(|| value.get("content")?.as_str())?;
    Some(text.to_owned())
}

/// The JSON object in a file, or an empty one where there is no such file.
pub(crate) fn read_object(path: &Path) -> Result<Map<String, Value>, TextError> {
    let Some(bytes) = read_limited(path, MAX_CONFIG_BYTES)? else {
        return Ok(Map::new());
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        let message = format!("{} is not a JSON object: {error}", path.display());
        TextError::new(TextErrorKind::Tokenizer, message)
    })
}

/// The bytes of a file, or `None` where it does not exist; too large a file is refused unread.
pub(crate) fn read_limited(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, TextError> {
    let size = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(TextError::file(path, &error)),
    };
    if size > limit {
        let message = format!(
            "{} has {size} bytes, more than the {limit} that are read",
            path.display()
        );
        return Err(TextError::new(TextErrorKind::File, message));
    }
    fs::read(path)
        .map(Some)
        .map_err(|error| TextError::file(path, &error))
}

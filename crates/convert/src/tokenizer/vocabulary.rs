//! The tokens of a GGUF file: texts, kinds and scores, checked against each other.

use std::collections::HashMap;

use crate::error::ConvertError;
use crate::gguf::Gguf;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

impl Kind {
    fn from_id(id: f64) -> Kind {
        match id as i64 {
            2 => Kind::Unknown,
            3 => Kind::Control,
            4 => Kind::UserDefined,
            5 => Kind::Unused,
            6 => Kind::Byte,
            _ => Kind::Normal,
        }
    }
}

pub(super) struct Vocabulary {
    texts: Vec<String>,
    kinds: Vec<Kind>,
    ids: HashMap<String, u32>,
}

impl Vocabulary {
    pub(super) fn read(gguf: &Gguf, rows: usize) -> Result<Vocabulary, ConvertError> {
        let texts = strings(gguf, "tokenizer.ggml.tokens")?.ok_or_else(|| {
            ConvertError::unsupported(
                "gguf key `tokenizer.ggml.tokens` is missing: the file holds no vocabulary",
            )
        })?;
        if texts.is_empty() || texts.len() > rows {
            return Err(ConvertError::damaged(format!(
                "gguf key `tokenizer.ggml.tokens` has {} tokens, but the embedding has {rows} rows",
                texts.len()
            )));
        }
        let kinds = match numbers(gguf, "tokenizer.ggml.token_type", texts.len())? {
            Some(ids) => ids.into_iter().map(Kind::from_id).collect(),
            None => vec![Kind::Normal; texts.len()],
        };
        let mut ids = HashMap::new();
        for (id, text) in texts.iter().enumerate() {
            // Where two ids have one text, only the first can ever be produced from text.
            ids.entry(text.clone()).or_insert(id as u32);
        }
        Ok(Vocabulary { texts, kinds, ids })
    }

    /// Every token: id, text, kind. A text that appeared before is left out.
    pub(super) fn tokens(&self) -> impl Iterator<Item = (u32, &str, Kind)> {
        let both = self.texts.iter().zip(&self.kinds).enumerate();
        both.map(|(id, (text, &kind))| (id as u32, text.as_str(), kind))
            .filter(|(id, text, _)| self.ids.get(*text) == Some(id))
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    pub(super) fn id(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    pub(super) fn text(&self, id: u32) -> Option<&str> {
        self.texts.get(id as usize).map(String::as_str)
    }

    pub(super) fn kind(&self, id: u32) -> Option<Kind> {
        self.kinds.get(id as usize).copied()
    }

    /// `id`, if there is such a token.
    pub(super) fn known(&self, id: u32) -> Option<u32> {
        self.text(id).map(|_| id)
    }

    /// The id under `tokenizer.ggml.<name>`, which must be in the vocabulary.
    pub(super) fn special_id(&self, gguf: &Gguf, name: &str) -> Result<Option<u32>, ConvertError> {
        let key = format!("tokenizer.ggml.{name}");
        let Some(id) = gguf.uint(&key)? else {
            return Ok(None);
        };
        let known = u32::try_from(id).ok().and_then(|id| self.known(id));
        known.map(Some).ok_or_else(|| {
            ConvertError::damaged(format!(
                "gguf key `{key}` is {id}, but the vocabulary has {} tokens",
                self.len()
            ))
        })
    }
}

/// An array of strings, each checked to be UTF-8.
pub(super) fn strings(gguf: &Gguf, key: &str) -> Result<Option<Vec<String>>, ConvertError> {
    let Some(array) = gguf.array(key)? else {
        return Ok(None);
    };
    let Some(strings) = array.strings() else {
        return Err(ConvertError::damaged(format!(
            "gguf key `{key}` must hold strings"
        )));
    };
    strings
        .enumerate()
        .map(|(index, bytes)| {
            let text = std::str::from_utf8(bytes).map_err(|_| {
                ConvertError::damaged(format!("gguf key `{key}`: string {index} is not utf-8"))
            })?;
            Ok(text.to_owned())
        })
        .collect::<Result<_, _>>()
        .map(Some)
}

/// An array of exactly `len` numbers.
pub(super) fn numbers(
    gguf: &Gguf,
    key: &str,
    len: usize,
) -> Result<Option<Vec<f64>>, ConvertError> {
    let Some(array) = gguf.array(key)? else {
        return Ok(None);
    };
    match array.numbers() {
        Some(numbers) if array.len() == len => Ok(Some(numbers.collect())),
        _ => Err(ConvertError::damaged(format!(
            "gguf key `{key}` must hold {len} numbers, one for each token"
        ))),
    }
}

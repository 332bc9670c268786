//! Text to ids and back, over a model folder's `tokenizer.json`.

mod control;
mod encode;
mod encoded;
mod load;
mod pieces;

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::rendered::Provenance;
use crate::{Detokenizer, RenderedChat, TextError};

use control::ControlTokens;
pub use encoded::Encoded;
pub(crate) use load::{MAX_CONFIG_BYTES, read_limited, read_object, special_token};
pub(crate) use pieces::{Piece, Style};

/// A tokenizer: text to ids and back. Cheap to clone, and shared freely between threads.
#[derive(Clone)]
pub struct Tokenizer(Arc<Inner>);

struct Inner {
    hf: tokenizers::Tokenizer,
    control: ControlTokens,
    style: Style,
    /// Ids that a template or a raw prompt may give and plain text must not.
    control_ids: HashSet<u32>,
    special_ids: HashSet<u32>,
    vocab_size: usize,
    bos: Option<String>,
    eos: Option<String>,
}

impl Tokenizer {
    /// Reads the tokenizer of a model folder: `tokenizer.json`, and for the names of the first and last token
    /// `tokenizer_config.json` and `special_tokens_map.json`, where they are.
    pub fn from_folder(folder: &Path) -> Result<Self, TextError> {
        load::from_folder(folder)
    }

    /// Reads a tokenizer from the text of a `tokenizer.json`.
    pub fn from_json(json: &[u8]) -> Result<Self, TextError> {
        load::from_json(json, Default::default())
    }

    /// The ids of plain text: whatever it says, no control token comes out of it.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TextError> {
        let all: Range<usize> = 0..text.len();
        encode::encode(&self.0, text, &[all])
    }

    /// The ids of a text that is trusted: what looks like a control token is one. Nothing is added in front or behind.
    pub fn encode_raw(&self, text: &str) -> Result<Vec<u32>, TextError> {
        encode::encode(&self.0, text, &[])
    }

    /// The ids of a rendered conversation: control tokens only where the template wrote them.
    pub fn encode_chat(&self, chat: &RenderedChat) -> Result<Vec<u32>, TextError> {
        match chat.provenance() {
            Provenance::Known(user) => encode::encode(&self.0, chat.as_str(), user),
            Provenance::Unknown(texts) => {
                self.0.control.check_harmless(texts)?;
                encode::encode(&self.0, chat.as_str(), &[])
            }
        }
    }

    /// A text as an encoder is given it, with the tokens that this tokenizer puts around it. What looks like a control
    /// token is one, as wherever embeddings are made: an encoder has no roles that a text could take on.
    pub fn encode_for_encoder(&self, text: &str) -> Result<Encoded, TextError> {
        encoded::encode(&self.0.hf, text)
    }

    /// The text of `ids`, without special tokens where `skip_special` says so. Ids that the vocabulary does not have
    /// give nothing; bytes that are no UTF-8 give U+FFFD.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> String {
        if matches!(self.0.style, Style::Other) {
            return self.decode_by_crate(ids, skip_special);
        }
        let mut detokenizer = Detokenizer::new(self).skip_special(skip_special);
        let mut text = String::new();
        for &id in ids {
            text.push_str(&detokenizer.push(id));
        }
        text.push_str(&detokenizer.finish());
        text
    }

    /// The id of a token by its exact string.
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.0.hf.token_to_id(token)
    }

    /// The string of a token as the vocabulary writes it; [`Tokenizer::token_bytes`] has what it stands for.
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.0.hf.id_to_token(id)
    }

    /// One more than the highest id. A model's logits may be wider: their padding has no tokens.
    pub fn vocab_size(&self) -> usize {
        self.0.vocab_size
    }

    /// Whether a token is special, that is, not shown to people.
    pub fn is_special(&self, id: u32) -> bool {
        self.0.special_ids.contains(&id)
    }

    /// The bytes that one token stands for in the middle of a text, or `None` where the vocabulary has no such id.
    pub fn token_bytes(&self, id: u32) -> Option<Vec<u8>> {
        let token = self.0.hf.id_to_token(id)?;
        Some(match self.0.style.piece(&token) {
            Some(Piece::Text(bytes)) => bytes,
            Some(Piece::Byte(byte)) => vec![byte],
            None => self.decode_by_crate(&[id], false).into_bytes(),
        })
    }

    /// The string of the token that starts a text, where the folder names one.
    pub fn bos_token(&self) -> Option<&str> {
        self.0.bos.as_deref()
    }

    /// The string of the token that ends an answer, where the folder names one.
    pub fn eos_token(&self) -> Option<&str> {
        self.0.eos.as_deref()
    }

    pub(crate) fn style(&self) -> &Style {
        &self.0.style
    }

    pub(crate) fn decode_by_crate(&self, ids: &[u32], skip_special: bool) -> String {
        // The decoders that come here cannot fail on strings of the vocabulary.
        self.0.hf.decode(ids, skip_special).unwrap_or_default()
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocab_size", &self.0.vocab_size)
            .field("style", &self.0.style)
            .finish_non_exhaustive()
    }
}

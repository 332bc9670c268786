//! What generation needs of a tokenizer.

use inhouse_text::{Detokenizer, Tokenizer};

use crate::sampling::Vocabulary;

/// Turns tokens into text as they come.
pub trait Detokenize: Vocabulary {
    /// Takes the next token and gives the whole characters that are certain now; may be empty.
    fn push(&mut self, id: u32) -> String;

    /// Gives what is left, broken characters replaced.
    fn finish(&mut self) -> String;
}

/// A tokenizer as generation uses it: special tokens are left out of the text.
pub struct Words {
    tokenizer: Tokenizer,
    detokenizer: Detokenizer,
}

impl Words {
    /// Starts an answer's text.
    pub fn new(tokenizer: &Tokenizer) -> Self {
        Self {
            tokenizer: tokenizer.clone(),
            detokenizer: Detokenizer::new(tokenizer),
        }
    }

    /// As [`new`](Self::new), boxed as [`Generation`](super::Generation) takes it.
    pub fn boxed(tokenizer: &Tokenizer) -> Box<dyn Detokenize + Send> {
        Box::new(Self::new(tokenizer))
    }
}

impl Vocabulary for Words {
    fn token_bytes(&self, id: u32) -> Option<Vec<u8>> {
        self.tokenizer.token_bytes(id)
    }
}

impl Detokenize for Words {
    fn push(&mut self, id: u32) -> String {
        self.detokenizer.push(id)
    }

    fn finish(&mut self) -> String {
        let next = Detokenizer::new(&self.tokenizer);
        std::mem::replace(&mut self.detokenizer, next).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokenizers_words_are_its_text_in_whole_characters() {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../testdata/zoo/phi4mini-int4"
        );
        let tokenizer = Tokenizer::from_folder(folder.as_ref()).unwrap();
        let text = "Grüße aus 日本 👋!";
        let ids = tokenizer.encode(text).unwrap();
        let mut words = Words::new(&tokenizer);
        let mut printed: String = ids.iter().map(|&id| words.push(id)).collect();
        printed += &words.finish();
        assert_eq!(printed, text);
        let bytes: Vec<u8> = ids
            .iter()
            .filter_map(|&id| words.token_bytes(id))
            .flatten()
            .collect();
        assert_eq!(bytes, text.as_bytes());
        assert_eq!(words.finish(), "", "the next text starts afresh");
    }
}

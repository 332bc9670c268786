//! What an encoder is given of a text.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokenizers::Encoding;

use crate::{TextError, TextErrorKind};

/// The tokens of a text as an encoder is given them: with those that the tokenizer puts around it, such as `[CLS]` and
/// `[SEP]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    ids: Vec<u32>,
    type_ids: Vec<u32>,
    /// Which of the tokens are not the text's own.
    added: Vec<bool>,
}

impl Encoded {
    /// The ids.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The part of the input that each token belongs to (`token_type_ids`).
    pub fn type_ids(&self) -> &[u32] {
        &self.type_ids
    }

    /// How many tokens the tokenizer put around the text.
    pub fn added(&self) -> usize {
        self.added.iter().filter(|added| **added).count()
    }

    /// Takes tokens off the end of the text, but none of those around it, until there are no more than `most`.
    pub fn cut(&mut self, most: usize) {
        let mut room = most.saturating_sub(self.added());
        let mut keep = self.added.clone();
        for keep in keep.iter_mut().filter(|added| !**added) {
            *keep = room > 0;
            room = room.saturating_sub(1);
        }
        retain(&mut self.ids, &keep);
        retain(&mut self.type_ids, &keep);
        retain(&mut self.added, &keep);
    }
}

fn retain<T>(values: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    values.retain(|_| keep.next() == Some(&true));
}

pub(super) fn encode(hf: &tokenizers::Tokenizer, text: &str) -> Result<Encoded, TextError> {
    // A hostile file's post-processor can name tokens that it does not have, and the crate counts on them.
    let encoding = catch_unwind(AssertUnwindSafe(|| hf.encode_fast(text, true)))
        .map_err(|_| wrong("the parts of its tokenizer.json contradict each other".into()))?
        .map_err(|error| wrong(error.to_string().chars().take(200).collect()))?;
    Ok(Encoded::from(&encoding))
}

fn wrong(reason: String) -> TextError {
    let message = format!("the tokenizer cannot encode this text: {reason}");
    TextError::new(TextErrorKind::Encode, message)
}

impl From<&Encoding> for Encoded {
    fn from(encoding: &Encoding) -> Self {
        let added = encoding.get_special_tokens_mask().iter();
        Self {
            ids: encoding.get_ids().to_vec(),
            type_ids: encoding.get_type_ids().to_vec(),
            added: added.map(|mask| *mask != 0).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(added: &[u8]) -> Encoded {
        let ids = 0..added.len() as u32;
        Encoded {
            ids: ids.clone().collect(),
            type_ids: ids.collect(),
            added: added.iter().map(|added| *added != 0).collect(),
        }
    }

    #[test]
    fn the_end_of_the_text_is_cut_and_what_is_around_it_stays() {
        let check = |added: &[u8], most: usize, kept: &[u32]| {
            let mut cut = encoded(added);
            cut.cut(most);
            assert_eq!(
                (cut.ids(), cut.type_ids()),
                (kept, kept),
                "{added:?}, {most}"
            );
        };
        check(&[1, 0, 0, 0, 1], 5, &[0, 1, 2, 3, 4]);
        check(&[1, 0, 0, 0, 1], 9, &[0, 1, 2, 3, 4]);
        check(&[1, 0, 0, 0, 1], 4, &[0, 1, 2, 4]);
        check(&[1, 0, 0, 0, 1], 2, &[0, 4]);
        check(&[1, 0, 0, 0, 1], 1, &[0, 4]);
        check(&[0, 0, 0], 2, &[0, 1]);
        check(&[0, 0, 1], 2, &[0, 2]);
        check(&[], 0, &[]);
    }
}

//! The seam between generation and a model: what decoding needs of a sequence, whichever backend runs it.

use crate::cancel::Cancel;
use crate::error::EngineError;

/// One sequence of a loaded model: the tokens in its KV cache, and the way to put more behind them.
///
/// Decoding, sampling and streaming are written once above this trait; the native engine and ONNX Runtime are
/// below it.
pub trait Session: Send {
    /// Entries of a row of logits.
    fn vocab_size(&self) -> usize;

    /// Most tokens the sequence can hold.
    fn context_length(&self) -> usize;

    /// The tokens in the KV cache.
    fn ids(&self) -> &[u32];

    /// How many tokens the KV cache holds.
    fn len(&self) -> usize {
        self.ids().len()
    }

    /// Whether the KV cache holds nothing yet.
    fn is_empty(&self) -> bool {
        self.ids().is_empty()
    }

    /// Forgets the tokens from `len` on, so that another continuation can be tried.
    fn truncate(&mut self, len: usize);

    /// Keeps what it shares with `prompt`, which need not be computed again, and forgets the rest. At least one token of
    /// the prompt is left to run, for its logits choose the first token of the answer.
    fn keep_common_beginning(&mut self, prompt: &[u32]) {
        let both = self.ids().iter().zip(prompt);
        let common = both.take_while(|(kept, new)| kept == new).count();
        self.truncate(common.min(prompt.len().saturating_sub(1)));
    }

    /// Runs `ids` behind what is there and gives the logits that `want` asks for.
    ///
    /// # Errors
    /// An id or a length out of range, or [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) where `cancel` was
    /// set meanwhile; what the cache holds then is a beginning of what was asked for, and [`ids`](Self::ids)
    /// says which.
    fn extend(&mut self, ids: &[u32], want: Want, cancel: &Cancel) -> Result<Logits, EngineError>;
}

/// Which rows of logits a forward gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// The last token's row: all that decoding needs, and much cheaper than every row of a prompt.
    Last,
    /// A row for every token, as perplexity needs them.
    All,
}

/// Logits of one or more tokens, row after row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Logits {
    /// Tokens.
    pub rows: usize,
    /// Entries of a row.
    pub vocab: usize,
    /// `rows` times `vocab` values.
    pub data: Vec<f32>,
}

impl Logits {
    /// The logits of the `index`th token; empty where there is no such row.
    pub fn row(&self, index: usize) -> &[f32] {
        self.range(index)
            .and_then(|range| self.data.get(range))
            .unwrap_or_default()
    }

    /// The last token's logits; empty where there are none.
    pub fn last_row(&self) -> &[f32] {
        let last = self.rows.checked_sub(1);
        last.map(|last| self.row(last)).unwrap_or_default()
    }

    /// The last token's logits, to be changed in place by a sampler; empty where there are none.
    pub fn last_row_mut(&mut self) -> &mut [f32] {
        let range = self.rows.checked_sub(1).and_then(|last| self.range(last));
        range
            .and_then(|range| self.data.get_mut(range))
            .unwrap_or_default()
    }

    fn range(&self, index: usize) -> Option<std::ops::Range<usize>> {
        let start = index.checked_mul(self.vocab)?;
        Some(start..start.checked_add(self.vocab)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_out_and_missing_ones_are_empty() {
        let mut logits = Logits {
            rows: 2,
            vocab: 3,
            data: vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
        };
        assert_eq!(logits.row(0), [0.0, 1.0, 2.0]);
        assert_eq!(logits.row(1), [3.0, 4.0, 5.0]);
        assert!(logits.row(2).is_empty() && logits.row(usize::MAX).is_empty());
        assert_eq!(logits.last_row(), [3.0, 4.0, 5.0]);
        assert_eq!(logits.last_row_mut(), [3.0, 4.0, 5.0]);
        let mut none = Logits::default();
        assert!(none.last_row().is_empty() && none.last_row_mut().is_empty());
    }
}

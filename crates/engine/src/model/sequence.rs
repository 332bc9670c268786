//! A sequence on the native engine.

use std::sync::Arc;

use super::Model;
use crate::cancel::Cancel;
use crate::decoder::forward::Chunk;
use crate::error::EngineError;
use crate::kv::KvCache;
use crate::session::{Logits, Session, Want};

/// Prompt tokens that run in one forward: enough that reading the weights once is shared by many rows, few enough
/// that activations stay small and a cancellation is seen soon.
const PREFILL_CHUNK: usize = 256;

/// One sequence of tokens with its keys and values.
pub struct Sequence {
    model: Model,
    cache: KvCache,
    /// The tokens in the cache, kept because crossing LongRoPE's original length computes them anew.
    ids: Vec<u32>,
    /// Which rotary table the cache was computed with.
    long: bool,
}

impl Sequence {
    pub(super) fn new(model: Model) -> Self {
        Self {
            cache: KvCache::new(model.0.kv),
            ids: Vec::new(),
            long: false,
            model,
        }
    }

    /// A second sequence with the same content; pages of keys and values are shared until one of the two writes.
    pub fn fork(&self) -> Self {
        Self {
            model: self.model.clone(),
            cache: self.cache.fork(),
            ids: self.ids.clone(),
            long: self.long,
        }
    }

    pub(super) fn is_of(&self, model: &Model) -> bool {
        Arc::ptr_eq(&self.model.0, &model.0)
    }

    /// What runs `ids`, which are prepared, in one forward and gives the last one's logits.
    pub(super) fn chunk<'a>(&'a mut self, ids: &'a [u32]) -> Chunk<'a> {
        Chunk {
            ids,
            long: self.long,
            cache: &mut self.cache,
            logits_from: ids.len() - 1,
        }
    }

    /// Counts `ids`, which ran.
    pub(super) fn ran(&mut self, ids: &[u32]) {
        self.ids.extend_from_slice(ids);
    }

    /// Checks `ids` and puts the cache on the right side of LongRoPE's original length.
    pub(super) fn prepare(&mut self, ids: &[u32], cancel: &Cancel) -> Result<(), EngineError> {
        let decoder = &self.model.0.decoder;
        let total = self.ids.len() + ids.len();
        if total > decoder.shape.context {
            return Err(EngineError::context_overflow(total, decoder.shape.context));
        }
        let limit = decoder.embedding.rows();
        if let Some(id) = ids.iter().find(|&&id| id as usize >= limit) {
            return Err(EngineError::options(format!(
                "token id {id} is not below {limit}, the size of the vocabulary"
            )));
        }
        let long = decoder.ropes.iter().any(|rope| rope.is_long(total));
        if long == self.long {
            return Ok(());
        }
        self.long = long;
        let before = std::mem::take(&mut self.ids);
        self.cache.truncate(0);
        self.run(&before, Want::Last, cancel).map(drop)
    }

    /// Runs `ids` in chunks; what was run counts even if a later chunk is cancelled.
    fn run(&mut self, ids: &[u32], want: Want, cancel: &Cancel) -> Result<Vec<f32>, EngineError> {
        let inner = self.model.0.clone();
        let size = inner.config.search.chunk_size.unwrap_or(PREFILL_CHUNK);
        let mut logits = Vec::new();
        let count = ids.len().div_ceil(size);
        for (index, piece) in ids.chunks(size).enumerate() {
            let logits_from = match want {
                Want::All => 0,
                Want::Last if index + 1 == count => piece.len() - 1,
                Want::Last => piece.len(),
            };
            let chunk = Chunk {
                ids: piece,
                cache: &mut self.cache,
                long: self.long,
                logits_from,
            };
            logits.extend(inner.forward(&mut [chunk], cancel)?);
            self.ids.extend_from_slice(piece);
        }
        Ok(logits)
    }
}

impl Session for Sequence {
    fn vocab_size(&self) -> usize {
        self.model.0.decoder.shape.vocab
    }

    fn context_length(&self) -> usize {
        self.model.0.decoder.shape.context
    }

    fn ids(&self) -> &[u32] {
        &self.ids
    }

    fn truncate(&mut self, len: usize) {
        self.cache.truncate(len);
        self.ids.truncate(len);
    }

    fn extend(&mut self, ids: &[u32], want: Want, cancel: &Cancel) -> Result<Logits, EngineError> {
        self.prepare(ids, cancel)?;
        let data = self.run(ids, want, cancel)?;
        let vocab = self.vocab_size();
        Ok(Logits {
            rows: data.len() / vocab,
            vocab,
            data,
        })
    }
}

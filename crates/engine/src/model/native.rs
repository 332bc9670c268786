//! The native engine as a backend.

use std::path::Path;

use super::{Cost, Model, Sequence};
use crate::backend::{Backend, Batch, ModelInfo};
use crate::cancel::Cancel;
use crate::config::GenaiConfig;
use crate::error::EngineError;
use crate::session::{Logits, Session, Want};

impl Backend for Model {
    fn config(&self) -> &GenaiConfig {
        self.config()
    }

    fn folder(&self) -> &Path {
        self.folder()
    }

    fn info(&self) -> ModelInfo {
        self.info()
    }

    fn session(&self) -> Result<Box<dyn Session>, EngineError> {
        Ok(Box::new(self.sequence()))
    }

    fn batch(&self) -> Result<Box<dyn Batch>, EngineError> {
        Ok(Box::new(InStep {
            model: self.clone(),
            sequences: Vec::new(),
        }))
    }

    fn prefill_cost(&self, tokens: usize) -> Option<Cost> {
        Some(self.prefill_cost(tokens))
    }

    fn decode_cost(&self, before: usize, sequences: usize) -> Option<Cost> {
        Some(self.decode_cost(before, sequences))
    }
}

/// Sequences of a model that go in step.
struct InStep {
    model: Model,
    sequences: Vec<Sequence>,
}

impl Batch for InStep {
    fn prefill(&mut self, prompts: &[&[u32]], cancel: &Cancel) -> Result<Logits, EngineError> {
        self.sequences.clear();
        if prompts.is_empty() || prompts.iter().any(|prompt| prompt.is_empty()) {
            return Err(EngineError::options(
                "a batch needs at least one prompt, and each a token at least",
            ));
        }
        let mut sequences = Vec::with_capacity(prompts.len());
        let mut logits = Logits::default();
        // One after the other: a prompt fills a forward of its own, in pieces that keep activations small.
        for prompt in prompts {
            let mut sequence = self.model.sequence();
            let row = sequence.extend(prompt, Want::Last, cancel)?;
            logits.rows += 1;
            logits.vocab = row.vocab;
            logits.data.extend(row.data);
            sequences.push(sequence);
        }
        self.sequences = sequences;
        Ok(logits)
    }

    fn step(&mut self, ids: &[u32], cancel: &Cancel) -> Result<Logits, EngineError> {
        if ids.is_empty() || ids.len() != self.sequences.len() {
            return Err(EngineError::options(format!(
                "{} ids were given for the {} sequences of a batch; a step takes one of each",
                ids.len(),
                self.sequences.len()
            )));
        }
        let mut batch: Vec<(&mut Sequence, &[u32])> =
            self.sequences.iter_mut().zip(ids.chunks(1)).collect();
        self.model.extend_together(&mut batch, cancel)
    }
}

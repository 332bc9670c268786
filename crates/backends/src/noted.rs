//! A model with more to say than its backend knows.

use std::path::Path;

use inhouse_engine::{Backend, Batch, Cost, EngineError, GenaiConfig, Model, ModelInfo, Session};

/// The native engine, where something else was asked for before.
pub(crate) struct Noted {
    model: Model,
    notes: Vec<String>,
}

impl Noted {
    pub(crate) fn new(model: Model, notes: Vec<String>) -> Self {
        Self { model, notes }
    }
}

impl Backend for Noted {
    fn config(&self) -> &GenaiConfig {
        Backend::config(&self.model)
    }

    fn folder(&self) -> &Path {
        Backend::folder(&self.model)
    }

    fn info(&self) -> ModelInfo {
        Backend::info(&self.model)
    }

    fn session(&self) -> Result<Box<dyn Session>, EngineError> {
        self.model.session()
    }

    fn batch(&self) -> Result<Box<dyn Batch>, EngineError> {
        self.model.batch()
    }

    fn prefill_cost(&self, tokens: usize) -> Option<Cost> {
        Backend::prefill_cost(&self.model, tokens)
    }

    fn decode_cost(&self, before: usize, sequences: usize) -> Option<Cost> {
        Backend::decode_cost(&self.model, before, sequences)
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }
}

//! One sequence of a model that ONNX Runtime computes.

use std::sync::Arc;

use inhouse_engine::{Cancel, EngineError, ErrorKind, Logits, Session, Want};

use crate::failure::Failure;
use crate::model::Shared;
use crate::steps::{Step, Steps};

/// A sequence of tokens with its keys and values.
pub(crate) struct Sequence {
    model: Arc<Shared>,
    steps: Steps,
    /// The tokens in the cache, also kept to compute them again: on the other side of LongRoPE's original length, or on
    /// another device.
    ids: Vec<u32>,
    /// Which rotary tables the cache was computed with.
    long: bool,
}

impl Sequence {
    pub(crate) fn new(model: Arc<Shared>) -> Result<Self, EngineError> {
        let loaded = model.current();
        let context = model.context_length();
        let device = loaded.device.name();
        Ok(Self {
            steps: Steps::new(loaded, 1, context).map_err(|failure| failure.on(device))?,
            model,
            ids: Vec::new(),
            long: false,
        })
    }

    /// Runs `ids`, on the next device where this one fails and there is a next one.
    fn run(&mut self, ids: &[u32], want: Want, cancel: &Cancel) -> Result<Vec<f32>, EngineError> {
        let mut logits = Vec::new();
        let mut rest = ids;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(self.piece(want).min(rest.len()));
            let rows = match want {
                Want::All => (0..piece.len() as i64).collect(),
                Want::Last => vec![piece.len() as i64 - 1],
            };
            match self.forward(piece, rows, cancel) {
                Ok(mut given) => {
                    if want == Want::Last {
                        given.drain(..given.len().saturating_sub(self.vocab_size()));
                        logits.clear();
                    }
                    logits.append(&mut given);
                    rest = after;
                }
                Err(failure) if failure.may_go_elsewhere() => self.go_elsewhere(failure, cancel)?,
                Err(failure) => return Err(failure.on(self.steps.loaded.device.name())),
            }
        }
        Ok(logits)
    }

    /// Tokens of one run.
    fn piece(&self, want: Want) -> usize {
        let loaded = &self.steps.loaded;
        let last_only = loaded.layout.logits.last_only && !loaded.layout.takes_rows;
        if want == Want::All && last_only {
            return 1;
        }
        match (loaded.goes_by_one, self.ids.is_empty()) {
            (true, true) => usize::MAX,
            (true, false) => 1,
            (false, _) => self.model.chunk(),
        }
    }

    fn forward(
        &mut self,
        ids: &[u32],
        rows: Vec<i64>,
        cancel: &Cancel,
    ) -> Result<Vec<f32>, Failure> {
        if cancel.is_cancelled() {
            return Err(Failure::Cancelled);
        }
        let step = Step::of_one(ids, self.ids.len(), rows, self.long);
        let logits = self.steps.run(&step, cancel)?;
        self.ids.extend_from_slice(ids);
        Ok(logits)
    }

    /// Computes what is there once more, on the device that comes next.
    fn go_elsewhere(&mut self, failure: Failure, cancel: &Cancel) -> Result<(), EngineError> {
        // Nobody knows what a device that failed has done to the cache.
        let before = std::mem::take(&mut self.ids);
        let loaded = self.model.next_after(&self.steps.loaded, failure)?;
        let device = loaded.device.name();
        let context = self.model.context_length();
        self.steps = Steps::new(loaded, 1, context).map_err(|failure| failure.on(device))?;
        self.run(&before, Want::Last, cancel).map(drop)
    }

    fn run_again(&mut self, cancel: &Cancel) -> Result<(), EngineError> {
        let before = std::mem::take(&mut self.ids);
        self.run(&before, Want::Last, cancel).map(drop)
    }

    /// Checks `ids` and puts the cache on the right side of LongRoPE's original length.
    fn prepare(&mut self, ids: &[u32], cancel: &Cancel) -> Result<(), EngineError> {
        let total = self.ids.len() + ids.len();
        self.model.check(ids, total)?;
        let original = self.steps.loaded.original_length;
        let long = original.is_some_and(|original| total > original);
        if long == self.long {
            return Ok(());
        }
        self.long = long;
        self.run_again(cancel)
    }
}

impl Session for Sequence {
    fn vocab_size(&self) -> usize {
        self.steps.loaded.layout.logits.vocab
    }

    fn context_length(&self) -> usize {
        self.model.context_length()
    }

    fn ids(&self) -> &[u32] {
        &self.ids
    }

    fn truncate(&mut self, len: usize) {
        self.ids.truncate(len);
    }

    fn extend(&mut self, ids: &[u32], want: Want, cancel: &Cancel) -> Result<Logits, EngineError> {
        self.prepare(ids, cancel)?;
        let data = self.run(ids, want, cancel)?;
        let vocab = self.vocab_size();
        if data.len() % vocab.max(1) != 0 {
            let message = format!("the graph gave {} logits, not rows of {vocab}", data.len());
            return Err(EngineError::new(ErrorKind::UnsupportedGraph, message));
        }
        Ok(Logits {
            rows: data.len() / vocab.max(1),
            vocab,
            data,
        })
    }
}

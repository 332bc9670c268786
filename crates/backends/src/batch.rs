//! Sequences of one model that go in step.

use std::sync::Arc;

use inhouse_engine::{Batch, Cancel, EngineError, ErrorKind, Logits, Session, Want};

use crate::failure::Failure;
use crate::model::Shared;
use crate::sequence::Sequence;
use crate::steps::{Step, Steps};

/// A batch of sequences: in one run where past and present share a buffer, else one after the other.
pub(crate) struct Together {
    model: Arc<Shared>,
    state: State,
}

enum State {
    Empty,
    /// Prompts are padded behind their end. What is there is overwritten by what follows.
    InOneRun {
        steps: Box<Steps>,
        sequences: Vec<Vec<u32>>,
        long: bool,
    },
    OneByOne(Vec<Alone>),
}

/// A sequence that goes by itself.
struct Alone {
    sequence: Sequence,
    /// What it holds between two steps. A step that fails may leave less of it.
    ids: Vec<u32>,
}

impl Together {
    pub(crate) fn new(model: Arc<Shared>) -> Self {
        Self {
            model,
            state: State::Empty,
        }
    }

    fn begin(&mut self, prompts: &[&[u32]], cancel: &Cancel) -> Result<Vec<f32>, EngineError> {
        let loaded = self.model.current();
        let longest = prompts.iter().map(|prompt| prompt.len()).max().unwrap_or(0);
        let long = |total: usize| loaded.original_length.is_some_and(|length| total > length);
        let same_tables = prompts
            .iter()
            .all(|prompt| long(prompt.len()) == long(longest));
        let same_ends = prompts.iter().all(|prompt| prompt.len() == longest);
        let finds_ends = loaded.layout.takes_rows || !loaded.layout.logits.last_only;
        if !loaded.shares_buffer || !same_tables || !(same_ends || finds_ends) {
            let nothing = vec![Vec::new(); prompts.len()];
            self.state = State::OneByOne(self.alone(nothing)?);
            return self.one_by_one(prompts, cancel);
        }
        let context = self.model.context_length();
        let device = loaded.device.name();
        let steps = Steps::new(Arc::clone(&loaded), prompts.len(), context)
            .map_err(|failure| failure.on(device))?;
        self.state = State::InOneRun {
            steps: Box::new(steps),
            sequences: vec![Vec::new(); prompts.len()],
            long: long(longest),
        };
        self.in_one_run(prompts, cancel)
    }

    fn go_on(&mut self, ids: &[u32], cancel: &Cancel) -> Result<Vec<f32>, EngineError> {
        let new: Vec<&[u32]> = ids.chunks(1).collect();
        match &self.state {
            State::Empty => Err(EngineError::new(
                ErrorKind::Options,
                "the batch has no sequences",
            )),
            State::OneByOne(_) => self.one_by_one(&new, cancel),
            State::InOneRun { .. } => self.in_one_run(&new, cancel),
        }
    }

    fn alone(&self, sequences: Vec<Vec<u32>>) -> Result<Vec<Alone>, EngineError> {
        let one = |ids| {
            let sequence = Sequence::new(Arc::clone(&self.model))?;
            Ok(Alone { sequence, ids })
        };
        sequences.into_iter().map(one).collect()
    }

    fn one_by_one(&mut self, new: &[&[u32]], cancel: &Cancel) -> Result<Vec<f32>, EngineError> {
        let State::OneByOne(sequences) = &mut self.state else {
            return Ok(Vec::new());
        };
        let mut logits = Vec::new();
        for (alone, ids) in sequences.iter_mut().zip(new) {
            alone.sequence.truncate(alone.ids.len());
            let missing = alone.ids.get(alone.sequence.len()..).unwrap_or_default();
            let ids = [missing, ids].concat();
            let row = alone.sequence.extend(&ids, Want::Last, cancel)?;
            logits.extend(row.data);
        }
        for (alone, ids) in sequences.iter_mut().zip(new) {
            alone.ids.extend_from_slice(ids);
        }
        Ok(logits)
    }

    /// Runs the next tokens of every sequence: prompts of several lengths from an empty cache, or one token each.
    fn in_one_run(&mut self, new: &[&[u32]], cancel: &Cancel) -> Result<Vec<f32>, EngineError> {
        let State::InOneRun {
            steps,
            sequences,
            long,
        } = &mut self.state
        else {
            return Ok(Vec::new());
        };
        let totals: Vec<usize> = sequences
            .iter()
            .zip(new)
            .map(|(sequence, ids)| sequence.len() + ids.len())
            .collect();
        let longest = totals.iter().copied().max().unwrap_or(0);
        let crosses = |length: usize| (longest > length) != *long;
        if steps.loaded.original_length.is_some_and(crosses) {
            return self.apart(new, cancel);
        }
        let step = step(sequences, new, *long);
        let vocab = steps.loaded.layout.logits.vocab;
        match steps.run(&step, cancel) {
            Ok(all) => {
                let chosen = steps
                    .loaded
                    .layout
                    .takes_rows
                    .then_some(step.rows.as_slice());
                let n_rows = steps.n_rows(&step);
                let logits = last_rows(&all, chosen, new, n_rows, vocab);
                for (sequence, ids) in sequences.iter_mut().zip(new) {
                    sequence.extend_from_slice(ids);
                }
                Ok(logits)
            }
            Err(Failure::Cancelled) => Err(Failure::Cancelled.on(steps.loaded.device.name())),
            Err(failure) => {
                if let Err(error) = self.model.next_after(&steps.loaded, failure) {
                    // Nobody knows what a device that failed has done to the cache.
                    self.state = State::Empty;
                    return Err(error);
                }
                self.apart(new, cancel)
            }
        }
    }

    /// Goes on one by one: some have to be computed again that others need not be.
    fn apart(&mut self, new: &[&[u32]], cancel: &Cancel) -> Result<Vec<f32>, EngineError> {
        let State::InOneRun { sequences, .. } = &mut self.state else {
            return Ok(Vec::new());
        };
        let sequences = std::mem::take(sequences);
        self.state = State::OneByOne(self.alone(sequences)?);
        self.one_by_one(new, cancel)
    }
}

fn step(sequences: &[Vec<u32>], new: &[&[u32]], long: bool) -> Step {
    let n = new.iter().map(|ids| ids.len()).max().unwrap_or(0);
    let past = sequences.iter().map(Vec::len).max().unwrap_or(0);
    let total = past + n;
    let mut step = Step {
        n,
        ids: Vec::with_capacity(n * new.len()),
        positions: Vec::with_capacity(n * new.len()),
        mask: Vec::with_capacity(total * new.len()),
        past,
        rows: Vec::new(),
        long,
    };
    for (sequence, ids) in sequences.iter().zip(new) {
        let there = sequence.len() + ids.len();
        let padded = (0..n).map(|at| ids.get(at).map_or(0, |&id| i64::from(id)));
        step.ids.extend(padded);
        step.positions
            .extend((0..n).map(|at| (sequence.len() + at) as i64));
        step.mask.extend((0..total).map(|at| i64::from(at < there)));
        let last = ids.len() as i64 - 1;
        if !step.rows.contains(&last) {
            step.rows.push(last);
        }
    }
    step
}

/// The last row of each sequence, out of the `n_rows` that a run gave for each: those `chosen`, or the last ones there are.
fn last_rows(
    all: &[f32],
    chosen: Option<&[i64]>,
    new: &[&[u32]],
    n_rows: usize,
    vocab: usize,
) -> Vec<f32> {
    let mut logits = Vec::with_capacity(new.len() * vocab);
    for (sequence, ids) in new.iter().enumerate() {
        let last = ids.len().saturating_sub(1);
        let row = match chosen {
            Some(chosen) => chosen.iter().position(|&row| row == last as i64),
            None => Some(last.min(n_rows.saturating_sub(1))),
        };
        let start = (sequence * n_rows + row.unwrap_or(0)) * vocab;
        logits.extend_from_slice(all.get(start..start + vocab).unwrap_or_default());
    }
    logits
}

impl Batch for Together {
    fn prefill(&mut self, prompts: &[&[u32]], cancel: &Cancel) -> Result<Logits, EngineError> {
        self.state = State::Empty;
        if prompts.is_empty() || prompts.iter().any(|prompt| prompt.is_empty()) {
            let message = "a batch needs prompts, and each of them at least one token";
            return Err(EngineError::new(ErrorKind::Options, message));
        }
        for prompt in prompts {
            self.model.check(prompt, prompt.len())?;
        }
        let data = self
            .begin(prompts, cancel)
            .inspect_err(|_| self.state = State::Empty)?;
        Ok(self.logits(prompts.len(), data))
    }

    fn step(&mut self, ids: &[u32], cancel: &Cancel) -> Result<Logits, EngineError> {
        let lengths: Vec<usize> = match &self.state {
            State::Empty => Vec::new(),
            State::InOneRun { sequences, .. } => sequences.iter().map(Vec::len).collect(),
            State::OneByOne(sequences) => sequences.iter().map(|alone| alone.ids.len()).collect(),
        };
        if lengths.len() != ids.len() {
            let message = format!("{} ids for {} sequences", ids.len(), lengths.len());
            return Err(EngineError::new(ErrorKind::Options, message));
        }
        for (id, len) in ids.chunks(1).zip(lengths) {
            self.model.check(id, len + 1)?;
        }
        let data = self.go_on(ids, cancel)?;
        Ok(self.logits(ids.len(), data))
    }
}

impl Together {
    fn logits(&self, rows: usize, data: Vec<f32>) -> Logits {
        Logits {
            rows,
            vocab: data.len() / rows.max(1),
            data,
        }
    }
}

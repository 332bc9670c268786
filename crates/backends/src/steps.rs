//! Runs of a decoder's graph for some sequences that go in step.

use std::sync::Arc;

use half::{bf16, f16};
use inhouse_engine::Cancel;
use ort::memory::Allocator;
use ort::session::IoBinding;
use ort::value::{DynTensor, Tensor, TensorElementType};

use crate::failure::Failure;
use crate::fixed::Fixed;
use crate::graph::{LONG, ROWS};
use crate::kv::{Kv, Lengths};
use crate::layout::Integers;
use crate::loaded::Loaded;

/// Sequences that go in step, and what they are bound to.
pub(crate) struct Steps {
    pub(crate) loaded: Arc<Loaded>,
    binding: IoBinding,
    kv: Kv,
    /// What the logits are written to, for so many rows of every sequence; `None` where something else is bound.
    logits: Option<(usize, DynTensor)>,
    /// For steps of one token, where the device records them.
    fixed: Option<Fixed>,
    sequences: usize,
    context: usize,
}

/// What a run is given: matrices of a row for each sequence.
pub(crate) struct Step {
    /// Tokens of a sequence.
    pub(crate) n: usize,
    pub(crate) ids: Vec<i64>,
    pub(crate) positions: Vec<i64>,
    /// As long as the longest sequence with its new tokens.
    pub(crate) mask: Vec<i64>,
    /// Positions of the longest sequence that are there.
    pub(crate) past: usize,
    /// The tokens, of those in this run, that get logits.
    pub(crate) rows: Vec<i64>,
    /// Computed with the long rotary tables.
    pub(crate) long: bool,
}

impl Step {
    /// The next tokens of one sequence that has `past`.
    pub(crate) fn of_one(ids: &[u32], past: usize, rows: Vec<i64>, long: bool) -> Self {
        let total = past + ids.len();
        Self {
            n: ids.len(),
            ids: ids.iter().map(|&id| i64::from(id)).collect(),
            positions: (past..total).map(|position| position as i64).collect(),
            mask: vec![1; total],
            past,
            rows,
            long,
        }
    }
}

impl Steps {
    pub(crate) fn new(
        loaded: Arc<Loaded>,
        sequences: usize,
        context: usize,
    ) -> Result<Self, Failure> {
        Ok(Self {
            binding: loaded.runner.binding()?,
            kv: Kv::new(&loaded, sequences),
            logits: None,
            fixed: None,
            loaded,
            sequences,
            context,
        })
    }

    /// Runs a step and gives the rows of logits it asks for, sequence after sequence.
    ///
    /// A graph that cannot choose gives a row for every token, or the last one alone.
    pub(crate) fn run(&mut self, step: &Step, cancel: &Cancel) -> Result<Vec<f32>, Failure> {
        let loaded = Arc::clone(&self.loaded);
        let layout = &loaded.layout;
        let total = step.past + step.n;
        let lengths = Lengths {
            past: step.past,
            total,
            context: self.context,
        };
        self.kv.bind(&loaded, &mut self.binding, lengths)?;
        if loaded.captures && step.n == 1 {
            return self.run_fixed(step, cancel);
        }
        self.fixed.iter_mut().for_each(Fixed::unbind);
        self.bind_integers(&layout.input_ids, &step.ids, step.n)?;
        if let Some(mask) = &layout.attention_mask {
            self.bind_integers(mask, &step.mask, total)?;
        }
        if let Some(positions) = &layout.position_ids {
            self.bind_integers(positions, &step.positions, step.n)?;
        }
        if layout.takes_rows {
            let rows = Tensor::from_array(([step.rows.len()], step.rows.clone()))?;
            self.binding.bind_input(ROWS, &rows)?;
        }
        if layout.takes_long {
            let long = Tensor::from_array((Vec::<i64>::new(), vec![step.long]))?;
            self.binding.bind_input(LONG, &long)?;
        }
        self.bind_logits(self.n_rows(step))?;
        let (kv, binding) = (&mut self.kv, &self.binding);
        loaded.runner.run(binding, cancel, |mut outputs| {
            kv.take(|name| outputs.remove(name), &layout.caches, total);
        })?;
        self.read_logits()
    }

    /// A step of one token through buffers that stay where they are.
    fn run_fixed(&mut self, step: &Step, cancel: &Cancel) -> Result<Vec<f32>, Failure> {
        let capacity = self.kv.capacity();
        let fixed = match self.fixed.take() {
            Some(fixed) if fixed.capacity() == capacity => fixed,
            _ => Fixed::new(&self.loaded, self.sequences, capacity)?,
        };
        let fixed = self.fixed.insert(fixed);
        // What another run has bound since is gone from its place.
        self.logits = None;
        fixed.bind(&self.loaded, &mut self.binding)?;
        fixed.write(&self.loaded, step)?;
        let (runner, recording) = (&self.loaded.runner, fixed.recording());
        runner.run_recorded(&self.binding, recording, cancel, |_| ())?;
        numbers(&fixed.read_logits(&self.loaded)?)
    }

    /// Rows of logits that a run gives for each sequence.
    pub(crate) fn n_rows(&self, step: &Step) -> usize {
        let layout = &self.loaded.layout;
        if layout.takes_rows {
            step.rows.len()
        } else if layout.logits.last_only {
            1
        } else {
            step.n
        }
    }

    fn bind_integers(
        &mut self,
        input: &Integers,
        values: &[i64],
        columns: usize,
    ) -> Result<(), Failure> {
        let values = integers(input.element, self.sequences, columns, values)?;
        Ok(self.binding.bind_input(input.name.as_str(), &values)?)
    }

    /// They are looked at here, so that is where they are brought to, wherever they were computed.
    fn bind_logits(&mut self, rows: usize) -> Result<(), Failure> {
        if self
            .logits
            .as_ref()
            .is_some_and(|(there, _)| *there == rows)
        {
            return Ok(());
        }
        let logits = &self.loaded.layout.logits;
        let shape = [self.sequences, rows, logits.vocab].map(|dim| dim as i64);
        let mut tensor = DynTensor::new(&Allocator::default(), logits.element, shape)?;
        self.binding
            .bind_output(logits.name.as_str(), &mut tensor)?;
        self.logits = Some((rows, tensor));
        Ok(())
    }

    fn read_logits(&self) -> Result<Vec<f32>, Failure> {
        match &self.logits {
            Some((_, logits)) => numbers(logits),
            None => Ok(Vec::new()),
        }
    }
}

/// A matrix of integers in the host's memory.
pub(crate) fn integers(
    element: TensorElementType,
    rows: usize,
    columns: usize,
    values: &[i64],
) -> Result<DynTensor, Failure> {
    let shape = [rows, columns];
    Ok(match element {
        TensorElementType::Int32 => {
            let values: Vec<i32> = values.iter().map(|&value| value as i32).collect();
            Tensor::from_array((shape, values))?.upcast()
        }
        _ => Tensor::from_array((shape, values.to_vec()))?.upcast(),
    })
}

/// The elements of a tensor of floats in the host's memory.
fn numbers(tensor: &DynTensor) -> Result<Vec<f32>, Failure> {
    Ok(match tensor.data_type() {
        TensorElementType::Float16 => {
            let (_, values) = tensor.try_extract_tensor::<f16>()?;
            values.iter().map(|value| value.to_f32()).collect()
        }
        TensorElementType::Bfloat16 => {
            let (_, values) = tensor.try_extract_tensor::<bf16>()?;
            values.iter().map(|value| value.to_f32()).collect()
        }
        _ => tensor.try_extract_tensor::<f32>()?.1.to_vec(),
    })
}

//! Buffers that stay where they are, for devices that record a step's kernels once and replay them: what is recorded are
//! addresses.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use inhouse_engine::Cancel;
use ort::memory::Allocator;
use ort::session::IoBinding;
use ort::value::{DynTensor, Tensor};

use crate::failure::Failure;
use crate::graph::ROWS;
use crate::layout::Integers;
use crate::loaded::Loaded;
use crate::steps::{Step, integers};
use crate::tiny::{Tiny, X, Y};

/// Every set of buffers is recorded under a number of its own.
static NEXT: AtomicI32 = AtomicI32::new(1);

/// What steps of one token read and write, on the device.
pub(crate) struct Fixed {
    sequences: usize,
    /// Positions of the keys' and values' buffers, and so of the mask.
    capacity: usize,
    recording: i32,
    input_ids: DynTensor,
    attention_mask: Option<DynTensor>,
    position_ids: Option<DynTensor>,
    /// The one token there is gets logits.
    rows: Tensor<i64>,
    logits: DynTensor,
    is_bound: bool,
}

impl Fixed {
    pub(crate) fn new(
        loaded: &Arc<Loaded>,
        sequences: usize,
        capacity: usize,
    ) -> Result<Self, Failure> {
        let allocator = loaded.allocator()?;
        let layout = &loaded.layout;
        let tensor = |input: &Integers, columns: usize| {
            let shape = [sequences as i64, columns as i64];
            DynTensor::new(&allocator, input.element, shape)
        };
        let optional = |input: &Option<Integers>, columns: usize| {
            input
                .as_ref()
                .map(|input| tensor(input, columns))
                .transpose()
        };
        let shape = [sequences, 1, layout.logits.vocab].map(|dim| dim as i64);
        Ok(Self {
            sequences,
            capacity,
            recording: NEXT.fetch_add(1, Ordering::Relaxed),
            input_ids: tensor(&layout.input_ids, 1)?,
            attention_mask: optional(&layout.attention_mask, capacity)?,
            position_ids: optional(&layout.position_ids, 1)?,
            rows: Tensor::from_array(([1_usize], vec![0_i64]))?,
            logits: DynTensor::new(&allocator, layout.logits.element, shape)?,
            is_bound: false,
        })
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn recording(&self) -> i32 {
        self.recording
    }

    /// Something else lies where the buffers lay.
    pub(crate) fn unbind(&mut self) {
        self.is_bound = false;
    }

    /// Lays the buffers down, unless they lie there: what is on the host is brought to another address at each time.
    pub(crate) fn bind(
        &mut self,
        loaded: &Arc<Loaded>,
        binding: &mut IoBinding,
    ) -> Result<(), Failure> {
        if self.is_bound {
            return Ok(());
        }
        let layout = &loaded.layout;
        let named = [
            (Some(&layout.input_ids), Some(&self.input_ids)),
            (layout.attention_mask.as_ref(), self.attention_mask.as_ref()),
            (layout.position_ids.as_ref(), self.position_ids.as_ref()),
        ];
        for (input, tensor) in named {
            if let (Some(input), Some(tensor)) = (input, tensor) {
                binding.bind_input(input.name.as_str(), tensor)?;
            }
        }
        binding.bind_input(ROWS, &self.rows)?;
        binding.bind_output(layout.logits.name.as_str(), &mut self.logits)?;
        self.is_bound = true;
        Ok(())
    }

    /// Brings a step to the device.
    pub(crate) fn write(&mut self, loaded: &Arc<Loaded>, step: &Step) -> Result<(), Failure> {
        let layout = &loaded.layout;
        let total = step.past + step.n;
        let mut mask = vec![0; self.sequences * self.capacity];
        let rows = mask.chunks_mut(self.capacity.max(1));
        for (row, there) in rows.zip(step.mask.chunks(total)) {
            row[..total].copy_from_slice(there);
        }
        let sequences = self.sequences;
        let bring = |input: &Integers, values: &[i64], to: &mut DynTensor| {
            let columns = values.len() / sequences.max(1);
            let from = integers(input.element, sequences, columns, values)?;
            copy(loaded, &from, to)
        };
        bring(&layout.input_ids, &step.ids, &mut self.input_ids)?;
        if let (Some(input), Some(to)) = (&layout.attention_mask, &mut self.attention_mask) {
            bring(input, &mask, to)?;
        }
        if let (Some(input), Some(to)) = (&layout.position_ids, &mut self.position_ids) {
            bring(input, &step.positions, to)?;
        }
        Ok(())
    }

    /// The logits of the last step, in the host's memory.
    pub(crate) fn read_logits(&self, loaded: &Arc<Loaded>) -> Result<DynTensor, Failure> {
        let shape = self.logits.shape().clone();
        let host = Allocator::default();
        let mut logits = DynTensor::new(&host, *self.logits.data_type(), shape)?;
        copy(loaded, &self.logits, &mut logits)?;
        Ok(logits)
    }
}

fn copy(loaded: &Arc<Loaded>, from: &DynTensor, to: &mut DynTensor) -> Result<(), Failure> {
    let runner = loaded.tiny(Tiny::Copy(from.shape().len()), *from.data_type())?;
    let mut binding = runner.binding()?;
    binding.bind_input(X, from)?;
    binding.bind_output(Y, to)?;
    runner.run(&binding, &Cancel::new(), |_| ())
}

//! Keys and values of a sequence, where the device keeps them.

use std::sync::Arc;

use inhouse_engine::Cancel;
use ort::memory::Allocator;
use ort::session::IoBinding;
use ort::value::{DynTensor, DynValue, Tensor};

use crate::failure::Failure;
use crate::layout::Cache;
use crate::loaded::Loaded;
use crate::tiny::{LENGTH, Tiny, X, Y};

/// Positions of the smallest buffer.
const LEAST: usize = 64;

/// Keys and values of some sequences that go in step.
pub(crate) enum Kv {
    /// One buffer for the past and the present, longer than both.
    Shared(Buffers),
    /// The present of one run is the past of the next.
    Handed(Handed),
}

impl Kv {
    /// Room for nothing yet.
    pub(crate) fn new(loaded: &Loaded, sequences: usize) -> Self {
        if loaded.shares_buffer {
            Self::Shared(Buffers {
                tensors: Vec::new(),
                capacity: 0,
                sequences,
            })
        } else {
            Self::Handed(Handed {
                values: Vec::new(),
                len: 0,
                sequences,
            })
        }
    }

    /// Makes the run that is being bound go as far as `lengths` say.
    pub(crate) fn bind(
        &mut self,
        loaded: &Arc<Loaded>,
        binding: &mut IoBinding,
        lengths: Lengths,
    ) -> Result<(), Failure> {
        match self {
            Self::Shared(buffers) => buffers.bind(loaded, binding, lengths),
            Self::Handed(handed) => handed.bind(loaded, binding, lengths.past),
        }
    }

    /// Takes what a run gave out.
    pub(crate) fn take(
        &mut self,
        mut output: impl FnMut(&str) -> Option<DynValue>,
        caches: &[Cache],
        total: usize,
    ) {
        if let Self::Handed(handed) = self {
            handed.values = caches
                .iter()
                .filter_map(|cache| output(&cache.present))
                .collect();
            handed.len = total;
        }
    }

    /// Positions there is room for without another buffer; 0 where there is none.
    pub(crate) fn capacity(&self) -> usize {
        match self {
            Self::Shared(buffers) => buffers.capacity,
            Self::Handed(_) => 0,
        }
    }
}

/// How far a run goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    /// Positions that are there.
    pub(crate) past: usize,
    /// Positions that will be there.
    pub(crate) total: usize,
    /// Most positions there can be.
    pub(crate) context: usize,
}

/// A buffer for each cache. They double: a context that is not used is not allocated.
pub(crate) struct Buffers {
    tensors: Vec<DynTensor>,
    capacity: usize,
    sequences: usize,
}

impl Buffers {
    fn bind(
        &mut self,
        loaded: &Arc<Loaded>,
        binding: &mut IoBinding,
        lengths: Lengths,
    ) -> Result<(), Failure> {
        if lengths.total <= self.capacity {
            return Ok(()); // it is bound already
        }
        if lengths.past == 0 {
            // With room for what comes after a prompt: the first token of an answer should not pay for doubling.
            let wanted = (lengths.total + LEAST).next_power_of_two();
            let most = lengths.context.max(lengths.total);
            self.allocate(loaded, binding, wanted.min(most).next_multiple_of(2))?;
        }
        while self.capacity < lengths.total {
            self.double(loaded, binding)?;
        }
        Ok(())
    }

    /// One cache after the other, as the binding keeps what lay there before until something else does.
    fn allocate(
        &mut self,
        loaded: &Arc<Loaded>,
        binding: &mut IoBinding,
        capacity: usize,
    ) -> Result<(), Failure> {
        self.tensors.clear();
        self.capacity = 0;
        let allocator = loaded.allocator()?;
        for cache in &loaded.layout.caches {
            let mut tensor = self.zeros(loaded, &allocator, cache, capacity)?;
            lay_down(binding, cache, &mut tensor)?;
            self.tensors.push(tensor);
        }
        self.capacity = capacity;
        Ok(())
    }

    /// Memory of a device comes as it is, and what stands behind the present must be finite: it is multiplied by zero.
    fn zeros(
        &self,
        loaded: &Arc<Loaded>,
        allocator: &Allocator,
        cache: &Cache,
        capacity: usize,
    ) -> Result<DynTensor, Failure> {
        let shape = |positions| shape(cache, self.sequences, positions);
        let mut tensor = DynTensor::new(allocator, cache.element, shape(capacity))?;
        if !loaded.device.is_in_host_memory() {
            // The host's comes zeroed.
            let half = DynTensor::new(&Allocator::default(), cache.element, shape(capacity / 2))?;
            run_double(loaded, cache, &half, &mut tensor)?;
        }
        Ok(tensor)
    }

    /// One cache after the other, so that only one is there twice.
    fn double(&mut self, loaded: &Arc<Loaded>, binding: &mut IoBinding) -> Result<(), Failure> {
        // What fails in the middle leaves nothing that could be used.
        let capacity = 2 * std::mem::take(&mut self.capacity);
        if capacity == 0 {
            return Err(Failure::Device("its keys and values are gone".into()));
        }
        let allocator = loaded.allocator()?;
        for (cache, tensor) in loaded.layout.caches.iter().zip(&mut self.tensors) {
            let shape = shape(cache, self.sequences, capacity);
            let mut doubled = DynTensor::new(&allocator, cache.element, shape)?;
            run_double(loaded, cache, tensor, &mut doubled)?;
            *tensor = doubled;
            lay_down(binding, cache, tensor)?;
        }
        self.capacity = capacity;
        Ok(())
    }
}

/// The past and the present in one place.
fn lay_down(binding: &mut IoBinding, cache: &Cache, tensor: &mut DynTensor) -> Result<(), Failure> {
    binding.bind_input(cache.past.as_str(), &*tensor)?;
    binding.bind_output(cache.present.as_str(), tensor)?;
    Ok(())
}

fn shape(cache: &Cache, sequences: usize, positions: usize) -> [i64; 4] {
    [sequences, cache.heads, positions, cache.width].map(|dim| dim as i64)
}

fn run_double(
    loaded: &Arc<Loaded>,
    cache: &Cache,
    from: &DynTensor,
    to: &mut DynTensor,
) -> Result<(), Failure> {
    let runner = loaded.tiny(Tiny::Double, cache.element)?;
    let mut binding = runner.binding()?;
    binding.bind_input(X, from)?;
    binding.bind_output(Y, to)?;
    runner.run(&binding, &Cancel::new(), |_| ())
}

/// What the last run gave out.
pub(crate) struct Handed {
    values: Vec<DynValue>,
    /// Positions in them.
    len: usize,
    sequences: usize,
}

impl Handed {
    fn bind(
        &mut self,
        loaded: &Arc<Loaded>,
        binding: &mut IoBinding,
        past: usize,
    ) -> Result<(), Failure> {
        if past == 0 {
            self.values = self.nothing(loaded)?;
            self.len = 0;
        }
        if past < self.len {
            self.cut(loaded, past)?;
        }
        let to = loaded.device.memory_info()?;
        for (cache, value) in loaded.layout.caches.iter().zip(&self.values) {
            binding.bind_input(cache.past.as_str(), value)?;
            binding.bind_output_to_device(cache.present.as_str(), &to)?;
        }
        Ok(())
    }

    fn nothing(&self, loaded: &Arc<Loaded>) -> Result<Vec<DynValue>, Failure> {
        let allocator = Allocator::default();
        let caches = loaded.layout.caches.iter();
        let empty = caches.map(|cache| {
            let shape = shape(cache, self.sequences, 0);
            Ok(DynTensor::new(&allocator, cache.element, shape)?.into_dyn())
        });
        empty.collect()
    }

    fn cut(&mut self, loaded: &Arc<Loaded>, len: usize) -> Result<(), Failure> {
        let to = loaded.device.memory_info()?;
        let one = |value: usize| Tensor::from_array(([1_usize], vec![value as i64]));
        for (cache, value) in loaded.layout.caches.iter().zip(&mut self.values) {
            let runner = loaded.tiny(Tiny::Cut, cache.element)?;
            let mut binding = runner.binding()?;
            binding.bind_input(X, &*value)?;
            binding.bind_input("from", &one(0)?)?;
            binding.bind_input(LENGTH, &one(len)?)?;
            binding.bind_input("axis", &one(2)?)?;
            binding.bind_output_to_device(Y, &to)?;
            let cut = runner.run(&binding, &Cancel::new(), |mut outputs| outputs.remove(Y))?;
            *value = cut.ok_or_else(|| Failure::Device("a cut gave nothing".into()))?;
        }
        self.len = len;
        Ok(())
    }
}

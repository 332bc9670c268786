//! An encoder's graph: what it needs, and its runs on one device.

use std::path::Path;

use inhouse_engine::{Cancel, EngineError, ErrorKind};
use inhouse_onnx::{LoadErrorKind, Model};
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::IoBinding;
use ort::value::{DynTensor, Tensor, TensorElementType};

use crate::device::Device;
use crate::failure::Failure;
use crate::graph::Prepared;
use crate::layout::Integers;
use crate::library::Library;
use crate::provider::ExecutionProvider;
use crate::runner::{Opening, Runner};

use super::answer::Answer;
use super::groups::Matrices;
use super::layout::Layout;
use super::recipe::Recipe;

/// What is read from a graph before it is loaded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    /// Bytes of its weights.
    weights: u64,
    /// It rounds activations by the largest of a whole run, so that a text's numbers depend on what runs with it.
    pub(super) quantises_as_it_runs: bool,
}

impl Facts {
    pub(super) fn of(path: &Path) -> Result<Self, EngineError> {
        let model = match Model::load(path) {
            Ok(model) => model,
            // ONNX Runtime may know what we do not read.
            Err(error) if error.kind() == LoadErrorKind::Unsupported => return Ok(Self::default()),
            Err(error) => {
                let message = format!("cannot load {}", path.display());
                return Err(EngineError::with_source(ErrorKind::Load, message, error));
            }
        };
        let graph = &model.graph;
        let weights = graph.initializers.iter();
        let dynamic = ["DynamicQuantizeLinear", "DynamicQuantizeMatMul"];
        let mut nodes = graph.nodes.iter();
        Ok(Self {
            weights: weights.map(|tensor| tensor.bytes().len() as u64).sum(),
            quantises_as_it_runs: nodes.any(|node| dynamic.contains(&node.op_type.as_str())),
        })
    }

    /// ONNX Runtime lays weights out anew while those of the file are still there.
    pub(super) fn check_memory(&self, available: Option<u64>) -> Result<(), EngineError> {
        let needed = self.weights.saturating_mul(2);
        match available {
            Some(available) if available < needed => Err(EngineError::new(
                ErrorKind::Memory,
                format!(
                    "the model needs about {} MiB and {} MiB are free; close other programs or take a smaller model",
                    needed >> 20,
                    available >> 20
                ),
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn note(&self) -> Option<String> {
        let note = "the graph rounds by the largest number of a run: texts run one by one";
        self.quantises_as_it_runs.then(|| note.to_owned())
    }
}

/// The graph on a device.
pub(super) struct Loaded {
    pub(super) runner: Runner,
    pub(super) layout: Layout,
    pub(super) device: Device,
}

impl Loaded {
    /// Fails where another device may do; gives an error where none would.
    pub(super) fn open(
        recipe: &Recipe,
        library: &Library,
        device: &Device,
        opening: &Opening,
    ) -> Result<Result<Self, EngineError>, Failure> {
        let prepared = match Prepared::unchanged(&recipe.graph) {
            Ok(prepared) => prepared,
            Err(error) => return Ok(Err(error)),
        };
        let folder = recipe.graph.parent();
        // Runs differ in length: there is nothing to record.
        let device = device.without_capture();
        let environment = &library.environment;
        let runner = Runner::open(environment, &prepared.bytes, folder, &device, opening)?;
        let own = device.provider.ort_name();
        if !runner
            .placements
            .iter()
            .any(|placement| placement.provider == own)
        {
            let why = "it takes none of the graph's operators";
            return Err(Failure::Device(why.to_owned()));
        }
        let layout = runner.with(Layout::of);
        let layout = layout.and_then(
            |layout| match layout.pooled.is_some() || recipe.can_pool() {
                true => Ok(layout),
                false => Err(EngineError::config(
                    "modules.json has no Pooling, and the graph has no output sentence_embedding",
                )),
            },
        );
        Ok(layout.map(|layout| Self {
            runner,
            layout,
            device,
        }))
    }

    /// The providers that took operators, the device's own first; the processor takes what it leaves.
    pub(super) fn used(&self) -> Vec<String> {
        let placements = self.runner.placements.iter();
        let others = placements.filter_map(|placement| {
            let mut all = ExecutionProvider::ALL.iter();
            all.find(|provider| provider.ort_name() == placement.provider)
        });
        let mut names: Vec<String> = Vec::new();
        for provider in std::iter::once(&self.device.provider).chain(others) {
            if !names.iter().any(|known| known == provider.name()) {
                names.push(provider.name().to_owned());
            }
        }
        names
    }

    /// Runs texts together; where some tokens are to be left out of the pooling, a graph that pools cannot do it.
    pub(super) fn run(
        &self,
        matrices: &Matrices,
        tokens_wanted: bool,
        cancel: &Cancel,
    ) -> Result<Answer, Failure> {
        let layout = &self.layout;
        let mut binding = self.runner.binding()?;
        let inputs = [
            (Some(&layout.ids), &matrices.ids),
            (layout.mask.as_ref(), &matrices.mask),
            (layout.types.as_ref(), &matrices.types),
            (layout.positions.as_ref(), &matrices.positions),
        ];
        for (input, values) in inputs {
            if let Some(input) = input {
                bind(
                    &mut binding,
                    input,
                    [matrices.rows, matrices.columns],
                    values,
                )?;
            }
        }
        for past in &layout.pasts {
            let shape = [matrices.rows, past.heads, 0, past.width].map(|dim| dim as i64);
            let nothing = DynTensor::new(&Allocator::default(), past.element, shape)?;
            binding.bind_input(past.name.as_str(), &nothing)?;
        }
        let pooled = layout.pooled.as_ref().filter(|_| !tokens_wanted);
        let is_pooled = pooled.is_some();
        let missing = || Failure::Device("the graph gave nothing".to_owned());
        let output = pooled.or(layout.tokens.as_ref()).ok_or_else(missing)?;
        // It is looked at here, so that is where it is brought to.
        binding.bind_output_to_device(output.as_str(), &host()?)?;
        self.runner.run(&binding, cancel, |mut outputs| {
            let value = outputs.remove(output).ok_or_else(missing)?;
            Answer::read(&value, is_pooled)
        })?
    }
}

fn host() -> ort::Result<MemoryInfo<'static>> {
    MemoryInfo::new(
        AllocationDevice::CPU,
        0,
        AllocatorType::Device,
        MemoryType::Default,
    )
}

fn bind(
    binding: &mut IoBinding,
    input: &Integers,
    shape: [usize; 2],
    values: &[i64],
) -> Result<(), Failure> {
    if input.element == TensorElementType::Int32 {
        let values: Vec<i32> = values.iter().map(|&value| value as i32).collect();
        binding.bind_input(input.name.as_str(), &Tensor::from_array((shape, values))?)?;
    } else {
        let values = Tensor::from_array((shape, values.to_vec()))?;
        binding.bind_input(input.name.as_str(), &values)?;
    }
    Ok(())
}

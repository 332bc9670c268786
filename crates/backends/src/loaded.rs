//! A decoder's graph, loaded on one device, with what is known of it.

use std::sync::{Arc, Mutex};

use inhouse_engine::GenaiConfig;
use ort::environment::Environment;
use ort::memory::Allocator;
use ort::value::TensorElementType;

use crate::device::Device;
use crate::failure::Failure;
use crate::layout::Layout;
use crate::runner::{Opening, Runner, lock};
use crate::tiny::Tiny;

/// A graph on a device.
pub(crate) struct Loaded {
    pub(crate) runner: Runner,
    pub(crate) layout: Layout,
    pub(crate) device: Device,
    /// See [`Prepared`](crate::graph::Prepared).
    pub(crate) shares_buffer: bool,
    pub(crate) goes_by_one: bool,
    pub(crate) original_length: Option<usize>,
    /// Steps of one token go through buffers that stay where they are, as they are recorded and replayed.
    pub(crate) captures: bool,
    /// What did not go as the device was told.
    pub(crate) note: Option<String>,
    environment: Environment,
    opening: Opening,
    /// The graphs of [`tiny`](crate::tiny), made when they are first needed.
    tiny: Mutex<Vec<(Tiny, TensorElementType, Arc<Runner>)>>,
}

impl Loaded {
    pub(crate) fn new(
        environment: &Environment,
        prepared: &crate::graph::Prepared,
        folder: &std::path::Path,
        device: &Device,
        opening: &Opening,
        config: &GenaiConfig,
    ) -> Result<Result<Self, inhouse_engine::EngineError>, Failure> {
        let runner = Runner::open(environment, &prepared.bytes, Some(folder), device, opening)?;
        let layout = runner.with(|session| Layout::of(session, config));
        Ok(layout.map(|layout| Self {
            captures: device.captures() && layout.takes_rows,
            note: None,
            runner,
            layout,
            device: device.clone(),
            shares_buffer: prepared.shares_buffer,
            goes_by_one: prepared.goes_by_one,
            original_length: prepared.original_length,
            environment: environment.clone(),
            opening: opening.clone(),
            tiny: Mutex::default(),
        }))
    }

    pub(crate) fn allocator(&self) -> Result<Allocator, Failure> {
        Ok(self.runner.with(|session| self.device.allocator(session))?)
    }

    /// A small graph on the same device.
    pub(crate) fn tiny(
        &self,
        which: Tiny,
        element: TensorElementType,
    ) -> Result<Arc<Runner>, Failure> {
        let mut tiny = lock(&self.tiny);
        let made = tiny
            .iter()
            .find(|made| (made.0, made.1) == (which, element));
        if let Some((_, _, runner)) = made {
            return Ok(Arc::clone(runner));
        }
        let opening = Opening {
            threads: 1,
            entries: Vec::new(),
            ..self.opening.clone()
        };
        let device = self.device.without_capture();
        let graph = which.graph(element);
        let runner = Arc::new(Runner::open(
            &self.environment,
            &graph,
            None,
            &device,
            &opening,
        )?);
        tiny.push((which, element, Arc::clone(&runner)));
        Ok(runner)
    }
}

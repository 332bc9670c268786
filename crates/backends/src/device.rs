//! Where a session computes: an execution provider, and the memory it likes its tensors in.

use std::fmt;
use std::sync::Arc;

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::session::builder::SessionBuilder;

/// Adds an execution provider to a session that is being built.
pub(crate) type Register = dyn Fn(SessionBuilder) -> ort::Result<SessionBuilder> + Send + Sync;

/// An execution provider with its options, ready to be put into a session.
#[derive(Clone)]
pub(crate) struct Device {
    /// As users call it.
    pub(crate) name: &'static str,
    /// As ONNX Runtime calls it.
    pub(crate) ort_name: &'static str,
    /// Its own memory; `None` where that is the host's.
    pub(crate) memory: Option<(AllocationDevice<'static>, i32)>,
    /// It records a step's kernels and replays them, where it was told to.
    pub(crate) captures: bool,
    register: Arc<Register>,
}

impl Device {
    pub(crate) fn new(
        name: &'static str,
        ort_name: &'static str,
        register: impl Fn(SessionBuilder) -> ort::Result<SessionBuilder> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            ort_name,
            memory: None,
            captures: false,
            register: Arc::new(register),
        }
    }

    /// The processor, which every library has.
    pub(crate) fn cpu() -> Self {
        Self::new("cpu", "CPUExecutionProvider", Ok)
    }

    pub(crate) fn is_cpu(&self) -> bool {
        self.ort_name == "CPUExecutionProvider"
    }

    pub(crate) fn register(&self, builder: SessionBuilder) -> ort::Result<SessionBuilder> {
        (self.register)(builder)
    }

    /// What gives out the device's memory, for tensors that `session` computes with.
    pub(crate) fn allocator(&self, session: &Session) -> ort::Result<Allocator> {
        match &self.memory {
            None => Ok(Allocator::default()),
            Some(_) => Allocator::new(session, self.memory_info()?),
        }
    }

    /// Where outputs of an unknown shape are to lie.
    pub(crate) fn memory_info(&self) -> ort::Result<MemoryInfo<'static>> {
        let (device, id) = self.memory.clone().unwrap_or((AllocationDevice::CPU, 0));
        MemoryInfo::new(device, id, AllocatorType::Device, MemoryType::Default)
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Device").field(&self.name).finish()
    }
}

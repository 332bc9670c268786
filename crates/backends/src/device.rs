//! Where a session computes: an execution provider with its options, and the memory it likes its tensors in.

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::session::builder::SessionBuilder;

use crate::library::Library;
use crate::provider::{self, ExecutionProvider};

/// An execution provider, ready to be put into a session.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) provider: ExecutionProvider,
    pub(crate) options: provider::Options,
    library: &'static Library,
    /// Steps go through buffers that stay where they are, also where nothing is recorded.
    #[cfg(test)]
    pub(crate) fixed: bool,
}

impl Device {
    pub(crate) fn new(
        provider: ExecutionProvider,
        options: provider::Options,
        library: &'static Library,
    ) -> Self {
        Self {
            provider,
            options,
            library,
            #[cfg(test)]
            fixed: false,
        }
    }

    /// The same without recording, for graphs that are run now and then.
    pub(crate) fn without_capture(&self) -> Self {
        let mut device = self.clone();
        #[cfg(test)]
        {
            device.fixed = false;
        }
        if let Some(key) = provider::capture_key(self.provider)
            && device.options.captures(self.provider)
        {
            device.options.set(key, "0");
        }
        device
    }

    /// As users call it.
    pub(crate) fn name(&self) -> &'static str {
        self.provider.name()
    }

    pub(crate) fn is_cpu(&self) -> bool {
        self.provider == ExecutionProvider::Cpu
    }

    /// It records a step's kernels and replays them, where it was told to.
    pub(crate) fn captures(&self) -> bool {
        #[cfg(test)]
        if self.fixed {
            return true;
        }
        self.options.captures(self.provider)
    }

    pub(crate) fn attach(&self, builder: SessionBuilder) -> ort::Result<SessionBuilder> {
        provider::attach(builder, self.provider, &self.options, self.library)
    }

    /// Whether its tensors lie in the host's memory.
    pub(crate) fn is_in_host_memory(&self) -> bool {
        self.memory().is_none()
    }

    /// What gives out the device's memory, for tensors that `session` computes with.
    pub(crate) fn allocator(&self, session: &Session) -> ort::Result<Allocator> {
        match self.memory() {
            None => Ok(Allocator::default()),
            Some(_) => Allocator::new(session, self.memory_info()?),
        }
    }

    /// Where outputs of an unknown shape are to lie.
    pub(crate) fn memory_info(&self) -> ort::Result<MemoryInfo<'static>> {
        let memory = self.memory().unwrap_or(AllocationDevice::CPU);
        let id = self.options.get("device_id").and_then(|id| id.parse().ok());
        let id = if self.is_in_host_memory() {
            0
        } else {
            id.unwrap_or(0)
        };
        MemoryInfo::new(memory, id, AllocatorType::Device, MemoryType::Default)
    }

    /// CoreML, OpenVINO and QNN bring tensors to their devices themselves.
    fn memory(&self) -> Option<AllocationDevice<'static>> {
        match self.provider {
            ExecutionProvider::Cuda
            | ExecutionProvider::TensorRt
            | ExecutionProvider::NvTensorRtRtx => Some(AllocationDevice::CUDA),
            ExecutionProvider::DirectMl => Some(AllocationDevice::DIRECTML),
            ExecutionProvider::WebGpu => Some(AllocationDevice::WEBGPU_BUFFER),
            ExecutionProvider::Cpu
            | ExecutionProvider::CoreMl
            | ExecutionProvider::OpenVino
            | ExecutionProvider::Qnn => None,
        }
    }
}

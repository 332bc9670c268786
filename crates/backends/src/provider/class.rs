//! What an error of ONNX Runtime means, read from its words: its codes say little.

/// What kind of failure a message tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The device, or the host, has no memory left.
    OutOfMemory,
    /// The device is gone, or in a state that this process cannot get it out of.
    DeviceLost,
    /// The provider, its libraries, its driver or its device is not there.
    NotAvailable,
    /// The run, or the load, was told to stop.
    Terminated,
    /// Anything else.
    Other,
}

/// Reads the message of an error of `ort`.
pub fn classify(message: &str) -> Class {
    let message = message.to_ascii_lowercase();
    if let Some(number) = cuda_failure(&message) {
        return of_cuda(number);
    }
    PHRASES
        .iter()
        .find(|(phrase, _)| message.contains(phrase))
        .map_or(Class::Other, |(_, class)| *class)
}

/// Words that tell, the surer ones first.
const PHRASES: &[(&str, Class)] = &[
    ("terminate flag", Class::Terminated),
    ("canceled due to user request", Class::Terminated),
    ("canceled by user request", Class::Terminated),
    // ONNX Runtime's arena and its host allocator.
    ("failed to allocate memory", Class::OutOfMemory),
    ("is smaller than requested bytes", Class::OutOfMemory),
    ("bad_alloc", Class::OutOfMemory),
    ("bad allocation", Class::OutOfMemory),
    // NVIDIA's libraries.
    ("_status_alloc_failed", Class::OutOfMemory),
    ("allocation_failed", Class::OutOfMemory),
    ("cudaerrormemoryallocation", Class::OutOfMemory),
    // DirectX (E_OUTOFMEMORY), Vulkan and Dawn.
    ("8007000e", Class::OutOfMemory),
    ("not enough memory", Class::OutOfMemory),
    ("out_of_device_memory", Class::OutOfMemory),
    ("out_of_host_memory", Class::OutOfMemory),
    ("out of memory", Class::OutOfMemory),
    ("outofmemory", Class::OutOfMemory),
    // DirectX: removed, hung, reset, internal error of the driver.
    ("887a0005", Class::DeviceLost),
    ("887a0006", Class::DeviceLost),
    ("887a0007", Class::DeviceLost),
    ("887a0020", Class::DeviceLost),
    ("device_removed", Class::DeviceLost),
    ("device_hung", Class::DeviceLost),
    ("device_reset", Class::DeviceLost),
    ("device instance has been suspended", Class::DeviceLost),
    ("will not respond to more commands", Class::DeviceLost),
    // Vulkan and Dawn.
    ("device_lost", Class::DeviceLost),
    ("device lost", Class::DeviceLost),
    ("device is lost", Class::DeviceLost),
    ("devicelost", Class::DeviceLost),
    ("failed to load library", Class::NotAvailable),
    ("failed to load shared library", Class::NotAvailable),
    ("cannot open shared object file", Class::NotAvailable),
    ("not enabled in this build", Class::NotAvailable),
    ("not supported in this build", Class::NotAvailable),
    ("no cuda-capable device", Class::NotAvailable),
    ("failed to get a webgpu adapter", Class::NotAvailable),
    ("failed to get a webgpu device", Class::NotAvailable),
    ("unknown provider name", Class::NotAvailable),
];

/// The number in `CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; ...`.
pub(super) fn cuda_failure(message: &str) -> Option<u32> {
    let (_, rest) = message.split_once("cuda failure ")?;
    let end = rest.find(|c: char| !c.is_ascii_digit());
    rest[..end.unwrap_or(rest.len())].parse().ok()
}

/// CUDA's own numbers, `cudaError_t`.
fn of_cuda(number: u32) -> Class {
    match number {
        2 => Class::OutOfMemory,
        // No device, a wrong one, one that is taken, a driver that is too old or missing, a card without a kernel.
        3 | 34..=36 | 46 | 100..=102 | 209 | 222 | 223 | 300..=304 | 803..=805 => {
            Class::NotAvailable
        }
        // After these every further call fails until the process ends.
        214 | 220 | 226 | 700 | 702 | 709..=720 | 999 => Class::DeviceLost,
        _ => Class::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, classify};

    /// Texts as ONNX Runtime's users report them.
    #[test]
    fn reported_messages_are_understood() {
        for (message, expected) in [
            (
                "Non-zero status code returned while running FusedMatMul node. Name:'MatMul_92_FusedMatMulAndScale' \
                 Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:331 void* \
                 onnxruntime::BFCArena::AllocateRawInternal(size_t, bool) Failed to allocate memory for requested \
                 buffer of size 8388608000",
                Class::OutOfMemory,
            ),
            (
                "/onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:342 void* \
                 onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*, bool, \
                 onnxruntime::WaitNotificationFn) Available memory of 0 is smaller than requested bytes of 1769472",
                Class::OutOfMemory,
            ),
            (
                "CUDA failure 2: out of memory ; GPU=0 ; hostname=box ; file=cuda_allocator.cc ; line=48 ; \
                 expr=cudaMalloc((void**)&p, size);",
                Class::OutOfMemory,
            ),
            (
                "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=box ; expr=cublasCreate(&handle);",
                Class::OutOfMemory,
            ),
            (
                "D:\\a\\_work\\1\\s\\onnxruntime\\core\\providers\\dml\\DmlExecutionProvider\\src\\\
                 BucketizedBufferAllocator.cpp(122)\\onnxruntime.dll!00007FF: Exception(1) tid(1a2c) 8007000E Not \
                 enough memory resources are available to complete this operation.",
                Class::OutOfMemory,
            ),
            ("std::bad_alloc", Class::OutOfMemory),
            (
                "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=box ;",
                Class::DeviceLost,
            ),
            (
                "CUDA failure 719: unspecified launch failure ; GPU=0 ; hostname=box ;",
                Class::DeviceLost,
            ),
            (
                "D:\\a\\_work\\1\\s\\onnxruntime\\core\\providers\\dml\\DmlExecutionProvider\\src\\\
                 ExecutionProvider.cpp(962)\\onnxruntime_pybind11_state.pyd!00007FFABA30B0B1: (caller: \
                 00007FFABA30B740) Exception(3) tid(5a68) 887A0005 The GPU device instance has been suspended. Use \
                 GetDeviceRemovedReason to determine the appropriate action.",
                Class::DeviceLost,
            ),
            (
                "DmlGraphFusionHelper.cpp(1078) 887A0006 The GPU will not respond to more commands, most likely \
                 because of an invalid command passed by the calling application.",
                Class::DeviceLost,
            ),
            (
                "WebGPU device lost (2): VK_ERROR_DEVICE_LOST",
                Class::DeviceLost,
            ),
            (
                "CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; hostname=box ; \
                 expr=cudaSetDevice(info_.device_id);",
                Class::NotAvailable,
            ),
            (
                "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ;",
                Class::NotAvailable,
            ),
            (
                "Failed to load library libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: cannot open \
                 shared object file: No such file or directory",
                Class::NotAvailable,
            ),
            (
                "Exiting due to terminate flag being set to true.",
                Class::Terminated,
            ),
            (
                "Non-zero status code returned while running MatMul node. Name:'m' Status Message: Exiting due to \
                 terminate flag being set to true.",
                Class::Terminated,
            ),
            (
                "Graph loading canceled due to user request.",
                Class::Terminated,
            ),
            ("Got invalid dimensions for input: x", Class::Other),
            ("CUDA failure 1: invalid argument ;", Class::Other),
            ("cuda failure ", Class::Other),
            ("", Class::Other),
        ] {
            assert_eq!(classify(message), expected, "{message}");
        }
    }
}

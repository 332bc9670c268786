//! The execution providers, by the names that users and ONNX Runtime give them.

use std::fmt;

use crate::library::{Os, RuntimeError};

/// A part of ONNX Runtime that computes on one kind of device.
///
/// CUDA, DirectML, CoreML and WebGPU take any graph as it is and are tried where the best is wanted. TensorRT and its
/// form for RTX cards build an engine for minutes at every load, OpenVINO and QNN want graphs made for them: those are
/// used only where they are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExecutionProvider {
    /// The processor; every library has it.
    Cpu,
    /// NVIDIA's cards through CUDA.
    Cuda,
    /// NVIDIA's cards through TensorRT.
    TensorRt,
    /// NVIDIA's RTX cards through TensorRT for RTX.
    NvTensorRtRtx,
    /// Any graphics card on Windows, through DirectX 12.
    DirectMl,
    /// Any graphics card, through Vulkan, Metal or DirectX 12.
    WebGpu,
    /// Apple's neural engine and graphics.
    CoreMl,
    /// Intel's processors, graphics and neural units.
    OpenVino,
    /// Qualcomm's neural units.
    Qnn,
}

impl ExecutionProvider {
    /// Every provider that is known, the fastest of a device first and the processor last.
    pub const ALL: &[Self] = &[
        Self::Cuda,
        Self::TensorRt,
        Self::NvTensorRtRtx,
        Self::DirectMl,
        Self::CoreMl,
        Self::WebGpu,
        Self::OpenVino,
        Self::Qnn,
        Self::Cpu,
    ];

    /// Those that `auto` tries on this system, in order; the processor comes last and always works.
    pub fn auto_order() -> &'static [Self] {
        match Os::HERE {
            Os::Linux => &[Self::Cuda, Self::WebGpu, Self::Cpu],
            Os::MacOs => &[Self::WebGpu, Self::CoreMl, Self::Cpu],
            Os::Windows => &[Self::Cuda, Self::DirectMl, Self::WebGpu, Self::Cpu],
        }
    }

    /// The name that users write.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
            Self::NvTensorRtRtx => "nvtensorrtrtx",
            Self::DirectMl => "directml",
            Self::WebGpu => "webgpu",
            Self::CoreMl => "coreml",
            Self::OpenVino => "openvino",
            Self::Qnn => "qnn",
        }
    }

    /// The name in sentences.
    pub fn title(self) -> &'static str {
        match self {
            Self::Cpu => "CPU",
            Self::Cuda => "CUDA",
            Self::TensorRt => "TensorRT",
            Self::NvTensorRtRtx => "TensorRT for RTX",
            Self::DirectMl => "DirectML",
            Self::WebGpu => "WebGPU",
            Self::CoreMl => "CoreML",
            Self::OpenVino => "OpenVINO",
            Self::Qnn => "QNN",
        }
    }

    /// The name that ONNX Runtime has for it.
    pub fn ort_name(self) -> &'static str {
        match self {
            Self::Cpu => "CPUExecutionProvider",
            Self::Cuda => "CUDAExecutionProvider",
            Self::TensorRt => "TensorrtExecutionProvider",
            Self::NvTensorRtRtx => "NvTensorRTRTXExecutionProvider",
            Self::DirectMl => "DmlExecutionProvider",
            Self::WebGpu => "WebGpuExecutionProvider",
            Self::CoreMl => "CoreMLExecutionProvider",
            Self::OpenVino => "OpenVINOExecutionProvider",
            Self::Qnn => "QNNExecutionProvider",
        }
    }

    /// Whether it computes on a graphics card. CoreML, OpenVINO and QNN choose among several devices.
    pub fn is_gpu(self) -> bool {
        match self {
            Self::Cuda | Self::TensorRt | Self::NvTensorRtRtx | Self::DirectMl | Self::WebGpu => {
                true
            }
            Self::Cpu | Self::CoreMl | Self::OpenVino | Self::Qnn => false,
        }
    }

    /// The file beside a library by which it is seen to have this provider. There is none for what is built into
    /// libraries, and none for WebGPU, which is a plugin to any.
    pub(crate) fn companion(self, os: Os) -> Option<String> {
        let name = match self {
            Self::DirectMl => return Some("DirectML.dll".to_owned()),
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
            Self::NvTensorRtRtx => "nv_tensorrt_rtx",
            Self::OpenVino => "openvino",
            Self::Qnn => "qnn",
            Self::Cpu | Self::CoreMl | Self::WebGpu => return None,
        };
        Some(match os {
            Os::Linux => format!("libonnxruntime_providers_{name}.so"),
            Os::MacOs => format!("libonnxruntime_providers_{name}.dylib"),
            Os::Windows => format!("onnxruntime_providers_{name}.dll"),
        })
    }

    /// Whether the system that this program runs on can have it at all.
    pub fn is_for(self, os: Os) -> bool {
        match self {
            Self::Cpu | Self::WebGpu => true,
            Self::Cuda | Self::TensorRt | Self::NvTensorRtRtx | Self::OpenVino | Self::Qnn => {
                os != Os::MacOs
            }
            Self::DirectMl => os == Os::Windows,
            Self::CoreMl => os == Os::MacOs,
        }
    }

    /// Reads a name: those above, in any case and with any of ` -_`, `dml`, and those of `genai_config.json`.
    ///
    /// # Errors
    /// Lists the names where it is none of them.
    pub fn parse(text: &str) -> Result<Self, RuntimeError> {
        let wanted: String = text
            .chars()
            .filter(|c| !matches!(c, ' ' | '-' | '_'))
            .map(|c| c.to_ascii_lowercase())
            .collect();
        let alias = match wanted.as_str() {
            "dml" => Some(Self::DirectMl),
            "trt" => Some(Self::TensorRt),
            "tensorrtrtx" => Some(Self::NvTensorRtRtx),
            _ => None,
        };
        let named = |provider: &Self| {
            wanted == provider.name() || wanted.eq_ignore_ascii_case(provider.ort_name())
        };
        alias
            .or_else(|| Self::ALL.iter().copied().find(named))
            .ok_or_else(|| unknown(text))
    }
}

impl fmt::Display for ExecutionProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn unknown(text: &str) -> RuntimeError {
    let names: Vec<&str> = ExecutionProvider::ALL
        .iter()
        .rev()
        .map(|provider| provider.name())
        .collect();
    RuntimeError::options(format!(
        "there is no execution provider {text:?}; there are {} and auto",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::ExecutionProvider as Ep;

    #[test]
    fn names_are_read_as_people_write_them() {
        for (text, expected) in [
            ("cpu", Ep::Cpu),
            ("CUDA", Ep::Cuda),
            ("CUDAExecutionProvider", Ep::Cuda),
            ("dml", Ep::DirectMl),
            ("DmlExecutionProvider", Ep::DirectMl),
            ("Direct-ML", Ep::DirectMl),
            ("tensorrt", Ep::TensorRt),
            ("TensorrtExecutionProvider", Ep::TensorRt),
            ("tensorrt-rtx", Ep::NvTensorRtRtx),
            ("NvTensorRtRtx", Ep::NvTensorRtRtx),
            ("WebGPU", Ep::WebGpu),
            ("CoreML", Ep::CoreMl),
            ("OpenVINO", Ep::OpenVino),
            ("qnn", Ep::Qnn),
        ] {
            assert_eq!(Ep::parse(text), Ok(expected), "{text}");
        }
        for provider in Ep::ALL {
            assert_eq!(Ep::parse(provider.name()), Ok(*provider));
            assert_eq!(Ep::parse(provider.ort_name()), Ok(*provider));
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_that_there_are() {
        for text in ["", "gpu", "rocm", "auto"] {
            let error = Ep::parse(text).expect_err(text).to_string();
            assert!(
                error.contains("cpu, qnn, openvino, webgpu, coreml"),
                "{error}"
            );
        }
    }

    #[test]
    fn every_automatic_order_ends_with_the_processor() {
        let order = Ep::auto_order();
        assert_eq!(order.last(), Some(&Ep::Cpu));
        assert!(
            order
                .iter()
                .all(|provider| provider.is_for(crate::library::Os::HERE))
        );
    }
}

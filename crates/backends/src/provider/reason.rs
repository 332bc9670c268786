//! Why a provider cannot be used, read from what ONNX Runtime said and what the machine shows.

use std::path::Path;

use super::{
    companions::missing_library, machine::Machine, name::ExecutionProvider, webgpu::Plugin,
};
use crate::library::{Library, Os, Place};

/// What is missing for a provider to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The provider is for another operating system.
    System,
    /// The library was built without the provider.
    InLibrary,
    /// A library that the provider needs: its file's name.
    Library(String),
    /// A driver.
    Driver(String),
    /// A device.
    Device(String),
    /// Something else, in ONNX Runtime's words.
    Other(String),
}

/// Why a provider cannot be used, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What is missing.
    pub missing: Missing,
    /// The same as a sentence.
    pub why: String,
    /// What to do.
    pub advice: String,
}

impl Reason {
    fn new(missing: Missing, why: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            missing,
            why: why.into(),
            advice: advice.into(),
        }
    }
}

/// The provider is for another system.
pub(super) fn of_system(provider: ExecutionProvider) -> Reason {
    let system = match provider {
        ExecutionProvider::DirectMl => "Windows",
        ExecutionProvider::CoreMl => "macOS",
        _ => "Linux and Windows",
    };
    Reason::new(
        Missing::System,
        format!("{} is for {system}", provider.title()),
        "take another execution provider",
    )
}

/// The library was built without the provider.
pub(super) fn of_build(provider: ExecutionProvider, library: &str) -> Reason {
    Reason::new(
        Missing::InLibrary,
        format!("this {library} was built without {}", provider.title()),
        match provider {
            ExecutionProvider::Cuda | ExecutionProvider::TensorRt => {
                "`inhouse runtime install cuda` fetches one that has it"
            }
            ExecutionProvider::DirectMl => {
                "`inhouse runtime install directml` fetches one that has it"
            }
            _ => "set ORT_DYLIB_PATH to a build that has it",
        },
    )
}

/// The library that is loaded was built without the provider, and `other` was not.
pub(super) fn of_another(provider: ExecutionProvider, loaded: &Library, other: &Path) -> Reason {
    let advice = advice_of_another(provider, loaded.place, other);
    Reason {
        advice,
        ..of_build(provider, &loaded.name())
    }
}

fn advice_of_another(provider: ExecutionProvider, place: Place, other: &Path) -> String {
    let other = other.display();
    match place.is_named() {
        true => format!("{other} has it, and {place} names another"),
        false => format!(
            "{other} has it, and a process can load one library: start anew, and ask for {provider} first"
        ),
    }
}

/// What became of WebGPU's plugin, where it lists no device; [`None`] where it may.
pub(super) fn of_plugin(plugin: &Plugin, machine: &Machine) -> Option<Reason> {
    match plugin {
        Plugin::BuiltIn | Plugin::Registered(_) => None,
        Plugin::Missing => Some(Reason::new(
            Missing::InLibrary,
            "the library was built without WebGPU, and its plugin is not installed",
            "`inhouse runtime install webgpu` fetches the plugin",
        )),
        Plugin::Untrusted(file) => Some(Reason::new(
            Missing::Library(file_name(file)),
            format!(
                "the plugin is not trusted: {} came with the folder that inhouse was started in",
                file.display()
            ),
            "`inhouse runtime install webgpu` fetches an official one",
        )),
        Plugin::Refused(path, message) => Some(refused(path, message, machine)),
    }
}

fn refused(path: &std::path::Path, message: &str, machine: &Machine) -> Reason {
    if let Some(library) = missing_library(message) {
        return without_library(ExecutionProvider::WebGpu, library, machine);
    }
    Reason::new(
        Missing::Library(file_name(path)),
        format!(
            "ONNX Runtime does not take the plugin {}: {}",
            path.display(),
            short(message)
        ),
        "`inhouse runtime install` and `inhouse runtime install webgpu` fetch two that fit",
    )
}

/// WebGPU is there, and lists no device.
pub(super) fn of_no_device(machine: &Machine) -> Reason {
    if !machine.graphics_loader {
        return no_vulkan(machine);
    }
    let why = match machine.os {
        Os::Linux => {
            "WebGPU is registered and lists no device: on Linux it takes a physical graphics card with a driver for \
             Vulkan, and a software one only where ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER=1 is set"
        }
        Os::MacOs | Os::Windows => "WebGPU is registered and lists no device",
    };
    Reason::new(
        Missing::Device("a graphics card".to_owned()),
        why,
        "take cpu, or a machine with a graphics card",
    )
}

/// WebGPU has a device to try, and finds no way to it.
fn of_no_adapter(machine: &Machine) -> Reason {
    if !machine.graphics_card || !machine.graphics_loader {
        return of_no_device(machine);
    }
    let driver = match machine.os {
        Os::Linux => "a driver for Vulkan",
        Os::MacOs | Os::Windows => "the graphics card's driver",
    };
    Reason::new(
        Missing::Driver(driver.to_owned()),
        format!("WebGPU finds no card that it can use: {driver} is missing or too old"),
        "install or update the graphics card's driver (on Debian mesa-vulkan-drivers, or NVIDIA's own)",
    )
}

fn no_vulkan(machine: &Machine) -> Reason {
    let (file, advice) = match machine.os {
        Os::Windows => ("d3d12.dll", "install the graphics card's driver"),
        Os::Linux | Os::MacOs => (
            "libvulkan.so.1",
            "install Vulkan's loader (libvulkan1, vulkan-loader) and the graphics card's driver; \
             without a card take cpu",
        ),
    };
    let card = if machine.graphics_card {
        ""
    } else {
        ", and there is no graphics card"
    };
    Reason::new(
        Missing::Driver(file.to_owned()),
        format!("WebGPU reaches cards through {file}, which is not installed{card}"),
        advice,
    )
}

/// What a message of ONNX Runtime's means that came when the provider was added to a session or tried.
pub(super) fn of_message(provider: ExecutionProvider, message: &str, machine: &Machine) -> Reason {
    if says_not_built(message) {
        return of_build(provider, "ONNX Runtime");
    }
    match provider {
        ExecutionProvider::Cuda
        | ExecutionProvider::TensorRt
        | ExecutionProvider::NvTensorRtRtx => of_nvidia(provider, message, machine),
        ExecutionProvider::WebGpu if is_about_adapter(message) => of_no_adapter(machine),
        ExecutionProvider::DirectMl if is_about_dxgi(message) => Reason::new(
            Missing::Device("a graphics card".to_owned()),
            "there is no graphics card that DirectX 12 can use",
            "take cpu",
        ),
        _ => of_any(provider, message, machine),
    }
}

fn says_not_built(message: &str) -> bool {
    ["not enabled in this build", "not supported in this build"]
        .iter()
        .any(|phrase| message.contains(phrase))
}

fn is_about_adapter(message: &str) -> bool {
    message.contains("WebGPU adapter")
        || message.contains("No supported adapters")
        || message.contains(super::webgpu::NO_DEVICE)
}

/// `DXGI_ERROR_NOT_FOUND`, `DXGI_ERROR_UNSUPPORTED`.
fn is_about_dxgi(message: &str) -> bool {
    message.contains("887A0002") || message.contains("887A0004")
}

/// NVIDIA's providers: without a card, or a driver, everything else that is missing does not matter.
fn of_nvidia(provider: ExecutionProvider, message: &str, machine: &Machine) -> Reason {
    let number = super::class::cuda_failure(&message.to_ascii_lowercase());
    if !machine.nvidia_card || matches!(number, Some(38 | 100)) {
        return Reason::new(
            Missing::Device("a card of NVIDIA's".to_owned()),
            with_library("this machine shows no card of NVIDIA's", message),
            "take webgpu or cpu, or a machine with such a card",
        );
    }
    if !machine.nvidia_driver || matches!(number, Some(35)) {
        let driver = match machine.os {
            Os::Windows => "nvcuda.dll",
            Os::Linux | Os::MacOs => "libcuda.so.1",
        };
        let why = match number {
            Some(35) => "NVIDIA's driver is too old for the CUDA of this build".to_owned(),
            _ => with_library(
                &format!("NVIDIA's driver is not installed ({driver})"),
                message,
            ),
        };
        return Reason::new(
            Missing::Driver(driver.to_owned()),
            why,
            "install or update NVIDIA's driver",
        );
    }
    match number {
        Some(101) => Reason::new(
            Missing::Device("the card of this number".to_owned()),
            "there is no card of the number that device_id says",
            "set device_id to the number of a card; they begin with 0",
        ),
        Some(209) => Reason::new(
            Missing::Device("a newer card".to_owned()),
            "this build of ONNX Runtime has nothing for a card of this generation",
            "take webgpu or cpu, or a build for this card",
        ),
        _ => of_any(provider, message, machine),
    }
}

fn with_library(why: &str, message: &str) -> String {
    match missing_library(message) {
        Some(library) => format!("{why}; {library} is missing as well"),
        None => why.to_owned(),
    }
}

fn of_any(provider: ExecutionProvider, message: &str, machine: &Machine) -> Reason {
    match missing_library(message) {
        Some(library) => without_library(provider, library, machine),
        None => Reason::new(
            Missing::Other(short(message)),
            short(message),
            "see what ONNX Runtime says; `inhouse doctor` tells more",
        ),
    }
}

fn without_library(provider: ExecutionProvider, library: &str, machine: &Machine) -> Reason {
    if library.starts_with("libvulkan") {
        return no_vulkan(machine);
    }
    let advice = if library.contains("onnxruntime_providers_") {
        match provider {
            ExecutionProvider::WebGpu => "`inhouse runtime install webgpu` fetches it",
            ExecutionProvider::Cuda | ExecutionProvider::TensorRt => {
                "`inhouse runtime install cuda` fetches it"
            }
            _ => "it belongs beside ONNX Runtime's library: install the whole package",
        }
    } else if library.contains("nvinfer") || library.contains("nvonnxparser") {
        "install TensorRT: `pip install tensorrt` in the Python that has ONNX Runtime, or NVIDIA's package"
    } else if machine.nvidia_card {
        "install CUDA's libraries: `pip install \"onnxruntime-gpu[cuda,cudnn]\"`, or NVIDIA's toolkit"
    } else {
        "install it"
    };
    Reason::new(
        Missing::Library(library.to_owned()),
        format!(
            "{} needs {library}, which is not installed",
            provider.title()
        ),
        advice,
    )
}

fn file_name(path: &std::path::Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The part of a message that says something: ONNX Runtime puts the place in its sources before it.
pub(super) fn short(message: &str) -> String {
    const LENGTH: usize = 300;
    let told = message
        .rsplit_once("[ONNXRuntimeError] : ")
        .map_or(message, |(_, told)| told);
    let told: String = told
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(LENGTH)
        .collect();
    if told.is_empty() {
        "ONNX Runtime gave no reason".to_owned()
    } else {
        told
    }
}

#[cfg(test)]
mod tests;

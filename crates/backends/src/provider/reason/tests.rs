//! Messages as ONNX Runtime 1.23 to 1.31 and their providers gave them, on Linux unless they say otherwise.

use std::path::{Path, PathBuf};

use super::{
    Missing, advice_of_another, of_build, of_message, of_no_device, of_plugin, of_system, short,
};
use crate::{
    library::{Os, Place},
    provider::{ExecutionProvider as Ep, machine::Machine, webgpu::Plugin},
};

const BARE: Machine = Machine {
    os: Os::Linux,
    nvidia_card: false,
    nvidia_driver: false,
    graphics_card: false,
    graphics_loader: false,
};
const WITH_CARD: Machine = Machine {
    nvidia_card: true,
    graphics_card: true,
    graphics_loader: true,
    ..BARE
};
const WITH_DRIVER: Machine = Machine {
    nvidia_driver: true,
    ..WITH_CARD
};

const NO_CUBLAS: &str = "/onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:2043 onnxruntime::Provider& \
    onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library \
    /opt/onnxruntime/capi/libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: cannot open shared object \
    file: No such file or directory\n";
const NO_COMPANION: &str = "/onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:1988 \
    onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library \
    /opt/x64/libonnxruntime_providers_shared.so with error: /opt/x64/libonnxruntime_providers_shared.so: cannot open \
    shared object file: No such file or directory\n";
const NO_TENSORRT: &str = "[ONNXRuntimeError] : 1 : FAIL : Failed to load library \
    /opt/onnxruntime/capi/libonnxruntime_providers_tensorrt.so with error: libnvinfer.so.10: cannot open shared object \
    file: No such file or directory\n";
const NO_DEVICE: &str = "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:146 \
    std::conditional_t<THRW, void, onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, const char*, \
    SUCCTYPE, const char*, const char*, int) [with ERRTYPE = cudaError; bool THRW = true] CUDA failure 100: no \
    CUDA-capable device is detected ; GPU=-1 ; hostname=vm ; \
    file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider.cc ; line=355 ; \
    expr=cudaSetDevice(info_.device_id); \n\n";
const OLD_DRIVER: &str = "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; \
    hostname=vm ; expr=cudaSetDevice(info_.device_id);";
const NO_ADAPTER: &str = "/onnxruntime_src/onnxruntime/core/session/plugin_ep/ep_plugin_provider_interfaces.cc:71 virtual \
    std::unique_ptr<onnxruntime::IExecutionProvider> onnxruntime::PluginExecutionProviderFactory::CreateProvider(const \
    OrtSessionOptions&, const OrtLogger&) Error creating execution provider: [ONNXRuntimeError] : 11 : EP_FAIL : \
    /onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 \
    onnxruntime::webgpu::WebGpuContext::Initialize(const onnxruntime::webgpu::WebGpuContextConfig&)::<lambda()> \
    adapter_result.status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported \
    adapters\n\n";

fn library(name: &str) -> Missing {
    Missing::Library(name.to_owned())
}

fn driver(name: &str) -> Missing {
    Missing::Driver(name.to_owned())
}

fn device(name: &str) -> Missing {
    Missing::Device(name.to_owned())
}

fn check(provider: Ep, message: &str, machine: &Machine, expected: &Missing, said: &[&str]) {
    let reason = of_message(provider, message, machine);
    assert_eq!(reason.missing, *expected, "{message}");
    let all = format!("{} | {}", reason.why, reason.advice);
    for part in said {
        assert!(all.contains(part), "{all}");
    }
}

#[test]
fn providers_that_are_not_compiled_in() {
    for (provider, message, said) in [
        (
            Ep::Cuda,
            "CUDA execution provider is not enabled in this build.",
            "`inhouse runtime install cuda`",
        ),
        (
            Ep::TensorRt,
            "TensorRT execution provider is not enabled in this build.",
            "`inhouse runtime install cuda`",
        ),
        (
            Ep::NvTensorRtRtx,
            "NvTensorRTRTXExecutionProvider execution provider is not supported in this build. ",
            "ORT_DYLIB_PATH",
        ),
        (
            Ep::DirectMl,
            "DirectML is not supported in this build of ONNX Runtime",
            "`inhouse runtime install directml`",
        ),
        (
            Ep::Qnn,
            "QNNExecutionProvider execution provider is not supported in this build. ",
            "built without QNN",
        ),
    ] {
        check(provider, message, &BARE, &Missing::InLibrary, &[said]);
    }
    let reason = of_build(Ep::OpenVino, "ONNX Runtime 1.31.1");
    assert_eq!(
        reason.why,
        "this ONNX Runtime 1.31.1 was built without OpenVINO"
    );
}

#[test]
fn providers_of_other_systems() {
    assert_eq!(of_system(Ep::DirectMl).why, "DirectML is for Windows");
    assert_eq!(of_system(Ep::CoreMl).why, "CoreML is for macOS");
}

#[test]
fn without_a_card_of_nvidias_nothing_else_matters() {
    let card = device("a card of NVIDIA's");
    let said = [
        "shows no card of NVIDIA's",
        "libcublasLt.so.13 is missing as well",
        "webgpu or cpu",
    ];
    check(Ep::Cuda, NO_CUBLAS, &BARE, &card, &said);
    check(Ep::Cuda, NO_DEVICE, &BARE, &card, &["shows no card"]);
    check(Ep::Cuda, NO_DEVICE, &WITH_DRIVER, &card, &["shows no card"]);
    check(
        Ep::TensorRt,
        NO_TENSORRT,
        &BARE,
        &card,
        &["libnvinfer.so.10"],
    );
}

#[test]
fn without_nvidias_driver_the_driver_is_named() {
    let missing = driver("libcuda.so.1");
    check(
        Ep::Cuda,
        NO_CUBLAS,
        &WITH_CARD,
        &missing,
        &["driver is not installed (libcuda.so.1)"],
    );
    check(
        Ep::Cuda,
        OLD_DRIVER,
        &WITH_DRIVER,
        &missing,
        &["too old", "update"],
    );
    let windows = Machine {
        os: Os::Windows,
        ..WITH_CARD
    };
    check(
        Ep::Cuda,
        "",
        &windows,
        &driver("nvcuda.dll"),
        &["nvcuda.dll"],
    );
}

#[test]
fn with_a_card_and_a_driver_the_missing_library_is_named() {
    let said = [
        "CUDA needs libcublasLt.so.13",
        "onnxruntime-gpu[cuda,cudnn]",
    ];
    check(
        Ep::Cuda,
        NO_CUBLAS,
        &WITH_DRIVER,
        &library("libcublasLt.so.13"),
        &said,
    );
    let said = ["TensorRT needs libnvinfer.so.10", "pip install tensorrt"];
    check(
        Ep::TensorRt,
        NO_TENSORRT,
        &WITH_DRIVER,
        &library("libnvinfer.so.10"),
        &said,
    );
    let missing = library("libonnxruntime_providers_shared.so");
    check(
        Ep::Cuda,
        NO_COMPANION,
        &WITH_DRIVER,
        &missing,
        &["inhouse runtime install cuda"],
    );
    check(
        Ep::Cuda,
        "CUDA failure 101: invalid device ordinal ; GPU=7 ;",
        &WITH_DRIVER,
        &device("the card of this number"),
        &["device_id"],
    );
    check(
        Ep::Cuda,
        "CUDA failure 209: no kernel image is available for execution on the device ; GPU=0 ;",
        &WITH_DRIVER,
        &device("a newer card"),
        &["of this generation"],
    );
}

#[test]
fn webgpu_needs_a_plugin_a_loader_and_a_card() {
    let plugin = |plugin: &Plugin| of_plugin(plugin, &WITH_CARD);
    let path = PathBuf::from("/home/me/runtimes/webgpu/libonnxruntime_providers_webgpu.so");
    assert_eq!(plugin(&Plugin::BuiltIn), None);
    assert_eq!(plugin(&Plugin::Registered(path.clone())), None);
    let missing = plugin(&Plugin::Missing).expect("a reason");
    assert_eq!(missing.missing, Missing::InLibrary);
    assert!(missing.advice.contains("`inhouse runtime install webgpu`"));
    let untrusted = plugin(&Plugin::Untrusted(path.clone())).expect("a reason");
    assert!(untrusted.why.contains("not trusted"));
    let message =
        "ORT runtime version \"1.23.2\" is below the minimum required version \"1.24.4\".";
    let old = plugin(&Plugin::Refused(path, message.to_owned())).expect("a reason");
    assert_eq!(old.missing, library("libonnxruntime_providers_webgpu.so"));
    assert!(old.why.ends_with(message), "{}", old.why);

    let bare = of_no_device(&BARE);
    assert_eq!(bare.missing, driver("libvulkan.so.1"));
    assert!(
        bare.why
            .ends_with("not installed, and there is no graphics card")
    );
    let no_card = of_no_device(&Machine {
        graphics_loader: true,
        ..BARE
    });
    assert_eq!(no_card.missing, device("a graphics card"));
    assert!(
        no_card
            .why
            .contains("a physical graphics card with a driver for Vulkan")
    );
}

#[test]
fn webgpu_that_finds_no_adapter() {
    check(
        Ep::WebGpu,
        NO_ADAPTER,
        &BARE,
        &driver("libvulkan.so.1"),
        &["libvulkan.so.1"],
    );
    let no_card = Machine {
        graphics_loader: true,
        ..BARE
    };
    check(
        Ep::WebGpu,
        NO_ADAPTER,
        &no_card,
        &device("a graphics card"),
        &["lists no device"],
    );
    check(
        Ep::WebGpu,
        NO_ADAPTER,
        &WITH_CARD,
        &driver("a driver for Vulkan"),
        &["mesa-vulkan-drivers"],
    );
}

#[test]
fn other_messages_are_shortened_to_what_they_say() {
    let message = "/onnxruntime_src/x.cc:71 Error creating execution provider: [ONNXRuntimeError] : 11 : EP_FAIL : \
        Invalid preferred layout:\n WRONG\n\n";
    let told = "11 : EP_FAIL : Invalid preferred layout: WRONG";
    check(
        Ep::WebGpu,
        message,
        &WITH_CARD,
        &Missing::Other(told.to_owned()),
        &[told],
    );
    assert_eq!(short(" \n"), "ONNX Runtime gave no reason");
    assert_eq!(short(&"x".repeat(1000)).len(), 300);
    check(
        Ep::DirectMl,
        "DmlExecutionProvider.cpp(57) Exception(1) tid(1) 887A0004 The specified device interface or feature level is not \
         supported on this system.",
        &Machine {
            os: Os::Windows,
            ..WITH_CARD
        },
        &device("a graphics card"),
        &["DirectX 12"],
    );
}

#[test]
fn another_library_that_has_the_provider_is_named() {
    for (place, expected) in [
        (
            Place::Variable,
            "/o/lib.so has it, and ORT_DYLIB_PATH names another",
        ),
        (
            Place::Node,
            "/o/lib.so has it, and a process can load one library: start anew, and ask for cuda first",
        ),
    ] {
        let advice = advice_of_another(Ep::Cuda, place, Path::new("/o/lib.so"));
        assert_eq!(advice, expected);
    }
}

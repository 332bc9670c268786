//! Putting an execution provider into a session that is being built.

use ort::{
    ep::{
        self, ArbitrarilyConfigurableExecutionProvider, ExecutionProvider as _,
        ExecutionProviderDispatch,
    },
    session::builder::{AutoDevicePolicy, SessionBuilder},
};

use super::{name::ExecutionProvider, options::Options, webgpu};
use crate::library::{Library, RuntimeError};

/// Adds the provider to the session, as the one that is asked first; what it does not take stays with the processor.
/// It must be [ready](super::ready).
///
/// # Errors
/// ONNX Runtime refuses the provider or an option; [`explain`](super::explain) tells what that means.
pub fn attach(
    builder: SessionBuilder,
    provider: ExecutionProvider,
    options: &Options,
    library: &Library,
) -> ort::Result<SessionBuilder> {
    let error = |error: RuntimeError| ort::Error::new(error.to_string());
    match provider {
        // Without a word about devices, `ort` has ONNX Runtime choose one, and it may choose a plugin's.
        ExecutionProvider::Cpu => {
            let builder = builder
                .with_auto_device(AutoDevicePolicy::PreferCPU)
                .unwrap_or_else(ort::Error::recover);
            match options.use_arena() {
                Some(_) => add(builder, dispatch(provider, options).map_err(error)?),
                None => Ok(builder),
            }
        }
        // The plugin goes by its devices, what is built in by its name.
        ExecutionProvider::WebGpu if webgpu::is_plugin(library) => {
            webgpu::attach(builder, options, library)
        }
        // DirectML takes neither memory patterns nor several operators at once.
        ExecutionProvider::DirectMl => add(
            builder
                .with_memory_pattern(false)?
                .with_parallel_execution(false)?,
            dispatch(provider, options).map_err(error)?,
        ),
        _ => add(builder, dispatch(provider, options).map_err(error)?),
    }
}

fn add(
    builder: SessionBuilder,
    dispatch: ExecutionProviderDispatch,
) -> ort::Result<SessionBuilder> {
    Ok(builder.with_execution_providers([dispatch])?)
}

/// The provider with its options, for a session's list. It fails where it cannot be had, instead of being left out.
///
/// # Errors
/// An option of DirectML's is not understood.
pub fn dispatch(
    provider: ExecutionProvider,
    options: &Options,
) -> Result<ExecutionProviderDispatch, RuntimeError> {
    let dispatch = match provider {
        ExecutionProvider::Cpu => ep::CPU::default()
            .with_arena_allocator(options.use_arena().unwrap_or(true))
            .build(),
        ExecutionProvider::Cuda => with(ep::CUDA::default(), options).build(),
        ExecutionProvider::TensorRt => with(ep::TensorRT::default(), options).build(),
        ExecutionProvider::NvTensorRtRtx => with(ep::NVRTX::default(), options).build(),
        ExecutionProvider::CoreMl => with(ep::CoreML::default(), options).build(),
        ExecutionProvider::OpenVino => with(ep::OpenVINO::default(), options).build(),
        ExecutionProvider::Qnn => with(ep::QNN::default(), options).build(),
        ExecutionProvider::WebGpu => with(ep::WebGPU::default(), options).build(),
        ExecutionProvider::DirectMl => directml(options)?.build(),
    };
    Ok(dispatch.error_on_failure())
}

fn with<P: ArbitrarilyConfigurableExecutionProvider>(provider: P, options: &Options) -> P {
    options.pairs().fold(provider, |provider, (key, value)| {
        provider.with_arbitrary_config(key, value)
    })
}

/// DirectML has no options by name, so those that it has are read here.
fn directml(options: &Options) -> Result<ep::DirectML, RuntimeError> {
    use ep::directml::{DeviceFilter, PerformancePreference};
    let mut provider = ep::DirectML::default();
    for (key, value) in options.pairs() {
        let value = value.to_ascii_lowercase();
        provider = match (key, value.as_str()) {
            ("device_id", number) if number.parse::<u16>().is_ok() => {
                provider.with_device_id(number.parse().unwrap_or_default())
            }
            ("performance_preference", "default") => {
                provider.with_performance_preference(PerformancePreference::Default)
            }
            ("performance_preference", "high_performance") => {
                provider.with_performance_preference(PerformancePreference::HighPerformance)
            }
            ("performance_preference", "minimum_power") => {
                provider.with_performance_preference(PerformancePreference::MinimumPower)
            }
            ("device_filter", "gpu") => provider.with_device_filter(DeviceFilter::Gpu),
            ("device_filter", "npu") => provider.with_device_filter(DeviceFilter::Npu),
            ("device_filter", "any") => provider.with_device_filter(DeviceFilter::Any),
            _ => {
                return Err(RuntimeError::options(format!(
                    "directml does not understand the option {key:?} with the value {value:?}; it has device_id (a \
                     number), performance_preference (default, high_performance, minimum_power) and device_filter \
                     (gpu, npu, any)"
                )));
            }
        };
    }
    Ok(provider)
}

/// Whether the library was built with the provider. It says nothing of what the provider needs besides.
pub(super) fn is_compiled_in(provider: ExecutionProvider) -> ort::Result<bool> {
    match provider {
        ExecutionProvider::Cpu => Ok(true),
        ExecutionProvider::Cuda => ep::CUDA::is_available(),
        ExecutionProvider::TensorRt => ep::TensorRT::is_available(),
        ExecutionProvider::NvTensorRtRtx => ep::NVRTX::is_available(),
        ExecutionProvider::DirectMl => ep::DirectML::is_available(),
        ExecutionProvider::CoreMl => ep::CoreML::is_available(),
        ExecutionProvider::OpenVino => ep::OpenVINO::is_available(),
        ExecutionProvider::Qnn => ep::QNN::is_available(),
        ExecutionProvider::WebGpu => ep::WebGPU::is_available(),
    }
}

#[cfg(test)]
mod tests {
    use super::{ExecutionProvider as Ep, Options, directml, dispatch};

    #[test]
    fn every_provider_goes_by_its_name() {
        for provider in Ep::ALL {
            let dispatch =
                dispatch(*provider, &Options::default()).expect("no options, no mistake");
            assert_eq!(dispatch.name(), provider.ort_name());
        }
    }

    #[test]
    fn directml_reads_its_three_options() {
        let check = |key: &str, value: &str, expected: bool| {
            let mut options = Options::default();
            options.set(key, value);
            assert_eq!(directml(&options).is_ok(), expected, "{key}={value}");
        };
        check("device_id", "1", true);
        check("device_id", "-1", false);
        check("performance_preference", "High_Performance", true);
        check("performance_preference", "fast", false);
        check("device_filter", "npu", true);
        check("disable_metacommands", "1", false);
    }
}

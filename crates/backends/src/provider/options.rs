//! Options of execution providers: ours, the model folder's, the user's.

use super::name::ExecutionProvider;
use crate::library::RuntimeError;

/// Longest value that is passed on.
const LONGEST: usize = 4096;

/// The options that a provider is made with, as ONNX Runtime reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pairs: Vec<(String, String)>,
}

impl Options {
    /// Our defaults, then what the model's folder says (of its `provider_options` for this provider), then what the
    /// user configured; the later wins. A folder may come from anywhere, so only keys that change how something is
    /// computed are taken from it; the others come back as notes.
    ///
    /// # Errors
    /// The user's own options are all passed on, unless they cannot be: they hold a zero byte, or an address in memory, or
    /// nobody would look at them.
    pub fn new(
        provider: ExecutionProvider,
        of_folder: &[(String, String)],
        of_user: &[(String, String)],
    ) -> Result<(Self, Vec<String>), RuntimeError> {
        let mut options = Self::default();
        for (key, value) in defaults(provider) {
            options.set(key, value);
        }
        let mut notes = Vec::new();
        for (key, value) in of_folder {
            let is_harmless = harmless(provider).contains(&key.as_str());
            match unfit(key, value) {
                None if is_harmless => options.set(key, value),
                _ => notes.push(format!(
                    "genai_config.json: the option {} for {provider} was passed over: a model's folder may not set it",
                    key.escape_debug()
                )),
            }
        }
        for (key, value) in of_user {
            if let Some(reason) = unfit(key, value).or_else(|| unknown(provider, key, value)) {
                return Err(RuntimeError::options(format!(
                    "the option {} for {provider} {reason}; take it out",
                    key.escape_debug()
                )));
            }
            options.set(key, value);
        }
        Ok((options, notes))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let pair = self.pairs.iter().find(|(name, _)| name == key)?;
        Some(&pair.1)
    }

    /// Sets a key, in place of what it was.
    pub fn set(&mut self, key: &str, value: &str) {
        match self.pairs.iter_mut().find(|(name, _)| name == key) {
            Some(pair) => pair.1 = value.to_owned(),
            None => self.pairs.push((key.to_owned(), value.to_owned())),
        }
    }

    /// All of them, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether the processor's freed memory is kept for the next run; [`None`] where nobody says.
    pub(super) fn use_arena(&self) -> Option<bool> {
        let value = self.get(USE_ARENA)?;
        Some(value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// Whether the provider is told to record a run and to replay it.
    pub fn captures(&self, provider: ExecutionProvider) -> bool {
        capture_key(provider)
            .and_then(|key| self.get(key))
            .is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
    }
}

/// The option by which a provider records a run and replays it, where it can.
pub fn capture_key(provider: ExecutionProvider) -> Option<&'static str> {
    match provider {
        ExecutionProvider::Cuda | ExecutionProvider::NvTensorRtRtx => Some("enable_cuda_graph"),
        ExecutionProvider::TensorRt => Some("trt_cuda_graph_enable"),
        ExecutionProvider::WebGpu => Some("enableGraphCapture"),
        ExecutionProvider::Cpu
        | ExecutionProvider::DirectMl
        | ExecutionProvider::CoreMl
        | ExecutionProvider::OpenVino
        | ExecutionProvider::Qnn => None,
    }
}

/// What differs from ONNX Runtime's own defaults.
fn defaults(provider: ExecutionProvider) -> &'static [(&'static str, &'static str)] {
    match provider {
        // A cache that doubles would take twice the memory again; and products are not silently rounded to 10 bits.
        ExecutionProvider::Cuda => &[
            ("arena_extend_strategy", "kSameAsRequested"),
            ("use_tf32", "0"),
        ],
        // The form that runs on the GPU and the neural engine of every Mac of today.
        ExecutionProvider::CoreMl => &[("ModelFormat", "MLProgram")],
        _ => &[],
    }
}

/// Why a user's option would be without effect: the processor's provider has one, and nobody else looks at the rest.
fn unknown(provider: ExecutionProvider, key: &str, value: &str) -> Option<&'static str> {
    if provider != ExecutionProvider::Cpu {
        return None;
    }
    if key != USE_ARENA {
        return Some("is not known: cpu has use_arena alone");
    }
    let is_switch = ["0", "1", "false", "true"]
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word));
    (!is_switch).then_some("is neither 0 nor 1")
}

/// The processor's only option: whether freed memory is kept for the next run.
const USE_ARENA: &str = "use_arena";

/// Why an option cannot be passed on, whoever set it.
fn unfit(key: &str, value: &str) -> Option<&'static str> {
    if key.is_empty() || key.contains('\0') || value.contains('\0') {
        return Some("has no name or holds a zero byte");
    }
    if key.len() > LONGEST || value.len() > LONGEST {
        return Some("is longer than any option");
    }
    let is_address = ADDRESSES
        .iter()
        .any(|address| key.eq_ignore_ascii_case(address));
    is_address.then_some("is an address in memory, which no text can know")
}

/// Options whose values ONNX Runtime takes for addresses of functions and objects, and goes there.
const ADDRESSES: &[&str] = &[
    "user_compute_stream",
    "has_user_compute_stream",
    "gpu_external_alloc",
    "gpu_external_free",
    "gpu_external_empty_cache",
    "default_memory_arena_cfg",
    "user_aux_stream_array",
    "nv_user_aux_stream_array",
    "trt_onnx_bytestream",
    "trt_onnx_bytestream_size",
    "trt_external_data_bytestream",
    "trt_external_data_bytestream_size",
    "nv_onnx_bytestream",
    "nv_onnx_bytestream_size",
    "nv_external_data_bytestream",
    "nv_external_data_bytestream_size",
    "webgpuInstance",
    "webgpuDevice",
    "dawnProcTable",
    "deviceId", // of WebGPU: which of the above
    "context",  // of OpenVINO: an OpenCL context
];

/// Options that only change how, and with how much memory, something is computed. Not among them: paths, libraries,
/// caches and dumps, and whatever takes checks of memory out of kernels.
fn harmless(provider: ExecutionProvider) -> &'static [&'static str] {
    match provider {
        ExecutionProvider::Cpu => &[USE_ARENA],
        ExecutionProvider::Cuda => &[
            "device_id",
            "gpu_mem_limit",
            "arena_extend_strategy",
            "cudnn_conv_algo_search",
            "cudnn_conv_use_max_workspace",
            "cudnn_conv1d_pad_to_nc1d",
            "do_copy_in_default_stream",
            "enable_cuda_graph",
            "enable_skip_layer_norm_strict_mode",
            "fuse_conv_bias",
            "prefer_nhwc",
            "sdpa_kernel",
            "use_ep_level_unified_stream",
            "use_tf32",
        ],
        ExecutionProvider::TensorRt => &[
            "device_id",
            "trt_auxiliary_streams",
            "trt_bf16_enable",
            "trt_build_heuristics_enable",
            "trt_builder_optimization_level",
            "trt_context_memory_sharing_enable",
            "trt_cuda_graph_enable",
            "trt_dla_core",
            "trt_dla_enable",
            "trt_force_sequential_engine_build",
            "trt_fp16_enable",
            "trt_int8_enable",
            "trt_layer_norm_fp32_fallback",
            "trt_max_partition_iterations",
            "trt_max_workspace_size",
            "trt_min_subgraph_size",
            "trt_profile_max_shapes",
            "trt_profile_min_shapes",
            "trt_profile_opt_shapes",
            "trt_sparsity_enable",
        ],
        ExecutionProvider::NvTensorRtRtx => &[
            "device_id",
            "enable_cuda_graph",
            "nv_max_shared_mem_size",
            "nv_max_workspace_size",
            "nv_multi_profile_enable",
            "nv_profile_max_shapes",
            "nv_profile_min_shapes",
            "nv_profile_opt_shapes",
        ],
        ExecutionProvider::DirectMl => &["device_id", "performance_preference", "device_filter"],
        ExecutionProvider::WebGpu => &[
            "dawnBackendType",
            "defaultBufferCacheMode",
            "enableGraphCapture",
            "enableInt64",
            "forceCpuNodeNames",
            "maxNumPendingDispatches",
            "maxStorageBufferBindingSize",
            "multiRotaryCacheConcatOffset",
            "powerPreference",
            "preferredLayout",
            "queryResolveBufferCacheMode",
            "storageBufferCacheMode",
            "uniformBufferCacheMode",
        ],
        ExecutionProvider::CoreMl => &[
            "AllowLowPrecisionAccumulationOnGPU",
            "EnableOnSubgraphs",
            "MLComputeUnits",
            "ModelFormat",
            "RequireStaticInputShapes",
            "SpecializationStrategy",
        ],
        ExecutionProvider::OpenVino => &[
            "device_type",
            "disable_dynamic_shapes",
            "enable_opencl_throttling",
            "enable_qdq_optimizer",
            "model_priority",
            "num_of_threads",
            "num_streams",
            "precision",
        ],
        ExecutionProvider::Qnn => &[
            "backend_type",
            "device_id",
            "enable_htp_fp16_precision",
            "enable_htp_weight_sharing",
            "htp_arch",
            "htp_graph_finalization_optimization_mode",
            "htp_performance_mode",
            "offload_graph_io_quantization",
            "qnn_context_priority",
            "rpc_control_latency",
            "soc_model",
            "vtcm_mb",
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::{ADDRESSES, ExecutionProvider as Ep, Options, harmless};

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_user_wins_over_the_folder_and_the_folder_over_us() {
        let (options, notes) = Options::new(
            Ep::Cuda,
            &pairs(&[("use_tf32", "1"), ("device_id", "1")]),
            &pairs(&[("device_id", "2"), ("something_new", "x")]),
        )
        .expect("they fit");
        assert!(notes.is_empty(), "{notes:?}");
        let all: Vec<_> = options.pairs().collect();
        assert_eq!(
            all,
            [
                ("arena_extend_strategy", "kSameAsRequested"),
                ("use_tf32", "1"),
                ("device_id", "2"),
                ("something_new", "x"),
            ]
        );
        assert!(!options.captures(Ep::Cuda));
    }

    #[test]
    fn a_folder_has_no_library_loaded_and_no_file_written() {
        for (provider, key) in [
            (Ep::Qnn, "backend_path"),
            (Ep::Qnn, "profiling_file_path"),
            (Ep::TensorRt, "trt_engine_cache_path"),
            (Ep::TensorRt, "trt_extra_plugin_lib_paths"),
            (Ep::TensorRt, "trt_engine_decryption_lib_path"),
            (Ep::TensorRt, "trt_dump_subgraphs"),
            (Ep::NvTensorRtRtx, "nv_runtime_cache_path"),
            (Ep::OpenVino, "cache_dir"),
            (Ep::OpenVino, "load_config"),
            (Ep::CoreMl, "ModelCacheDirectory"),
            (Ep::Cuda, "gpu_external_alloc"),
            (Ep::WebGpu, "webgpuDevice"),
            (Ep::WebGpu, "enableRobustness"),
            (Ep::DirectMl, "a\nb"),
        ] {
            let (options, notes) =
                Options::new(provider, &pairs(&[(key, "1")]), &[]).expect("notes");
            assert_eq!(options.get(key), None, "{key}");
            assert_eq!(notes.len(), 1, "{key}");
            assert!(!notes[0].contains('\n'), "{notes:?}");
        }
        let (options, notes) =
            Options::new(Ep::WebGpu, &pairs(&[("enableGraphCapture", "1")]), &[]).expect("fits");
        assert!(notes.is_empty() && options.captures(Ep::WebGpu));
    }

    #[test]
    fn nobody_passes_an_address_or_a_zero_byte() {
        for (key, value) in [
            ("user_compute_stream", "140000000"),
            ("GPU_External_Free", "1"),
            ("device_id", "0\0"),
            ("de\0vice", "0"),
            ("", "0"),
        ] {
            let error = Options::new(Ep::Cuda, &[], &pairs(&[(key, value)]));
            assert!(error.is_err(), "{key:?}");
        }
    }

    #[test]
    fn the_processor_has_one_switch() {
        let check = |key: &str, value: &str, expected: Option<Option<bool>>| {
            let options = Options::new(Ep::Cpu, &[], &pairs(&[(key, value)])).ok();
            let switch = options.map(|(options, _)| options.use_arena());
            assert_eq!(switch, expected, "{key}={value}");
        };
        check("use_arena", "0", Some(Some(false)));
        check("use_arena", "false", Some(Some(false)));
        check("use_arena", "True", Some(Some(true)));
        check("use_arena", "1", Some(Some(true)));
        check("use_arena", "off", None);
        check("device_id", "0", None);
        let (none, _) = Options::new(Ep::Cpu, &[], &[]).expect("nothing is fine");
        assert_eq!(none.use_arena(), None);
    }

    #[test]
    fn no_address_is_called_harmless() {
        for provider in Ep::ALL {
            for key in harmless(*provider) {
                assert!(!ADDRESSES.contains(key), "{key}");
                for part in ["path", "_dir", "_lib", "_file", "Directory", "dump"] {
                    assert!(!key.contains(part), "{key}");
                }
            }
        }
    }
}

//! How a model's graph is opened: what its folder says, with what the caller says over it.

use inhouse_engine::{EngineError, GenaiConfig, GraphOptimization, LoadOptions};
use ort::session::builder::GraphOptimizationLevel;

use crate::runner::Opening;

/// Configuration entries of ONNX Runtime that a model's folder may set: those that change how something is computed, and
/// nothing that reads, writes or loads a file. A folder may come from anywhere.
const HARMLESS: [&str; 14] = [
    "session.disable_prepacking",
    "session.set_denormal_as_zero",
    "session.disable_quant_qdq",
    "session.disable_double_qdq_remover",
    "session.enable_quant_qdq_cleanup",
    "session.qdqisint8allowed",
    "session.qdq_matmulnbits_accuracy_level",
    "session.use_device_allocator_for_initializers",
    "session.dynamic_block_base",
    "optimization.enable_gelu_approximation",
    "optimization.enable_cast_chain_elimination",
    "optimization.disable_specified_optimizers",
    "mlas.enable_gemm_fastmath_arm64_bfloat16",
    "mlas.use_lut_gemm",
];

/// The options, and what of the folder's was passed over.
///
/// # Errors
/// The folder wants a library of operators to be loaded, or nothing to compute with was asked for.
pub(crate) fn of(
    config: &GenaiConfig,
    options: &LoadOptions,
) -> Result<(Opening, Vec<String>), EngineError> {
    let session = &config.decoder.session;
    if let Some(library) = &session.custom_ops_library {
        return Err(EngineError::config(format!(
            "genai_config.json: session_options.custom_ops_library is {library:?}: a model's folder may not have programs \
             loaded; take it out where you trust the model and do not need it"
        )));
    }
    let (entries, others): (Vec<_>, Vec<_>) = session
        .entries
        .iter()
        .cloned()
        .partition(|(key, _)| HARMLESS.contains(&key.as_str()));
    let notes = others
        .iter()
        .map(|(key, _)| format!("genai_config.json: session_options.{key} was passed over"))
        .collect();
    let opening = Opening {
        entries,
        optimization: level(session.graph_optimization_level),
        cpu_arena: session.enable_cpu_mem_arena.unwrap_or(true),
        ..plain(options)?
    };
    Ok((opening, notes))
}

/// The options where a folder has no say.
///
/// # Errors
/// Nothing to compute with was asked for.
pub(crate) fn plain(options: &LoadOptions) -> Result<Opening, EngineError> {
    Ok(Opening {
        threads: options.n_threads()?,
        entries: Vec::new(),
        optimization: GraphOptimizationLevel::All,
        cpu_arena: true,
        // Every run has another length, and a pattern would be kept for each.
        memory_pattern: false,
    })
}

fn level(level: Option<GraphOptimization>) -> GraphOptimizationLevel {
    match level {
        Some(GraphOptimization::Off) => GraphOptimizationLevel::Disable,
        Some(GraphOptimization::Basic) => GraphOptimizationLevel::Level1,
        Some(GraphOptimization::Extended) => GraphOptimizationLevel::Level2,
        Some(GraphOptimization::All) | None => GraphOptimizationLevel::All,
    }
}

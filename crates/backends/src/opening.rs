//! How a model's graph is opened: what its folder says, with what the caller says over it.

use inhouse_engine::{
    EngineError, GenaiConfig, GraphOptimization, LoadOptions, NamedStrings, Precision,
};
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
    ACCURACY,
    "session.use_device_allocator_for_initializers",
    "session.dynamic_block_base",
    "optimization.enable_gelu_approximation",
    "optimization.enable_cast_chain_elimination",
    "optimization.disable_specified_optimizers",
    "mlas.enable_gemm_fastmath_arm64_bfloat16",
    "mlas.use_lut_gemm",
];

/// The `accuracy_level` of what ONNX Runtime makes of a dequantised product.
const ACCURACY: &str = "session.qdq_matmulnbits_accuracy_level";
/// Those of [`HARMLESS`] by which something is computed less exactly.
const ROUNDING: [&str; 4] = [
    ACCURACY,
    "optimization.enable_gelu_approximation",
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
    let entries = match options.precision {
        Precision::Exact => exact(entries),
        Precision::Default => entries,
    };
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

/// Without what may round activations. What is made of a dequantised product has an accuracy of its own, which is int8
/// unless something else is said.
fn exact(mut entries: NamedStrings) -> NamedStrings {
    entries.retain(|(key, _)| !ROUNDING.contains(&key.as_str()));
    entries.push((ACCURACY.to_owned(), "0".to_owned()));
    entries
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn exact_arithmetic_is_exact_whatever_the_folder_says() {
        let zoo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/zoo/llama-fp32");
        let mut config = GenaiConfig::of_folder(&zoo).unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let harmless = pair("session.set_denormal_as_zero", "1");
        config.decoder.session.entries = vec![
            pair("mlas.use_lut_gemm", "1"),
            harmless.clone(),
            pair(ACCURACY, "4"),
        ];
        let check = |precision, expected: &[(String, String)]| {
            let options = LoadOptions {
                precision,
                ..LoadOptions::default()
            };
            let (opening, notes) = of(&config, &options).unwrap();
            assert_eq!((opening.entries.as_slice(), notes.len()), (expected, 0));
        };
        let entries = &config.decoder.session.entries;
        check(Precision::Default, entries);
        check(Precision::Exact, &[harmless, pair(ACCURACY, "0")]);
    }
}

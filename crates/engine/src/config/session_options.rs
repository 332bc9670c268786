//! `session_options`: how ONNX Runtime is to compute a graph.

use serde_json::{Map, Value};

use super::invalid;
use crate::error::EngineError;

/// Where the section is, in messages.
const SECTION: &str = "model.decoder.session_options";
/// Far above any processor.
const MAX_THREADS: u64 = 4096;
/// ONNX Runtime's last level, `FATAL`.
const MAX_LOG_SEVERITY: u64 = 4;
/// For ONNX Runtime's logs and profiles, which nobody reads here.
const PASSED_OVER: [&str; 3] = ["log_id", "log_verbosity_level", "enable_profiling"];

/// Keys and values, in the order of the file.
pub type NamedStrings = Vec<(String, String)>;

/// The `session_options` section: for ONNX Runtime alone. What is absent is left to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionOptions {
    /// Threads that share an operator; 0 leaves it to ONNX Runtime.
    pub intra_op_num_threads: Option<usize>,
    /// Threads that run operators beside each other; 0 leaves it to ONNX Runtime.
    pub inter_op_num_threads: Option<usize>,
    /// Memory that was freed is kept for the next use.
    pub enable_cpu_mem_arena: Option<bool>,
    /// Buffers of a run are planned ahead.
    pub enable_mem_pattern: Option<bool>,
    /// Least severity that is logged: 0 is everything, 4 only what is fatal.
    pub log_severity_level: Option<u8>,
    /// How far the graph is rewritten before it runs.
    pub graph_optimization_level: Option<GraphOptimization>,
    /// A library with operators, as the file names it. It is code: whoever loads it must know whose.
    pub custom_ops_library: Option<String>,
    /// Configuration entries: every key that is not one of the above.
    pub entries: NamedStrings,
    /// Execution providers with their options, the preferred one first, named as in the file.
    pub providers: Vec<(String, NamedStrings)>,
}

/// Values of `graph_optimization_level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphOptimization {
    /// `ORT_DISABLE_ALL`
    Off,
    /// `ORT_ENABLE_BASIC`: constants are folded, what is superfluous goes.
    Basic,
    /// `ORT_ENABLE_EXTENDED`: operators are fused.
    Extended,
    /// `ORT_ENABLE_ALL`: layouts are changed as well.
    All,
}

impl SessionOptions {
    /// Reads the section; what has no place is told of in `warnings`.
    pub(super) fn read(
        section: &Map<String, Value>,
        warnings: &mut Vec<String>,
    ) -> Result<Self, EngineError> {
        let mut options = Self::default();
        for (key, value) in section {
            options.set(key, value, warnings)?;
        }
        Ok(options)
    }

    fn set(
        &mut self,
        key: &str,
        value: &Value,
        warnings: &mut Vec<String>,
    ) -> Result<(), EngineError> {
        match key {
            _ if PASSED_OVER.contains(&key) => {}
            "intra_op_num_threads" => {
                self.intra_op_num_threads = Some(number(key, value, MAX_THREADS)? as usize);
            }
            "inter_op_num_threads" => {
                self.inter_op_num_threads = Some(number(key, value, MAX_THREADS)? as usize);
            }
            "log_severity_level" => {
                self.log_severity_level = Some(number(key, value, MAX_LOG_SEVERITY)? as u8);
            }
            "enable_cpu_mem_arena" => self.enable_cpu_mem_arena = Some(flag(key, value)?),
            "enable_mem_pattern" => self.enable_mem_pattern = Some(flag(key, value)?),
            "graph_optimization_level" => {
                self.graph_optimization_level = Some(GraphOptimization::read(key, value)?);
            }
            "custom_ops_library" => {
                let name = value.as_str().filter(|name| !name.is_empty());
                let name = name.ok_or_else(|| wrong(key, value, "the path of a library"))?;
                self.custom_ops_library = Some(name.to_owned());
            }
            "provider_options" => self.providers = providers(key, value, warnings)?,
            _ => push_string(&mut self.entries, SECTION, key, value, warnings),
        }
        Ok(())
    }
}

impl GraphOptimization {
    const ALL: [(&str, Self); 4] = [
        ("ORT_DISABLE_ALL", Self::Off),
        ("ORT_ENABLE_BASIC", Self::Basic),
        ("ORT_ENABLE_EXTENDED", Self::Extended),
        ("ORT_ENABLE_ALL", Self::All),
    ];

    fn read(key: &str, value: &Value) -> Result<Self, EngineError> {
        let level = Self::ALL.iter().find(|(name, _)| value == name);
        level
            .map(|(_, level)| *level)
            .ok_or_else(|| wrong(key, value, &Self::ALL.map(|(name, _)| name).join(", ")))
    }
}

fn number(key: &str, value: &Value, most: u64) -> Result<u64, EngineError> {
    let number = value.as_u64().filter(|&number| number <= most);
    number.ok_or_else(|| wrong(key, value, &format!("a whole number from 0 to {most}")))
}

fn flag(key: &str, value: &Value) -> Result<bool, EngineError> {
    let flag = value.as_bool();
    flag.ok_or_else(|| wrong(key, value, "true or false"))
}

/// A list of objects, each of a provider's name and its options. What comes twice is put together, as GenAI does.
fn providers(
    key: &str,
    value: &Value,
    warnings: &mut Vec<String>,
) -> Result<Vec<(String, NamedStrings)>, EngineError> {
    let wanted = "a list of objects with a provider's name and its options";
    let list = value.as_array().ok_or_else(|| wrong(key, value, wanted))?;
    let mut providers: Vec<(String, NamedStrings)> = Vec::new();
    for item in list {
        let item = item.as_object().ok_or_else(|| wrong(key, item, wanted))?;
        for (name, options) in item {
            let key = format!("{key}.{name}");
            let options = options
                .as_object()
                .ok_or_else(|| wrong(&key, options, "an object with the provider's options"))?;
            let index = providers.iter().position(|(known, _)| known == name);
            let index = index.unwrap_or_else(|| {
                providers.push((name.clone(), NamedStrings::new()));
                providers.len() - 1
            });
            let section = format!("{SECTION}.{key}");
            for (option, value) in options {
                push_string(&mut providers[index].1, &section, option, value, warnings);
            }
        }
    }
    Ok(providers)
}

fn push_string(
    strings: &mut NamedStrings,
    section: &str,
    key: &str,
    value: &Value,
    warnings: &mut Vec<String>,
) {
    match value {
        Value::String(value) => strings.push((key.to_owned(), value.clone())),
        _ => warnings.push(format!(
            "genai_config.json: {section}.{key} is not a string and was passed over"
        )),
    }
}

fn wrong(key: &str, value: &Value, wanted: &str) -> EngineError {
    let shown: String = value.to_string().chars().take(60).collect();
    invalid(format!("{SECTION}.{key} is {shown}; it must be {wanted}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(section: Value) -> Result<(SessionOptions, Vec<String>), EngineError> {
        let mut warnings = Vec::new();
        let options = SessionOptions::read(section.as_object().unwrap(), &mut warnings)?;
        Ok((options, warnings))
    }

    fn strings(pairs: &[(&str, &str)]) -> NamedStrings {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn what_has_a_type_is_read_as_such() {
        let (options, warnings) = read(json!({
            "log_id": "onnxruntime-genai",
            "log_verbosity_level": 0,
            "enable_profiling": "trace",
            "intra_op_num_threads": 3,
            "inter_op_num_threads": 0,
            "enable_cpu_mem_arena": false,
            "enable_mem_pattern": true,
            "log_severity_level": 4,
            "graph_optimization_level": "ORT_ENABLE_EXTENDED",
            "custom_ops_library": "ops.so",
            "provider_options": [],
        }))
        .unwrap();
        let expected = SessionOptions {
            intra_op_num_threads: Some(3),
            inter_op_num_threads: Some(0),
            enable_cpu_mem_arena: Some(false),
            enable_mem_pattern: Some(true),
            log_severity_level: Some(4),
            graph_optimization_level: Some(GraphOptimization::Extended),
            custom_ops_library: Some("ops.so".into()),
            entries: Vec::new(),
            providers: Vec::new(),
        };
        assert_eq!((options, warnings), (expected, vec![]));
        assert_eq!(read(json!({})).unwrap().0, SessionOptions::default());
    }

    #[test]
    fn other_keys_are_entries_and_those_of_another_type_warnings() {
        let (options, warnings) = read(json!({
            "session.intra_op.allow_spinning": "0",
            "use_env_allocators": 1,
            "session.disable_prepacking": "1",
        }))
        .unwrap();
        let entries = [
            ("session.intra_op.allow_spinning", "0"),
            ("session.disable_prepacking", "1"),
        ];
        assert_eq!(options.entries, strings(&entries));
        assert_eq!(
            warnings,
            [
                "genai_config.json: model.decoder.session_options.use_env_allocators is not a string and was passed over"
            ]
        );
    }

    #[test]
    fn providers_keep_their_order_and_come_once() {
        let (options, warnings) = read(json!({ "provider_options": [
            { "cuda": { "enable_cuda_graph": "0", "enable_skip_layer_norm_strict_mode": "1" } },
            { "DML": {} },
            { "cuda": { "device_id": "1", "device_filtering_options": { "hardware_device_id": 1 } } },
        ]}))
        .unwrap();
        let cuda = [
            ("enable_cuda_graph", "0"),
            ("enable_skip_layer_norm_strict_mode", "1"),
            ("device_id", "1"),
        ];
        let expected = [
            ("cuda".to_owned(), strings(&cuda)),
            ("DML".to_owned(), vec![]),
        ];
        assert_eq!(options.providers, expected);
        assert_eq!(
            warnings,
            [
                "genai_config.json: model.decoder.session_options.provider_options.cuda.device_filtering_options \
              is not a string and was passed over"
            ]
        );
    }

    #[test]
    fn a_wrong_type_is_an_error_that_names_the_key() {
        let check = |section: Value, message: &str| {
            let error = read(section).unwrap_err().to_string();
            let start = "genai_config.json: model.decoder.session_options.";
            assert_eq!(error, format!("{start}{message}"));
        };
        check(
            json!({ "intra_op_num_threads": "2" }),
            r#"intra_op_num_threads is "2"; it must be a whole number from 0 to 4096"#,
        );
        check(
            json!({ "inter_op_num_threads": -1 }),
            "inter_op_num_threads is -1; it must be a whole number from 0 to 4096",
        );
        check(
            json!({ "log_severity_level": 5 }),
            "log_severity_level is 5; it must be a whole number from 0 to 4",
        );
        check(
            json!({ "enable_mem_pattern": "yes" }),
            r#"enable_mem_pattern is "yes"; it must be true or false"#,
        );
        check(
            json!({ "enable_cpu_mem_arena": 1 }),
            "enable_cpu_mem_arena is 1; it must be true or false",
        );
        check(
            json!({ "graph_optimization_level": "all" }),
            r#"graph_optimization_level is "all"; it must be ORT_DISABLE_ALL, ORT_ENABLE_BASIC, ORT_ENABLE_EXTENDED, ORT_ENABLE_ALL"#,
        );
        check(
            json!({ "custom_ops_library": "" }),
            r#"custom_ops_library is ""; it must be the path of a library"#,
        );
        let list = "it must be a list of objects with a provider's name and its options";
        check(
            json!({ "provider_options": {} }),
            &format!("provider_options is {{}}; {list}"),
        );
        check(
            json!({ "provider_options": ["cuda"] }),
            &format!(r#"provider_options is "cuda"; {list}"#),
        );
        check(
            json!({ "provider_options": [{ "cuda": 1 }] }),
            "provider_options.cuda is 1; it must be an object with the provider's options",
        );
    }
}

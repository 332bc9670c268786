//! What computes on this device, by the names that configuration has for it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Which of the two engines computes a model.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendChoice {
    /// The native one for models that it knows, computed by the processor; else ONNX Runtime.
    #[default]
    Auto,
    /// The native one.
    Native,
    /// ONNX Runtime.
    OnnxRuntime,
}

/// Execution providers: the name of each, and what else it is called. Neither case nor ` `, `-` and `_` matter.
///
/// `auto` stands for those that this system may have and that run any graph, the processor last.
pub const EXECUTION_PROVIDERS: &[(&str, &[&str])] = &[
    ("auto", &[]),
    ("cpu", &["CPUExecutionProvider"]),
    ("cuda", &["CUDAExecutionProvider"]),
    ("tensorrt", &["trt", "TensorrtExecutionProvider"]),
    (
        "nvtensorrtrtx",
        &["tensorrt-rtx", "NvTensorRTRTXExecutionProvider"],
    ),
    ("directml", &["dml", "DmlExecutionProvider"]),
    ("webgpu", &["WebGpuExecutionProvider"]),
    ("coreml", &["CoreMLExecutionProvider"]),
    ("openvino", &["OpenVINOExecutionProvider"]),
    ("qnn", &["QNNExecutionProvider"]),
];

/// The one name of the execution provider that is called `name`.
pub fn execution_provider(name: &str) -> Option<&'static str> {
    let plain = |name: &str| {
        let letters = name.chars().filter(|letter| !" -_".contains(*letter));
        letters.collect::<String>().to_ascii_lowercase()
    };
    let wanted = plain(name);
    let is = |other: &&str| plain(other) == wanted;
    let mut all = EXECUTION_PROVIDERS.iter();
    all.find(|(own, others)| is(own) || others.iter().any(is))
        .map(|(own, _)| *own)
}

/// The value of an option of an execution provider: ONNX Runtime takes strings, so a number or boolean is one as well,
/// as it is written.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct OptionValue(pub String);

/// The name by which the reader of files knows that a string is wanted, or what can be taken for one.
pub(crate) const WORD: &str = "$inhouse::word";

impl<'de> Deserialize<'de> for OptionValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;

        impl Visitor<'_> for Word {
            type Value = OptionValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a number or a boolean")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<OptionValue, E> {
                Ok(OptionValue(word.to_owned()))
            }
        }

        deserializer.deserialize_newtype_struct(WORD, Word)
    }
}

impl JsonSchema for OptionValue {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "OptionValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_every_form() {
        for (name, expected) in [
            ("cpu", Some("cpu")),
            ("CUDA", Some("cuda")),
            ("CUDAExecutionProvider", Some("cuda")),
            ("dml", Some("directml")),
            ("tensorrt-RTX", Some("nvtensorrtrtx")),
            ("Direct_ML", Some("directml")),
            ("trt", Some("tensorrt")),
            ("NvTensorRtRtxExecutionProvider", Some("nvtensorrtrtx")),
            ("webGpuexecutionprovider", Some("webgpu")),
            ("auto", Some("auto")),
            ("cud", None),
            ("", None),
            ("AutoExecutionProvider", None),
        ] {
            assert_eq!(execution_provider(name), expected, "{name:?}");
        }
    }

    #[test]
    fn no_name_stands_for_two() {
        let mut all: Vec<_> = EXECUTION_PROVIDERS
            .iter()
            .flat_map(|(own, others)| std::iter::once(own).chain(*others))
            .map(|name| name.to_ascii_lowercase())
            .collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}

//! What computes a model, by flags.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use inhouse_backends::library::RuntimeError;
use inhouse_backends::{Choice, ExecutionProvider, RuntimeOptions};

use super::Context;
use crate::failure::UsageError;

/// Values of `--backend`.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum BackendFlag {
    Auto,
    Native,
    #[value(name = "onnxruntime")]
    OnnxRuntime,
}

impl From<BackendFlag> for Choice {
    fn from(flag: BackendFlag) -> Self {
        match flag {
            BackendFlag::Auto => Self::Auto,
            BackendFlag::Native => Self::Native,
            BackendFlag::OnnxRuntime => Self::OnnxRuntime,
        }
    }
}

/// What ONNX Runtime computes with, where it does.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "ONNX Runtime")]
pub(crate) struct RuntimeFlags {
    /// Execution providers, tried in this order: cpu, cuda, tensorrt, nvtensorrtrtx, directml, webgpu, coreml, openvino, qnn;
    /// auto stands for the GPUs that this system may have, and then cpu [default: what the model's folder says, then cpu]
    #[arg(long, value_name = "NAME[,NAME..]", value_delimiter = ',')]
    ep: Vec<EpFlag>,
    /// An option of an execution provider, by ONNX Runtime's name: cuda.device_id=1; may be given several times
    #[arg(long = "ep-option", value_name = "NAME.KEY=VALUE")]
    ep_options: Vec<EpOption>,
    /// The library, or the folder it is in [default: $ORT_DYLIB_PATH, else the first found that has what --ep names; see
    /// inhouse doctor]
    #[arg(long, value_name = "PATH")]
    ort_library: Option<PathBuf>,
}

/// A value of `--ep`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum EpFlag {
    Auto,
    Named(ExecutionProvider),
}

/// A value of `--ep-option`.
#[derive(Clone, Debug, PartialEq)]
struct EpOption {
    provider: ExecutionProvider,
    key: String,
    value: String,
}

impl RuntimeFlags {
    /// The flags that were given, for whoever does not heed them.
    pub(super) fn given(&self) -> Vec<&'static str> {
        let all = [
            ("--ep", !self.ep.is_empty()),
            ("--ep-option", !self.ep_options.is_empty()),
            ("--ort-library", self.ort_library.is_some()),
        ];
        let given = all.into_iter().filter(|(_, given)| *given);
        given.map(|(flag, _)| flag).collect()
    }

    /// Refuses flags that could have no effect with this backend.
    pub(super) fn check(&self, backend: Choice) -> Result<(), UsageError> {
        let providers = self.providers();
        if backend == Choice::Native {
            let other = |provider: &&ExecutionProvider| **provider != ExecutionProvider::Cpu;
            if let Some(other) = providers.iter().find(other) {
                return Err(UsageError(format!(
                    "--ep names {other}, and the native backend computes on the processor alone; leave out --ep, \
                     or take --backend onnxruntime"
                )));
            }
            if let Some(flag) = self.given().into_iter().find(|flag| *flag != "--ep") {
                return Err(UsageError(format!(
                    "{flag} is for ONNX Runtime; leave it out, or take --backend onnxruntime"
                )));
            }
        }
        let unused = |option: &&EpOption| !providers.contains(&option.provider);
        match self.ep_options.iter().find(unused) {
            Some(option) if !providers.is_empty() => Err(UsageError(format!(
                "--ep-option is for {0}, which --ep does not name; add {0} to it",
                option.provider
            ))),
            _ => Ok(()),
        }
    }

    /// What they come to.
    pub(super) fn options(&self, context: &Context) -> anyhow::Result<RuntimeOptions> {
        let mut search = context.settings.runtimes()?;
        search.configured.clone_from(&self.ort_library);
        let mut options: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for option in &self.ep_options {
            let of_provider = options.entry(option.provider).or_default();
            of_provider.insert(option.key.clone(), option.value.clone());
        }
        Ok(RuntimeOptions {
            providers: self.providers(),
            options,
            ..RuntimeOptions::new(search)
        })
    }

    fn providers(&self) -> Vec<ExecutionProvider> {
        let each = self.ep.iter().flat_map(|ep| match ep {
            EpFlag::Auto => ExecutionProvider::auto_order(),
            EpFlag::Named(provider) => std::slice::from_ref(provider),
        });
        each.copied().collect()
    }
}

impl FromStr for EpFlag {
    type Err = RuntimeError;

    fn from_str(text: &str) -> Result<Self, RuntimeError> {
        match text.trim() {
            auto if auto.eq_ignore_ascii_case("auto") => Ok(Self::Auto),
            name => ExecutionProvider::parse(name).map(Self::Named),
        }
    }
}

impl FromStr for EpOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('.').and_then(|(provider, option)| {
            let (key, value) = option.split_once('=')?;
            (!key.is_empty()).then_some((provider, key, value))
        });
        let (provider, key, value) = parts.ok_or("write NAME.KEY=VALUE, as in cuda.device_id=1")?;
        Ok(Self {
            provider: ExecutionProvider::parse(provider).map_err(|error| error.to_string())?,
            key: key.to_owned(),
            value: value.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use ExecutionProvider::{Cpu, Cuda};

    use super::*;

    fn flags(ep: &[&str], options: &[&str]) -> RuntimeFlags {
        RuntimeFlags {
            ep: ep.iter().map(|text| text.parse().unwrap()).collect(),
            ep_options: options.iter().map(|text| text.parse().unwrap()).collect(),
            ort_library: None,
        }
    }

    #[test]
    fn auto_stands_for_what_this_system_may_have() {
        let check = |ep: &[&str], expected: &[ExecutionProvider]| {
            assert_eq!(flags(ep, &[]).providers(), expected);
        };
        check(&[], &[]);
        check(&["CUDA", " cpu"], &[Cuda, Cpu]);
        check(&["Auto"], ExecutionProvider::auto_order());
    }

    #[test]
    fn options_name_their_provider() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let option = text.parse::<EpOption>().ok();
            let pair = option
                .as_ref()
                .map(|option| (option.key.as_str(), option.value.as_str()));
            assert_eq!(pair, expected, "{text}");
        };
        check("cuda.device_id=1", Some(("device_id", "1")));
        check("cuda.device_id=", Some(("device_id", "")));
        check("webgpu.a.b=c=d", Some(("a.b", "c=d")));
        for wrong in [
            "",
            "cuda",
            "cuda.device_id",
            "cuda.=1",
            "device_id=1",
            "rocm.a=1",
            "auto.a=1",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn what_could_have_no_effect_is_refused() {
        let check = |flags: RuntimeFlags, backend: Choice, why: &str| {
            let said = flags.check(backend).map_err(|error| error.0);
            let told = said.as_ref().err().map_or("", String::as_str);
            assert!(
                said.is_ok() == why.is_empty() && told.contains(why),
                "{said:?}"
            );
        };
        check(flags(&["cuda"], &["cuda.device_id=1"]), Choice::Auto, "");
        check(flags(&[], &["cuda.device_id=1"]), Choice::OnnxRuntime, "");
        check(flags(&["cpu"], &[]), Choice::Native, "");
        check(
            flags(&["cpu", "cuda"], &[]),
            Choice::Native,
            "--ep names cuda",
        );
        check(
            flags(&[], &["cpu.use_arena=0"]),
            Choice::Native,
            "--ep-option is for ONNX Runtime",
        );
        check(
            flags(&["cpu"], &["cuda.device_id=1"]),
            Choice::Auto,
            "which --ep does not name",
        );
        let library = RuntimeFlags {
            ort_library: Some("lib".into()),
            ..RuntimeFlags::default()
        };
        check(library, Choice::Native, "--ort-library is for ONNX Runtime");
    }
}

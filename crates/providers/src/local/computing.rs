//! What computes: configuration, in the words of the backends.

use std::collections::BTreeMap;
use std::path::{self, Path, PathBuf};

use inhouse_backends::{Choice, ExecutionProvider, Options, RuntimeOptions, Search};
use inhouse_config::{BackendChoice, ProviderConfig};
use inhouse_engine::LoadOptions;

use super::LocalOptions;
use super::error::CannotRun;

/// What models are loaded with.
///
/// # Errors
///
/// Where configuration names an execution provider that there is not. One that was read from a file does not.
pub(super) fn options(config: &ProviderConfig, local: &LocalOptions) -> Result<Options, CannotRun> {
    Ok(Options {
        backend: match config.backend.unwrap_or_default() {
            BackendChoice::Auto => Choice::Auto,
            BackendChoice::Native => Choice::Native,
            BackendChoice::OnnxRuntime => Choice::OnnxRuntime,
        },
        load: LoadOptions {
            threads: local.threads,
            isa: local.isa,
            kv: local.kv,
            available_memory: local.available_memory,
            packed: local.packed.clone(),
            ..LoadOptions::default()
        },
        onnxruntime: RuntimeOptions {
            search: Search {
                configured: config.runtime_library.as_deref().map(absolute),
                ..local.runtime.clone().unwrap_or_else(nowhere)
            },
            providers: in_order(&config.execution_providers)?,
            gpu: config.gpu_acceleration == Some(true),
            options: options_of_each(config)?,
        },
    })
}

/// What is relative stays where it was when the program began.
fn absolute(path: &Path) -> PathBuf {
    path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Nothing is looked for but what is named.
fn nowhere() -> Search {
    Search {
        runtimes: None,
        python: Vec::new(),
        node_of_project: Vec::new(),
        node: Vec::new(),
        system: Vec::new(),
        ..Search::from_env(&|_| None, Path::new(""), Path::new(""))
    }
}

/// The providers that are named, each once, with those that `auto` stands for in its place.
fn in_order(names: &[String]) -> Result<Vec<ExecutionProvider>, CannotRun> {
    let mut order = Vec::new();
    for name in names {
        let these = match inhouse_config::execution_provider(name) {
            Some("auto") => ExecutionProvider::auto_order().to_vec(),
            _ => vec![provider(name, "executionProviders")?],
        };
        for provider in these {
            if !order.contains(&provider) {
                order.push(provider);
            }
        }
    }
    Ok(order)
}

fn provider(name: &str, key: &str) -> Result<ExecutionProvider, CannotRun> {
    ExecutionProvider::parse(name).map_err(|error| CannotRun::new(format!("{key}: {error}")))
}

type OptionsOfEach = BTreeMap<ExecutionProvider, BTreeMap<String, String>>;

fn options_of_each(config: &ProviderConfig) -> Result<OptionsOfEach, CannotRun> {
    let mut all = OptionsOfEach::new();
    for (name, options) in config.execution_provider_options.iter() {
        let provider = provider(name, "executionProviderOptions")?;
        let options = options
            .iter()
            .map(|(option, value)| (option.to_owned(), value.0.clone()));
        all.entry(provider).or_default().extend(options);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use inhouse_config::{EXECUTION_PROVIDERS, execution_provider};

    use super::*;
    use crate::local::tests::options as local;

    fn read(rest: &str) -> Result<Options, String> {
        let text = format!(r#"{{"providers": {{"onnx": {{{rest}}}}}}}"#);
        let loaded = inhouse_config::parse(&text, "f", &[]).expect("a configuration");
        let config = loaded.config.provider("onnx").expect("it is there");
        options(config, &local()).map_err(|error| error.to_string())
    }

    fn check(rest: &str, expected: &[&str], gpu: bool) {
        let RuntimeOptions {
            providers,
            gpu: wanted,
            ..
        } = read(rest).unwrap().onnxruntime;
        let names: Vec<_> = providers.into_iter().map(ExecutionProvider::name).collect();
        assert_eq!((names.as_slice(), wanted), (expected, gpu), "{rest}");
    }

    #[test]
    fn a_list_is_taken_as_it_is() {
        check("", &[], false);
        check(r#""executionProviders": ["cpu"]"#, &["cpu"], false);
        let list = r#""executionProviders": ["CUDAExecutionProvider", "dml", "cuda", "cpu"]"#;
        check(list, &["cuda", "directml", "cpu"], false);
    }

    #[test]
    fn auto_stands_for_what_this_system_may_have() {
        let order = ExecutionProvider::auto_order().iter();
        let names: Vec<_> = order.map(|provider| provider.name()).collect();
        check(r#""executionProviders": ["auto"]"#, &names, false);
        let first: Vec<_> = std::iter::once("qnn").chain(names).collect();
        check(
            r#""executionProviders": ["qnn", "auto", "cpu"]"#,
            &first,
            false,
        );
    }

    #[test]
    fn a_wish_for_a_gpu_is_handed_on() {
        check(r#""gpuAcceleration": true"#, &[], true);
        check(r#""gpuAcceleration": false"#, &[], false);
        let both = r#""gpuAcceleration": true, "executionProviders": ["cpu"]"#;
        check(both, &["cpu"], true);
    }

    #[test]
    fn options_and_the_library_are_handed_on() {
        let options = read(
            r#""executionProviderOptions": {"CUDA": {"device_id": 0, "use_tf32": true}},
               "runtimeLibrary": "ort/lib.so", "backend": "onnxruntime""#,
        )
        .unwrap();
        let RuntimeOptions {
            options: of_each,
            search,
            ..
        } = options.onnxruntime;
        let cuda: Vec<_> = of_each[&ExecutionProvider::Cuda].iter().collect();
        let pair = |(name, value): (&String, &String)| format!("{name}={value}");
        let cuda: Vec<_> = cuda.into_iter().map(pair).collect();
        assert_eq!(cuda, ["device_id=0", "use_tf32=true"]);
        assert_eq!(options.backend, Choice::OnnxRuntime);
        let library = search.configured.unwrap();
        assert!(library.is_absolute() && library.ends_with("ort/lib.so"));
    }

    #[test]
    fn a_name_that_no_file_could_say_is_an_error() {
        let config = ProviderConfig {
            execution_providers: vec!["cuda".to_owned(), "gpu".to_owned()],
            ..ProviderConfig::default()
        };
        let error = options(&config, &local())
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("executionProviders: there is no execution provider \"gpu\""),
            "{error}"
        );
    }

    #[test]
    fn configuration_and_the_backends_know_the_same_names() {
        for (own, others) in EXECUTION_PROVIDERS.iter().filter(|(own, _)| *own != "auto") {
            for name in std::iter::once(own).chain(*others) {
                let parsed = ExecutionProvider::parse(name).map(ExecutionProvider::name);
                assert_eq!(parsed.as_deref(), Ok(*own), "{name}");
            }
        }
        for provider in ExecutionProvider::ALL {
            for name in [provider.name(), provider.ort_name()] {
                assert_eq!(execution_provider(name), Some(provider.name()));
            }
        }
        assert_eq!(EXECUTION_PROVIDERS.len(), ExecutionProvider::ALL.len() + 1);
    }
}

//! What computes on this device: are the names such, and do they fit together?

use super::Check;
use crate::json::Path;
use crate::provider::{BackendChoice, EXECUTION_PROVIDERS, execution_provider};
use crate::read::near;
use crate::{ProviderConfig, ProviderKind, Table};

pub(super) fn check(provider: &ProviderConfig, path: &Path, check: &mut Check<'_>) {
    if provider.kind != Some(ProviderKind::Onnx) {
        return; // all of it was reported as having no effect
    }
    let asked = named(provider, &path.name("executionProviders"), check);
    let all = provider.execution_providers.is_empty()
        || provider.gpu_acceleration == Some(true)
        || asked.contains(&"auto");
    let options = path.name("executionProviderOptions");
    let may_be_used = |name: &str| all || asked.contains(&name);
    let given = &provider.execution_provider_options;
    options_of_each(given, may_be_used, &options, check);
    if provider.backend == Some(BackendChoice::Native) {
        natively(provider, &asked, path, check);
    }
}

/// The providers that are named, by the one name of each.
fn named(provider: &ProviderConfig, path: &Path, check: &mut Check<'_>) -> Vec<&'static str> {
    let mut asked = Vec::new();
    for (index, name) in provider.execution_providers.iter().enumerate() {
        let path = path.index(index);
        match execution_provider(name) {
            None => check.error(&path, unknown(name)),
            Some(name) if asked.contains(&name) => {
                let message = format!("names {name} a second time, which has no effect");
                check.warn(&path, message);
            }
            Some(name) => asked.push(name),
        }
    }
    asked
}

fn unknown(name: &str) -> String {
    let own = EXECUTION_PROVIDERS.iter().map(|(name, _)| *name);
    let own: Vec<&str> = own.collect();
    let near = near(name, &own).map(|near| format!("; did you mean {near:?}?"));
    format!(
        "is no execution provider: there are {}{}",
        own.join(", "),
        near.unwrap_or_default()
    )
}

fn options_of_each<T>(
    options: &Table<T>,
    may_be_used: impl Fn(&str) -> bool,
    path: &Path,
    check: &mut Check<'_>,
) {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for (given, _) in options.iter() {
        let path = path.name(given);
        let Some(name) = execution_provider(given) else {
            check.error_at_name(&path, unknown(given));
            continue;
        };
        let earlier = seen.iter().find(|(_, other)| *other == name);
        if let Some((earlier, _)) = earlier {
            let message = format!("is the same provider as {earlier}; keep one of them");
            check.error_at_name(&path, message);
        } else if name == "auto" {
            check.error_at_name(&path, "has no options of its own; name a provider");
        } else if !may_be_used(name) {
            let message = "has no effect, as executionProviders does not name it";
            check.warn(&path, message);
        }
        seen.push((given, name));
    }
}

/// The native backend has the processor and nothing else.
fn natively(provider: &ProviderConfig, asked: &[&str], path: &Path, check: &mut Check<'_>) {
    if !asked.is_empty() && !asked.iter().any(|name| matches!(*name, "cpu" | "auto")) {
        let message = "must name cpu, as backend is native, which has no other; \
                       or let backend be auto or onnxruntime";
        check.error(&path.name("executionProviders"), message);
    }
    let without_effect = [
        ("runtimeLibrary", provider.runtime_library.is_some()),
        (
            "executionProviderOptions",
            !provider.execution_provider_options.is_empty(),
        ),
        ("gpuAcceleration", provider.gpu_acceleration == Some(true)),
    ];
    for (name, _) in without_effect.into_iter().filter(|(_, given)| *given) {
        check.warn(&path.name(name), "has no effect, as backend is native");
    }
}

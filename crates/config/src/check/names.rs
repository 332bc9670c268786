//! Names that must name something.

use inhouse_policy::FindingKind;

use super::Check;
use crate::json::Path;
use crate::read::near;
use crate::{BudgetPer, ProviderKind, RouterConfig, canonical_name};

pub(super) fn check(config: &RouterConfig, check: &mut Check<'_>) {
    if let Some(name) = &config.default_provider {
        provider(config, name.as_str(), &Path::of(["defaultProvider"]), check);
    }
    chain(config, check);
    for (index, rule) in config.routing.rules.iter().enumerate() {
        let path = Path::of(["routing", "rules"]).index(index);
        let path = path.name("action").name("provider");
        provider(config, rule.action.provider.as_str(), &path, check);
    }
    for (index, budget) in config.budgets.iter().enumerate() {
        let path = Path::of(["budgets"]).index(index).name("only");
        match budget.per {
            BudgetPer::Provider => {
                for (at, name) in budget.only.iter().enumerate() {
                    provider(config, name, &path.index(at), check);
                }
            }
            BudgetPer::All if !budget.only.is_empty() => {
                check.warn(&path, "has no effect where per is all");
            }
            _ => {}
        }
    }
    let cached = config.cache.providers.iter().map(|(name, _)| name);
    tables(config, cached, &Path::of(["cache", "providers"]), check);
    let priced = config.prices.iter().map(|(name, _)| name);
    tables(config, priced, &Path::of(["prices"]), check);
    findings(config, check);
}

fn chain(config: &RouterConfig, check: &mut Check<'_>) {
    let path = Path::of(["fallbackChain"]);
    let names: Vec<_> = config
        .fallback_chain
        .iter()
        .map(|name| canonical_name(name.as_str()))
        .collect();
    for (index, name) in names.iter().enumerate() {
        provider(config, name, &path.index(index), check);
        if names.iter().take(index).any(|earlier| earlier == name) {
            check.warn(
                &path.index(index),
                format!("names {name} a second time, which has no effect"),
            );
        }
    }
}

fn tables<'a>(
    config: &RouterConfig,
    names: impl Iterator<Item = &'a str>,
    path: &Path,
    check: &mut Check<'_>,
) {
    let names: Vec<_> = names.collect();
    if names.contains(&"onnx") && names.contains(&crate::LOCAL) {
        let message = "is the same provider as onnx; keep one of them";
        check.error_at_name(&path.name(crate::LOCAL), message);
    }
    for name in names {
        provider(config, name, &path.name(name), check);
    }
}

fn provider(config: &RouterConfig, name: &str, path: &Path, check: &mut Check<'_>) {
    let own = || config.providers.iter().map(|(name, _)| name);
    let configured = own().any(|own| canonical_name(own) == canonical_name(name));
    if configured || ProviderKind::of_name(name).is_some() {
        return;
    }
    let kinds = ProviderKind::ALL.map(ProviderKind::name);
    let known: Vec<&str> = own()
        .chain(kinds)
        .filter(|name| *name != "custom")
        .collect();
    let hint = match near(name, &known) {
        Some(near) => format!("did you mean {near:?}?"),
        None => "add it to providers, with its type".to_owned(),
    };
    check.error(path, format!("names no provider; {hint}"));
}

fn findings(config: &RouterConfig, check: &mut Check<'_>) {
    let path = Path::of(["privacy", "detector"]);
    let names: Vec<&str> = FindingKind::ALL.iter().map(|kind| kind.name()).collect();
    let hint = |name: &str| {
        let near = near(name, &names).map(|near| format!("; did you mean {near:?}?"));
        format!(
            "is nothing that the detector knows{}",
            near.unwrap_or_default()
        )
    };
    let kinds = config.privacy.detector.kinds.iter().flatten();
    for (index, name) in kinds
        .enumerate()
        .filter(|(_, name)| !names.contains(&name.as_str()))
    {
        check.error(&path.name("kinds").index(index), hint(name));
    }
    for (name, _) in config.privacy.detector.actions.iter() {
        if !names.contains(&name) {
            check.error_at_name(&path.name("actions").name(name), hint(name));
        }
    }
}

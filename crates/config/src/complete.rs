//! What the file leaves to the environment: keys, addresses, and providers that are only named.

use inhouse_chat::{ProviderName, Secret};

use crate::error::Report;
use crate::json::{Node, Path};
use crate::{BaseUrl, Env, ProviderConfig, ProviderKind, RouterConfig, canonical_name};

/// Fills in, for the providers of the file, what the file does not say.
pub(crate) fn fill(config: &mut RouterConfig, env: &dyn Env, report: &mut Report) {
    for (name, provider) in config.providers.iter_mut() {
        provider.kind = provider.kind.or_else(|| ProviderKind::of_name(name));
        if let Some(kind) = provider.kind {
            fill_one(kind, provider, env, report);
        }
    }
}

fn fill_one(kind: ProviderKind, provider: &mut ProviderConfig, env: &dyn Env, report: &mut Report) {
    if provider.keys().next().is_none() {
        provider.api_key = key(kind, env);
    }
    if provider.base_url.is_none()
        && let Some((variable, address)) = address(kind, env)
    {
        match BaseUrl::new(&address) {
            Ok(address) => provider.base_url = Some(address),
            Err(message) => report.error(None, &Path::of([variable]), message),
        }
    }
    if provider.organization.is_none() && kind == ProviderKind::OpenAi {
        provider.organization = set(env, "OPENAI_ORG_ID");
    }
}

fn key(kind: ProviderKind, env: &dyn Env) -> Option<Secret> {
    let mut values = kind
        .key_variables()
        .iter()
        .filter_map(|name| set(env, name));
    values.find_map(|value| Secret::new(&value))
}

fn address(kind: ProviderKind, env: &dyn Env) -> Option<(&'static str, String)> {
    let variable = kind.url_variable()?;
    let value = set(env, variable)?;
    match kind {
        ProviderKind::Ollama => Some((variable, ollama_address(&value))),
        _ => Some((variable, value)),
    }
}

/// Ollama's own variable is the address it listens at: scheme and port may be missing, and `0.0.0.0` is everywhere on
/// this machine.
fn ollama_address(value: &str) -> String {
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    let (host, path) = match rest.split_once('/') {
        Some((host, path)) => (host, format!("/{path}")),
        None => (rest, String::new()),
    };
    let port_at = host.rfind(':').filter(|at| !host[*at..].contains(']'));
    let (host, port) = match port_at {
        Some(at) => (&host[..at], host[at + 1..].to_owned()),
        None if value.contains("://") => (
            host,
            if scheme == "https" { "443" } else { "80" }.to_owned(),
        ),
        None => (host, "11434".to_owned()),
    };
    let host = match host {
        "" | "0.0.0.0" => "127.0.0.1",
        "[::]" => "[::1]",
        host => host,
    };
    format!("{scheme}://{host}:{port}{path}")
}

/// Adds the providers that are named but not configured, where the environment is enough for them. The others are
/// reported once and skipped. Gives every provider its one name.
pub(crate) fn settle(config: &mut RouterConfig, env: &dyn Env, tree: &Node, report: &mut Report) {
    one_name(config);
    report_keyless(config, tree, report);
    let default = config.default_provider.take();
    let chain = std::mem::take(&mut config.fallback_chain);
    let actions = config.routing.rules.iter().map(|rule| &rule.action);
    let ruled: Vec<_> = actions.map(|action| action.provider.clone()).collect();
    let mut named = Named {
        config,
        env,
        tree,
        report,
    };
    let path = Path::of(["defaultProvider"]);
    let default = match default {
        Some(name) => named.usable(&name, &path).then_some(name),
        None => from_variable(named.config, env, named.report),
    };
    let mut kept: Vec<ProviderName> = Vec::new();
    for (index, name) in chain.into_iter().enumerate() {
        let path = Path::of(["fallbackChain"]).index(index);
        if named.usable(&name, &path) && !kept.contains(&name) {
            kept.push(name);
        }
    }
    for (index, name) in ruled.iter().enumerate() {
        let path = Path::of(["routing", "rules"]).index(index);
        named.usable(name, &path.name("action").name("provider"));
    }
    config.default_provider = default;
    config.fallback_chain = kept;
}

fn one_name(config: &mut RouterConfig) {
    let rename = |name: &mut ProviderName| *name = canonical_name(name.as_str()).into();
    let new_name =
        |name: &str| (name != canonical_name(name)).then(|| canonical_name(name).to_owned());
    config.providers.rename(new_name);
    config.cache.providers.rename(new_name);
    config.prices.rename(new_name);
    config.tool_calling.format_mapping.rename(new_name);
    config.default_provider.iter_mut().for_each(rename);
    config.fallback_chain.iter_mut().for_each(rename);
    for rule in &mut config.routing.rules {
        rename(&mut rule.action.provider);
    }
    for budget in &mut config.budgets {
        if budget.per == crate::BudgetPer::Provider {
            for name in &mut budget.only {
                *name = canonical_name(name).to_owned();
            }
        }
    }
}

/// A provider that cannot answer for want of a key is not asked at all. At another address than the usual one, a
/// proxy may add the key.
fn report_keyless(config: &mut RouterConfig, tree: &Node, report: &mut Report) {
    for (name, provider) in config.providers.iter_mut() {
        let proxied = provider.base_url.is_some() || !provider.headers.is_empty();
        let keyless = provider.kind().needs_key() && provider.keys().next().is_none();
        if provider.enabled && keyless && !proxied {
            provider.enabled = false;
            let path = Path::of(["providers"]).name(name);
            let variables = provider.kind().key_variables().join(" or ");
            let place = tree.find(&path.0).map(|(place, _)| place);
            report.warn(
                place,
                &path,
                format!("has no key and is skipped; set its apiKey, or {variables}"),
            );
        }
    }
}

/// Providers that are named somewhere, and may not be configured.
struct Named<'a> {
    config: &'a mut RouterConfig,
    env: &'a dyn Env,
    tree: &'a Node,
    report: &'a mut Report,
}

impl Named<'_> {
    /// Whether a provider that is named at `path` can be asked; it is added where the environment is enough for it.
    fn usable(&mut self, name: &ProviderName, path: &Path) -> bool {
        let name = name.as_str();
        if let Some(provider) = self.config.providers.get(name) {
            return provider.enabled; // where it is not, the file says so or a warning has
        }
        let Some(kind) = ProviderKind::of_name(name) else {
            return false; // was reported as a name that names nothing
        };
        let found = from_env(kind, self.env, self.report);
        let usable = found.is_some();
        if !usable {
            let place = self.tree.find(&path.0).map(|(_, node)| node.place);
            let missing = variables_of(kind);
            let message = format!(
                "names {name}, which is skipped: it is not in providers, and {missing} is not set"
            );
            self.report.warn(place, path, message);
        }
        // One that cannot be asked is there as well, so that it is reported once.
        let provider = found.unwrap_or(ProviderConfig {
            kind: Some(kind),
            enabled: false,
            ..Default::default()
        });
        self.config.providers.insert(name, provider);
        usable
    }
}

/// What would have to be set for a provider.
fn variables_of(kind: ProviderKind) -> String {
    match kind {
        ProviderKind::LiteLlm => "LITELLM_BASE_URL".to_owned(),
        _ => kind.key_variables().join(" or "),
    }
}

/// A provider out of the environment, where that is enough for it.
fn from_env(kind: ProviderKind, env: &dyn Env, report: &mut Report) -> Option<ProviderConfig> {
    let mut provider = ProviderConfig {
        kind: Some(kind),
        ..Default::default()
    };
    fill_one(kind, &mut provider, env, report);
    let enough = match kind {
        ProviderKind::Onnx | ProviderKind::Ollama => true,
        ProviderKind::LiteLlm => provider.base_url.is_some(),
        _ => provider.api_key.is_some(),
    };
    enough.then_some(provider)
}

/// The default provider that `PROVIDER` or `DEFAULT_PROVIDER` names. Who names a provider gets it or an error.
fn from_variable(
    config: &mut RouterConfig,
    env: &dyn Env,
    report: &mut Report,
) -> Option<ProviderName> {
    let (variable, name) = ["PROVIDER", "DEFAULT_PROVIDER"]
        .into_iter()
        .find_map(|variable| Some((variable, set(env, variable)?)))?;
    let (name, path) = (canonical_name(&name).to_owned(), Path::of([variable]));
    if config.provider(&name).is_some() {
        return Some(name.into());
    }
    let Some(kind) = ProviderKind::of_name(&name) else {
        report.error(None, &path, format!("names no provider: {name:?}"));
        return None;
    };
    if let Some(provider) = from_env(kind, env, report) {
        config.providers.insert(name.clone(), provider);
        return Some(name.into());
    }
    let missing = variables_of(kind);
    report.error(
        None,
        &path,
        format!("names {name}, but {missing} is not set"),
    );
    None
}

/// A configuration out of the environment alone: every provider whose key is there, and always the engine inside.
pub(crate) fn environment_alone(env: &dyn Env, report: &mut Report) -> RouterConfig {
    let mut config = RouterConfig::default();
    for kind in ProviderKind::ALL {
        let asked_for = kind != ProviderKind::Ollama || set(env, "OLLAMA_HOST").is_some();
        if asked_for
            && kind != ProviderKind::Custom
            && let Some(provider) = from_env(kind, env, report)
        {
            config.providers.insert(kind.name(), provider);
        }
    }
    // A token for downloads or a server nearby is no wish to send prompts there.
    let usual = [
        ProviderKind::Anthropic,
        ProviderKind::OpenAi,
        ProviderKind::OpenRouter,
        ProviderKind::Gemini,
        ProviderKind::Onnx,
    ];
    config.default_provider = from_variable(&mut config, env, report).or_else(|| {
        let mut names = usual.into_iter().map(ProviderKind::name);
        names
            .find(|name| config.providers.contains(name))
            .map(ProviderName::from)
    });
    config
}

fn set(env: &dyn Env, name: &str) -> Option<String> {
    env.get(name).filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests;

//! Each provider: is it one, can it be reached, and can it be where it says it is?

use inhouse_policy::Zone;

use super::{Check, computing};
use crate::json::Path;
use crate::{BaseUrl, LOCAL, ProviderConfig, ProviderKind, RouterConfig, canonical_name};

pub(super) fn check(config: &RouterConfig, check: &mut Check<'_>) {
    let providers = Path::of(["providers"]);
    let both = ["onnx", LOCAL].map(|name| config.providers.contains(name));
    if both == [true, true] {
        let message = "is the same provider as onnx; keep one of them";
        check.error_at_name(&providers.name(LOCAL), message);
    }
    for (name, provider) in config.providers.iter() {
        one(name, provider, &providers.name(name), check);
    }
}

fn one(name: &str, provider: &ProviderConfig, path: &Path, check: &mut Check<'_>) {
    let Some(kind) = provider.kind else {
        let kinds = ProviderKind::ALL.map(ProviderKind::name).join(", ");
        return check.error_at_name(path, format!("needs a type, as it is none of {kinds}"));
    };
    if (canonical_name(name) == LOCAL) != (kind == ProviderKind::Onnx) {
        let message = "the engine inside is named onnx or onnx-local, and no other provider is";
        return check.error(
            &path.name("type"),
            format!("does not fit the name: {message}"),
        );
    }
    if kind == ProviderKind::Custom && provider.base_url.is_none() {
        check.error_at_name(path, "needs a baseUrl, as its type is custom");
    }
    zone(kind, provider, path, check);
    address(kind, provider, path, check);
    without_effect(kind, provider, path, check);
    computing::check(provider, path, check);
    headers(provider, &path.name("headers"), check);
    if provider.local_inference == Some(false) && kind == ProviderKind::Onnx {
        let message = "cannot be false: this provider always runs on this machine";
        check.error(&path.name("localInference"), message);
    }
    if provider.timeout.is_some() && provider.timeouts.total.is_some() {
        let message = "is the same as timeouts.total; keep one of them";
        check.error(&path.name("timeout"), message);
    }
    let sort = provider
        .preferences
        .as_ref()
        .and_then(|preferences| preferences.sort.as_deref());
    if sort.is_some_and(|sort| !matches!(sort, "price" | "throughput" | "latency")) {
        let path = path.name("preferences").name("sort");
        check.error(&path, "must be price, throughput or latency");
    }
}

/// A zone nearer than the address allows would let private requests out.
fn zone(kind: ProviderKind, provider: &ProviderConfig, path: &Path, check: &mut Check<'_>) {
    let path = path.name("zone");
    let Some(zone) = provider.zone else { return };
    if kind == ProviderKind::Onnx {
        if zone != Zone::Device {
            check.error(&path, "must be device, as onnx runs on this machine");
        }
        return;
    }
    let nearest = match (&provider.base_url, kind) {
        (Some(address), _) => address.nearest_zone(),
        (None, ProviderKind::Ollama | ProviderKind::LiteLlm) => Zone::Device,
        (None, _) => Zone::Cloud,
    };
    let address = match &provider.base_url {
        Some(address) => format!("its address {address}"),
        None => "its usual address".to_owned(),
    };
    if zone == Zone::Device && nearest > Zone::Device {
        check.error(
            &path,
            format!("cannot be device, as {address} is not on this machine"),
        );
    } else if zone == Zone::Lan && nearest > Zone::Lan {
        check.error(
            &path,
            format!("cannot be lan, as {address} is not in a private network"),
        );
    }
    let open = provider
        .base_url
        .as_ref()
        .filter(|address| is_open(address));
    if zone == Zone::CloudNoRetention
        && let Some(address) = open
    {
        check.error(
            &path,
            format!("cannot be cloud-no-retention, as everybody on the way to its address {address} can read and keep what is sent; use https"),
        );
    }
    let zdr = provider
        .preferences
        .as_ref()
        .and_then(|preferences| preferences.zdr);
    let openrouter = kind == ProviderKind::OpenRouter && nearest == Zone::Cloud;
    if zone == Zone::CloudNoRetention && openrouter && zdr != Some(true) {
        let message = "cannot be cloud-no-retention without preferences.zdr: true, as OpenRouter passes requests on";
        check.error(&path, message);
    }
}

/// Whether what is sent there goes over the net of others for everybody to read.
fn is_open(address: &BaseUrl) -> bool {
    address.as_str().starts_with("http:") && address.nearest_zone() == Zone::Cloud
}

fn address(kind: ProviderKind, provider: &ProviderConfig, path: &Path, check: &mut Check<'_>) {
    let Some(address) = &provider.base_url else {
        return;
    };
    if is_open(address) && kind != ProviderKind::Onnx {
        let message = "is not https: prompts and keys can be read on their way";
        check.warn(&path.name("baseUrl"), message);
    }
}

fn without_effect(
    kind: ProviderKind,
    provider: &ProviderConfig,
    path: &Path,
    check: &mut Check<'_>,
) {
    let onnx = kind == ProviderKind::Onnx;
    let given = [
        ("modelPath", provider.model_path.is_some(), onnx),
        ("modelId", provider.model_id.is_some(), onnx),
        (
            "executionProviders",
            !provider.execution_providers.is_empty(),
            onnx,
        ),
        (
            "executionProviderOptions",
            !provider.execution_provider_options.is_empty(),
            onnx,
        ),
        ("backend", provider.backend.is_some(), onnx),
        ("runtimeLibrary", provider.runtime_library.is_some(), onnx),
        ("gpuAcceleration", provider.gpu_acceleration.is_some(), onnx),
        ("localInference", provider.local_inference.is_some(), onnx),
        ("baseUrl", provider.base_url.is_some(), !onnx),
        ("apiKey", provider.api_key.is_some(), !onnx),
        ("apiKeys", !provider.api_keys.is_empty(), !onnx),
        ("headers", !provider.headers.is_empty(), !onnx),
        (
            "preferences",
            provider.preferences.is_some(),
            kind == ProviderKind::OpenRouter,
        ),
        (
            "organization",
            provider.organization.is_some(),
            matches!(
                kind,
                ProviderKind::OpenAi | ProviderKind::Custom | ProviderKind::LiteLlm
            ),
        ),
    ];
    for (name, _, _) in given.into_iter().filter(|(_, given, read)| *given && !read) {
        let message = format!("has no effect on a provider of type {}", type_name(kind));
        check.warn(&path.name(name), message);
    }
}

fn type_name(kind: ProviderKind) -> &'static str {
    if kind == ProviderKind::Onnx {
        "onnx"
    } else {
        kind.name()
    }
}

/// What cannot stand in a header would fail at every request, or worse, add a header.
fn headers(provider: &ProviderConfig, path: &Path, check: &mut Check<'_>) {
    let letter =
        |letter: char| letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter);
    for (name, value) in provider.headers.iter() {
        if name.is_empty() || !name.chars().all(letter) {
            check.error_at_name(&path.name(name), "is not a name that a header can have");
        }
        if value
            .reveal()
            .chars()
            .any(|letter| letter.is_control() && letter != '\t')
        {
            check.error(&path.name(name), "has a control character in its value");
        }
    }
}

use super::*;
use crate::{Loaded, from_env, parse};

fn load(text: &str, env: &dyn Env) -> Loaded {
    parse(text, "f", env).unwrap()
}

/// Default provider, then all that are enabled.
fn names(config: &RouterConfig) -> String {
    let default = config.default_provider().unwrap();
    let all: Vec<_> = config.enabled_providers().map(|(name, _)| name).collect();
    format!("{default}: {}", all.join(" "))
}

#[test]
fn the_environment_alone_is_enough() {
    let check = |env: &dyn Env, expected: &str| {
        let said = match from_env(env) {
            Ok(loaded) => names(&loaded.config),
            Err(error) => error.to_string(),
        };
        assert_eq!(said, expected);
    };
    check(&[], "onnx-local: onnx-local");
    check(
        &[("OPENAI_API_KEY", "k"), ("GOOGLE_API_KEY", "k")],
        "openai: openai gemini onnx-local",
    );
    check(
        &[("OPENROUTER_API_KEY", "k")],
        "openrouter: openrouter onnx-local",
    );
    // A token for downloads is no wish to send prompts away.
    check(&[("HF_TOKEN", "k")], "onnx-local: huggingface onnx-local");
    check(&[("OLLAMA_HOST", "h")], "onnx-local: ollama onnx-local");
    check(
        &[("LITELLM_BASE_URL", "http://h:4000")],
        "onnx-local: litellm onnx-local",
    );
    check(
        &[("PROVIDER", "onnx"), ("OPENAI_API_KEY", "k")],
        "onnx-local: openai onnx-local",
    );
    check(
        &[("DEFAULT_PROVIDER", "ollama")],
        "ollama: onnx-local ollama",
    );
    check(
        &[("PROVIDER", "openai")],
        "environment: PROVIDER names openai, but OPENAI_API_KEY is not set",
    );
    check(
        &[("PROVIDER", "nobody")],
        "environment: PROVIDER names no provider: \"nobody\"",
    );
    check(
        &[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "h")],
        "environment: OPENAI_BASE_URL is not an address (relative URL without a base); write it as https://host/path",
    );
}

#[test]
fn the_file_is_completed_and_never_overruled() {
    let env = [
        ("OPENAI_API_KEY", "env"),
        ("OPENAI_BASE_URL", "https://env.example"),
        ("OPENAI_ORG_ID", "env"),
        ("PROVIDER", "onnx"),
    ];
    let shown = |text: &str| {
        let config = load(text, &env).config;
        let openai = config.provider("openai").unwrap();
        let keys: Vec<_> = openai.keys().map(Secret::reveal).collect();
        let address = openai.base_url.as_ref().unwrap().as_str();
        let organization = openai.organization.as_deref().unwrap();
        format!(
            "{} {} {address} {organization}",
            config.default_provider().unwrap(),
            keys.join(",")
        )
    };
    assert_eq!(
        shown(r#"{"providers": {"openai": {}}}"#),
        "onnx-local env https://env.example env"
    );
    assert_eq!(
        shown(
            r#"{"defaultProvider": "openai", "providers": {"openai": {"apiKeys": ["a", "b"],
                "baseUrl": "https://file.example/v1/", "organization": "file"}}}"#
        ),
        "openai a,b https://file.example/v1 file"
    );
}

#[test]
fn an_empty_key_is_no_key() {
    let text = r#"{"providers": {"openai": {"apiKey": "${NONE:-}"}}}"#;
    let config = load(text, &[("OPENAI_API_KEY", "env")]).config;
    assert_eq!(config.provider("openai").unwrap().keys().count(), 1);
    assert!(load(text, &[]).config.provider("openai").is_none());
}

#[test]
fn a_provider_that_is_disabled_is_not_asked() {
    let env = [("OPENAI_API_KEY", "k"), ("ANTHROPIC_API_KEY", "k")];
    let text = r#"{"defaultProvider": "openai", "fallbackChain": ["openai", "anthropic"],
        "providers": {"openai": {"enabled": false}}}"#;
    let loaded = load(text, &env);
    assert_eq!(names(&loaded.config), "anthropic: anthropic");
    assert_eq!(loaded.warnings, []);
}

#[test]
fn one_name_is_used_everywhere() {
    let config = load(
        r#"{"defaultProvider": "onnx", "fallbackChain": ["onnx"], "providers": {"onnx": {}},
            "cache": {"providers": {"onnx": {"ttl": 1}}}, "prices": {"onnx": {}},
            "budgets": [{"per": "provider", "only": ["onnx"], "limit": 1}],
            "routing": {"rules": [{"condition": {"localOnly": true}, "action": {"provider": "onnx"}}]}}"#,
        &[],
    );
    let text = config.config.to_json_redacted().to_string();
    assert!(
        !text.contains("\"onnx\":{\"type") && !text.contains("\"onnx\"]"),
        "{text}"
    );
    assert_eq!(config.config.cache.ttl_of("onnx-local"), 1);
    assert_eq!(config.config.budgets[0].only, ["onnx-local"]);
}

#[test]
fn an_address_of_ollama_is_where_it_listens() {
    let check = |value: &str, expected: &str| assert_eq!(ollama_address(value), expected);
    check("gpu", "http://gpu:11434");
    check("0.0.0.0", "http://127.0.0.1:11434");
    check("0.0.0.0:1234", "http://127.0.0.1:1234");
    check(":1234", "http://127.0.0.1:1234");
    check("[::]:1234", "http://[::1]:1234");
    check("[::1]", "http://[::1]:11434");
    check("http://gpu", "http://gpu:80");
    check("https://gpu/ollama", "https://gpu:443/ollama");
    check("http://gpu:1/", "http://gpu:1/");
}

#[test]
fn providers_of_the_environment_are_where_their_address_is() {
    let zone = |host: &str| {
        let config = from_env(&[("OLLAMA_HOST", host)]).unwrap().config;
        config.provider("ollama").unwrap().effective_zone().name()
    };
    assert_eq!(zone("0.0.0.0"), "device");
    assert_eq!(zone("gpu.local"), "lan");
    assert_eq!(zone("gpu.example.com"), "cloud");
}

use std::fs;

use proptest::prelude::*;

use super::*;
use crate::{CacheStrategy, Mode, ProviderKind};

const OLD_MODEL_ID: &str = include_str!("../../testdata/old-modelid.json");
const OLD_MODEL_PATH: &str = include_str!("../../testdata/old-modelpath.json");

fn none() -> [(&'static str, &'static str); 0] {
    []
}

/// The problems of a file, one a line.
fn problems(text: &str) -> String {
    match parse(text, "f", &none()) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

fn check(text: &str, expected: &str) {
    assert_eq!(problems(text), expected, "{text}");
}

fn warnings(text: &str, env: &dyn Env) -> String {
    let loaded = parse(text, "f", env).unwrap();
    let lines: Vec<_> = loaded.warnings.iter().map(Problem::to_string).collect();
    lines.join("\n")
}

fn config(text: &str, env: &dyn Env) -> RouterConfig {
    parse(text, "f", env).unwrap().config
}

#[test]
fn the_old_file_with_a_model_id_loads_and_says_what_it_said() {
    let loaded = parse(OLD_MODEL_ID, "f", &none()).unwrap();
    let config = &loaded.config;
    let local = config.provider("onnx").unwrap();
    assert_eq!(local, config.provider("onnx-local").unwrap());
    assert_eq!(local.kind(), ProviderKind::Onnx);
    assert_eq!(local.effective_zone(), inhouse_policy::Zone::Device);
    assert_eq!(
        local.model_id.as_deref(),
        Some("Xenova/Phi-3-mini-4k-instruct")
    );
    assert_eq!(local.execution_providers, ["cpu"]);
    assert_eq!(
        (local.max_tokens, local.temperature),
        (Some(512), Some(0.7))
    );
    assert_eq!(
        (local.local_inference, local.gpu_acceleration),
        (Some(true), Some(false))
    );
    let [rule] = config.routing.rules.as_slice() else {
        panic!()
    };
    assert_eq!(rule.condition.privacy, Some(inhouse_chat::Privacy::High));
    assert_eq!(rule.condition.local_only, Some(true));
    assert_eq!(rule.action.provider.as_str(), "onnx-local");
    assert_eq!(
        rule.action.model.as_ref().unwrap().as_str(),
        "Xenova/Phi-3-mini-4k-instruct"
    );
    assert!(
        rule.reason
            .as_ref()
            .unwrap()
            .starts_with("Privacy-sensitive")
    );
    assert_eq!(config.routing.mode(), Mode::RuleBased);
}

#[test]
fn the_old_file_with_a_model_path_loads_and_says_what_it_said() {
    let env = [("ANTHROPIC_API_KEY", "a"), ("OPENROUTER_API_KEY", "o")];
    let loaded = parse(OLD_MODEL_PATH, "f", &env).unwrap();
    assert_eq!(loaded.warnings, []);
    let config = &loaded.config;
    let local = config.provider("onnx").unwrap();
    assert_eq!(
        local.model_path.as_deref(),
        Some(Path::new("./models/phi-4/model.onnx"))
    );
    assert_eq!(config.default_provider().unwrap().as_str(), "anthropic");
    let chain: Vec<_> = config
        .fallback_chain
        .iter()
        .map(|name| name.as_str())
        .collect();
    assert_eq!(chain, ["anthropic", "onnx-local", "openrouter"]);
}

#[test]
fn providers_that_are_only_named_are_reported_once_and_skipped() {
    assert_eq!(
        warnings(OLD_MODEL_ID, &none()),
        "f:1:22: defaultProvider names anthropic, which is skipped: it is not in providers, and ANTHROPIC_API_KEY is not set\n\
         f:1:74: fallbackChain[2] names openrouter, which is skipped: it is not in providers, and OPENROUTER_API_KEY is not set"
    );
    let config = config(OLD_MODEL_ID, &none());
    assert_eq!(config.fallback_chain, ["onnx-local".into()]);
    assert_eq!(config.default_provider().unwrap().as_str(), "onnx-local");
    assert!(config.provider("anthropic").is_none());
}

#[test]
fn what_is_not_known_is_named_with_its_place_and_the_near_name() {
    check(
        "{\n  \"routing\": {\n    \"mod\": \"manual\" } }",
        "f:3:5: routing.mod is not known; did you mean routing.mode?",
    );
    check(
        r#"{"fallback_chain": []}"#,
        "f:1:2: fallback_chain is not known; did you mean fallbackChain?",
    );
    check(
        r#"{"routing": {"rules": [{"action": {"provider": "onnx"}, "if": {}}]}}"#,
        "f:1:57: routing.rules[0].if is not known; known here are condition, action and reason",
    );
    check(
        r#"{"providers": {"onnx": {"x.y": 1}}}"#,
        "f:1:25: providers.onnx[\"x.y\"] is not known; known here are type, enabled, zone, apiKey, apiKeys, baseUrl, \
         organization, headers, models, maxTokens, temperature, timeout, timeouts, maxRetries, retryDelay, rateLimit, \
         preferences, modelPath, modelId, backend, executionProviders, executionProviderOptions, runtimeLibrary, localInference \
         and gpuAcceleration",
    );
}

#[test]
fn wrong_sorts_and_values_are_named_with_their_place() {
    check(r#"[]"#, "f:1:1: the file must be an object, not an array");
    check(
        r#"{"routing": 5}"#,
        "f:1:13: routing must be an object, not 5",
    );
    check(
        r#"{"fallbackChain": "onnx"}"#,
        "f:1:19: fallbackChain must be an array, not a string",
    );
    check(
        r#"{"fallbackChain": [1]}"#,
        "f:1:20: fallbackChain[0] must be a string, not a number",
    );
    check(
        r#"{"cache": {"enabled": "true"}}"#,
        "f:1:23: cache.enabled must be true or false, not a string",
    );
    check(
        r#"{"cache": {"ttl": -1}}"#,
        "f:1:19: cache.ttl must be a whole number, not -1",
    );
    check(
        r#"{"cache": {"ttl": null}}"#,
        "f:1:19: cache.ttl must be a whole number, not null",
    );
    check(
        r#"{"providers": {"onnx": {"maxTokens": 4294967296}}}"#,
        "f:1:38: providers.onnx.maxTokens must be a whole number, at most 4294967295, not 4294967296",
    );
    check(
        r#"{"providers": {"onnx": {"temperature": 1e999}}}"#,
        "f:1:40: 1e999 is no number",
    );
    check(
        r#"{"routing": {"mode": "cost-optimised"}}"#,
        "f:1:22: routing.mode must be manual, cost-optimized, performance-optimized, quality-optimized or rule-based, \
         not \"cost-optimised\"; did you mean \"cost-optimized\"?",
    );
    check(
        r#"{"routing": {"costOptimization": {"maxCostPerRequest": "1"}}}"#,
        "f:1:56: routing.costOptimization.maxCostPerRequest must be an amount in dollars, not a string",
    );
    check(
        r#"{"routing": {"rules": [{"condition": {}}]}}"#,
        "f:1:24: routing.rules[0] needs \"action\"",
    );
    check(
        r#"{"providers": {"x": {"type": "custom", "baseUrl": "localhost:80"}}}"#,
        "f:1:51: providers.x.baseUrl is not an http or https address",
    );
    check(
        r#"{"providers": {"x": {"type": "custom", "baseUrl": "//x"}}}"#,
        "f:1:51: providers.x.baseUrl is not an address (relative URL without a base); write it as https://host/path",
    );
    check(
        r#"{"privacy": {"defaultCeiling": "lann"}}"#,
        "f:1:32: privacy.defaultCeiling must be device, lan, cloud-no-retention or cloud, not \"lann\"; did you mean \"lan\"?",
    );
}

#[test]
fn every_problem_of_a_file_is_told_at_once() {
    check(
        r#"{
          "defaultProvder": "onnx",
          "cache": {"ttl": "long", "ttl": 5},
          "routing": {"rules": [{"action": 1}, {"action": {"model": 2}}, {"action": {}, "because": ""}]},
          "budgets": [{"limit": "much"}]
        }"#,
        "f:2:11: defaultProvder is not known; did you mean defaultProvider?\n\
         f:3:28: cache.ttl must be a whole number, not a string\n\
         f:3:36: cache.ttl is given twice, first on line 3\n\
         f:4:44: routing.rules[0].action must be an object, not 1\n\
         f:4:59: routing.rules[1].action needs \"provider\"\n\
         f:4:69: routing.rules[1].action.model must be a string, not a number\n\
         f:4:85: routing.rules[2].action needs \"provider\"\n\
         f:4:89: routing.rules[2].because is not known; known here are condition, action and reason\n\
         f:5:33: budgets[0].limit must be an amount in dollars, not a string",
    );
}

#[test]
fn keys_of_providers_are_not_quoted() {
    check(
        r#"{"providers": {"openai": {"apiKey": ["sk-1"]}}}"#,
        "f:1:37: providers.openai.apiKey must be a string, not an array",
    );
    check(
        r#"{"providers": {"openai": {"apiKeys": "sk-1", "apiKey": 12345, "headers": "sk-2"}}}"#,
        "f:1:38: providers.openai.apiKeys must be an array, not a string\n\
         f:1:56: providers.openai.apiKey must be a string, not a number\n\
         f:1:74: providers.openai.headers must be an object, not a string",
    );
    let error = parse(
        r#"{"routing": {"mode": "${KEY}"}, "cache": {"ttl": "${KEY}"}}"#,
        "f",
        &[("KEY", "sk-1")],
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "f:1:22: routing.mode must be manual, cost-optimized, performance-optimized, quality-optimized or rule-based, \
         not what its variable holds\n\
         f:1:50: cache.ttl must be a whole number, not what its variable holds"
    );
}

#[test]
fn variables_may_stand_for_numbers_and_booleans() {
    let env = [
        ("TTL", "60"),
        ("ON", "true"),
        ("MOST", "0.10"),
        ("SHARE", "0.5"),
    ];
    let config = config(
        r#"{"cache": {"ttl": "${TTL}", "enabled": "${ON}", "strategy": "${S:-lfu}"},
            "retries": {"budget": "${SHARE}"},
            "routing": {"costOptimization": {"maxCostPerRequest": "${MOST}"}}}"#,
        &env,
    );
    assert_eq!((config.cache.ttl, config.cache.enabled), (60, true));
    assert_eq!(config.cache.strategy, CacheStrategy::Lfu);
    let most = config.routing.cost_optimization.max_cost_per_request;
    assert_eq!(most.unwrap().to_string(), "$0.10");
}

#[test]
fn money_keeps_every_digit() {
    let config = config(
        r#"{"budgets": [{"limit": 1234567890123456789.12345678}, {"limit": 3.75e-7}]}"#,
        &none(),
    );
    let limits: Vec<_> = config
        .budgets
        .iter()
        .map(|budget| budget.limit.to_string())
        .collect();
    assert_eq!(limits, ["$1234567890123456789.12345678", "$0.000000375"]);
}

#[test]
fn a_file_is_found_where_it_is_looked_for_in_this_order() {
    let folder = tempfile::tempdir().unwrap();
    let (cwd, home, settings) = ("cwd", "home", "settings");
    let at = |name: &str| folder.path().join(name);
    let write = |file: &Path, chain: &str| {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, format!("{{\"fallbackChain\": [{chain:?}]}}")).unwrap();
    };
    let text = |name: &str| at(name).display().to_string();
    let (home_folder, settings_folder) = (text(home), text(settings));
    let mut env: Vec<(&str, &str)> = vec![
        ("HOME", &home_folder),
        ("XDG_CONFIG_HOME", &settings_folder),
    ];
    let named = [at("flag.json"), at("ours.json"), at("theirs.json")];
    let searched = places(&at(cwd), &vars(&env));
    for file in named.iter().chain(&searched) {
        write(file, "onnx");
    }
    let found = |asked_for: Option<&Path>, env: &[(&str, &str)]| {
        load(asked_for, &at(cwd), &vars(env)).unwrap().file
    };
    for file in &searched {
        assert_eq!(found(None, &env).as_ref(), Some(file));
        fs::remove_file(file).unwrap();
    }
    assert_eq!(found(None, &env), None);
    let (ours, theirs) = (text("ours.json"), text("theirs.json"));
    env.push(("AGENTIC_FLOW_ROUTER_CONFIG", &theirs));
    assert_eq!(found(None, &env).as_ref(), Some(&named[2]));
    env.push(("INHOUSE_CONFIG", &ours));
    assert_eq!(found(None, &env).as_ref(), Some(&named[1]));
    assert_eq!(
        found(Some(Path::new("../flag.json")), &env),
        Some(at("cwd/../flag.json"))
    );
}

fn vars(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    pairs.collect()
}

#[test]
fn a_file_that_is_named_and_missing_is_an_error() {
    let cwd = tempfile::tempdir().unwrap();
    let said = |asked_for: Option<&str>, env: &dyn Env| {
        let error = load(asked_for.map(Path::new), cwd.path(), env).unwrap_err();
        error
            .to_string()
            .replace(&cwd.path().display().to_string(), "CWD")
    };
    assert_eq!(
        said(Some("no.json"), &none()),
        "CWD/no.json: cannot read the configuration that --config names"
    );
    assert_eq!(
        said(None, &[("INHOUSE_CONFIG", "no.json")]),
        "CWD/no.json: cannot read the configuration that INHOUSE_CONFIG names"
    );
}

#[test]
fn problems_name_the_file_as_it_lies_in_the_working_directory() {
    let cwd = tempfile::tempdir().unwrap();
    fs::write(
        cwd.path().join("router.config.json"),
        "{\"routing\":\n {\"mod\": 1}}",
    )
    .unwrap();
    assert_eq!(
        load(None, cwd.path(), &none()).unwrap_err().to_string(),
        "router.config.json:2:3: routing.mod is not known; did you mean routing.mode?"
    );
}

#[test]
fn dotenv_gives_what_the_environment_does_not() {
    let cwd = tempfile::tempdir().unwrap();
    let text = "OPENAI_API_KEY=from-file\nANTHROPIC_API_KEY='from file'\nnot a variable sk-1\nPROVIDER=onnx\n";
    fs::write(cwd.path().join(".env"), text).unwrap();
    let loaded = load(None, cwd.path(), &[("OPENAI_API_KEY", "real")]).unwrap();
    let key = |name: &str| {
        let provider = loaded.config.provider(name).unwrap();
        provider.keys().next().unwrap().reveal().to_owned()
    };
    assert_eq!(
        (key("openai").as_str(), key("anthropic").as_str()),
        ("real", "from file")
    );
    assert_eq!(
        loaded.config.default_provider().unwrap().as_str(),
        "onnx-local"
    );
    let [warning] = loaded.warnings.as_slice() else {
        panic!()
    };
    let said = warning.to_string();
    assert!(
        said.starts_with(".env:3:") && said.ends_with(UNREAD),
        "{said}"
    );
    assert!(!said.contains("sk-1"));
}

#[test]
fn a_file_that_is_too_long_is_refused() {
    let cwd = tempfile::tempdir().unwrap();
    let file = cwd.path().join("router.config.json");
    fs::write(&file, " ".repeat(MAX_BYTES as usize + 1)).unwrap();
    assert!(matches!(
        load(None, cwd.path(), &none()),
        Err(ConfigError::Unreadable { .. })
    ));
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*") {
        let _ = parse(&text, "f", &none());
        let _ = crate::migrate(&text);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&String::from_utf8_lossy(&bytes), "f", &none());
    }

    #[test]
    fn no_change_of_a_good_file_panics(
        at in 0..OLD_MODEL_ID.len(),
        until in 0..OLD_MODEL_ID.len(),
        instead in r#"[\[\]{},:"0-9a-z$/*\\-]{0,5}"#,
    ) {
        let text = format!("{}{instead}{}", &OLD_MODEL_ID[..at], &OLD_MODEL_ID[until..]);
        let _ = parse(&text, "f", &none());
        let _ = crate::migrate(&text);
    }

    #[test]
    fn no_variable_adds_a_key(value in "\\PC{1,30}") {
        let config = parse(r#"{"providers": {"onnx": {"modelId": "${V}"}}}"#, "f", &[("V", value.as_str())]);
        let provider = config.unwrap().config.provider("onnx").unwrap().clone();
        let same = crate::ProviderConfig {
            kind: Some(ProviderKind::Onnx),
            model_id: Some(value),
            ..Default::default()
        };
        prop_assert_eq!(provider, same);
    }
}

#[test]
fn a_file_beside_it_does_not_lead_keys_away() {
    let cwd = tempfile::tempdir().unwrap();
    let text = "ANTHROPIC_BASE_URL=https://stranger.example\nOPENAI_BASE_URL=https://own.example\nOPENAI_API_KEY=k\n";
    fs::write(cwd.path().join(".env"), text).unwrap();
    let env = [("ANTHROPIC_API_KEY", "a")];
    let loaded = load(None, cwd.path(), &env).unwrap();
    let address = |name| {
        let provider = loaded.config.providers.get(name).unwrap();
        provider
            .base_url
            .as_ref()
            .map(|url| url.as_str().to_owned())
    };
    assert_eq!(address("anthropic"), None);
    assert!(
        address("openai")
            .unwrap()
            .starts_with("https://own.example")
    );
    let warned = loaded
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        warned.contains(
            "ANTHROPIC_BASE_URL gives the address of a provider whose key is in the environment"
        ),
        "{warned}"
    );
}

#[test]
fn a_file_that_nobody_asked_for_says_where_it_sends_keys() {
    let cwd = tempfile::tempdir().unwrap();
    let file = cwd.path().join("router.config.json");
    let text =
        r#"{"providers": {"anthropic": {"baseUrl": "https://stranger.example"}, "openai": {}}}"#;
    fs::write(&file, text).unwrap();
    let env = [("ANTHROPIC_API_KEY", "a"), ("OPENAI_API_KEY", "o")];
    let said = |asked_for| {
        let loaded = load(asked_for, cwd.path(), &env).unwrap();
        let warnings = loaded.warnings.iter().map(ToString::to_string);
        warnings
            .filter(|line| line.contains("sends its key"))
            .collect::<Vec<_>>()
    };
    assert_eq!(said(Some(file.as_path())), Vec::<String>::new());
    let warned = said(None);
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(
        warned[0].contains(
            "providers.anthropic.baseUrl sends its key and its prompts to https://stranger.example"
        ),
        "{warned:?}"
    );
}

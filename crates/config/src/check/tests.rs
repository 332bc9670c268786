use crate::{Problem, parse};

/// What is wrong with a file, else what looks wrong; one a line, without its place.
fn said(text: &str) -> String {
    let problems: Vec<Problem> = match parse(
        text,
        "f",
        &[("ANTHROPIC_API_KEY", "a"), ("OPENAI_API_KEY", "o")],
    ) {
        Ok(loaded) => loaded.warnings,
        Err(error) => error.problems().to_vec(),
    };
    let lines = problems
        .into_iter()
        .map(|problem| format!("{} {}", problem.key, problem.message));
    lines.collect::<Vec<_>>().join("\n")
}

fn check(text: &str, expected: &str) {
    assert_eq!(said(text), expected, "{text}");
}

fn provider(name: &str, rest: &str, expected: &str) {
    check(
        &format!(r#"{{"providers": {{"{name}": {{{rest}}}}}}}"#),
        expected,
    );
}

fn rules(rules: &str, expected: &str) {
    check(
        &format!(r#"{{"routing": {{"rules": [{rules}]}}}}"#),
        expected,
    );
}

#[test]
fn a_provider_must_be_one() {
    provider(
        "mine",
        "",
        "providers.mine needs a type, as it is none of anthropic, openai, openrouter, gemini, huggingface, ollama, \
         litellm, onnx-local, custom",
    );
    provider(
        "mine",
        r#""type": "custom""#,
        "providers.mine needs a baseUrl, as its type is custom",
    );
    provider(
        "mine",
        r#""type": "custom", "baseUrl": "https://api.mine.example/v1""#,
        "",
    );
    provider("work", r#""type": "openai""#, "");
    let name = "does not fit the name: the engine inside is named onnx or onnx-local, and no other provider is";
    provider(
        "onnx",
        r#""type": "openai""#,
        &format!("providers.onnx.type {name}"),
    );
    provider(
        "phi",
        r#""type": "onnx""#,
        &format!("providers.phi.type {name}"),
    );
    provider("onnx", r#""type": "onnx-local""#, "");
    check(
        r#"{"providers": {"onnx": {}, "onnx-local": {}}}"#,
        "providers.onnx-local is the same provider as onnx; keep one of them",
    );
    provider(
        "onnx",
        r#""localInference": false"#,
        "providers.onnx.localInference cannot be false: this provider always runs on this machine",
    );
}

#[test]
fn a_zone_must_not_contradict_the_address() {
    let zone = |zone: &str, address: &str, expected: &str| {
        let rest = format!(r#""type": "custom", "zone": "{zone}", "baseUrl": "{address}""#);
        let expected = match expected {
            "" => String::new(),
            expected => format!("providers.p.zone {expected}"),
        };
        provider("p", &rest, &expected);
    };
    for address in [
        "http://localhost:8080/v1",
        "http://127.0.0.1:8080",
        "http://127.1.2.3",
        "http://[::1]:80",
        "http://2130706433",
        "http://a.localhost",
        "http://[::ffff:127.0.0.1]",
    ] {
        zone("device", address, "");
        zone("lan", address, "");
    }
    for address in [
        "http://10.0.0.1",
        "http://192.168.1.9:1234",
        "http://172.16.0.1",
        "http://169.254.1.1",
        "http://[fd00::1]",
        "http://[fe80::1]",
        "http://gpu",
        "http://gpu.local",
        "http://gpu.lan",
        "http://gpu.corp.internal",
        "http://gpu.home.arpa.",
    ] {
        zone("lan", address, "");
        let shown = address.trim_end_matches('/');
        zone(
            "device",
            address,
            &format!("cannot be device, as its address {shown} is not on this machine"),
        );
    }
    for address in [
        "https://8.8.8.8",
        "https://172.32.0.1",
        "https://api.example.com",
        "https://localhost.example.com",
        "https://127.0.0.1.example.com",
        "https://gpu.local.example.com",
        "https://0.0.0.0",
    ] {
        zone("cloud-no-retention", address, "");
        zone(
            "lan",
            address,
            &format!("cannot be lan, as its address {address} is not in a private network"),
        );
    }
    zone(
        "lan",
        "https://user:pass@api.example.com?key=sk-1",
        "cannot be lan, as its address https://***@api.example.com/?*** is not in a private network",
    );
    zone(
        "cloud-no-retention",
        "http://user:pass@api.example.com",
        "cannot be cloud-no-retention, as everybody on the way to its address http://***@api.example.com can read and \
         keep what is sent; use https",
    );
    provider(
        "openai",
        r#""zone": "device""#,
        "providers.openai.zone cannot be device, as its usual address is not on this machine",
    );
    provider(
        "onnx",
        r#""zone": "cloud""#,
        "providers.onnx.zone must be device, as onnx runs on this machine",
    );
    provider("ollama", r#""zone": "device""#, "");
    provider("litellm", r#""zone": "device""#, "");
    let keyed = r#""apiKey": "k", "zone": "cloud-no-retention""#;
    provider(
        "openrouter",
        keyed,
        "providers.openrouter.zone cannot be cloud-no-retention without preferences.zdr: true, as OpenRouter passes \
         requests on",
    );
    provider(
        "openrouter",
        &format!(r#"{keyed}, "preferences": {{"zdr": true}}"#),
        "",
    );
}

#[test]
fn the_zone_of_the_address_that_the_environment_gives_counts() {
    let error = parse(
        r#"{"providers": {"ollama": {"zone": "device"}}}"#,
        "f",
        &[("OLLAMA_HOST", "gpu.example.com")],
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "f:1:35: providers.ollama.zone cannot be device, as its address http://gpu.example.com:11434 is not on this machine"
    );
}

#[test]
fn what_has_no_effect_is_told() {
    provider(
        "openai",
        r#""modelPath": "x""#,
        "providers.openai.modelPath has no effect on a provider of type openai",
    );
    provider(
        "onnx",
        r#""apiKey": "x""#,
        "providers.onnx.apiKey has no effect on a provider of type onnx",
    );
    provider(
        "anthropic",
        r#""preferences": {"zdr": true}"#,
        "providers.anthropic.preferences has no effect on a provider of type anthropic",
    );
    provider(
        "openai",
        r#""baseUrl": "http://proxy.example.com""#,
        "providers.openai.baseUrl is not https: prompts and keys can be read on their way",
    );
    provider(
        "gemini",
        "",
        "providers.gemini has no key and is skipped; set its apiKey, or GEMINI_API_KEY or GOOGLE_API_KEY",
    );
    check(
        r#"{"budgets": [{"limit": 1, "only": ["a"]}]}"#,
        "budgets[0].only has no effect where per is all",
    );
}

#[test]
fn headers_must_be_headers() {
    provider(
        "openai",
        r#""headers": {"X Y": "a"}"#,
        "providers.openai.headers[\"X Y\"] is not a name that a header can have",
    );
    provider(
        "openai",
        r#""headers": {"X": "a\r\nEvil: b"}"#,
        "providers.openai.headers.X has a control character in its value",
    );
    provider(
        "openai",
        r#""headers": {"X": " "}"#,
        "providers.openai.headers has nothing in \"X\"",
    );
}

#[test]
fn names_must_name_a_provider() {
    check(
        r#"{"defaultProvider": "antropic"}"#,
        r#"defaultProvider names no provider; did you mean "anthropic"?"#,
    );
    check(
        r#"{"fallbackChain": ["zzz"]}"#,
        "fallbackChain[0] names no provider; add it to providers, with its type",
    );
    check(
        r#"{"fallbackChain": ["custom"]}"#,
        "fallbackChain[0] names no provider; add it to providers, with its type",
    );
    check(
        r#"{"fallbackChain": ["onnx", "onnx-local"]}"#,
        "fallbackChain[1] names onnx-local a second time, which has no effect",
    );
    check(
        r#"{"cache": {"providers": {"opena": {}}}}"#,
        r#"cache.providers.opena names no provider; did you mean "openai"?"#,
    );
    check(
        r#"{"prices": {"opena": {}}}"#,
        r#"prices.opena names no provider; did you mean "openai"?"#,
    );
    check(
        r#"{"budgets": [{"limit": 1, "per": "provider", "only": ["opena"]}]}"#,
        r#"budgets[0].only[0] names no provider; did you mean "openai"?"#,
    );
    rules(
        r#"{"condition": {"requiresTools": true}, "action": {"provider": "opena"}}"#,
        r#"routing.rules[0].action.provider names no provider; did you mean "openai"?"#,
    );
}

#[test]
fn kinds_of_findings_must_be_known() {
    check(
        r#"{"privacy": {"detector": {"kinds": ["email", "phon"], "actions": {"ibann": "mask", "zzzzz": "block"}}}}"#,
        "privacy.detector.kinds[1] is nothing that the detector knows; did you mean \"phone\"?\n\
         privacy.detector.actions.ibann is nothing that the detector knows; did you mean \"iban\"?\n\
         privacy.detector.actions.zzzzz is nothing that the detector knows",
    );
}

#[test]
fn rules_must_make_sense() {
    let all = r#"{"action": {"provider": "openai"}}"#;
    rules(
        all,
        "routing.rules[0].condition is empty and matches every request",
    );
    let tools = r#"{"condition": {"requiresTools": true}, "action": {"provider": "openai"}}"#;
    rules(
        &format!("{all}, {tools}"),
        "routing.rules[0].condition is empty and matches every request, so the rules after it never apply",
    );
    rules(
        &format!("{tools}, {tools}"),
        "routing.rules[1].condition is that of routing.rules[0], which always wins",
    );
    rules(
        r#"{"condition": {"agentType": []}, "action": {"provider": "openai"}}"#,
        "routing.rules[0].condition.agentType is empty, so the rule never matches; name agents or leave it out",
    );
    check(
        r#"{"routing": {"mode": "rule-based"}}"#,
        "routing.mode is rule-based, but there are no rules",
    );
}

#[test]
fn a_rule_must_not_send_out_what_it_keeps_in() {
    let beyond = |zone: &str, ceiling: &str| {
        format!(
            "routing.rules[0].action.provider is in zone {zone}, but the rule keeps requests in zone \
             {ceiling}; choose another provider, or set providers.openai.zone where it is nearer"
        )
    };
    rules(
        r#"{"condition": {"privacy": "high"}, "action": {"provider": "openai"}}"#,
        &beyond("cloud", "device"),
    );
    rules(
        r#"{"condition": {"localOnly": true}, "action": {"provider": "openai"}}"#,
        &beyond("cloud", "device"),
    );
    rules(
        r#"{"condition": {"privacy": "medium"}, "action": {"provider": "openai"}}"#,
        &beyond("cloud", "cloud-no-retention"),
    );
    rules(
        r#"{"condition": {"agentType": ["a"]}, "action": {"provider": "openai", "ceiling": "lan"}}"#,
        &beyond("cloud", "lan"),
    );
    rules(
        r#"{"condition": {"privacy": "low"}, "action": {"provider": "openai"}}"#,
        "",
    );
    rules(
        r#"{"condition": {"localOnly": false}, "action": {"provider": "openai"}}"#,
        "",
    );
    check(
        r#"{"providers": {"openai": {"zone": "cloud-no-retention"}},
            "routing": {"rules": [{"condition": {"privacy": "medium"}, "action": {"provider": "openai"}}]}}"#,
        "",
    );
}

#[test]
fn a_version_may_be_a_number() {
    check(r#"{"version": 1}"#, "");
    check(r#"{"version": 1.0}"#, "");
    check(r#"{"version": "1.0"}"#, "");
    check(r#"{"version": []}"#, "version must be a string or a number");
    check(
        r#"{"version": 2}"#,
        "version is not a version that this program knows; it knows \"1\"",
    );
}

#[test]
fn numbers_must_be_in_range() {
    let share = "must be from 0 to 1";
    let one = "must be at least 1";
    let rows = [
        (
            r#"{"routing": {"costOptimization": {"alertThreshold": 1.1}}}"#,
            "routing.costOptimization.alertThreshold",
            share,
        ),
        (
            r#"{"routing": {"performance": {"exploration": -0.1}}}"#,
            "routing.performance.exploration",
            share,
        ),
        (r#"{"retries": {"budget": 2}}"#, "retries.budget", share),
        (
            r#"{"retries": {"maxAttempts": 0}}"#,
            "retries.maxAttempts",
            one,
        ),
        (
            r#"{"monitoring": {"alerts": {"errorRate": 5}}}"#,
            "monitoring.alerts.errorRate",
            share,
        ),
        (
            r#"{"budgets": [{"limit": 1, "alertAt": 80}]}"#,
            "budgets[0].alertAt",
            share,
        ),
        (
            r#"{"budgets": [{"limit": -1}]}"#,
            "budgets[0].limit",
            "must not be negative",
        ),
        (
            r#"{"prices": {"openai": {"m": {"cacheRead": -1}}}}"#,
            "prices.openai.m.cacheRead",
            "must not be negative",
        ),
        (
            r#"{"routing": {"costOptimization": {"budgetAlerts": {"daily": -5}}}}"#,
            "routing.costOptimization.budgetAlerts.daily",
            "must not be negative",
        ),
        (
            r#"{"routing": {"qualityOptimization": {"minimumQuality": 101}}}"#,
            "routing.qualityOptimization.minimumQuality",
            "must be from 0 to 100",
        ),
        (
            r#"{"routing": {"performance": {"circuitBreaker": {"threshold": 0}}}}"#,
            "routing.performance.circuitBreaker.threshold",
            one,
        ),
        (
            r#"{"routing": {"performance": {"concurrentRequests": 0}}}"#,
            "routing.performance.concurrentRequests",
            one,
        ),
        (r#"{"cache": {"maxSize": 0}}"#, "cache.maxSize", one),
        (
            r#"{"cache": {"ttl": 18446744073709551615}}"#,
            "cache.ttl",
            "must be at most 31622400",
        ),
        (
            r#"{"cache": {"providers": {"openai": {"ttl": 31622401}}}, "providers": {"openai": {}}}"#,
            "cache.providers.openai.ttl",
            "must be at most 31622400",
        ),
        (
            r#"{"providers": {"openai": {"temperature": 2.1}}}"#,
            "providers.openai.temperature",
            "must be from 0 to 2",
        ),
        (
            r#"{"providers": {"openai": {"timeouts": {"idle": 0}}}}"#,
            "providers.openai.timeouts.idle",
            one,
        ),
        (
            r#"{"providers": {"openai": {"rateLimit": {"requestsPerMinute": 0}}}}"#,
            "providers.openai.rateLimit.requestsPerMinute",
            one,
        ),
        (
            r#"{"providers": {"openai": {"timeout": 1, "timeouts": {"total": 2}}}}"#,
            "providers.openai.timeout",
            "is the same as timeouts.total; keep one of them",
        ),
        (
            r#"{"providers": {"openrouter": {"apiKey": "k", "preferences": {"sort": "cheap"}}}}"#,
            "providers.openrouter.preferences.sort",
            "must be price, throughput or latency",
        ),
        (
            r#"{"version": "7"}"#,
            "version",
            "is not a version that this program knows; it knows \"1\"",
        ),
    ];
    for (text, key, message) in rows {
        check(text, &format!("{key} {message}"));
    }
}

/// What is wrong with a provider `onnx`, or looks wrong.
fn onnx(rest: &str, expected: &str) {
    let expected = match expected {
        "" => String::new(),
        expected => format!("providers.onnx.{expected}"),
    };
    provider("onnx", rest, &expected);
}

const PROVIDERS: &str = "is no execution provider: there are auto, cpu, cuda, tensorrt, nvtensorrtrtx, directml, webgpu, \
                         coreml, openvino, qnn";

#[test]
fn execution_providers_are_known_by_all_their_names() {
    for name in [
        "cpu",
        "CUDA",
        "dml",
        "tensorrt-rtx",
        "WebGpuExecutionProvider",
        "auto",
    ] {
        onnx(&format!(r#""executionProviders": ["{name}"]"#), "");
        let options = format!(r#""executionProviderOptions": {{"{name}": {{}}}}"#);
        match name {
            "auto" => onnx(
                &options,
                "executionProviderOptions.auto has no options of its own; name a provider",
            ),
            _ => onnx(&options, ""),
        }
    }
    onnx(
        r#""executionProviders": ["cpu", "cuada"]"#,
        &format!("executionProviders[1] {PROVIDERS}; did you mean \"cuda\"?"),
    );
    onnx(
        r#""executionProviders": ["gpu"]"#,
        &format!("executionProviders[0] {PROVIDERS}"),
    );
    onnx(
        r#""executionProviderOptions": {"rocm": {}}"#,
        &format!("executionProviderOptions.rocm {PROVIDERS}"),
    );
    onnx(
        r#""executionProviders": ["dml", "cpu", "directml"]"#,
        "executionProviders[2] names directml a second time, which has no effect",
    );
    let twice = r#""executionProviderOptions": {"dml": {}, "DirectML": {}}"#;
    onnx(
        twice,
        "executionProviderOptions.DirectML is the same provider as dml; keep one of them",
    );
}

#[test]
fn options_of_an_execution_provider_are_strings_or_words() {
    let text = r#"{"providers": {"onnx": {"executionProviderOptions": {"cuda":
        {"device_id": 0, "gpu_mem_limit": "1e9", "x": 1.50, "use_tf32": true}}}}}"#;
    let config = parse(text, "f", &[]).unwrap().config;
    let options = &config.provider("onnx").unwrap().execution_provider_options;
    let options: Vec<_> = options.get("cuda").unwrap().iter().collect();
    let words: Vec<_> = options
        .iter()
        .map(|(name, value)| format!("{name}={}", value.0))
        .collect();
    assert_eq!(
        words,
        [
            "device_id=0",
            "gpu_mem_limit=1e9",
            "x=1.50",
            "use_tf32=true"
        ]
    );
    onnx(
        r#""executionProviderOptions": {"cuda": {"device_id": [0]}}"#,
        "executionProviderOptions.cuda.device_id must be a string, a number or a boolean, not an array",
    );
    onnx(
        r#""executionProviderOptions": {"cuda": 0}"#,
        "executionProviderOptions.cuda must be an object, not 0",
    );
}

#[test]
fn what_computes_must_fit_together() {
    onnx(
        r#""backend": "onnx""#,
        "backend must be auto, native or onnxruntime, not \"onnx\"; did you mean \"onnxruntime\"?",
    );
    for backend in ["auto", "native", "onnxruntime"] {
        onnx(&format!(r#""backend": "{backend}""#), "");
    }
    let native = |rest: &str, expected: &str| {
        onnx(&format!(r#""backend": "native", {rest}"#), expected);
    };
    native(
        r#""executionProviders": ["cuda"]"#,
        "executionProviders must name cpu, as backend is native, which has no other; or let backend be auto or onnxruntime",
    );
    native(r#""executionProviders": ["cuda", "CPU"]"#, "");
    let no_effect = "has no effect, as backend is native";
    native(
        r#""runtimeLibrary": "/lib/ort.so""#,
        &format!("runtimeLibrary {no_effect}"),
    );
    native(
        r#""gpuAcceleration": true"#,
        &format!("gpuAcceleration {no_effect}"),
    );
    let options = r#""executionProviderOptions": {"cuda": {"device_id": 0}}"#;
    onnx(options, "");
    onnx(&format!(r#""executionProviders": ["auto"], {options}"#), "");
    let gpu = r#""executionProviders": ["cpu"], "gpuAcceleration": true"#;
    onnx(&format!("{gpu}, {options}"), "");
    onnx(
        &format!(r#""executionProviders": ["cpu"], {options}"#),
        "executionProviderOptions.cuda has no effect, as executionProviders does not name it",
    );
    provider(
        "openai",
        r#""backend": "native""#,
        "providers.openai.backend has no effect on a provider of type openai",
    );
}

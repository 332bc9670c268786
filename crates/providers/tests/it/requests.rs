//! Each provider's request, as it arrives.

use inhouse_chat::{ChatRequest, Dialect, Extra};
use inhouse_providers::{ALL, Remote};
use inhouse_router::Provider;
use inhouse_testing::{Answer, Received, Upstream};
use serde_json::{Value, json};

use crate::support::*;

/// Sends `request` for `model` with a provider so configured and gives what arrived.
async fn sent(mut said: Value, model: &str, request: ChatRequest) -> Received {
    let upstream = Upstream::start().await;
    upstream.always_by(|request| match request.method.as_str() {
        "GET" => Answer::json(&json!({"models": [{"name": "m:latest"}]})),
        _ => Answer::error(500, &json!({})), // what it answers is not what this is about
    });
    let path = said.get("path").and_then(Value::as_str).unwrap_or_default();
    said["baseUrl"] = json!(format!("{}{path}", upstream.base_url()));
    said.as_object_mut().unwrap().shift_remove("path");
    let remote: Remote = try_remote(&network(), said).unwrap();
    let call = call(&remote, model, request);
    let meter = call.meter.clone();
    assert!(remote.chat(call).await.is_err());
    let received = upstream.requests().pop().expect("a request arrived");
    assert_eq!(meter.bytes(), received.body.len() as u64);
    received
}

/// `request` arrives at this target, with these headers, and with this body.
async fn check(
    said: Value,
    model: &str,
    request: ChatRequest,
    target: &str,
    headers: &[(&str, &str)],
    body: Value,
) {
    let kind = said["type"].clone();
    let received = sent(said, model, request).await;
    assert_eq!(received.method, "POST");
    assert_eq!(received.target, target, "{kind}");
    let ours = concat!("inhouse/", env!("CARGO_PKG_VERSION"));
    let length = received.body.len().to_string();
    let always = [
        ("content-type", "application/json"),
        ("content-length", &length),
        ("user-agent", ours),
    ];
    for (name, value) in always.iter().chain(headers) {
        let said: Vec<_> = received.headers.iter().filter(|(n, _)| n == name).collect();
        let values: Vec<_> = said.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values.join(", "), *value, "{kind}: {name}");
    }
    assert_eq!(received.header("accept-encoding"), None, "{kind}");
    assert_eq!(received.json(), body, "{kind}");
}

fn words(limit: &str) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": PROMPT}], limit: 9})
}

fn words_streamed(limit: &str) -> Value {
    let mut body = words(limit);
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    body
}

const BEARER: (&str, &str) = ("authorization", "Bearer sk-secret-1");
const JSON: (&str, &str) = ("accept", "application/json");
const SSE: (&str, &str) = ("accept", "text/event-stream");

#[tokio::test]
async fn anthropic() {
    let own = [("x-api-key", KEY), ("anthropic-version", "2023-06-01")];
    let body = words("max_tokens");
    for path in ["", "/", "/v1", "/v1/"] {
        let said = json!({"type": "anthropic", "path": path});
        let headers = [&own[..], &[JSON]].concat();
        check(said, "m", request(), "/v1/messages", &headers, body.clone()).await;
    }
    let mut body = body;
    body["stream"] = json!(true);
    let headers = [&own[..], &[SSE, ("authorization", "")]].concat();
    let said = json!({"type": "anthropic"});
    check(said, "m", streamed(), "/v1/messages", &headers, body).await;
}

#[tokio::test]
async fn betas_of_anthropic_go_into_their_header() {
    let mut request = request();
    let fields =
        json!({"betas": ["context-1m-2025-08-07", "files-api-2025-04-14"], "service_tier": "auto"});
    request.extra = Extra::new(Dialect::Anthropic, fields.as_object().unwrap().clone());
    let mut body = words("max_tokens");
    body["service_tier"] = json!("auto");
    let said = json!({
        "type": "anthropic",
        "headers": {"anthropic-beta": "mine-1", "anthropic-version": "2099-01-01"},
    });
    let headers = [
        (
            "anthropic-beta",
            "mine-1, context-1m-2025-08-07, files-api-2025-04-14",
        ),
        ("anthropic-version", "2099-01-01"),
    ];
    check(said, "m", request, "/v1/messages", &headers, body).await;
}

#[tokio::test]
async fn openai() {
    let said = json!({"type": "openai", "organization": "org-1", "path": "/v1"});
    let headers = [BEARER, JSON, ("openai-organization", "org-1")];
    let body = words("max_completion_tokens");
    check(
        said.clone(),
        "m",
        request(),
        "/v1/chat/completions",
        &headers,
        body,
    )
    .await;
    let body = words_streamed("max_completion_tokens");
    check(
        said,
        "m",
        streamed(),
        "/v1/chat/completions",
        &[BEARER, SSE],
        body,
    )
    .await;
}

#[tokio::test]
async fn openai_models_that_only_respond() {
    let said = json!({"type": "openai", "path": "/v1"});
    let received = sent(said, "gpt-5-pro", request()).await;
    assert_eq!(received.target, "/v1/responses");
    let body = received.json();
    assert_eq!(body["model"], "gpt-5-pro");
    assert_eq!(body["max_output_tokens"], 9);
}

#[tokio::test]
async fn openrouter() {
    let preferences = json!({
        "dataCollection": "deny", "zdr": true, "requireParameters": true, "order": ["a", "b"],
        "allowFallbacks": false, "only": ["a", "b"], "ignore": ["c"], "sort": "price",
        "maxPrice": {"prompt": 1.5, "completion": 0.1},
    });
    let provider = json!({
        "data_collection": "deny", "zdr": true, "require_parameters": true, "order": ["a", "b"],
        "allow_fallbacks": false, "only": ["a", "b"], "ignore": ["c"], "sort": "price",
        "max_price": {"prompt": 1.5, "completion": 0.1},
    });
    let mut body = words("max_tokens");
    body["provider"] = provider;
    let said = json!({"type": "openrouter", "path": "/api/v1", "preferences": preferences});
    let headers = [BEARER, JSON, ("x-title", "inhouse"), ("http-referer", "")];
    check(
        said,
        "m",
        request(),
        "/api/v1/chat/completions",
        &headers,
        body,
    )
    .await;

    let said = json!({
        "type": "openrouter",
        "headers": {"HTTP-Referer": "https://a.example", "X-Title": "mine"},
    });
    let headers = [("x-title", "mine"), ("http-referer", "https://a.example")];
    let body = words_streamed("max_tokens");
    check(said, "m", streamed(), "/chat/completions", &headers, body).await;
}

#[tokio::test]
async fn a_request_cannot_widen_whom_openrouter_asks() {
    let mut asked = request();
    let fields = json!({"provider": {"zdr": false, "data_collection": "allow", "sort": "latency"}});
    asked.extra = Extra::new(Dialect::OpenAiChat, fields.as_object().unwrap().clone());
    let check = async |said: Value, provider: Value| {
        let received = sent(said, "m", asked.clone()).await;
        assert_eq!(received.json()["provider"], provider);
    };
    let deny = json!({"zdr": true, "dataCollection": "deny"});
    let denied = json!({"zdr": true, "data_collection": "deny", "sort": "latency"});
    check(json!({"type": "openrouter", "preferences": deny}), denied).await;
    let zoned = json!({"zdr": true, "data_collection": "allow", "sort": "latency"});
    check(
        json!({"type": "openrouter", "zone": "cloud-no-retention"}),
        zoned,
    )
    .await;
    let free = json!({"zdr": false, "data_collection": "allow", "sort": "latency"});
    check(json!({"type": "openrouter"}), free).await;
}

#[tokio::test]
async fn gemini() {
    let check = async |path: &str, model: &str, request: ChatRequest, target: &str| {
        let received = sent(json!({"type": "gemini", "path": path}), model, request).await;
        assert_eq!(received.target, target);
        assert_eq!(received.header("x-goog-api-key"), Some(KEY));
        assert_eq!(received.header("authorization"), None);
        let body = received.json();
        assert_eq!(body["contents"][0]["parts"][0]["text"], PROMPT);
        assert_eq!(body["generationConfig"]["maxOutputTokens"], 9);
        assert_eq!(body.get("model"), None);
    };
    let whole = "/v1beta/models/gemini-2.5-flash:generateContent";
    check("", "gemini-2.5-flash", request(), whole).await;
    check("/v1beta/", "models/gemini-2.5-flash", request(), whole).await;
    check(
        "/v1",
        "gemini",
        request(),
        "/v1/models/gemini:generateContent",
    )
    .await;
    check(
        "",
        "tunedModels/mine",
        request(),
        "/v1beta/tunedModels/mine:generateContent",
    )
    .await;
    let stream = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse";
    check("", "gemini-2.5-flash", streamed(), stream).await;
    let escaped = "/v1beta/models/..%2F..%2Fx%3Fkey=1%23:generateContent";
    check("", "../../x?key=1#", request(), escaped).await;
}

#[tokio::test]
async fn ollama() {
    let check = async |request: ChatRequest, accept: &str, stream: bool| {
        let said = json!({"type": "ollama", "apiKeys": []});
        let received = sent(said, "m", request).await;
        assert_eq!(received.target, "/api/chat");
        assert_eq!(received.header("accept"), Some(accept));
        assert_eq!(received.header("authorization"), None);
        let body = received.json();
        assert_eq!(body["model"], "m");
        assert_eq!(body["stream"], stream);
        assert_eq!(
            body["messages"],
            json!([{"role": "user", "content": PROMPT}])
        );
    };
    check(request(), "application/json", false).await;
    check(streamed(), "application/x-ndjson", true).await;
}

#[tokio::test]
async fn those_that_copy_openai() {
    for kind in ["huggingface", "litellm", "custom"] {
        let said = json!({"type": kind, "path": "/v1?api-version=2"});
        let target = "/v1/chat/completions?api-version=2";
        let body = words("max_tokens");
        check(said.clone(), "m", request(), target, &[BEARER, JSON], body).await;
        let body = words_streamed("max_tokens");
        check(said, "m", streamed(), target, &[BEARER, SSE], body).await;
    }
}

#[tokio::test]
async fn headers_of_configuration_replace_ours() {
    let said = json!({"type": "custom", "headers": {"Authorization": "Token t", "X-Mine": "1"}});
    let headers = [("authorization", "Token t"), ("x-mine", "1")];
    check(
        said,
        "m",
        request(),
        "/chat/completions",
        &headers,
        words("max_tokens"),
    )
    .await;
}

#[test]
fn every_kind_has_its_zone() {
    let check = |said: Value, model: &str, zone: &str| {
        let remote = try_remote(&network(), said.clone()).unwrap();
        assert_eq!(remote.zone(&model.into()).name(), zone, "{said} {model}");
    };
    let nowhere = "https://a.example";
    for kind in ALL {
        let usual = if kind.kind.name() == "ollama" {
            "device"
        } else {
            "cloud"
        };
        let mut said = json!({"type": kind.kind.name()});
        if kind.base_url.is_none() {
            said["baseUrl"] = json!(nowhere);
        }
        check(said, "m", usual);
        let said =
            json!({"type": kind.kind.name(), "baseUrl": nowhere, "zone": "cloud-no-retention"});
        check(said, "m", "cloud-no-retention");
    }
    let local = "http://127.0.0.1:1/v1";
    check(json!({"type": "custom", "baseUrl": local}), "m", "cloud");
    check(
        json!({"type": "custom", "baseUrl": local, "zone": "device"}),
        "m",
        "device",
    );
    check(
        json!({"type": "ollama", "baseUrl": "http://192.168.1.5:11434"}),
        "m",
        "lan",
    );
    check(
        json!({"type": "ollama", "baseUrl": "https://ollama.com"}),
        "m",
        "cloud",
    );
    check(json!({"type": "ollama"}), "gpt-oss:120b-cloud", "cloud");
    let zdr = json!({"type": "openrouter", "preferences": {"zdr": true}});
    check(zdr, "m", "cloud-no-retention");
    let deny = json!({"type": "openrouter", "preferences": {"dataCollection": "deny"}});
    check(deny, "m", "cloud");
}

#[test]
fn what_cannot_be_built_says_why() {
    let check = |said: Value, why: &str| {
        let error = try_remote(&network(), said).unwrap_err();
        assert_eq!(error.to_string(), why);
    };
    check(
        json!({"type": "gemini", "apiKeys": []}),
        "p has no key; set its apiKey, or GEMINI_API_KEY or GOOGLE_API_KEY",
    );
    check(
        json!({"type": "custom"}),
        "p has no address that can be used; set its baseUrl as https://host/path",
    );
    check(
        json!({"type": "openai", "apiKeys": ["good", "b\u{7f}d"]}),
        "key 2 of p has characters that no header can hold; copy it again",
    );
    check(
        json!({"type": "custom", "baseUrl": "http://a.example", "headers": {"a b": "c"}}),
        "header \"a b\" of p is not one that can be set so; mend it or take it out",
    );
    check(
        json!({"type": "custom", "baseUrl": "http://a.example", "headers": {"Content-Length": "1"}}),
        "header \"Content-Length\" of p is not one that can be set so; mend it or take it out",
    );
    check(
        json!({"type": "custom", "baseUrl": "http://10.0.0.1", "zone": "device"}),
        "the address of p is not in its zone, device; mend its baseUrl or its zone",
    );
    check(
        json!({"type": "custom", "baseUrl": "http://8.8.8.8", "zone": "lan"}),
        "the address of p is not in its zone, lan; mend its baseUrl or its zone",
    );
    check(
        json!({"type": "onnx"}),
        "p is no upstream; the engine inside is built from its model folder",
    );
}

use inhouse_chat::{Complexity, Dialect, Money, Privacy};
use serde_json::{Value, json};

use crate::{WireError, decode_request, encode_request};

fn check(request: Value) {
    let decoded = decode_request(Dialect::Neutral, request.clone()).unwrap();
    let again = encode_request(Dialect::Neutral, &decoded).unwrap();
    assert_eq!(again.body, request);
    assert_eq!(again.notes, []);
}

fn check_refused(request: Value, expected: &str) {
    let refused = decode_request(Dialect::Neutral, request).unwrap_err();
    assert_eq!(refused.to_string(), expected);
}

#[test]
fn the_documents_example_is_read() {
    let request = decode_request(
        Dialect::Neutral,
        json!({
            "model": "phi-4", "messages": [{"role": "user", "content": "My diary"}],
            "metadata": {"privacy": "high", "localOnly": true, "agentType": "coder",
                "complexity": "low", "reasoning": true, "maxCost": 0.25},
        }),
    )
    .unwrap();
    assert_eq!(request.model.as_str(), "phi-4");
    let metadata = request.metadata;
    assert_eq!(metadata.privacy, Some(Privacy::High));
    assert_eq!(metadata.local_only, Some(true));
    assert_eq!(metadata.complexity, Some(Complexity::Low));
    assert_eq!(metadata.requires_reasoning, Some(true));
    assert_eq!(
        metadata.max_cost,
        Some(Money::dollars("0.25".parse().unwrap()))
    );
}

#[test]
fn everything_comes_back() {
    check(json!({
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief"},
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?", "cache": "1h"},
                {"type": "image", "mediaType": "image/png", "data": "AAAA"},
                {"type": "image", "url": "https://example.com/a.png"},
                {"type": "document", "file": "file-1", "title": "A"},
                {"type": "audio", "mediaType": "audio/wav", "data": "AAAA"},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "text": "Hm", "signature": "s"},
                {"type": "redactedThinking", "data": "x"},
                {"type": "toolUse", "id": "1", "name": "look", "input": {"at": "it"}},
            ]},
            {"role": "user", "content": [
                {"type": "toolResult", "toolUseId": "1", "content": "A cat", "isError": true},
            ]},
            {"role": "assistant", "content": [
                {"type": "refusal", "text": "No"},
                {"type": "other", "dialect": "gemini", "value": {"a": 1}},
            ]},
        ],
        "tools": [{"name": "look", "description": "Looks", "inputSchema": {"type": "object"},
            "strict": true, "cache": "5m"}],
        "toolChoice": {"tool": "look", "parallel": false},
        "temperature": 0.5, "topP": 1, "topK": 4, "seed": -1, "frequencyPenalty": 0.5,
        "presencePenalty": -1, "maxTokens": 10, "stop": ["a", "b"],
        "responseFormat": {"schema": {"type": "object"}, "name": "n", "strict": true},
        "reasoning": "high", "stream": true,
        "metadata": {"agentType": "coder", "privacy": "medium", "localOnly": false,
            "complexity": "high", "requiresReasoning": false, "provider": "openai", "user": "u",
            "session": "s", "maxCost": "0.10"},
    }));
    let message = json!([{"role": "user", "content": "Hi"}]);
    for (field, value) in [
        ("toolChoice", json!("any")),
        ("toolChoice", json!({"mode": "auto", "parallel": true})),
        ("responseFormat", json!("json")),
        ("reasoning", json!("off")),
        ("reasoning", json!("adaptive")),
        ("reasoning", json!(2048)),
    ] {
        check(json!({"model": "m", "messages": message, field: value}));
    }
}

#[test]
fn what_is_not_known_is_an_error_with_its_path() {
    let message = json!({"role": "user", "content": "Hi"});
    check_refused(
        json!({"model": "m", "messages": [message], "max_tokens": 4}),
        "max_tokens is not a field of this protocol; take it out or mend its name",
    );
    check_refused(
        json!({"model": "m", "messages": [message], "metadata": {"privcy": "high"}}),
        "metadata.privcy is not a field of this protocol; take it out or mend its name",
    );
    check_refused(
        json!({"model": "m", "messages": [message], "metadata": {"privacy": "secret!"}}),
        "metadata.privacy is not low, medium or high",
    );
    check_refused(json!({"model": "m"}), "messages is missing");
    check_refused(
        json!({"model": "m", "messages": [{"role": "user", "content": [{"text": "Hi"}]}]}),
        "messages[0].content[0].type is missing",
    );
    check_refused(json!([]), "the body is not an object");
}

#[test]
fn a_null_says_nothing() {
    let request = json!({"model": "m", "messages": [], "temperature": null, "metadata": null});
    assert!(decode_request(Dialect::Neutral, request).is_ok());
}

#[test]
fn a_tool_of_a_provider_is_refused_by_name() {
    let request = json!({"model": "m", "max_tokens": 1, "messages": [],
        "tools": [{"type": "web_search_20250305", "name": "web_search"}]});
    let request = decode_request(Dialect::Anthropic, request).unwrap();
    let refused = encode_request(Dialect::Neutral, &request).unwrap_err();
    assert!(matches!(refused, WireError::Unsupported { path, .. } if path == "tools[0]"));
}

use inhouse_chat::{
    Block, BlockKind, ChatRequest, Dialect, Effort, Message, Reasoning, Role, Source,
};
use serde_json::{Value, json};

use crate::{WireError, decode_request, encode_request};

const OPENAI: Dialect = Dialect::OpenAiChat;

/// A request with these fields comes back as it went in.
fn check(fields: Value) {
    let mut request = json!({"model": "m", "messages": []});
    for (name, value) in fields.as_object().unwrap() {
        request[name] = value.clone();
    }
    let decoded = decode_request(OPENAI, request.clone()).unwrap();
    let again = encode_request(OPENAI, &decoded).unwrap();
    assert_eq!(again.body, request);
    assert_eq!(again.notes, []);
}

fn check_messages(messages: Value) {
    check(json!({"messages": messages}));
}

/// An Anthropic request as an OpenAI one: its messages and what was noted.
fn from_anthropic(messages: Value) -> (Value, Vec<String>) {
    let request = json!({"model": "m", "max_tokens": 9, "messages": messages});
    let request = decode_request(Dialect::Anthropic, request).unwrap();
    let encoded = encode_request(OPENAI, &request).unwrap();
    let notes = encoded.notes.iter().map(ToString::to_string).collect();
    (encoded.body["messages"].clone(), notes)
}

fn to_anthropic(messages: Value) -> Value {
    let request = json!({"model": "m", "max_tokens": 9, "messages": messages});
    let request = decode_request(OPENAI, request).unwrap();
    encode_request(Dialect::Anthropic, &request).unwrap().body
}

#[test]
fn messages_come_back() {
    check_messages(
        json!([{"role": "system", "content": "a"}, {"role": "developer", "content": "b"},
        {"role": "user", "content": "c", "name": "n"}, {"role": "user", "content": [{"type": "text", "text": "d"}]}]),
    );
    check_messages(json!([{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png,raw"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"file_data": "raw"}},
        {"type": "video_url", "video_url": {"url": "https://example.com"}},
        {"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}},
    ]}]));
    check_messages(
        json!([{"role": "assistant", "content": null, "refusal": "No"},
        {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "No"}]},
        {"role": "assistant", "content": "a", "reasoning_content": "Hm", "annotations": []},
        {"role": "assistant", "content": "a", "reasoning": "Hm", "reasoning_details": [{"signature": "s"}]},
        {"role": "assistant", "audio": {"id": "audio_1"}}, {"role": "assistant", "content": ""}]),
    );
}

#[test]
fn calls_and_results_come_back() {
    let call = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "n", "arguments": arguments}});
    check_messages(json!([
        {"role": "assistant", "content": "", "tool_calls": [call("1", "{}"), call("2", "{\"a\":1}")]},
        {"role": "tool", "tool_call_id": "1", "content": "a"},
        {"role": "tool", "tool_call_id": "2", "content": [{"type": "text", "text": "b"}], "name": "n"},
        {"role": "user", "content": "c"},
        {"role": "assistant", "tool_calls": [call("3", "")]},
        {"role": "tool", "tool_call_id": "3", "content": ""},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "4", "type": "custom", "custom": {"name": "n", "input": "raw"}}]},
    ]));
    check_messages(json!([
        {"role": "assistant", "content": null, "function_call": {"name": "n", "arguments": "{}"}},
        {"role": "function", "name": "n", "content": "a"},
    ]));
}

#[test]
fn arguments_go_back_byte_for_byte_unless_they_were_changed() {
    for arguments in [
        "{\"a\": 1}",
        "{ }",
        "",
        "{\"b\":1,\"a\":2}",
        "{\"a\":",
        "[1]",
        "\"x\"",
        "{\"a\":1,\"a\":2}",
    ] {
        let call = json!({"id": "1", "type": "function", "function": {"name": "n", "arguments": arguments}});
        check_messages(json!([{"role": "assistant", "content": null, "tool_calls": [call]}]));
    }
    let call = json!({"id": "1", "function": {"name": "n", "arguments": "{\"mail\": \"me@example.com\"}"}});
    let request = json!({"model": "m", "messages": [{"role": "assistant", "tool_calls": [call]}]});
    let mut request = decode_request(OPENAI, request).unwrap();
    let BlockKind::ToolUse { input, .. } = &mut request.messages[0].content[0].kind else {
        panic!("no call");
    };
    input.0["mail"] = json!("<mail>");
    let body = encode_request(OPENAI, &request).unwrap().body;
    let sent = &body["messages"][0]["tool_calls"][0]["function"]["arguments"];
    assert_eq!(sent, "{\"mail\":\"<mail>\"}");
}

#[test]
fn settings_come_back() {
    check(json!({"max_tokens": 5, "stop": "a", "user": "u", "stream": false}));
    check(json!({"max_completion_tokens": 5, "stop": ["a", "b", "c", "d", "e"], "n": 2}));
    check(json!({"max_completion_tokens": 5, "max_tokens": 6, "stop": [], "temperature": null}));
    check(
        json!({"stream": true, "stream_options": {"include_usage": true, "include_obfuscation": false}}),
    );
    check(
        json!({"temperature": 2, "top_p": 0.5, "seed": -4, "frequency_penalty": 1, "presence_penalty": -0.5}),
    );
    check(json!({"top_k": 5, "min_p": 0.1, "provider": {"zdr": true}, "logit_bias": {"1": 2}}));
    check(json!({"top_k": -1}));
    for effort in [
        "none", "minimal", "low", "medium", "high", "xhigh", "max", "future",
    ] {
        check(json!({"reasoning_effort": effort}));
    }
    check(json!({"response_format": {"type": "text"}}));
    check(json!({"response_format": {"type": "json_object"}}));
    check(json!({"response_format": {"type": "json_object", "schema": {"type": "object"}}}));
    check(json!({"response_format": {"type": "grammar", "grammar": "x"}}));
    check(json!({"response_format": {"type": "json_schema",
        "json_schema": {"name": "n", "description": "d", "schema": {}, "strict": true}}}));
}

#[test]
fn tools_come_back() {
    let tool = json!({"type": "function", "function": {"name": "n", "description": "d",
        "parameters": {"type": "object", "properties": {}}, "strict": false}});
    check(
        json!({"tools": [tool, {"type": "function", "function": {"name": "no_parameters"}},
        {"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}}]}),
    );
    for choice in [
        json!("auto"),
        json!("none"),
        json!("required"),
        json!({"type": "function", "function": {"name": "n"}}),
        json!({"type": "allowed_tools", "allowed_tools": {}}),
    ] {
        check(json!({"tools": [tool], "tool_choice": choice}));
        check(json!({"tools": [tool], "tool_choice": choice, "parallel_tool_calls": false}));
    }
    check(json!({"tools": [tool], "parallel_tool_calls": true}));
    check(json!({"functions": [{"name": "n", "parameters": {}}], "function_call": "auto"}));
    check(json!({"functions": [{"name": "n"}], "function_call": {"name": "n"}}));
}

#[test]
fn streams_are_asked_for_their_usage() {
    let mut request = ChatRequest::new("m", [Message::user("a")]);
    request.stream = true;
    let body = encode_request(OPENAI, &request).unwrap().body;
    assert_eq!(body["stream_options"], json!({"include_usage": true}));
}

#[test]
fn tool_results_survive_on_the_way_to_anthropic() {
    let body = to_anthropic(json!([
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "w", "arguments": "{\"city\": \"Paris\"}"}},
            {"id": "2", "type": "function", "function": {"name": "w", "arguments": ""}}]},
        {"role": "tool", "tool_call_id": "1", "content": "sun"},
        {"role": "tool", "tool_call_id": "2", "content": [{"type": "text", "text": "rain"}]},
        {"role": "user", "content": "Thanks"},
    ]));
    assert_eq!(body["system"], "Be brief");
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "1", "name": "w", "input": {"city": "Paris"}},
                {"type": "tool_use", "id": "2", "name": "w", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": "sun"},
                {"type": "tool_result", "tool_use_id": "2", "content": "rain"}]},
            {"role": "user", "content": "Thanks"},
        ])
    );
}

#[test]
fn tool_results_survive_on_the_way_from_anthropic() {
    let (messages, notes) = from_anthropic(json!([
        {"role": "assistant", "content": [{"type": "text", "text": "Looking"},
            {"type": "tool_use", "id": "1", "name": "w", "input": {"city": "Paris"}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "sun"}]},
            {"type": "text", "text": "Go on"}]},
    ]));
    assert_eq!(
        messages,
        json!([
            {"role": "assistant", "content": "Looking", "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "w", "arguments": "{\"city\":\"Paris\"}"}}]},
            {"role": "tool", "tool_call_id": "1", "content": "sun"},
            {"role": "user", "content": "Go on"},
        ])
    );
    assert_eq!(notes, [""; 0]);
}

#[test]
fn pictures_in_tool_results_come_behind_them() {
    let (messages, notes) = from_anthropic(json!([{"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "1", "is_error": true, "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]},
        {"type": "tool_result", "tool_use_id": "2", "content": "b"},
    ]}]));
    assert_eq!(
        messages,
        json!([
            {"role": "tool", "tool_call_id": "1", "content": ""},
            {"role": "tool", "tool_call_id": "2", "content": "b"},
            {"role": "user", "content": [{"type": "text", "text": "From the result of 1:"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
        ])
    );
    assert_eq!(
        notes,
        [
            "messages[0].content[0].isError was left out: OpenAI Chat Completions does not have it",
            "messages[0].content[0].content[0] was moved to a message behind the results for OpenAI Chat Completions",
        ]
    );
}

#[test]
fn what_only_tunes_is_noted() {
    let request = json!({"model": "m", "max_tokens": 9, "top_k": 4, "thinking": {"type": "enabled", "budget_tokens": 9000},
        "stop_sequences": ["1", "2", "3", "4", "5"], "service_tier": "auto", "metadata": {"user_id": "u"},
        "messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm", "signature": "s"},
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]}]});
    let request = decode_request(Dialect::Anthropic, request).unwrap();
    let encoded = encode_request(OPENAI, &request).unwrap();
    let mut noted: Vec<&str> = encoded
        .notes
        .iter()
        .map(|note| note.path.as_str())
        .collect();
    noted.sort_unstable();
    assert_eq!(
        noted,
        [
            "messages[0].content[0]",
            "messages[0].content[1].cache",
            "metadata",
            "reasoning",
            "service_tier",
            "stop[4]",
            "topK"
        ]
    );
    assert_eq!(encoded.body["reasoning_effort"], "high");
    assert!(
        encoded.body.get("user").is_none(),
        "another provider is not told who asks"
    );
}

#[test]
fn what_the_model_would_have_read_is_refused() {
    let check = |role: Role, kind: BlockKind| {
        let mut request = ChatRequest::new("m", [Message::new(role, vec![Block::new(kind)])]);
        request.max_tokens = Some(1);
        let refused = encode_request(OPENAI, &request).unwrap_err();
        assert!(
            matches!(&refused, WireError::Unsupported { path, .. } if path == "messages[0].content[0]"),
            "{refused}"
        );
    };
    let url = || Source::Url {
        media_type: None,
        url: "https://example.com".into(),
    };
    check(Role::User, BlockKind::Audio(url()));
    check(
        Role::User,
        BlockKind::Document {
            source: url(),
            title: None,
        },
    );
    check(Role::User, BlockKind::Image(Source::File("file_1".into())));
    check(Role::System, BlockKind::Image(url()));
    check(Role::Assistant, BlockKind::Image(url()));
    let value = json!({"type": "search_result"}).into();
    check(
        Role::User,
        BlockKind::Other {
            dialect: Dialect::Anthropic,
            value,
        },
    );
}

#[test]
fn efforts_reach_the_other_protocol() {
    let request =
        json!({"model": "m", "max_tokens": 1, "messages": [], "reasoning_effort": "xhigh"});
    let request = decode_request(OPENAI, request).unwrap();
    assert_eq!(
        request.reasoning,
        Some(Reasoning::Effort(Effort::ExtraHigh))
    );
    let body = encode_request(Dialect::Anthropic, &request).unwrap().body;
    assert_eq!(body["output_config"], json!({"effort": "xhigh"}));
}

use inhouse_chat::{
    Assembler, Block, BlockKind, ChatRequest, Dialect, Effort, Event, Failure, Message, Money,
    Reasoning, Reply, Role, Source, StopReason, Usage,
};
use serde_json::{Value, json};

use crate::{
    AnswerOptions, StreamError, WireError, decode_reply, decode_request, encode_reply,
    encode_request, stream_reader, stream_writer,
};

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
fn usage_classes_do_not_overlap() {
    let check = |usage: Value, expected: Usage| {
        let body = json!({"choices": [{"message": {"content": "a"}}], "usage": usage});
        assert_eq!(decode_reply(OPENAI, body).unwrap().usage, expected);
    };
    let none = Usage::default();
    check(
        json!({"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30, "audio_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 15, "audio_tokens": 2}, "cost": 0.00014}),
        Usage {
            input: 10,
            output: 20,
            cache_read: 60,
            cache_write_5m: 30,
            reasoning: 15,
            input_audio: 4,
            output_audio: 2,
            charged: Some(Money::dollars("0.00014".parse().unwrap())),
            ..none
        },
    );
    check(
        json!({"prompt_tokens": 10, "completion_tokens": null, "prompt_cache_hit_tokens": 4}),
        Usage {
            input: 6,
            cache_read: 4,
            ..none
        },
    );
    check(
        json!({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 40}}),
        Usage {
            cache_read: 10,
            ..none
        },
    );
    // xAI counts thinking beside the rest.
    check(
        json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 22, "completion_tokens_details": {"reasoning_tokens": 7}}),
        Usage {
            input: 10,
            output: 12,
            reasoning: 7,
            ..none
        },
    );
    check(
        json!({"prompt_tokens": 1, "completion_tokens": 1, "cost": 4.65e-6}),
        Usage {
            input: 1,
            output: 1,
            charged: Some(Money::dollars("0.00000465".parse().unwrap())),
            ..none
        },
    );
    check(json!(null), none);
}

#[test]
fn reasons_are_mapped() {
    let check = |message: Value, reason: &str, expected: StopReason| {
        let body = json!({"choices": [{"index": 0, "message": message, "finish_reason": reason}]});
        let reply = decode_reply(OPENAI, body).unwrap();
        assert_eq!(reply.stop, expected);
        let again = encode_reply(OPENAI, &reply, &AnswerOptions::default()).body;
        assert_eq!(again["choices"][0]["finish_reason"], reason);
    };
    let words = json!({"content": "a"});
    check(words.clone(), "stop", StopReason::EndTurn);
    check(words.clone(), "length", StopReason::MaxTokens);
    check(words.clone(), "content_filter", StopReason::Refusal);
    check(words, "tool_calls", StopReason::ToolUse);
    check(
        json!({"content": null, "refusal": "No"}),
        "stop",
        StopReason::Refusal,
    );
    let call = json!({"id": "1", "function": {"name": "n", "arguments": "{}"}});
    check(json!({"tool_calls": [call]}), "stop", StopReason::ToolUse);
}

#[test]
fn an_answer_with_broken_arguments_is_garbled() {
    let call = json!({"id": "1", "function": {"name": "n", "arguments": "{\"a\":"}});
    let body = json!({"choices": [{"message": {"tool_calls": [call]}}]});
    let refused = decode_reply(OPENAI, body).unwrap_err().to_string();
    assert_eq!(
        refused,
        "choices[0].message.tool_calls[0].function.arguments is not a JSON object in a string"
    );
}

// Streams.

/// The stream of these chunks; every chunk has `id` and `model` unless it says otherwise.
fn stream(chunks: &[Value]) -> String {
    let chunk = |chunk: &Value| {
        let mut full = json!({"id": "chatcmpl-1", "model": "m", "object": "chat.completion.chunk"});
        for (name, value) in chunk.as_object().unwrap() {
            full[name] = value.clone();
        }
        format!("data: {full}\n\n")
    };
    chunks.iter().map(chunk).collect()
}

fn delta(delta: Value) -> Value {
    json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn calls(calls: Value) -> Value {
    delta(json!({"tool_calls": calls}))
}

fn finish(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

/// The answer of a stream, which is the same however its bytes are cut.
fn answer(stream: &str) -> Result<Reply, StreamError> {
    let whole = answer_of(stream.as_bytes().chunks(stream.len().max(1)));
    for size in [1, 2, 5, 33] {
        assert_eq!(
            answer_of(stream.as_bytes().chunks(size)),
            whole,
            "by {size}"
        );
    }
    whole
}

fn answer_of<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Reply, StreamError> {
    let (mut reader, mut events) = (stream_reader(OPENAI), Vec::new());
    for piece in pieces {
        reader.push(piece, &mut events)?;
    }
    reader.finish(&mut events)?;
    let mut assembler = Assembler::new();
    events
        .iter()
        .for_each(|event| assembler.push(event).unwrap());
    Ok(assembler.finish().unwrap())
}

/// What was said and called, through an Anthropic client's stream too.
fn check_stream(chunks: &[Value], expected: &[Block]) {
    let bytes = stream(chunks) + "data: [DONE]\n\n";
    let reply = answer(&bytes).unwrap();
    let bare = |reply: &Reply| -> Vec<BlockKind> {
        reply
            .content
            .iter()
            .map(|block| block.kind.clone())
            .collect()
    };
    let expected: Vec<BlockKind> = expected.iter().map(|block| block.kind.clone()).collect();
    assert_eq!(bare(&reply), expected);

    let (mut reader, mut events) = (stream_reader(OPENAI), Vec::new());
    reader.push(bytes.as_bytes(), &mut events).unwrap();
    let mut writer = stream_writer(Dialect::Anthropic, AnswerOptions::default());
    let (mut again, mut events_again) = (stream_reader(Dialect::Anthropic), Vec::new());
    for event in &events {
        again.push(&writer.push(event), &mut events_again).unwrap();
    }
    let mut assembler = Assembler::new();
    events_again
        .iter()
        .for_each(|event| assembler.push(event).unwrap());
    let through_anthropic = assembler.finish().unwrap();
    assert_eq!(bare(&through_anthropic), expected);
    assert_eq!(through_anthropic.usage, reply.usage);
    assert_eq!(through_anthropic.stop, reply.stop);
}

fn call(index: u64, id: &str, name: &str, arguments: &str) -> Value {
    json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

fn piece(index: u64, arguments: &str) -> Value {
    json!({"index": index, "function": {"arguments": arguments}})
}

#[test]
fn parallel_tool_calls_keep_their_arguments() {
    check_stream(
        &[
            delta(json!({"role": "assistant", "content": null})),
            calls(json!([call(0, "a", "first", "")])),
            calls(json!([piece(0, "{\"x\"")])),
            calls(json!([call(1, "b", "second", "")])),
            // Pieces in turns, and two in one chunk.
            calls(json!([piece(1, "{\"y\":")])),
            calls(json!([piece(0, ":1}"), piece(1, "2}")])),
            finish("tool_calls"),
        ],
        &[
            Block::tool_use("a", "first", json!({"x": 1})),
            Block::tool_use("b", "second", json!({"y": 2})),
        ],
    );
}

#[test]
fn empty_arguments_are_an_empty_object() {
    check_stream(
        &[
            calls(json!([call(0, "a", "now", "")])),
            finish("tool_calls"),
        ],
        &[Block::tool_use("a", "now", json!({}))],
    );
    let nulls = json!({"index": 0, "id": "a", "function": {"name": "now", "arguments": null}});
    check_stream(
        &[calls(json!([nulls])), finish("stop")],
        &[Block::tool_use("a", "now", json!({}))],
    );
}

#[test]
fn arguments_in_one_chunk_are_whole() {
    check_stream(
        &[
            calls(json!([
                call(0, "a", "n", "{\"x\":1}"),
                call(1, "b", "n", "{\"x\":2}")
            ])),
            finish("tool_calls"),
        ],
        &[
            Block::tool_use("a", "n", json!({"x": 1})),
            Block::tool_use("b", "n", json!({"x": 2})),
        ],
    );
}

#[test]
fn text_between_calls_stays_between_them() {
    check_stream(
        &[
            delta(json!({"content": "First "})),
            delta(json!({"content": "this"})),
            calls(json!([call(0, "a", "n", "{}")])),
            delta(json!({"content": "then that"})),
            calls(json!([call(1, "b", "n", "{\"x\":")])),
            calls(json!([piece(1, "3}")])),
            finish("tool_calls"),
        ],
        &[
            Block::text("First this"),
            Block::tool_use("a", "n", json!({})),
            Block::text("then that"),
            Block::tool_use("b", "n", json!({"x": 3})),
        ],
    );
}

#[test]
fn calls_without_an_index_are_told_apart() {
    let start = |id: &str| json!({"id": id, "function": {"name": "n", "arguments": "{\"x\":"}});
    let more = |arguments: &str| json!({"function": {"arguments": arguments}});
    check_stream(
        &[
            calls(json!([start("a")])),
            calls(json!([more("1}")])),
            calls(json!([start("b")])),
            calls(json!([more("2}")])),
            finish("tool_calls"),
        ],
        &[
            Block::tool_use("a", "n", json!({"x": 1})),
            Block::tool_use("b", "n", json!({"x": 2})),
        ],
    );
}

#[test]
fn calls_with_the_same_index_are_told_apart() {
    check_stream(
        &[
            calls(json!([call(0, "a", "n", "{\"x\":1}")])),
            calls(json!([call(0, "b", "n", "{\"x\":2}")])),
            finish("tool_calls"),
        ],
        &[
            Block::tool_use("a", "n", json!({"x": 1})),
            Block::tool_use("b", "n", json!({"x": 2})),
        ],
    );
    // The same identifier again is the same call.
    check_stream(
        &[
            calls(json!([call(0, "a", "n", "{\"x\"")])),
            calls(json!([call(0, "a", "n", ":1}")])),
            finish("tool_calls"),
        ],
        &[Block::tool_use("a", "n", json!({"x": 1}))],
    );
}

#[test]
fn a_call_without_an_identifier_gets_one() {
    let start = json!({"index": 0, "function": {"name": "n", "arguments": "{}"}});
    check_stream(
        &[calls(json!([start])), finish("tool_calls")],
        &[Block::tool_use("call_chatcmpl1_0", "n", json!({}))],
    );
}

#[test]
fn a_name_may_come_after_arguments_but_must_come() {
    let late = json!({"index": 0, "function": {"name": "n"}});
    check_stream(
        &[
            calls(json!([piece(0, "{\"x\":")])),
            calls(json!([late])),
            calls(json!([piece(0, "1}")])),
            finish("tool_calls"),
        ],
        &[Block::tool_use("call_chatcmpl1_0", "n", json!({"x": 1}))],
    );
    let nameless = stream(&[calls(json!([piece(0, "{}")])), finish("tool_calls")]);
    assert_eq!(answer(&nameless).unwrap_err().failure(), Failure::Garbled);
}

#[test]
fn the_old_function_call_is_a_call() {
    check_stream(
        &[
            delta(json!({"function_call": {"name": "n", "arguments": ""}})),
            delta(json!({"function_call": {"arguments": "{\"x\":1}"}})),
            finish("function_call"),
        ],
        &[Block::tool_use("call_chatcmpl1_0", "n", json!({"x": 1}))],
    );
}

#[test]
fn usage_in_a_last_chunk_with_or_without_choices_is_read() {
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13, "prompt_tokens_details": {"cached_tokens": 4}});
    let check = |chunks: &[Value]| {
        let reply = answer(&stream(chunks)).unwrap();
        assert_eq!(
            reply.usage,
            Usage {
                input: 6,
                cache_read: 4,
                output: 3,
                ..Usage::default()
            }
        );
        assert_eq!(reply.stop, StopReason::EndTurn);
    };
    let said = delta(json!({"content": "a"}));
    check(&[
        said.clone(),
        finish("stop"),
        json!({"choices": [], "usage": usage}),
    ]);
    check(&[said.clone(), finish("stop"), json!({"usage": usage})]);
    let mut with_choices = finish("stop");
    with_choices["usage"] = usage.clone();
    check(&[said.clone(), with_choices.clone()]);
    check(&[said.clone(), finish("stop"), with_choices]);
    // OpenRouter repeats the choice, Databricks counts in every chunk.
    let mut counting = said;
    counting["usage"] = json!({"prompt_tokens": 10, "completion_tokens": null});
    check(&[counting.clone(), finish("stop"), {
        let mut last = delta(json!({"content": ""}));
        last["usage"] = usage;
        last
    }]);
}

#[test]
fn a_stream_may_end_without_done_but_not_without_a_reason() {
    let said = [delta(json!({"content": "a"}))];
    assert_eq!(answer(&stream(&said)), Err(StreamError::CutOff));
    assert!(answer(&(stream(&said) + "data: [DONE]\n\n")).is_ok());
    let half = stream(&[delta(json!({"content": "a"})), finish("stop")]);
    assert_eq!(answer(&half[..half.len() - 9]), Err(StreamError::CutOff));
    assert_eq!(answer(""), Err(StreamError::CutOff));
}

#[test]
fn thoughts_come_under_two_names() {
    for name in ["reasoning_content", "reasoning"] {
        let thought = delta(json!({name: "Hm", "content": null}));
        let more = delta(json!({name: "m", "reasoning_details": [{"text": "m"}]}));
        let reply = answer(&stream(&[
            thought,
            more,
            delta(json!({"content": "a"})),
            finish("stop"),
        ]))
        .unwrap();
        assert_eq!(reply.content.len(), 2);
        let BlockKind::Thinking { text, .. } = &reply.content[0].kind else {
            panic!("no thought");
        };
        assert_eq!(text.as_str(), "Hmm");
        let again = encode_reply(OPENAI, &reply, &AnswerOptions::default()).body;
        assert_eq!(again["choices"][0]["message"][name], "Hmm");
    }
    let twice = delta(json!({"reasoning_content": "Hm", "reasoning": "Hm"}));
    let reply = answer(&stream(&[twice, finish("stop")])).unwrap();
    assert_eq!(reply.content.len(), 1);
}

#[test]
fn comments_and_errors_in_streams_are_understood() {
    let (mut reader, mut events) = (stream_reader(OPENAI), Vec::new());
    let bytes = format!(
        ": OPENROUTER PROCESSING\n\n{}",
        stream(&[delta(json!({"content": "a"}))])
    );
    reader.push(bytes.as_bytes(), &mut events).unwrap();
    assert_eq!(events[0], Event::Ping);
    let error = stream(&[
        json!({"error": {"code": 502, "message": "Provider disconnected"},
        "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]}),
    ]);
    let error = reader.push(error.as_bytes(), &mut events).unwrap_err();
    assert_eq!(error.failure(), Failure::Internal);
    assert_eq!(
        format!("{error:?}"),
        "the provider failed while it answered"
    );
    assert!(reader.finish(&mut events).is_err());
}

#[test]
fn a_written_stream_is_what_the_sdk_accepts() {
    let reply = Reply {
        id: "chatcmpl-1".into(),
        model: "m".into(),
        content: vec![
            Block::text("Hi"),
            Block::tool_use("a", "n", json!({"x": 1})),
        ],
        stop: StopReason::ToolUse,
        usage: Usage {
            input: 2,
            output: 1,
            ..Usage::default()
        },
        extra: Default::default(),
    };
    let options = AnswerOptions {
        created: 7,
        include_usage: true,
    };
    let mut writer = stream_writer(OPENAI, options);
    let bytes: Vec<u8> = reply
        .events()
        .iter()
        .flat_map(|event| writer.push(event).to_vec())
        .collect();
    let text = String::from_utf8(bytes).unwrap();
    let mut chunks: Vec<&str> = text
        .split_terminator("\n\n")
        .map(|chunk| &chunk["data: ".len()..])
        .collect();
    assert_eq!(chunks.pop(), Some("[DONE]"));
    let chunks: Vec<Value> = chunks
        .iter()
        .map(|chunk| serde_json::from_str(chunk).unwrap())
        .collect();
    let deltas: Vec<&Value> = chunks
        .iter()
        .filter_map(|chunk| chunk.pointer("/choices/0/delta"))
        .collect();
    assert_eq!(
        deltas,
        [
            &json!({"role": "assistant", "content": ""}),
            &json!({"content": "Hi"}),
            &json!({"tool_calls": [call(0, "a", "n", "")]}),
            &json!({"tool_calls": [piece(0, "{\"x\":1}")]}),
            &json!({}),
        ]
    );
    assert_eq!(chunks[4]["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(chunks[5]["choices"], json!([]));
    assert_eq!(chunks[5]["usage"]["total_tokens"], 3);
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk["id"] == "chatcmpl-1" && chunk["created"] == 7)
    );

    let mut silent = stream_writer(OPENAI, AnswerOptions::default());
    let bytes: Vec<u8> = reply
        .events()
        .iter()
        .flat_map(|event| silent.push(event).to_vec())
        .collect();
    assert!(!String::from_utf8(bytes).unwrap().contains("usage"));
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

#[test]
fn several_answers_are_kept_for_the_same_protocol() {
    let choice = |index: u64| json!({"index": index, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"});
    let body = json!({"id": "1", "model": "m", "choices": [choice(0), choice(1)]});
    let reply = decode_reply(OPENAI, body).unwrap();
    let again = encode_reply(OPENAI, &reply, &AnswerOptions::default());
    assert_eq!(again.body["choices"][1], choice(1));
    assert_eq!(again.body["choices"].as_array().unwrap().len(), 2);
    let other = encode_reply(Dialect::Anthropic, &reply, &AnswerOptions::default());
    assert_eq!(other.notes[0].path, "choices");
}

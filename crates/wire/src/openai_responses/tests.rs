use inhouse_chat::{
    Assembler, Block, BlockKind, ChatRequest, Delta, Dialect, Effort, Event, Failure, Message,
    Reasoning, Reply, ResponseFormat, Role, Source, StopReason, Tool, ToolChoice, ToolMode, Usage,
};
use serde_json::{Value, json};

use crate::{
    AnswerOptions, StreamError, WireError, decode_reply, decode_request, encode_failure,
    encode_reply, encode_request, stream_reader, stream_writer,
};

const RESPONSES: Dialect = Dialect::OpenAiResponses;

fn request(fields: Value) -> ChatRequest {
    let mut request = json!({"model": "m"});
    for (name, value) in fields.as_object().unwrap() {
        request[name] = value.clone();
    }
    decode_request(RESPONSES, request).unwrap()
}

/// A request with these fields comes back as it went in.
fn check(fields: Value) {
    let again = encode_request(RESPONSES, &request(fields.clone())).unwrap();
    let mut expected = fields;
    expected["model"] = "m".into();
    assert_eq!(again.body, expected);
    assert_eq!(again.notes, []);
}

fn check_item(item: Value) {
    check(json!({"input": [item]}));
}

fn sent(request: &ChatRequest) -> Value {
    encode_request(RESPONSES, request).unwrap().body
}

fn notes(request: &ChatRequest) -> Vec<String> {
    let encoded = encode_request(RESPONSES, request).unwrap();
    encoded.notes.iter().map(ToString::to_string).collect()
}

#[test]
fn every_item_comes_back() {
    check(json!({"input": "Hello"}));
    check(json!({"input": "Hello", "instructions": "Be brief"}));
    check_item(json!({"role": "user", "content": "Hello"}));
    check_item(json!({"type": "message", "role": "developer", "content": "Be brief"}));
    check_item(json!({"role": "system", "content": [{"type": "input_text", "text": "a"}]}));
    check_item(json!({"role": "user", "content": []}));
    check_item(json!({"type": "message", "role": "user", "content": [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
        {"type": "input_image", "image_url": "https://example.org/a.png"},
        {"type": "input_image", "file_id": "file-1"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
        {"type": "input_file", "file_url": "https://example.org/a.pdf"},
        {"type": "input_file", "file_data": "not an address"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "input_future", "x": 1},
    ]}));
    check_item(
        json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "phase": "final_answer", "content": [
            {"type": "output_text", "text": "a", "annotations": [{"type": "url_citation", "url": "u"}], "logprobs": []},
            {"type": "refusal", "refusal": "no"},
        ]}),
    );
    check_item(json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}));
    check_item(
        json!({"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f",
        "arguments": "{\"a\":  1}", "status": "completed"}),
    );
    check_item(json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": ""}));
    check_item(json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{cut"}));
    check_item(json!({"type": "function_call_output", "call_id": "c", "output": "4"}));
    check_item(
        json!({"type": "function_call_output", "call_id": "c", "id": "o", "output": [
        {"type": "input_text", "text": "4"}, {"type": "input_image", "image_url": "https://a"}]}),
    );
    check_item(json!({"type": "item_reference", "id": "rs_1"}));
    check_item(
        json!({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {}}),
    );
}

#[test]
fn thoughts_come_back_with_their_parts() {
    check_item(json!({"type": "reasoning", "id": "rs_1", "summary": []}));
    check_item(
        json!({"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA", "summary": [
        {"type": "summary_text", "text": "first"}, {"type": "summary_text", "text": ""},
        {"type": "summary_text", "text": "third\n\nstill third"}]}),
    );
    check_item(json!({"type": "reasoning", "summary": [], "content": [
        {"type": "reasoning_text", "text": "openly"}], "encrypted_content": null}));
    check_item(json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "future", "x": 1}]}));
}

#[test]
fn parameters_come_back() {
    check(
        json!({"input": "a", "stream": true, "temperature": 0.5, "top_p": 1, "max_output_tokens": 9,
        "store": false, "include": ["reasoning.encrypted_content"], "previous_response_id": "resp_1",
        "metadata": {"a": "b"}, "user": "u", "prompt_cache_key": "k"}),
    );
    check(json!({"input": "a", "stream": false, "tools": []}));
    check(json!({"input": "a", "reasoning": {"effort": "high", "summary": "auto"}}));
    check(json!({"input": "a", "reasoning": {"effort": "none"}}));
    check(json!({"input": "a", "reasoning": {"effort": "future"}}));
    check(json!({"input": "a", "text": {"format": {"type": "json_object"}, "verbosity": "low"}}));
    check(
        json!({"input": "a", "text": {"format": {"type": "json_schema", "name": "n", "strict": true,
        "description": "d", "schema": {"type": "object"}}}}),
    );
    check(json!({"input": "a", "tool_choice": "required", "parallel_tool_calls": false}));
    check(json!({"input": "a", "parallel_tool_calls": true}));
    check(json!({"input": "a", "tool_choice": {"type": "function", "name": "f"}}));
    check(json!({"input": "a", "tool_choice": {"type": "web_search"}}));
    check(json!({"prompt": {"id": "pmpt_1"}}));
}

#[test]
fn tools_come_back_in_their_order() {
    check(json!({"input": "a", "tools": [
        {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true},
        {"type": "web_search", "search_context_size": "low"},
        {"type": "function", "name": "g", "parameters": {"type": "object"}},
        {"type": "function", "name": "h", "parameters": null, "strict": null},
        {"type": "custom", "name": "shell"},
    ]}));
}

#[test]
fn items_of_one_turn_are_one_message() {
    let request = request(json!({"input": [
        {"role": "user", "content": "Weather in two towns?"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        {"type": "function_call", "call_id": "a", "name": "weather", "arguments": "{\"town\":\"Bonn\"}"},
        {"type": "function_call", "call_id": "b", "name": "weather", "arguments": "{\"town\":\"Rome\"}"},
        {"type": "function_call_output", "call_id": "a", "output": "rain"},
        {"type": "function_call_output", "call_id": "b", "output": "sun"},
        {"role": "user", "content": "Thanks"},
    ]}));
    let shape: Vec<(Role, usize)> = request
        .messages
        .iter()
        .map(|message| (message.role, message.content.len()))
        .collect();
    assert_eq!(
        shape,
        [
            (Role::User, 1),
            (Role::Assistant, 4),
            (Role::User, 2),
            (Role::User, 1)
        ]
    );
    let call = &request.messages[1].content[2].kind;
    let expected = Block::tool_use("a", "weather", json!({"town": "Bonn"}));
    assert_eq!(*call, expected.kind);
}

#[test]
fn what_only_the_provider_has_is_refused_by_others() {
    let fields =
        json!({"input": "And then?", "instructions": "Be brief", "previous_response_id": "resp_1"});
    check(fields.clone());
    check(
        json!({"input": "a", "conversation": {"id": "conv_1"}, "prompt": {"id": "pmpt_1", "variables": {}}}),
    );
    check(json!({"previous_response_id": "resp_1", "input": [
        {"type": "function_call_output", "call_id": "c", "output": "4"}]}));
    for target in [
        Dialect::Anthropic,
        Dialect::OpenAiChat,
        Dialect::Gemini,
        Dialect::Ollama,
    ] {
        let refused = encode_request(target, &request(fields.clone()));
        assert!(
            matches!(refused, Err(WireError::Unsupported { .. })),
            "{target}"
        );
    }
}

#[test]
fn a_masked_argument_is_not_sent_as_it_was_written() {
    let mut request = request(
        json!({"input": [{"type": "function_call", "call_id": "c", "name": "f",
        "arguments": "{\"mail\":  \"a@b.org\"}"}]}),
    );
    let BlockKind::ToolUse { input, .. } = &mut request.messages[0].content[0].kind else {
        panic!("no call");
    };
    input.0 = json!({"mail": "[1]"});
    assert_eq!(
        sent(&request)["input"][0]["arguments"],
        "{\"mail\":\"[1]\"}"
    );
}

#[test]
fn a_request_of_another_protocol_says_all_it_can() {
    let mut request = ChatRequest::new(
        "m",
        [
            Message::system("Be brief"),
            Message::user("Weather?"),
            Message::new(
                Role::Assistant,
                vec![Block::tool_use("c", "weather", json!({"town": "Bonn"}))],
            ),
            Message::new(Role::User, vec![Block::tool_result("c", "rain")]),
        ],
    );
    request.tools = vec![Tool::new("weather", json!({"type": "object"}))];
    request.tool_choice = Some(ToolChoice {
        mode: ToolMode::Tool("weather".into()),
        parallel: Some(false),
    });
    request.reasoning = Some(Reasoning::Effort(Effort::ExtraHigh));
    request.response_format = Some(ResponseFormat::JsonSchema {
        name: None,
        schema: json!({"type": "object"}).into(),
        strict: Some(true),
    });
    request.stop = vec!["x".into()];
    request.sampling.top_k = Some(3);
    let encoded = encode_request(RESPONSES, &request).unwrap();
    assert_eq!(
        encoded.body,
        json!({
            "model": "m", "instructions": "Be brief", "store": false,
            "input": [
                {"type": "message", "role": "user", "content": "Weather?"},
                {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{\"town\":\"Bonn\"}"},
                {"type": "function_call_output", "call_id": "c", "output": "rain"},
            ],
            "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": false}],
            "tool_choice": {"type": "function", "name": "weather"}, "parallel_tool_calls": false,
            "reasoning": {"effort": "xhigh"},
            "text": {"format": {"type": "json_schema", "name": "answer", "schema": {"type": "object"}, "strict": true}},
        })
    );
    assert_eq!(
        notes(&request),
        [
            "topK was left out: OpenAI Responses does not have it",
            "stop was left out: OpenAI Responses does not have it",
            "responseFormat.name was set to answer, because one is demanded, for OpenAI Responses",
        ]
    );
}

#[test]
fn what_the_model_would_have_read_is_refused_by_name() {
    let check = |role, kind, path: &str| {
        let request = ChatRequest::new("m", [Message::new(role, vec![Block::new(kind)])]);
        match encode_request(RESPONSES, &request) {
            Err(WireError::Unsupported { path: found, .. }) => assert_eq!(found, path),
            other => panic!("{path}: {other:?}"),
        }
    };
    let other = || BlockKind::Other {
        dialect: Dialect::Anthropic,
        value: json!({"type": "container_upload"}).into(),
    };
    let image = BlockKind::Image(Source::Url {
        media_type: None,
        url: "https://a".into(),
    });
    check(Role::User, other(), "messages[0].content[0]");
    check(Role::Assistant, image, "messages[0].content[0]");
    let sound = BlockKind::Audio(Source::Base64 {
        media_type: "audio/wav".into(),
        data: "AAAA".into(),
    });
    check(Role::User, sound, "messages[0].content[0]");
}

#[test]
fn turns_of_the_model_are_one_text_each() {
    let turn = vec![
        Block::text("a"),
        Block::text("b"),
        Block::new(BlockKind::Refusal("c".into())),
    ];
    let request = ChatRequest::new("m", [Message::new(Role::Assistant, turn)]);
    let message = |text: &str| json!({"type": "message", "role": "assistant", "content": text});
    assert_eq!(
        sent(&request)["input"],
        json!([message("a"), message("b"), message("c")])
    );
    assert_eq!(
        notes(&request),
        ["messages[0].content[2] was sent as words for OpenAI Responses"]
    );
}

#[test]
fn thoughts_of_another_provider_are_left_out_and_said_to_be() {
    let asked = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "assistant", "content": [
        {"type": "thinking", "thinking": "hm", "signature": "abc"}, {"type": "text", "text": "Yes"}]}]});
    let request = decode_request(Dialect::Anthropic, asked).unwrap();
    assert_eq!(
        sent(&request)["input"],
        json!([{"type": "message", "role": "assistant", "content": "Yes"}])
    );
    let said = notes(&request);
    assert!(
        said[0].starts_with("messages[0].content[0] was left out"),
        "{said:?}"
    );
}

/// An answer of this form, decoded.
fn reply(fields: Value) -> Reply {
    let mut reply = json!({"id": "resp_1", "object": "response", "model": "m", "status": "completed", "output": []});
    for (name, value) in fields.as_object().unwrap() {
        reply[name] = value.clone();
    }
    decode_reply(RESPONSES, reply).unwrap()
}

#[test]
fn why_an_answer_ended_is_understood() {
    let check = |fields: Value, expected: StopReason| assert_eq!(reply(fields).stop, expected);
    check(json!({}), StopReason::EndTurn);
    let call = json!([{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]);
    check(json!({"output": call}), StopReason::ToolUse);
    let incomplete = |why| json!({"status": "incomplete", "incomplete_details": {"reason": why}});
    check(incomplete("max_output_tokens"), StopReason::MaxTokens);
    check(incomplete("content_filter"), StopReason::Refusal);
    check(incomplete("future"), StopReason::Other("future".into()));
    check(
        json!({"status": "cancelled"}),
        StopReason::Other("cancelled".into()),
    );
}

#[test]
fn tokens_are_counted_apart() {
    let usage = reply(json!({"usage": {
        "input_tokens": 100, "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
        "output_tokens": 50, "output_tokens_details": {"reasoning_tokens": 20}, "total_tokens": 150,
    }}))
    .usage;
    let expected = Usage {
        input: 30,
        cache_read: 60,
        cache_write_5m: 10,
        output: 50,
        reasoning: 20,
        ..Usage::default()
    };
    assert_eq!(usage, expected);
}

/// The bytes of a stream of these events.
fn stream(events: &[Value]) -> String {
    events
        .iter()
        .map(|event| {
            format!(
                "event: {}\ndata: {event}\n\n",
                event["type"].as_str().unwrap()
            )
        })
        .collect()
}

fn created() -> Value {
    json!({"type": "response.created", "response": {"id": "resp_1", "model": "m", "status": "in_progress"}})
}

fn completed(output: Value) -> Value {
    json!({"type": "response.completed", "response": {"id": "resp_1", "model": "m", "status": "completed",
        "output": output, "usage": {"input_tokens": 1, "output_tokens": 2}}})
}

fn read(bytes: &[u8]) -> (Vec<Event>, Result<(), StreamError>) {
    let (mut reader, mut events) = (stream_reader(RESPONSES), Vec::new());
    let end = reader
        .push(bytes, &mut events)
        .and_then(|()| reader.finish(&mut events));
    (events, end)
}

fn answer(events: &[Value]) -> Reply {
    let (events, end) = read(stream(events).as_bytes());
    end.unwrap();
    let mut assembler = Assembler::new();
    events
        .iter()
        .for_each(|event| assembler.push(event).unwrap());
    assembler.finish().unwrap()
}

fn call_added(output: u64, call: &str) -> Value {
    json!({"type": "response.output_item.added", "output_index": output, "item":
        {"type": "function_call", "id": format!("fc_{call}"), "call_id": call, "name": "f", "arguments": "", "status": "in_progress"}})
}

fn arguments(output: u64, delta: &str) -> Value {
    json!({"type": "response.function_call_arguments.delta", "output_index": output, "item_id": "x", "delta": delta})
}

fn calls(reply: &Reply) -> Vec<(&str, &Value)> {
    let calls = reply.content.iter().filter_map(|block| match &block.kind {
        BlockKind::ToolUse { id, input, .. } => Some((id.as_str(), &input.0)),
        _ => None,
    });
    calls.collect()
}

#[test]
fn arguments_of_calls_that_grow_in_turns_are_not_mixed_up() {
    let reply = answer(&[
        created(),
        call_added(0, "a"),
        call_added(1, "b"),
        arguments(0, "{\"x\":"),
        arguments(1, "{\"y\":"),
        arguments(0, "1}"),
        arguments(1, "2}"),
        completed(json!([])),
    ]);
    assert_eq!(
        calls(&reply),
        [("a", &json!({"x": 1})), ("b", &json!({"y": 2}))]
    );
    assert_eq!(reply.stop, StopReason::ToolUse);
}

#[test]
fn arguments_come_in_deltas_or_whole_and_are_said_once() {
    let done = json!({"type": "response.function_call_arguments.done", "output_index": 0, "arguments": "{\"x\":1}"});
    let item_done = json!({"type": "response.output_item.done", "output_index": 0, "item":
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{\"x\":1}"}});
    let whole = [("a", &json!({"x": 1}))];
    let check = |middle: &[Value]| {
        let events = [&[created()], middle, &[completed(json!([]))]].concat();
        assert_eq!(calls(&answer(&events)), whole, "{middle:?}");
    };
    check(&[
        call_added(0, "a"),
        arguments(0, "{\"x\":1}"),
        done.clone(),
        item_done.clone(),
    ]);
    check(&[call_added(0, "a"), done.clone(), item_done.clone()]);
    check(&[call_added(0, "a"), done]);
    check(&[call_added(0, "a"), item_done.clone()]);
    check(&[item_done]);
}

#[test]
fn a_call_without_arguments_has_an_empty_object() {
    let reply = answer(&[created(), call_added(0, "a"), completed(json!([]))]);
    assert_eq!(calls(&reply), [("a", &json!({}))]);
}

#[test]
fn words_between_calls_stay_between_them() {
    let text = |output: u64, text: &str| json!({"type": "response.output_text.delta", "output_index": output, "content_index": 0, "delta": text});
    let done = |output: u64| {
        json!({"type": "response.output_item.done", "output_index": output,
        "item": {"type": "message", "role": "assistant", "content": []}})
    };
    let reply = answer(&[
        created(),
        text(0, "I "),
        text(0, "look."),
        done(0),
        call_added(1, "a"),
        text(2, "And again."),
        call_added(3, "b"),
        completed(json!([])),
    ]);
    let kinds: Vec<&str> = reply
        .content
        .iter()
        .map(|block| match &block.kind {
            BlockKind::Text(text) => text.as_str(),
            BlockKind::ToolUse { id, .. } => id,
            _ => "?",
        })
        .collect();
    assert_eq!(kinds, ["I look.", "a", "And again.", "b"]);
}

#[test]
fn an_answer_that_comes_in_the_last_event_alone_is_read() {
    let message = json!([{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}]);
    assert_eq!(answer(&[created(), completed(message)]).text(), "Hi");
}

#[test]
fn failures_in_a_stream_are_told() {
    let check = |event: Value, expected: Failure| {
        let (_, end) = read(stream(&[created(), event]).as_bytes());
        assert_eq!(end.unwrap_err().failure(), expected);
    };
    check(
        json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"}}}),
        Failure::RateLimited,
    );
    check(
        json!({"type": "error", "code": "server_error", "message": "oops", "param": null}),
        Failure::Internal,
    );
    let (events, end) = read(stream(&[created()]).as_bytes());
    assert_eq!((events.len(), end), (1, Err(StreamError::CutOff)));
}

/// The events that a writer sends for an answer of another protocol.
fn written(reply: &Reply) -> (Vec<Value>, Vec<String>) {
    let mut writer = stream_writer(RESPONSES, AnswerOptions::default());
    let bytes: Vec<u8> = reply
        .events()
        .iter()
        .flat_map(|event| writer.push(event))
        .collect();
    let text = String::from_utf8(bytes).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = data
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    (
        events,
        writer.notes().iter().map(ToString::to_string).collect(),
    )
}

fn foreign() -> Reply {
    Reply {
        id: "msg_01".into(),
        model: "claude".into(),
        content: vec![
            Block::new(BlockKind::Thinking {
                text: "hm".into(),
                signature: Some("abc".into()),
            }),
            Block::text("I "),
            Block::text("look."),
            Block::tool_use("c", "weather", json!({"town": "Bonn"})),
        ],
        stop: StopReason::ToolUse,
        usage: Usage {
            input: 3,
            cache_read: 4,
            output: 5,
            ..Usage::default()
        },
        extra: Default::default(),
    }
}

#[test]
fn streams_are_written_as_the_api_writes_them() {
    let (events, notes) = written(&foreign());
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "response.reasoning_summary_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let numbers: Vec<u64> = events
        .iter()
        .map(|event| event["sequence_number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    assert_eq!(
        notes,
        ["content[0].signature was left out: OpenAI Responses does not have it"]
    );
}

#[test]
fn a_stream_ends_with_the_answer_that_is_not_streamed() {
    let (events, _) = written(&foreign());
    let whole = encode_reply(RESPONSES, &foreign(), &AnswerOptions::default()).body;
    assert_eq!(events.last().unwrap()["response"], whole);
    assert_eq!(whole["usage"]["input_tokens"], 7);
    assert_eq!(whole["output"][2]["arguments"], "{\"town\":\"Bonn\"}");
}

#[test]
fn parts_that_are_open_at_once_stay_apart() {
    let mut writer = stream_writer(RESPONSES, AnswerOptions::default());
    let start = |index, block| Event::BlockStart { index, block };
    let grow = |index, delta| Event::BlockDelta { index, delta };
    let events = [
        Event::Start {
            id: "a".into(),
            model: "m".into(),
            usage: Usage::default(),
        },
        start(0, Block::text("")),
        start(1, Block::tool_use("c", "f", Value::Null)),
        start(2, Block::text("")),
        grow(0, Delta::Text("one".into())),
        grow(2, Delta::Text("two".into())),
        grow(1, Delta::Input("{}".into())),
        Event::BlockEnd { index: 2 },
        Event::BlockEnd { index: 0 },
        Event::BlockEnd { index: 1 },
        Event::End {
            stop: StopReason::ToolUse,
            usage: Usage::default(),
            extra: Default::default(),
        },
    ];
    let bytes: Vec<u8> = events.iter().flat_map(|event| writer.push(event)).collect();
    let (events, end) = read(&bytes);
    end.unwrap();
    let mut assembler = Assembler::new();
    events
        .iter()
        .for_each(|event| assembler.push(event).unwrap());
    let reply = assembler.finish().unwrap();
    let texts: Vec<_> = reply
        .content
        .iter()
        .filter_map(Block::as_text)
        .map(|text| text.as_str())
        .collect();
    assert_eq!(texts, ["one", "two"]);
    assert_eq!(reply.content.len(), 3);
}

#[test]
fn an_error_ends_a_stream_as_the_api_ends_it() {
    let mut writer = stream_writer(RESPONSES, AnswerOptions::default());
    let bytes = writer.error(Failure::Overloaded, "come back");
    assert!(bytes.starts_with(b"event: error\ndata: "));
    writer.push(&foreign().events()[0]);
    let failed = writer.error(Failure::Overloaded, "come back");
    assert!(failed.starts_with(b"event: response.failed\n"));
    let (_, end) = read(&bytes);
    assert_eq!(end.unwrap_err().failure(), Failure::Overloaded);
    let body = encode_failure(RESPONSES, Failure::TooLong, "too long");
    assert_eq!(body["error"]["code"], "context_length_exceeded");
}

use inhouse_chat::{
    Assembler, Block, BlockKind, ChatRequest, Dialect, Effort, Event, Extra, Failure, Message,
    Reasoning, Reply, Role, Source, StopReason, Tool, ToolChoice, ToolMode, Usage,
};
use serde_json::{Value, json};

use crate::{
    AnswerOptions, StreamError, WireError, decode_reply, decode_request, encode_reply,
    encode_request, stream_reader, stream_writer,
};

const OLLAMA: Dialect = Dialect::Ollama;

fn request(fields: Value) -> ChatRequest {
    let mut request = json!({"model": "m", "messages": []});
    for (name, value) in fields.as_object().unwrap() {
        request[name] = value.clone();
    }
    decode_request(OLLAMA, request).unwrap()
}

/// A request with these fields comes back as it went in.
fn check(fields: Value) {
    let mut expected = json!({"model": "m", "messages": []});
    for (name, value) in fields.as_object().unwrap() {
        expected[name] = value.clone();
    }
    let again = encode_request(OLLAMA, &request(fields)).unwrap();
    assert_eq!(again.body, expected);
    assert_eq!(again.notes, []);
}

fn notes(request: &ChatRequest) -> Vec<String> {
    let encoded = encode_request(OLLAMA, request).unwrap();
    encoded.notes.iter().map(ToString::to_string).collect()
}

#[test]
fn every_message_comes_back() {
    check(json!({"messages": [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "What is this?", "images": ["/9j/AAAA", "iVBORw0KGgo"]},
        {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [
            {"function": {"name": "f", "arguments": {"a": 1}}},
            {"id": "call_x", "type": "function", "function": {"index": 1, "name": "g", "arguments": {}}}]},
        {"role": "tool", "content": "4", "tool_name": "f"},
        {"role": "tool", "content": "5", "tool_call_id": "call_x"},
        {"role": "assistant", "content": "Nine", "images": null},
        {"role": "assistant", "tool_calls": []},
    ]}));
}

#[test]
fn parameters_come_back() {
    check(json!({"stream": false}));
    check(json!({"stream": true, "keep_alive": "5m", "format": "", "options": {}, "tools": []}));
    check(json!({"format": "json", "think": true}));
    check(json!({"format": {"type": "object"}, "think": "low"}));
    check(
        json!({"options": {"num_predict": 9, "temperature": 0, "top_p": 0.5, "top_k": 4, "seed": 7,
        "stop": ["x"], "presence_penalty": 1, "frequency_penalty": 0.5, "num_ctx": 4096}}),
    );
    check(json!({"options": {"num_predict": -1, "stop": "x"}, "think": false}));
    check(json!({"tools": [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}},
        {"type": "function", "function": {"name": "g", "strict": true}},
        {"type": "future", "x": 1},
    ]}));
}

#[test]
fn a_request_is_streamed_unless_it_says_otherwise() {
    assert!(request(json!({})).stream);
    assert!(!request(json!({"stream": false})).stream);
    let mut whole = request(json!({}));
    whole.stream = false;
    assert_eq!(
        encode_request(OLLAMA, &whole).unwrap().body["stream"],
        false
    );
}

#[test]
fn results_find_their_calls_by_name_and_order() {
    let request = request(json!({"messages": [
        {"role": "assistant", "content": "", "tool_calls": [
            {"function": {"name": "f", "arguments": {}}}, {"function": {"name": "g", "arguments": {}}}]},
        {"role": "tool", "content": "2", "tool_name": "g"},
        {"role": "tool", "content": "1"},
    ]}));
    assert_eq!(request.messages.len(), 2);
    let ids: Vec<&str> = request.messages[1]
        .content
        .iter()
        .map(|block| match &block.kind {
            BlockKind::ToolResult { tool_use_id, .. } => tool_use_id.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids, ["call_1", "call_0"]);
}

#[test]
fn a_request_of_another_protocol_says_all_it_can() {
    let mut request = ChatRequest::new(
        "m",
        [
            Message::new(Role::System, vec![Block::text("a"), Block::text("b")]),
            Message::new(
                Role::User,
                vec![
                    Block::new(BlockKind::Image(Source::Base64 {
                        media_type: "image/png".into(),
                        data: "AAAA".into(),
                    })),
                    Block::text("What is this?"),
                ],
            ),
            Message::new(Role::Assistant, vec![Block::tool_use("c", "f", json!({}))]),
            Message::new(
                Role::User,
                vec![Block::tool_result("c", "4"), Block::text("Well?")],
            ),
        ],
    );
    request.tools = vec![Tool::new("f", json!({"type": "object"}))];
    request.tool_choice = Some(ToolChoice {
        mode: ToolMode::Any,
        parallel: None,
    });
    request.reasoning = Some(Reasoning::Effort(Effort::Minimal));
    request.extra = Extra::new(
        Dialect::Anthropic,
        json!({"service_tier": "auto"}).as_object().unwrap().clone(),
    );
    let encoded = encode_request(OLLAMA, &request).unwrap();
    assert_eq!(
        encoded.body,
        json!({
            "model": "m", "stream": false, "think": "low",
            "messages": [
                {"role": "system", "content": "a\n\nb"},
                {"role": "user", "content": "What is this?", "images": ["AAAA"]},
                {"role": "assistant", "content": "", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {}}}]},
                {"role": "tool", "content": "4", "tool_name": "f", "tool_call_id": "c"},
                {"role": "user", "content": "Well?"},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        })
    );
    assert_eq!(
        notes(&request),
        [
            "messages[0].content was joined to one text for Ollama chat",
            "messages[1].content[1] was moved before the images for Ollama chat",
            "toolChoice was left out: Ollama chat does not have it",
            "reasoning was raised to low for Ollama chat",
            "service_tier was left out: Ollama chat does not have it",
        ]
    );
}

#[test]
fn where_no_tool_may_be_used_none_is_sent() {
    let mut request = ChatRequest::new("m", [Message::user("a")]);
    request.tools = vec![Tool::new("f", json!({"type": "object"}))];
    request.tool_choice = Some(ToolChoice {
        mode: ToolMode::None,
        parallel: None,
    });
    assert_eq!(
        encode_request(OLLAMA, &request).unwrap().body.get("tools"),
        None
    );
    assert_eq!(
        notes(&request),
        ["toolChoice was kept by sending no tools for Ollama chat"]
    );
}

#[test]
fn what_the_model_would_have_read_is_refused_by_name() {
    let check = |kind| {
        let request = ChatRequest::new("m", [Message::new(Role::User, vec![Block::new(kind)])]);
        match encode_request(OLLAMA, &request) {
            Err(WireError::Unsupported { path, .. }) => assert_eq!(path, "messages[0].content[0]"),
            other => panic!("{other:?}"),
        }
    };
    let url = || Source::Url {
        media_type: None,
        url: "https://a".into(),
    };
    check(BlockKind::Image(url()));
    check(BlockKind::Audio(url()));
    check(BlockKind::Document {
        source: url(),
        title: None,
    });
}

#[test]
fn why_an_answer_ended_is_understood() {
    let check = |body: Value, expected: StopReason| {
        let reply = decode_reply(OLLAMA, body).unwrap();
        assert_eq!(reply.stop, expected);
        let again = encode_reply(OLLAMA, &reply, &AnswerOptions::default()).body;
        assert_eq!(decode_reply(OLLAMA, again).unwrap().stop, expected);
    };
    let body = |message: Value, reason: Value| json!({"model": "m", "created_at": "2024-07-22T20:33:28Z", "message": message, "done": true, "done_reason": reason});
    let words = || json!({"role": "assistant", "content": "a"});
    let call = json!({"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]});
    check(body(words(), json!("stop")), StopReason::EndTurn);
    check(body(words(), json!(null)), StopReason::EndTurn);
    check(body(words(), json!("length")), StopReason::MaxTokens);
    check(
        body(words(), json!("unload")),
        StopReason::Other("unload".into()),
    );
    check(body(call, json!("stop")), StopReason::ToolUse);
}

fn line(message: Value) -> Value {
    json!({"model": "m", "created_at": "2025-07-07T20:22:19.184789Z", "message": message, "done": false})
}

fn done() -> Value {
    json!({"model": "m", "created_at": "2025-07-07T20:22:19.19314Z", "message": {"role": "assistant", "content": ""},
        "done_reason": "stop", "done": true, "total_duration": 182242375, "prompt_eval_count": 169, "eval_count": 15})
}

fn lines(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn read(bytes: &[u8]) -> (Vec<Event>, Result<(), StreamError>) {
    let (mut reader, mut events) = (stream_reader(OLLAMA), Vec::new());
    let end = reader
        .push(bytes, &mut events)
        .and_then(|()| reader.finish(&mut events));
    (events, end)
}

fn answer(bytes: &[u8]) -> Reply {
    let (events, end) = read(bytes);
    end.unwrap();
    let mut assembler = Assembler::new();
    events
        .iter()
        .for_each(|event| assembler.push(event).unwrap());
    assembler.finish().unwrap()
}

#[test]
fn thoughts_words_and_calls_of_a_stream_are_parts() {
    let call = |a: u32| json!({"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"a": a}}}]});
    let reply = answer(
        lines(&[
            line(json!({"role": "assistant", "content": "", "thinking": "h"})),
            line(json!({"role": "assistant", "content": "", "thinking": "m"})),
            line(json!({"role": "assistant", "content": "I "})),
            line(json!({"role": "assistant", "content": "look."})),
            line(call(1)),
            line(call(2)),
            done(),
        ])
        .as_bytes(),
    );
    assert_eq!(reply.text(), "I look.");
    let calls: Vec<_> = reply
        .content
        .iter()
        .filter_map(|block| match &block.kind {
            BlockKind::ToolUse { id, input, .. } => Some((id.as_str(), input.0.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(
        calls,
        [
            ("call_ollama-20250707202219184789_0", json!({"a": 1})),
            ("call_ollama-20250707202219184789_1", json!({"a": 2})),
        ]
    );
    assert_eq!((reply.content.len(), reply.stop), (4, StopReason::ToolUse));
    assert_eq!((reply.usage.input, reply.usage.output), (169, 15));
}

#[test]
fn failures_in_a_stream_are_told() {
    let begun = line(json!({"role": "assistant", "content": "a"}));
    let (_, end) =
        read(lines(&[begun.clone(), json!({"error": "model 'x' not found"})]).as_bytes());
    assert!(matches!(end, Err(StreamError::Upstream { .. })), "{end:?}");
    let (_, end) = read(lines(&[begun]).as_bytes());
    assert_eq!(end, Err(StreamError::CutOff));
    let mut writer = stream_writer(OLLAMA, AnswerOptions::default());
    assert_eq!(
        writer.error(Failure::Internal, "oops"),
        "{\"error\":\"oops\"}\n"
    );
}

#[test]
fn a_stream_of_another_protocol_is_written() {
    let reply = Reply {
        id: "a".into(),
        model: "m".into(),
        content: vec![
            Block::new(BlockKind::Thinking {
                text: "hm".into(),
                signature: Some("s".into()),
            }),
            Block::text("Yes"),
            Block::tool_use("c", "f", json!({"a": 1})),
        ],
        stop: StopReason::ToolUse,
        usage: Usage {
            input: 1,
            output: 2,
            ..Usage::default()
        },
        extra: Extra::default(),
    };
    let mut writer = stream_writer(OLLAMA, AnswerOptions::default());
    let bytes: Vec<u8> = reply
        .events()
        .iter()
        .flat_map(|event| writer.push(event))
        .collect();
    let at = "1970-01-01T00:00:00Z";
    let line =
        |message: Value| json!({"model": "m", "created_at": at, "message": message, "done": false});
    let expected = lines(&[
        line(json!({"role": "assistant", "content": "", "thinking": "hm"})),
        line(json!({"role": "assistant", "content": "Yes"})),
        line(
            json!({"role": "assistant", "content": "", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}]}),
        ),
        json!({"model": "m", "message": {"role": "assistant", "content": ""}, "done": true, "done_reason": "stop",
            "prompt_eval_count": 1, "eval_count": 2, "created_at": at}),
    ]);
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    assert_eq!(writer.notes().len(), 1);
}

#[test]
fn a_line_is_kept_alive_by_what_the_official_client_reads() {
    let mut writer = stream_writer(OLLAMA, AnswerOptions::default());
    assert_eq!(writer.push(&Event::Ping), "");
    writer.push(&Event::Start {
        id: "a".into(),
        model: "m".into(),
        usage: Usage::default(),
    });
    let ping = writer.push(&Event::Ping);
    assert!(ping.starts_with(b"{"), "{ping:?}");
    assert_eq!(read(&ping).0.len(), 1); // the start, and no words
}

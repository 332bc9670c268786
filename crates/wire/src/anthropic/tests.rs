use inhouse_chat::{
    Assembler, Block, BlockKind, CacheTtl, ChatRequest, Delta, Dialect, Effort, Event, Failure,
    Message, Real, Reasoning, Reply, Role, Source, StopReason, Usage,
};
use serde_json::{Value, json};

use crate::{
    AnswerOptions, StreamError, WireError, decode_reply, decode_request, encode_reply,
    encode_request, stream_reader, stream_writer,
};

const ANTHROPIC: Dialect = Dialect::Anthropic;

/// A request with these fields comes back as it went in.
fn check(fields: Value) {
    let mut request = json!({"model": "m", "max_tokens": 9, "messages": []});
    for (name, value) in fields.as_object().unwrap() {
        request[name] = value.clone();
    }
    let decoded = decode_request(ANTHROPIC, request.clone()).unwrap();
    let again = encode_request(ANTHROPIC, &decoded).unwrap();
    assert_eq!(again.body, request);
    assert_eq!(again.notes, []);
}

fn check_content(role: &str, content: Value) {
    check(json!({"messages": [{"role": role, "content": content}]}));
}

fn notes(request: &ChatRequest) -> Vec<String> {
    let encoded = encode_request(ANTHROPIC, request).unwrap();
    encoded.notes.iter().map(ToString::to_string).collect()
}

fn request(fields: Value) -> ChatRequest {
    let mut request = json!({"model": "m", "max_tokens": 9, "messages": []});
    for (name, value) in fields.as_object().unwrap() {
        request[name] = value.clone();
    }
    decode_request(ANTHROPIC, request).unwrap()
}

#[test]
fn system_stays_unmerged_and_in_order() {
    check(json!({"system": "Be brief"}));
    check(json!({"system": [
        {"type": "text", "text": "You are Claude Code", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "Be brief", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": "", "future": 1},
    ]}));
    check(json!({"system": [{"type": "text", "text": "One block is still a list"}]}));
    let request =
        request(json!({"system": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}));
    assert_eq!(request.messages[0].role, Role::System);
    assert_eq!(request.messages[0].content.len(), 2);
}

#[test]
fn marks_for_caches_stay_as_they_were_written() {
    for ttl in [
        json!({"type": "ephemeral"}),
        json!({"type": "ephemeral", "ttl": "5m"}),
        json!({"type": "ephemeral", "ttl": "1h"}),
        json!({"type": "ephemeral", "scope": "new"}),
    ] {
        check_content(
            "user",
            json!([{"type": "text", "text": "a", "cache_control": ttl}]),
        );
    }
    let request = request(json!({"messages": [{"role": "user", "content": [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "5m"}}]}]}));
    assert_eq!(
        request.messages[0].content[0].cache,
        Some(CacheTtl::FiveMinutes)
    );
}

#[test]
fn every_part_of_a_message_comes_back() {
    check_content("user", json!("words"));
    check_content("user", json!([{"type": "text", "text": "words"}]));
    check_content("user", json!([]));
    check_content(
        "user",
        json!([
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            {"type": "image", "source": {"type": "url", "url": "https://example.com"}},
            {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
                "title": "t", "context": "c", "citations": {"enabled": true}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
            {"type": "document", "source": {"type": "content", "content": []}, "title": "t"},
            {"type": "search_result", "source": "s", "title": "t", "content": []},
        ]),
    );
    check_content(
        "user",
        json!([
            {"type": "tool_result", "tool_use_id": "1"},
            {"type": "tool_result", "tool_use_id": "2", "content": "words", "is_error": true},
            {"type": "tool_result", "tool_use_id": "3", "content": [], "is_error": false},
            {"type": "tool_result", "tool_use_id": "4", "content": [{"type": "text", "text": "a"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A"}}]},
        ]),
    );
    check_content(
        "assistant",
        json!([
            {"type": "thinking", "thinking": "Hm", "signature": "abc"},
            {"type": "redacted_thinking", "data": "xyz"},
            {"type": "tool_use", "id": "1", "name": "n", "input": {}, "caller": {"type": "direct"}},
            {"type": "server_tool_use", "id": "2", "name": "web_search", "input": {"query": "q"}},
            {"type": "web_search_tool_result", "tool_use_id": "2", "content": []},
            {"type": "text", "text": "t", "citations": [{"type": "char_location"}]},
        ]),
    );
}

#[test]
fn settings_come_back() {
    check(json!({"thinking": {"type": "enabled", "budget_tokens": 2048, "display": "omitted"}}));
    check(json!({"thinking": {"type": "disabled"}}));
    check(json!({"thinking": {"type": "adaptive"}}));
    check(json!({"thinking": {"type": "between_tools"}}));
    check(
        json!({"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "high"}}),
    );
    check(
        json!({"thinking": {"type": "enabled", "budget_tokens": 1}, "output_config": {"effort": "low"}}),
    );
    check(
        json!({"output_config": {"effort": "max", "format": {"type": "json_schema", "schema": {}}}}),
    );
    check(json!({"output_config": {"effort": "future", "format": {"type": "future"}}}));
    check(json!({"tool_choice": {"type": "any", "disable_parallel_tool_use": true}}));
    check(json!({"tool_choice": {"type": "tool", "name": "n"}}));
    check(json!({"tool_choice": {"type": "none"}}));
    check(json!({"tool_choice": {"type": "future", "name": "n"}}));
    check(json!({"metadata": {"user_id": "u"}, "stream": true}));
    check(json!({"stream": false, "temperature": null, "stop_sequences": [], "tools": []}));
    check(json!({"temperature": 0.3, "top_p": 1, "top_k": 5, "stop_sequences": ["a", " "]}));
    check(json!({"service_tier": "auto", "context_management": {"edits": []}, "container": "c"}));
    check(json!({"tools": [
        {"name": "a", "description": "d", "input_schema": {"type": "object"}, "strict": true},
        {"type": "custom", "name": "b", "input_schema": {}, "cache_control": {"type": "ephemeral"}},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 5},
        {"type": "mcp_toolset", "mcp_server_name": "s"},
    ]}));
    check(
        json!({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"},
        {"role": "system", "content": "c"}, {"role": "assistant", "content": "d", "future": 1}]}),
    );
}

#[test]
fn what_is_wrong_is_named_by_its_place() {
    let check = |fields: Value, expected: &str| {
        let mut request = json!({"model": "m", "messages": []});
        for (name, value) in fields.as_object().unwrap() {
            request[name] = value.clone();
        }
        let refused = decode_request(ANTHROPIC, request).unwrap_err();
        assert_eq!(refused.to_string(), expected);
    };
    let message = |block: Value| {
        json!({"messages": [{"role": "user", "content": "a"},
        {"role": "user", "content": [block]}]})
    };
    check(
        message(json!({"text": "secret"})),
        "messages[1].content[0].type is missing",
    );
    check(
        message(json!({"type": "text", "text": 4})),
        "messages[1].content[0].text is not a string",
    );
    check(
        message(json!("secret")),
        "messages[1].content[0] is not an object",
    );
    check(json!({"model": null}), "model is missing");
    check(
        json!({"tools": [{"name": "n"}]}),
        "tools[0].input_schema is missing",
    );
    check(
        json!({"max_tokens": -1}),
        "max_tokens is not a whole number from 0 to 4294967295",
    );
}

#[test]
fn what_the_protocol_lacks_is_noted() {
    let mut request = ChatRequest::new("m", [Message::user("Hi")]);
    request.sampling.temperature = Real::new(1.5);
    request.sampling.seed = Some(1);
    request.stop = vec!["\n".into(), "END".into()];
    request.reasoning = Some(Reasoning::Effort(Effort::Minimal));
    assert_eq!(
        notes(&request),
        [
            "maxTokens was set to 8192 and the budget for thinking, because one is demanded, for Anthropic Messages",
            "temperature was clamped to 1 for Anthropic Messages",
            "seed was left out: Anthropic Messages does not have it",
            "stop[0] was left out: Anthropic Messages does not have it",
            "reasoning was raised to low for Anthropic Messages",
        ]
    );
    let body = encode_request(ANTHROPIC, &request).unwrap().body;
    assert_eq!(body["max_tokens"], 8192);
    assert_eq!(body["temperature"], 1);
    assert_eq!(body["stop_sequences"], json!(["END"]));
    assert_eq!(body["output_config"]["effort"], "low");
}

#[test]
fn what_the_model_would_have_read_is_refused() {
    let check = |kind: BlockKind, at: &str| {
        let message = Message::new(Role::User, vec![Block::text("a"), Block::new(kind)]);
        let refused = encode_request(ANTHROPIC, &ChatRequest::new("m", [message])).unwrap_err();
        assert!(
            matches!(&refused, WireError::Unsupported { path, .. } if path == at),
            "{refused}"
        );
    };
    let sound = Source::Url {
        media_type: None,
        url: "https://example.com".into(),
    };
    check(BlockKind::Audio(sound), "messages[0].content[1]");
    let value = json!({"type": "video_url"}).into();
    check(
        BlockKind::Other {
            dialect: Dialect::OpenAiChat,
            value,
        },
        "messages[0].content[1]",
    );
    let input = json!("not an object").into();
    check(
        BlockKind::ToolUse {
            id: "1".into(),
            name: "n".into(),
            input,
        },
        "messages[0].content[1].input",
    );
}

#[test]
fn thoughts_without_a_signature_are_left_out_of_requests_and_shown_in_answers() {
    let thought = Block::new(BlockKind::Thinking {
        text: "Hm".into(),
        signature: None,
    });
    let request = ChatRequest::new(
        "m",
        [Message::new(
            Role::Assistant,
            vec![thought.clone(), Block::text("a")],
        )],
    );
    let encoded = encode_request(ANTHROPIC, &request).unwrap();
    assert_eq!(
        encoded.body["messages"][0]["content"],
        json!([{"type": "text", "text": "a"}])
    );
    assert_eq!(encoded.notes[1].path, "messages[0].content[0]");
    let shown = encode_reply(ANTHROPIC, &reply(vec![thought]), &AnswerOptions::default());
    assert_eq!(shown.body["content"][0]["thinking"], "Hm");
}

fn reply(content: Vec<Block>) -> Reply {
    Reply {
        id: "msg_1".into(),
        model: "m".into(),
        content,
        stop: StopReason::EndTurn,
        usage: Usage {
            input: 3,
            output: 2,
            cache_read: 5,
            cache_write_5m: 7,
            cache_write_1h: 11,
            ..Usage::default()
        },
        extra: Default::default(),
    }
}

#[test]
fn usage_keeps_its_classes_apart() {
    let body = encode_reply(ANTHROPIC, &reply(vec![]), &AnswerOptions::default()).body;
    assert_eq!(
        body["usage"],
        json!({
            "input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 18,
            "cache_creation": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 11},
        })
    );
    assert_eq!(
        decode_reply(ANTHROPIC, body).unwrap().usage,
        reply(vec![]).usage
    );
    let check = |usage: Value, five: u64, hour: u64| {
        let body = json!({"content": [], "usage": usage});
        let usage = decode_reply(ANTHROPIC, body).unwrap().usage;
        assert_eq!((usage.cache_write_5m, usage.cache_write_1h), (five, hour));
    };
    check(json!({"cache_creation_input_tokens": 9}), 9, 0);
    check(
        json!({"cache_creation": {"ephemeral_1h_input_tokens": 4}}),
        0,
        4,
    );
    check(
        json!({"cache_creation_input_tokens": 9, "cache_creation": {"ephemeral_1h_input_tokens": 4}}),
        5,
        4,
    );
    check(json!({"cache_creation_input_tokens": null}), 0, 0);
}

fn read(stream: &str) -> (Vec<Event>, Result<(), StreamError>) {
    let (mut reader, mut events) = (stream_reader(ANTHROPIC), Vec::new());
    let end = reader.push(stream.as_bytes(), &mut events);
    let end = end.and_then(|()| reader.finish(&mut events));
    (events, end)
}

fn assemble(events: &[Event]) -> Reply {
    let mut assembler = Assembler::new();
    events
        .iter()
        .for_each(|event| assembler.push(event).unwrap());
    assembler.finish().unwrap()
}

const START: &str = "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":10,\"cache_creation_input_tokens\":6,\"cache_creation\":{\"ephemeral_5m_input_tokens\":2,\"ephemeral_1h_input_tokens\":4},\"output_tokens\":1}}}\n\n";

#[test]
fn usage_of_a_stream_is_cumulative() {
    let (events, end) = read(&format!(
        "{START}data: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"end_turn\"}},\"usage\":{{\"output_tokens\":5}}}}\n\n\
        data: {{\"type\":\"message_delta\",\"delta\":{{}},\"usage\":{{\"input_tokens\":12,\"cache_creation_input_tokens\":7,\"output_tokens\":9}}}}\n\ndata: {{\"type\":\"message_stop\"}}\n\n"
    ));
    end.unwrap();
    let usage = assemble(&events).usage;
    assert_eq!(
        usage,
        Usage {
            input: 12,
            output: 9,
            cache_write_5m: 3,
            cache_write_1h: 4,
            ..Usage::default()
        }
    );
}

#[test]
fn an_error_in_the_stream_comes_after_what_was_said() {
    let (events, end) = read(&format!(
        "{START}event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}}}\n\n"
    ));
    assert_eq!(events.len(), 1);
    assert_eq!(end.unwrap_err().failure(), Failure::Overloaded);
}

#[test]
fn a_stream_that_stops_early_is_cut_off() {
    assert_eq!(read(START).1, Err(StreamError::CutOff));
    assert_eq!(read(&START[..40]).1, Err(StreamError::CutOff));
    assert_eq!(read("").1, Err(StreamError::CutOff));
    let told = format!(
        "{START}data: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"max_tokens\"}}}}\n\n"
    );
    let (events, end) = read(&told);
    end.unwrap();
    assert_eq!(assemble(&events).stop, StopReason::MaxTokens);
}

#[test]
fn arguments_that_come_with_the_start_are_kept() {
    let call = "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"1\",\"name\":\"n\",\"input\":{\"a\":1}}}\n\n";
    let stop = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n";
    let (events, end) = read(&format!("{START}{call}{stop}"));
    end.unwrap();
    assert_eq!(
        assemble(&events).content[0],
        Block::tool_use("1", "n", json!({"a": 1}))
    );
    let piece = "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"b\\\":2}\"}}\n\n";
    let (events, end) = read(&format!("{START}{call}{piece}{stop}"));
    end.unwrap();
    assert_eq!(
        assemble(&events).content[0],
        Block::tool_use("1", "n", json!({"b": 2}))
    );
}

#[test]
fn a_written_stream_begins_with_full_usage_and_has_no_gaps() {
    let mut writer = stream_writer(ANTHROPIC, AnswerOptions::default());
    let foreign = BlockKind::Other {
        dialect: Dialect::Gemini,
        value: json!({}).into(),
    };
    let answer = reply(vec![
        Block::new(foreign),
        Block::text("Hello"),
        Block::tool_use("1", "n", json!({})),
    ]);
    let written: Vec<String> = answer
        .events()
        .iter()
        .map(|event| String::from_utf8(writer.push(event).to_vec()).unwrap())
        .collect();
    let stream = written.concat();
    assert!(stream.starts_with("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":3,"), "{stream}");
    assert!(stream.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
    assert_eq!(writer.notes()[0].path, "content[0]");
    let (events, end) = read(&stream);
    end.unwrap();
    let again = assemble(&events);
    assert_eq!(again.content, answer.content[1..]);
    assert_eq!(again.usage, answer.usage);
}

#[test]
fn a_citation_goes_with_its_words() {
    let (events, _) = read(&format!(
        "{START}data: {{\"type\":\"content_block_start\",\"index\":3,\"content_block\":{{\"type\":\"text\",\"text\":\"\",\"citations\":[]}}}}\n\n\
        data: {{\"type\":\"content_block_delta\",\"index\":3,\"delta\":{{\"type\":\"citations_delta\",\"citation\":{{}}}}}}\n\n"
    ));
    assert!(matches!(
        &events[2],
        Event::BlockDelta {
            index: 0,
            delta: Delta::Other(Dialect::Anthropic, _)
        }
    ));
}

#[test]
fn an_error_for_the_client_is_an_event() {
    let mut writer = stream_writer(ANTHROPIC, AnswerOptions::default());
    let error = writer.error(Failure::CutOff, "the provider stopped");
    assert_eq!(&error[..], b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"the provider stopped\"}}\n\n");
}

#[test]
fn another_providers_signature_is_not_handed_to_a_client_that_would_give_it_back() {
    let mark = [("id".to_owned(), json!("rs_1"))].into_iter().collect();
    let mut thought = Block::new(BlockKind::Thinking {
        text: "Hm".into(),
        signature: Some("theirs".into()),
    });
    thought.extra = inhouse_chat::Extra::new(Dialect::OpenAiResponses, mark);
    let answer = reply(vec![thought]);
    let whole = encode_reply(ANTHROPIC, &answer, &AnswerOptions::default());
    assert_eq!(whole.body["content"][0]["signature"], "");
    let mut writer = stream_writer(ANTHROPIC, AnswerOptions::default());
    let bytes = answer
        .events()
        .iter()
        .flat_map(|event| writer.push(event).to_vec())
        .collect();
    let streamed = String::from_utf8(bytes).unwrap();
    assert!(streamed.contains("Hm") && !streamed.contains("theirs"));
    for notes in [&whole.notes[..], writer.notes()] {
        assert!(notes.iter().any(|note| note.path == "content[0].signature"));
    }
}

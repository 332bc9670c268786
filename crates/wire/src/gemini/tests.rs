use inhouse_chat::{
    Assembler, Block, BlockKind, ChatRequest, Dialect, Effort, Event, Extra, Failure, Message,
    Reasoning, Reply, ResponseFormat, Role, Source, StopReason, Tool, ToolChoice, ToolMode, Usage,
};
use serde_json::{Value, json};

use crate::{
    AnswerOptions, StreamError, WireError, decode_reply, decode_request, encode_failure,
    encode_reply, encode_request, stream_reader, stream_writer,
};

const GEMINI: Dialect = Dialect::Gemini;

fn request(fields: Value) -> ChatRequest {
    let mut request = json!({"contents": []});
    for (name, value) in fields.as_object().unwrap() {
        request[name] = value.clone();
    }
    decode_request(GEMINI, request).unwrap()
}

/// A request with these fields comes back as it went in.
fn check(fields: Value) {
    let again = encode_request(GEMINI, &request(fields.clone())).unwrap();
    let mut expected = json!({"contents": []});
    for (name, value) in fields.as_object().unwrap() {
        expected[name] = value.clone();
    }
    assert_eq!(again.body, expected);
    assert_eq!(again.notes, []);
}

fn check_part(role: &str, part: Value) {
    check(json!({"contents": [{"role": role, "parts": [part]}]}));
}

fn sent(request: &ChatRequest) -> Value {
    encode_request(GEMINI, request).unwrap().body
}

fn notes(request: &ChatRequest) -> Vec<String> {
    let encoded = encode_request(GEMINI, request).unwrap();
    encoded.notes.iter().map(ToString::to_string).collect()
}

#[test]
fn every_part_comes_back() {
    for part in [
        json!({"text": "Hello"}),
        json!({"text": "", "thoughtSignature": "AAA"}),
        json!({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
        json!({"inlineData": {"mimeType": "application/pdf", "data": "AAAA", "displayName": "a"}}),
        json!({"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}),
        json!({"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}, "videoMetadata": {"fps": 1}}),
        json!({"fileData": {"mimeType": "application/pdf", "fileUri": "gs://bucket/a.pdf"}}),
        json!({"fileData": {"mimeType": "image/png", "fileUri": "https://example.org/a.png"}}),
        json!({"fileData": {"fileUri": "https://www.youtube.com/watch?v=1"}}),
        json!({"functionResponse": {"name": "f", "response": {"output": "4"}}}),
        json!({"functionResponse": {"id": "c", "name": "f", "response": {"error": "no"}}}),
        json!({"functionResponse": {"name": "f", "response": {"result": {"b": 1, "a": 2}}, "willContinue": false}}),
        json!({"functionResponse": {"name": "f", "response": {}, "parts": [{"inlineData": {"mimeType": "image/png", "data": "A"}}]}}),
        json!({"future": {"x": 1}}),
    ] {
        check_part("user", part);
    }
    for part in [
        json!({"text": "hm", "thought": true, "thoughtSignature": "AAA"}),
        json!({"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "AAA"}),
        json!({"functionCall": {"name": "f", "id": "c"}}),
        json!({"executableCode": {"language": "PYTHON", "code": "1"}}),
    ] {
        check_part("model", part);
    }
}

#[test]
fn contents_come_back() {
    check(json!({"contents": [{"parts": [{"text": "no role"}]}]}));
    check(
        json!({"contents": [{"role": "function", "parts": [{"text": "older"}]}, {"role": "model"}]}),
    );
    check(json!({"systemInstruction": {"parts": [{"text": "a"}, {"text": "b"}], "role": "user"}}));
    check(json!({"systemInstruction": "words"}));
    check(
        json!({"contents": [{"role": "user", "parts": [{"text": "a"}]}, {"role": "user", "parts": [{"text": "b"}]}]}),
    );
}

#[test]
fn snake_case_is_understood_and_comes_back() {
    check(json!({
        "system_instruction": {"parts": [{"text": "a"}]},
        "generation_config": {"max_output_tokens": 5, "thinking_config": {"thinking_budget": 7, "include_thoughts": true}},
    }));
    let request = request(json!({"generation_config": {"max_output_tokens": 5, "top_k": 3}}));
    assert_eq!(
        (request.max_tokens, request.sampling.top_k),
        (Some(5), Some(3))
    );
}

#[test]
fn a_model_in_the_body_follows_the_request() {
    check(json!({"model": "models/a"}));
    check(json!({"model": "tunedModels/a"}));
    let mut request = request(json!({"model": "models/a"}));
    assert_eq!(request.model, "a".into());
    request.model = "b".into();
    assert_eq!(sent(&request)["model"], "models/b");
}

#[test]
fn parameters_come_back() {
    check(json!({"generationConfig": {}}));
    check(
        json!({"generationConfig": {"temperature": 0.5, "topP": 1, "topK": 40, "seed": -1, "maxOutputTokens": 9,
        "stopSequences": ["x"], "presencePenalty": 0.5, "frequencyPenalty": 0.5, "candidateCount": 1}}),
    );
    check(
        json!({"generationConfig": {"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT"}}}),
    );
    check(
        json!({"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}}}),
    );
    check(json!({"generationConfig": {"responseMimeType": "application/json"}}));
    check(
        json!({"generationConfig": {"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING"}}}),
    );
    check(json!({"generationConfig": {"responseMimeType": "text/plain"}}));
    check(
        json!({"safetySettings": [], "cachedContent": "cachedContents/1", "labels": {"a_b": "c"}}),
    );
    check(
        json!({"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}, "retrievalConfig": {}}}),
    );
    check(
        json!({"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}}}),
    );
    check(json!({"toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}}}));
}

#[test]
fn thinking_is_understood_and_comes_back() {
    let check = |thinking: Value, expected: Option<Reasoning>| {
        check(json!({"generationConfig": {"thinkingConfig": thinking}}));
        let request = request(json!({"generationConfig": {"thinkingConfig": thinking}}));
        assert_eq!(request.reasoning, expected, "{thinking}");
    };
    check(json!({"thinkingBudget": 0}), Some(Reasoning::Off));
    check(
        json!({"thinkingBudget": -1, "includeThoughts": true}),
        Some(Reasoning::Adaptive),
    );
    check(json!({"thinkingBudget": 512}), Some(Reasoning::Budget(512)));
    check(
        json!({"thinkingLevel": "low"}),
        Some(Reasoning::Effort(Effort::Low)),
    );
    check(
        json!({"thinkingLevel": "HIGH"}),
        Some(Reasoning::Effort(Effort::High)),
    );
    check(json!({"thinkingLevel": "FUTURE"}), None);
    check(json!({"includeThoughts": true}), None);
}

#[test]
fn tools_come_back_in_their_entries() {
    check(json!({"tools": []}));
    check(json!({"tools": [
        {"googleSearch": {}},
        {"functionDeclarations": [
            {"name": "f", "description": "d", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": true}}}},
            {"name": "g", "parametersJsonSchema": {"type": "object"}},
            {"name": "h", "behavior": "NON_BLOCKING"},
        ], "codeExecution": {}},
        {"functionDeclarations": [{"name": "i"}]},
    ]}));
    let request = request(
        json!({"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}]}),
    );
    assert_eq!(
        request.tools[0].input_schema,
        Some(json!({"type": "object"}).into())
    );
}

#[test]
fn what_only_the_provider_has_is_refused_by_others() {
    let kept = json!({"cachedContent": "cachedContents/1", "contents": [{"role": "user", "parts": [{"text": "a"}]}]});
    check(kept.clone());
    let mut request = request(kept);
    request.model = "m".into();
    for target in [
        Dialect::Anthropic,
        Dialect::OpenAiChat,
        Dialect::OpenAiResponses,
        Dialect::Ollama,
    ] {
        let refused = encode_request(target, &request);
        assert!(
            matches!(refused, Err(WireError::Unsupported { .. })),
            "{target}"
        );
    }
}

#[test]
fn results_without_identifiers_find_their_calls() {
    let request = request(json!({"contents": [
        {"role": "model", "parts": [
            {"functionCall": {"name": "f", "args": {}}}, {"functionCall": {"name": "g", "args": {}}}, {"functionCall": {"name": "f", "args": {}}}]},
        {"role": "user", "parts": [
            {"functionResponse": {"name": "f", "response": {"output": "1"}}},
            {"functionResponse": {"name": "f", "response": {"output": "3"}}},
            {"functionResponse": {"name": "g", "response": {"output": "2"}}}]},
    ]}));
    let sent = encode_request(Dialect::OpenAiChat, &request).unwrap().body;
    let calls: Vec<&Value> = sent["messages"][0]["tool_calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| &call["id"])
        .collect();
    let results: Vec<(&Value, &Value)> = sent["messages"].as_array().unwrap()[1..]
        .iter()
        .map(|message| (&message["tool_call_id"], &message["content"]))
        .collect();
    assert_eq!(
        results,
        [
            (calls[0], &json!("1")),
            (calls[2], &json!("3")),
            (calls[1], &json!("2"))
        ]
    );
}

fn foreign() -> ChatRequest {
    let mut request = ChatRequest::new(
        "gemini-3-pro",
        [
            Message::system("Be brief"),
            Message::user("Weather?"),
            Message::new(
                Role::Assistant,
                vec![
                    Block::tool_use("a", "weather", json!({"town": "Bonn"})),
                    Block::tool_use("b", "weather", json!({"town": "Rome"})),
                ],
            ),
            Message::new(Role::User, vec![Block::tool_result("a", "rain")]),
            Message::new(Role::User, vec![Block::tool_result("b", "sun")]),
        ],
    );
    request.extra = Extra::new(
        Dialect::OpenAiChat,
        json!({"n": 1}).as_object().unwrap().clone(),
    );
    request
}

#[test]
fn a_request_of_another_protocol_says_all_it_can() {
    let mut request = foreign();
    request.tools = vec![Tool::new("weather", json!({"type": "object"}))];
    request.tool_choice = Some(ToolChoice {
        mode: ToolMode::Any,
        parallel: Some(true),
    });
    request.reasoning = Some(Reasoning::Effort(Effort::Max));
    request.response_format = Some(ResponseFormat::JsonObject);
    let encoded = encode_request(GEMINI, &request).unwrap();
    assert_eq!(
        encoded.body,
        json!({
            "systemInstruction": {"parts": [{"text": "Be brief"}]},
            "contents": [
                {"role": "user", "parts": [{"text": "Weather?"}]},
                {"role": "model", "parts": [
                    {"functionCall": {"name": "weather", "args": {"town": "Bonn"}, "id": "a"}, "thoughtSignature": "skip_thought_signature_validator"},
                    {"functionCall": {"name": "weather", "args": {"town": "Rome"}, "id": "b"}}]},
                {"role": "user", "parts": [
                    {"functionResponse": {"id": "a", "name": "weather", "response": {"output": "rain"}}},
                    {"functionResponse": {"id": "b", "name": "weather", "response": {"output": "sun"}}}]},
            ],
            "tools": [{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": {"type": "object"}}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
            "generationConfig": {"responseMimeType": "application/json", "thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": true}},
        })
    );
    assert_eq!(
        notes(&request),
        [
            "toolChoice.parallel was left out: Gemini generateContent does not have it",
            "reasoning was lowered to high for Gemini generateContent",
            "n was left out: Gemini generateContent does not have it",
        ]
    );
}

#[test]
fn older_models_get_a_budget_for_an_effort() {
    let check = |effort, budget: u32| {
        let mut request = foreign();
        request.model = "gemini-2.5-flash".into();
        request.reasoning = Some(Reasoning::Effort(effort));
        let sent = sent(&request);
        assert_eq!(
            sent["generationConfig"]["thinkingConfig"]["thinkingBudget"],
            budget
        );
        assert_eq!(
            sent["contents"][1]["parts"][0].get("thoughtSignature"),
            None
        );
    };
    check(Effort::Low, 1024);
    check(Effort::Medium, 8192);
    check(Effort::High, 24576);
}

#[test]
fn what_the_model_would_have_read_is_refused_by_name() {
    let check = |message: Message, path: &str| {
        let request = ChatRequest::new("m", [message]);
        match encode_request(GEMINI, &request) {
            Err(WireError::Unsupported { path: found, .. }) => assert_eq!(found, path),
            other => panic!("{path}: {other:?}"),
        }
    };
    let user = |kind| Message::new(Role::User, vec![Block::new(kind)]);
    check(
        user(BlockKind::Other {
            dialect: Dialect::Anthropic,
            value: json!({"type": "x"}).into(),
        }),
        "messages[0].content[0]",
    );
    let url = Source::Url {
        media_type: None,
        url: "https://a/b".into(),
    };
    check(user(BlockKind::Image(url)), "messages[0].content[0]");
    check(
        Message::new(Role::User, vec![Block::tool_result("lost", "4")]),
        "messages[0].content[0].toolUseId",
    );
}

fn reply(body: Value) -> Reply {
    decode_reply(GEMINI, body).unwrap()
}

#[test]
fn why_an_answer_ended_is_understood_and_comes_back() {
    let check = |body: Value, expected: StopReason| {
        let reply = reply(body.clone());
        assert_eq!(reply.stop, expected, "{body}");
        let again = encode_reply(GEMINI, &reply, &AnswerOptions::default());
        assert_eq!(again.body, body);
    };
    let candidate = |reason: &str, part: Value| json!({"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": reason, "index": 0}]});
    let text = || json!({"text": "a"});
    check(candidate("STOP", text()), StopReason::EndTurn);
    let call = json!({"functionCall": {"name": "f", "args": {}}});
    check(candidate("STOP", call), StopReason::ToolUse);
    check(candidate("MAX_TOKENS", text()), StopReason::MaxTokens);
    check(candidate("SAFETY", text()), StopReason::Refusal);
    check(candidate("PROHIBITED_CONTENT", text()), StopReason::Refusal);
    check(
        candidate("MALFORMED_FUNCTION_CALL", text()),
        StopReason::Other("MALFORMED_FUNCTION_CALL".into()),
    );
    check(
        json!({"candidates": [{"finishReason": "RECITATION"}]}),
        StopReason::Refusal,
    );
    check(
        json!({"candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}]}),
        StopReason::MaxTokens,
    );
    check(
        json!({"promptFeedback": {"blockReason": "SAFETY"}}),
        StopReason::Refusal,
    );
}

#[test]
fn further_candidates_are_kept() {
    let body = json!({"candidates": [
        {"content": {"role": "model", "parts": [{"text": "a"}]}, "finishReason": "STOP", "index": 0},
        {"content": {"role": "model", "parts": [{"text": "b"}]}, "finishReason": "STOP", "index": 1}]});
    let reply = reply(body.clone());
    assert_eq!(reply.text(), "a");
    assert_eq!(
        encode_reply(GEMINI, &reply, &AnswerOptions::default()).body,
        body
    );
}

#[test]
fn tokens_are_counted_apart() {
    let usage = json!({
        "promptTokenCount": 100, "cachedContentTokenCount": 60, "candidatesTokenCount": 10, "thoughtsTokenCount": 5,
        "toolUsePromptTokenCount": 7, "totalTokenCount": 122,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 70}, {"modality": "AUDIO", "tokenCount": 30}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 20}],
    });
    let body = json!({"usageMetadata": usage, "promptFeedback": {"blockReason": "OTHER"}});
    let reply = reply(body.clone());
    let expected = Usage {
        input: 47,
        cache_read: 60,
        output: 15,
        reasoning: 5,
        input_audio: 10,
        ..Usage::default()
    };
    assert_eq!(reply.usage, expected);
    assert_eq!(
        encode_reply(GEMINI, &reply, &AnswerOptions::default()).body,
        body
    );
}

fn chunk(part: Value) -> Value {
    json!({"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}], "responseId": "r", "modelVersion": "m"})
}

fn last(part: Value) -> Value {
    let mut chunk = chunk(part);
    chunk["candidates"][0]["finishReason"] = "STOP".into();
    chunk["usageMetadata"] =
        json!({"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7});
    chunk
}

fn sse(chunks: &[Value]) -> String {
    chunks
        .iter()
        .map(|chunk| format!("data: {chunk}\r\n\r\n"))
        .collect()
}

fn read(bytes: &[u8], size: usize) -> (Vec<Event>, Result<(), StreamError>) {
    let (mut reader, mut events) = (stream_reader(GEMINI), Vec::new());
    for piece in bytes.chunks(size) {
        if let Err(error) = reader.push(piece, &mut events) {
            return (events, Err(error));
        }
    }
    let end = reader.finish(&mut events);
    (events, end)
}

fn answer(chunks: &[Value]) -> Reply {
    let (events, end) = read(sse(chunks).as_bytes(), usize::MAX);
    end.unwrap();
    let mut assembler = Assembler::new();
    events
        .iter()
        .for_each(|event| assembler.push(event).unwrap());
    assembler.finish().unwrap()
}

#[test]
fn several_calls_of_a_stream_are_several_parts() {
    let reply = answer(&[
        chunk(json!({"text": "I "})),
        chunk(json!({"text": "look."})),
        chunk(json!({"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "AAA"})),
        chunk(json!({"functionCall": {"name": "f", "args": {"a": 2}, "id": "own"}})),
        last(json!({"text": ""})),
    ]);
    assert_eq!(reply.text(), "I look.");
    let calls: Vec<_> = reply.content[1..]
        .iter()
        .map(|block| match &block.kind {
            BlockKind::ToolUse { id, input, .. } => (id.as_str(), input.0.clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        calls,
        [("call_r_0", json!({"a": 1})), ("own", json!({"a": 2}))]
    );
    assert_eq!(reply.stop, StopReason::ToolUse);
    assert_eq!(reply.usage.output, 4);
}

#[test]
fn thoughts_and_words_are_parts_of_their_own() {
    let reply = answer(&[
        chunk(json!({"text": "h", "thought": true})),
        chunk(json!({"text": "m", "thought": true, "thoughtSignature": "AAA"})),
        chunk(json!({"text": "Yes"})),
        last(json!({"text": "", "thoughtSignature": "BBB"})),
    ]);
    let whole = decode_reply(
        GEMINI,
        json!({"candidates": [{"content": {"role": "model", "parts": [
            {"text": "hm", "thought": true, "thoughtSignature": "AAA"}, {"text": "Yes"}, {"text": "", "thoughtSignature": "BBB"}]},
            "finishReason": "STOP", "index": 0}]}),
    )
    .unwrap();
    assert_eq!(reply.content, whole.content);
}

#[test]
fn a_stream_may_be_one_array() {
    let chunks = [
        chunk(json!({"text": "a \"}] b"})),
        last(json!({"text": "\\"})),
    ];
    let array = serde_json::to_string_pretty(&chunks).unwrap();
    let (expected, _) = read(sse(&chunks).as_bytes(), usize::MAX);
    for size in [1, 2, 3, 7, 1000] {
        let (events, end) = read(array.as_bytes(), size);
        assert_eq!((events, end), (expected.clone(), Ok(())), "by {size}");
    }
    let cut = &array.as_bytes()[..array.len() / 2];
    assert_eq!(read(cut, 5).1, Err(StreamError::CutOff));
}

#[test]
fn failures_in_a_stream_are_told() {
    let error = json!({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}});
    let first = chunk(json!({"text": "a"}));
    for bytes in [
        sse(&[first.clone(), error.clone()]),
        json!([first, error]).to_string(),
        json!([error]).to_string(),
        error.to_string(),
    ] {
        let (_, end) = read(bytes.as_bytes(), 3);
        assert_eq!(end.unwrap_err().failure(), Failure::Overloaded, "{bytes}");
    }
    let (_, end) = read(sse(&[first]).as_bytes(), 3);
    assert_eq!(end, Err(StreamError::CutOff));
}

#[test]
fn a_blocked_prompt_ends_a_stream() {
    let (events, end) = read(
        sse(&[json!({"promptFeedback": {"blockReason": "SAFETY"}})]).as_bytes(),
        9,
    );
    end.unwrap();
    assert!(matches!(
        events.last(),
        Some(Event::End {
            stop: StopReason::Refusal,
            ..
        })
    ));
}

#[test]
fn a_stream_of_another_protocol_is_written() {
    let reply = Reply {
        id: "a".into(),
        model: "m".into(),
        content: vec![
            Block::new(BlockKind::Thinking {
                text: "hm".into(),
                signature: Some("another's".into()),
            }),
            Block::text("Yes"),
            Block::tool_use("c", "f", json!({"a": 1})),
        ],
        stop: StopReason::StopSequence(Some("x".into())),
        usage: Usage {
            input: 1,
            cache_read: 2,
            output: 5,
            reasoning: 3,
            ..Usage::default()
        },
        extra: Extra::default(),
    };
    let mut writer = stream_writer(GEMINI, AnswerOptions::default());
    let bytes: Vec<u8> = reply
        .events()
        .iter()
        .flat_map(|event| writer.push(event))
        .collect();
    let head = |mut chunk: Value| {
        chunk["modelVersion"] = "m".into();
        chunk["responseId"] = "a".into();
        chunk
    };
    let expected: Vec<Value> = [
        json!({"text": "hm", "thought": true}),
        json!({"text": "Yes"}),
        json!({"functionCall": {"name": "f", "args": {"a": 1}, "id": "c"}}),
    ]
    .into_iter()
    .map(|part| head(json!({"candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}]})))
    .chain([head(json!({
        "candidates": [{"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "cachedContentTokenCount": 2,
            "thoughtsTokenCount": 3, "totalTokenCount": 8},
    }))])
    .collect();
    let text = String::from_utf8(bytes).unwrap();
    let found: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    assert_eq!(found, expected);
    let notes: Vec<String> = writer.notes().iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "content[0].signature was left out: Gemini generateContent does not have it",
            "stop was told as STOP for Gemini generateContent",
        ]
    );
}

#[test]
fn errors_are_told_as_the_api_tells_them() {
    let body = encode_failure(GEMINI, Failure::RateLimited, "slow down");
    assert_eq!(
        body,
        json!({"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}})
    );
}

#[test]
fn a_line_is_kept_alive_by_what_the_official_sdk_reads() {
    let mut writer = stream_writer(GEMINI, AnswerOptions::default());
    assert_eq!(writer.push(&Event::Ping), "");
    writer.push(&Event::Start {
        id: "a".into(),
        model: "m".into(),
        usage: Usage::default(),
    });
    let ping = writer.push(&Event::Ping);
    assert!(ping.starts_with(b"data: {"), "{ping:?}");
    assert_eq!(read(&ping, 9).0.len(), 1); // the start, and no words
}

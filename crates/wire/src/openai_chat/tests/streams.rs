use inhouse_chat::{
    Assembler, Block, BlockKind, Dialect, Event, Failure, Reply, StopReason, Usage,
};
use serde_json::{Value, json};

use crate::{AnswerOptions, StreamError, encode_reply, stream_reader, stream_writer};

const OPENAI: Dialect = Dialect::OpenAiChat;

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

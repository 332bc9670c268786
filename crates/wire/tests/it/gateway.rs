//! What users of other gateways complain about, and what the old router did wrong, as far as protocols go. The points are
//! those that the tests of the router are named after; tool arguments in streams (point 1) have a test for each case in
//! `src/openai_chat/tests/streams.rs`.

use inhouse_chat::{Assembler, Block, BlockKind, Dialect, Event, ModelName, Usage};
use inhouse_wire::{AnswerOptions, decode_request, encode_request, stream_reader, stream_writer};
use serde_json::{Value, json};

const TWO_CALLS: &str = concat!(
    r#"data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Let me look."}}]}"#,
    "\n\n",
    r#"data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"weather","arguments":""}}]}}]}"#,
    "\n\n",
    r#"data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"time","arguments":"{\"zo"}}]}}]}"#,
    "\n\n",
    r#"data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":\"Paris\"}"}},{"index":1,"function":{"arguments":"ne\":\"CET\"}"}}]}}]}"#,
    "\n\n",
    r#"data: {"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
    "\n\n",
    r#"data: {"id":"c","model":"m","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14}}"#,
    "\n\ndata: [DONE]\n\n",
);

/// The events of a stream that comes in pieces of `size` bytes.
fn events(dialect: Dialect, bytes: &[u8], size: usize) -> Vec<Event> {
    let mut reader = stream_reader(dialect);
    let mut events = Vec::new();
    for piece in bytes.chunks(size) {
        reader.push(piece, &mut events).unwrap();
    }
    reader.finish(&mut events).unwrap();
    events
}

fn content(events: &[Event]) -> Vec<Block> {
    let mut assembler = Assembler::new();
    events
        .iter()
        .for_each(|event| assembler.push(event).unwrap());
    assembler.finish().unwrap().content
}

#[test]
fn point_1_calls_of_tools_reach_an_anthropic_client_whole_in_any_split() {
    for size in [1, 2, 3, 7, 64, TWO_CALLS.len()] {
        let read = events(Dialect::OpenAiChat, TWO_CALLS.as_bytes(), size);
        let mut writer = stream_writer(Dialect::Anthropic, AnswerOptions::default());
        let written: Vec<u8> = read.iter().flat_map(|event| writer.push(event)).collect();
        let again = content(&events(Dialect::Anthropic, &written, 5));
        assert_eq!(
            again,
            [
                Block::text("Let me look."),
                Block::tool_use("a", "weather", json!({"city": "Paris"})),
                Block::tool_use("b", "time", json!({"zone": "CET"})),
            ],
            "pieces of {size}"
        );
    }
}

#[test]
fn point_2_message_start_has_usage() {
    let mut writer = stream_writer(Dialect::Anthropic, AnswerOptions::default());
    let start = writer.push(&Event::Start {
        id: "1".into(),
        model: ModelName::from("m"),
        usage: Usage::default(),
    });
    let line = String::from_utf8(start.to_vec()).unwrap();
    let data = line
        .lines()
        .find_map(|line| line.strip_prefix("data: "))
        .unwrap();
    let usage = &serde_json::from_str::<Value>(data).unwrap()["message"]["usage"];
    assert!(
        usage["input_tokens"].is_u64() && usage["output_tokens"].is_u64(),
        "{usage}"
    );
}

#[test]
fn point_5_the_same_protocol_comes_out_as_it_came_in() {
    let body = json!({
        "model": "claude-sonnet-4-5", "max_tokens": 99, "a_field_of_tomorrow": {"x": [1, 2]},
        "system": [{"type": "text", "text": "one"}, {"type": "text", "text": "two", "cache_control": {"type": "ephemeral"}}],
        "tools": [
            {"name": "zebra", "input_schema": {"type": "object", "properties": {"z": {}, "a": {}}}},
            {"name": "ant", "description": "d", "input_schema": {"type": "object"}},
        ],
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                {"type": "tool_use", "id": "t", "name": "zebra", "input": {"z": 1, "a": 2}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "42"}]},
        ],
    });
    let request = decode_request(Dialect::Anthropic, body.clone()).unwrap();
    let again = encode_request(Dialect::Anthropic, &request).unwrap();
    assert_eq!(again.notes, []);
    assert_eq!(again.body, body);
    // Order is what caches go by, and equality of JSON does not see it.
    let order = |body: &Value, name: &str| body.to_string().find(name).unwrap();
    for (first, then) in [
        ("\"zebra\"", "\"ant\""),
        ("\"z\":{}", "\"a\":{}"),
        ("\"one\"", "\"two\""),
    ] {
        assert!(
            order(&again.body, first) < order(&again.body, then),
            "{first} before {then}"
        );
    }
}

#[test]
fn results_of_tools_survive_translation() {
    let body = json!({
        "model": "gpt-5", "messages": [
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Rome\"}"}}]},
            {"role": "tool", "tool_call_id": "a", "content": "sunny, 31 degrees"},
        ],
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
    });
    let request = decode_request(Dialect::OpenAiChat, body).unwrap();
    for target in [
        Dialect::Anthropic,
        Dialect::OpenAiChat,
        Dialect::OpenAiResponses,
        Dialect::Gemini,
        Dialect::Ollama,
        Dialect::Neutral,
    ] {
        let sent = encode_request(target, &request).unwrap().body.to_string();
        for needed in ["sunny, 31 degrees", "Rome", "weather"] {
            assert!(sent.contains(needed), "{target}: no {needed} in {sent}");
        }
    }
}

#[test]
fn a_network_chunk_may_split_a_line_a_character_and_a_call() {
    let whole = events(Dialect::OpenAiChat, TWO_CALLS.as_bytes(), TWO_CALLS.len());
    for size in 1..40 {
        let split = events(Dialect::OpenAiChat, TWO_CALLS.as_bytes(), size);
        assert_eq!(content(&split), content(&whole), "pieces of {size}");
    }
    assert!(
        content(&whole)
            .iter()
            .any(|block| matches!(block.kind, BlockKind::ToolUse { .. }))
    );
}

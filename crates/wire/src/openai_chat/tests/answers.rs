use inhouse_chat::{Dialect, Money, StopReason, Usage};
use serde_json::{Value, json};

use crate::{AnswerOptions, decode_reply, encode_reply};

const OPENAI: Dialect = Dialect::OpenAiChat;

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

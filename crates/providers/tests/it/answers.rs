//! Answers: whole, and as streams however they are split.

use inhouse_chat::{Dialect, Event, Failure, StopReason};
use inhouse_router::Provider;
use inhouse_testing::{Answer, Upstream};
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn a_whole_answer_is_events() {
    let upstream = Upstream::start().await;
    upstream.answer(completion("Hello").split_every(7));
    let answering = ask(&remote("custom", &upstream), request()).await.unwrap();
    assert!(answering.notes.is_empty());
    let reply = reply(answering).await;
    assert_eq!(reply.text(), "Hello");
    assert_eq!(reply.stop, StopReason::EndTurn);
    assert_eq!((reply.usage.input, reply.usage.output), (3, 2));
}

#[tokio::test]
async fn what_a_provider_cannot_express_is_noted() {
    let upstream = Upstream::start().await;
    upstream.answer(Answer::json(&json!({
        "id": "a", "type": "message", "role": "assistant", "model": "m", "content": [],
        "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1},
    })));
    let mut request = request();
    request.sampling.seed = Some(7);
    let answering = ask(&remote("anthropic", &upstream), request).await.unwrap();
    assert_eq!(
        answering.notes,
        ["seed was left out: Anthropic Messages does not have it"]
    );
}

/// The events that wire reads out of a whole recording.
fn expected(dialect: Dialect, recording: &[u8]) -> Vec<Event> {
    let mut reader = inhouse_wire::stream_reader(dialect);
    let mut events = Vec::new();
    reader.push(recording, &mut events).unwrap();
    reader.finish(&mut events).unwrap();
    events
}

/// A recorded stream gives the same events, however it is split.
async fn check(kind: &str, model: &str, dialect: Dialect, folder: &str, ending: &str) {
    let recording = recorded(folder, ending);
    let expected = expected(dialect, &recording);
    let answer = match ending {
        ".sse" => Answer::sse(recording),
        _ => Answer::json_lines(recording),
    };
    let upstream = Upstream::start().await;
    let remote = remote(kind, &upstream);
    let ways = [
        answer.clone(),
        answer.clone().split_every(1),
        answer.clone().split_every(1000),
    ];
    let random = (0..20).map(|seed| answer.clone().split_randomly(seed, 40));
    for answer in ways.into_iter().chain(random) {
        if kind == "ollama" {
            upstream.answer(Answer::json(&json!({"models": [{"name": "m"}]})));
        }
        upstream.answer(answer);
        let (got, error) =
            events(remote.chat(call(&remote, model, streamed())).await.unwrap()).await;
        assert!(error.is_none(), "{kind}: {error:?}");
        assert_eq!(got, expected, "{kind}");
    }
    assert_eq!(upstream.n_left(), 0, "{kind}");
    assert_eq!(upstream.n_connections(), 1, "{kind}");
}

#[tokio::test]
async fn streams_of_anthropic() {
    check("anthropic", "m", Dialect::Anthropic, "anthropic", ".sse").await;
}

#[tokio::test]
async fn streams_of_openai() {
    check("openai", "m", Dialect::OpenAiChat, "openai_chat", ".sse").await;
}

#[tokio::test]
async fn streams_of_openai_as_responses() {
    check(
        "openai",
        "gpt-5-pro",
        Dialect::OpenAiResponses,
        "openai_responses",
        ".sse",
    )
    .await;
}

#[tokio::test]
async fn streams_of_gemini() {
    check("gemini", "m", Dialect::Gemini, "gemini", ".sse").await;
}

#[tokio::test]
async fn streams_of_ollama() {
    check("ollama", "m", Dialect::Ollama, "ollama", ".ndjson").await;
}

#[tokio::test]
async fn a_stream_that_is_cut_off_says_so() {
    let recording = recorded("openai_chat", ".sse");
    let half = recording.len() / 2;
    let check = async |answer: Answer| {
        let upstream = Upstream::start().await;
        upstream.answer(answer);
        let remote = remote("custom", &upstream);
        let (events, error) = events(ask(&remote, streamed()).await.unwrap()).await;
        let error = error.expect("a cut-off answer ends with an error");
        assert_eq!(error.kind, Failure::CutOff, "{}", shown(&error));
        assert!(matches!(events.first(), Some(Event::Start { .. })));
        assert!(
            !events
                .iter()
                .any(|event| matches!(event, Event::End { .. }))
        );
    };
    let sse = Answer::sse(recording);
    check(sse.clone().cut_after(half)).await; // HTTP tells
    check(sse.clone().until_close().cut_after(half)).await; // only the protocol tells
    check(sse.split_every(10).cut_after(half)).await;
}

#[tokio::test]
async fn a_whole_answer_that_is_cut_off_says_so() {
    let upstream = Upstream::start().await;
    upstream.answer(completion("Hello").cut_after(20));
    let error = refused(&remote("custom", &upstream), request()).await;
    assert_eq!(error.kind, Failure::CutOff);
}

#[tokio::test]
async fn an_answer_in_one_piece_to_a_request_for_a_stream() {
    let upstream = Upstream::start().await;
    upstream.answer(completion("Hello"));
    let answering = ask(&remote("custom", &upstream), streamed()).await.unwrap();
    assert_eq!(reply(answering).await.text(), "Hello");
}

#[tokio::test]
async fn a_stream_to_a_request_for_one_piece() {
    let upstream = Upstream::start().await;
    upstream.answer(Answer::sse(recorded("anthropic", ".sse")));
    let answering = ask(&remote("anthropic", &upstream), request()).await;
    assert!(!reply(answering.unwrap()).await.id.is_empty());
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_stream_is_the_providers() {
    let upstream = Upstream::start().await;
    let said = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"a\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\nevent: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded my diary\"}}\n\n";
    upstream.answer(Answer::sse(said));
    let answering = ask(&remote("anthropic", &upstream), streamed())
        .await
        .unwrap();
    let (events, error) = events(answering).await;
    assert_eq!(events.len(), 1);
    let error = error.unwrap();
    assert_eq!(error.kind, Failure::Overloaded);
    assert!(!error.body.is_empty());
    assert!(!shown(&error).contains(PROMPT));
}

#[tokio::test]
async fn success_with_an_error_in_it_is_an_error() {
    let upstream = Upstream::start().await;
    let body = json!({"error": {"code": 429, "message": "Provider returned error"}});
    upstream.answer(Answer::json(&body));
    let error = refused(&remote("openrouter", &upstream), request()).await;
    assert_eq!(
        (error.kind, error.status),
        (Failure::RateLimited, Some(429))
    );
    assert_eq!(error.body, body.to_string());
}

#[tokio::test]
async fn what_is_no_protocol_is_garbled() {
    for body in ["", "<html>", "[]", "{}", "{\"choices\": 1}"] {
        let upstream = Upstream::start().await;
        upstream.answer(Answer::text(body));
        let error = refused(&remote("custom", &upstream), request()).await;
        assert_eq!(error.kind, Failure::Garbled, "{body}");
    }
}

//! Whether a provider can be reached, without a prompt.

use inhouse_chat::Failure;
use inhouse_testing::{Answer, Upstream};
use serde_json::{Value, json};

use crate::support::*;

async fn check(kind: &str, target: &str, answer: Value, models: &[&str], key_was_checked: bool) {
    let upstream = Upstream::start().await;
    upstream.answer(Answer::json(&answer));
    let report = remote(kind, &upstream).check().await.unwrap();
    let names: Vec<_> = report.models.iter().map(|model| model.as_str()).collect();
    assert_eq!(names, models, "{kind}");
    assert_eq!(report.key_was_checked, key_was_checked, "{kind}");
    let request = upstream.requests().pop().unwrap();
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("GET", target)
    );
    assert!(request.body.is_empty());
}

#[tokio::test]
async fn providers_tell_their_models() {
    let list = json!({"data": [{"id": "a"}, {"id": "b"}, {"object": "odd"}]});
    check("anthropic", "/v1/models", list.clone(), &["a", "b"], true).await;
    check("openai", "/models", list.clone(), &["a", "b"], true).await;
    check("huggingface", "/models", list.clone(), &["a", "b"], false).await;
    check("litellm", "/models", list.clone(), &["a", "b"], true).await;
    check("custom", "/models", list, &["a", "b"], true).await;
    let gemini = json!({"models": [{"name": "models/gemini-2.5-flash"}]});
    check(
        "gemini",
        "/v1beta/models",
        gemini,
        &["gemini-2.5-flash"],
        true,
    )
    .await;
    let ollama = json!({"models": [{"name": "llama3.2:latest"}]});
    check("ollama", "/api/tags", ollama, &["llama3.2:latest"], false).await;
    check(
        "openrouter",
        "/key",
        json!({"data": {"label": "sk.."}}),
        &[],
        true,
    )
    .await;
}

#[tokio::test]
async fn a_wrong_key_is_found() {
    let upstream = Upstream::start().await;
    upstream.answer(Answer::error(401, &json!({"error": {"message": "no"}})));
    let error = remote("openai", &upstream).check().await.unwrap_err();
    assert_eq!(error.kind, Failure::Key);
}

//! What the documents promised: their two files and their example of use.

use std::collections::HashMap;

use futures_util::StreamExt;
use inhouse::{ChatRequest, Delta, Event, Message, Privacy, Zone};
use inhouse_testing::{Answer, Upstream};

use crate::support::{open, zoo};

const BY_NAME: &str = include_str!("../../../config/testdata/old-modelid.json");
const BY_PATH: &str = include_str!("../../../config/testdata/old-modelpath.json");

/// `router.chat({ model: 'phi-4', messages, metadata: { privacy: 'high', localOnly: true } })`
fn example() -> ChatRequest {
    let mut request = ChatRequest::new("phi-4", [Message::user("Analyse this medical record")]);
    request.metadata.privacy = Some(Privacy::High);
    request.metadata.local_only = Some(true);
    request.max_tokens = Some(8);
    request
}

async fn answers_here(config: &str) {
    let cloud = Upstream::start().await;
    cloud.always(Answer::error(
        500,
        &serde_json::json!({"error": "it must not come here"}),
    ));
    let env = HashMap::from([
        ("ANTHROPIC_API_KEY".to_owned(), "a-key".to_owned()),
        ("ANTHROPIC_BASE_URL".to_owned(), cloud.base_url()),
        ("OPENROUTER_API_KEY".to_owned(), "a-key".to_owned()),
    ]);
    let router = open(config, env, false);
    let answer = router.chat(example()).await.expect("an answer");
    assert_eq!(answer.metadata.provider.as_str(), "onnx-local");
    assert_eq!(answer.metadata.cost.expect("a cost").to_string(), "$0.00");
    assert_eq!(answer.metadata.zone, Zone::Device);
    assert_eq!(answer.metadata.execution_providers, ["cpu"]);
    assert!(
        answer.metadata.reason.contains("Privacy-sensitive tasks"),
        "{}",
        answer.metadata.reason
    );
    assert!(answer.reply.usage.output > 0);
    assert_eq!(cloud.n_connections(), 0);
}

#[tokio::test]
async fn the_file_with_a_models_name_does_what_it_says() {
    answers_here(BY_NAME).await;
}

#[tokio::test]
async fn the_file_with_a_models_path_does_what_it_says() {
    // The documents' path, from wherever this test runs.
    let model = zoo().join("model.onnx");
    let config = BY_PATH.replace(
        "./models/phi-4/model.onnx",
        &model.display().to_string().replace('\\', "/"),
    );
    assert_ne!(config, BY_PATH);
    answers_here(&config).await;
}

#[tokio::test]
async fn an_answer_comes_piece_by_piece() {
    let router = open(BY_NAME, HashMap::new(), false);
    let mut stream = router.stream(example()).await.expect("an answer");
    let mut words = String::new();
    while let Some(event) = stream.next().await {
        if let Event::BlockDelta {
            delta: Delta::Text(text),
            ..
        } = event.expect("an event")
        {
            words.push_str(text.as_str());
        }
    }
    assert!(!words.is_empty());
    let metadata = stream.metadata();
    assert!(metadata.usage.output > 0 && metadata.usage.output <= 8);
    let whole = router.chat(example()).await.expect("an answer");
    assert_eq!(whole.metadata.cost, metadata.cost);
}

#[tokio::test]
async fn with_local_only_there_is_no_client_to_send_with() {
    let env = HashMap::from([("ANTHROPIC_API_KEY".to_owned(), "a-key".to_owned())]);
    let router = open(BY_NAME, env, true);
    assert_eq!(router.remotes().len(), 0);
    let names: Vec<_> = router.providers().map(ToString::to_string).collect();
    assert_eq!(names, ["onnx-local"]);
    let mut public = example();
    public.metadata = inhouse::Metadata::default();
    let answer = router.chat(public).await.expect("an answer");
    assert_eq!(answer.metadata.provider.as_str(), "onnx-local");
}

#[tokio::test]
async fn what_must_stay_here_is_answered_here_also_where_no_file_says_so() {
    let env = HashMap::from([("ANTHROPIC_API_KEY".to_owned(), "a-key".to_owned())]);
    let router = open(r#"{ "defaultProvider": "anthropic" }"#, env, false);
    let mut request = ChatRequest::new("auto", [Message::user("My card is 4111 1111 1111 1111")]);
    request.max_tokens = Some(4);
    let answer = router.chat(request).await.expect("an answer");
    assert_eq!(answer.metadata.provider.as_str(), "onnx-local");
}

//! Ollama passes some models on to ollama.com, and they can have any name.

use inhouse_chat::Failure;
use inhouse_policy::Zone;
use inhouse_router::{Call, Meter, Provider};
use inhouse_testing::{Answer, Received, Upstream};
use serde_json::json;

use crate::support::*;

fn ollama(request: &Received) -> Answer {
    match request.target.as_str() {
        "/api/tags" => Answer::json(&json!({"models": [
            {"name": "llama3.2:latest", "model": "llama3.2:latest"},
            {"name": "mine:latest", "model": "mine:latest", "remote_model": "gpt-oss:120b", "remote_host": "https://ollama.com:443"},
        ]})),
        _ => Answer::error(500, &json!({"error": "reached"})),
    }
}

/// How a chat with `model` fails, and how many bytes of it were sent.
async fn check(model: &str, answer: fn(&Received) -> Answer, failure: Failure, is_sent: bool) {
    let upstream = Upstream::start().await;
    upstream.always_by(answer);
    let remote = remote("ollama", &upstream);
    let call = call(&remote, model, request());
    let meter = call.meter.clone();
    let error = remote.chat(call).await.err().unwrap();
    assert_eq!(error.kind, failure, "{model}: {}", shown(&error));
    assert_eq!(meter.bytes() > 0, is_sent, "{model}");
    assert_eq!(
        upstream
            .requests()
            .iter()
            .any(|request| request.method == "POST"),
        is_sent
    );
    assert!(!shown(&error).contains(PROMPT));
}

#[tokio::test]
async fn a_model_that_is_relayed_under_another_name_gets_nothing() {
    check("llama3.2", ollama, Failure::Internal, true).await;
    check("Llama3.2:latest", ollama, Failure::Internal, true).await;
    check("mine", ollama, Failure::Unsupported, false).await;
    check("mine:latest", ollama, Failure::Unsupported, false).await;
    check("unknown", ollama, Failure::NoSuchModel, false).await;
    check(
        "llama3.2",
        |_| Answer::error(500, &json!({})),
        Failure::Internal,
        false,
    )
    .await;
    check(
        "llama3.2",
        |_| Answer::json(&json!([])),
        Failure::NoSuchModel,
        false,
    )
    .await;
    // Its name says it, so it was cleared for the cloud.
    check("gpt-oss:120b-cloud", ollama, Failure::Internal, true).await;
}

#[tokio::test]
async fn a_relayed_model_needs_a_permit_for_the_cloud() {
    for zone in [Zone::Device, Zone::Lan, Zone::CloudNoRetention] {
        let upstream = Upstream::start().await;
        let remote = remote("ollama", &upstream);
        let call = Call {
            cleared: cleared(zone, request()),
            model: "gpt-oss:120b-cloud".into(),
            meter: Meter::default(),
            caller: None,
        };
        let error = remote.chat(call).await.err().unwrap();
        assert_eq!(error.kind, Failure::NotPermitted);
        assert_eq!(upstream.n_bytes(), 0);
    }
}

#[tokio::test]
async fn a_relayed_model_is_not_what_a_provider_that_keeps_nothing_promised() {
    let upstream = Upstream::start().await;
    upstream.always_by(ollama);
    let said =
        json!({"type": "ollama", "baseUrl": upstream.base_url(), "zone": "cloud-no-retention"});
    let remote = try_remote(&network(), said).unwrap();
    let error = remote.chat(call(&remote, "mine", request())).await.err();
    assert_eq!(error.map(|error| error.kind), Some(Failure::Unsupported));
    let posted = upstream
        .requests()
        .into_iter()
        .filter(|sent| sent.method == "POST");
    assert_eq!(posted.count(), 0);
}

#[tokio::test]
async fn one_of_two_names_that_differ_in_case_being_relayed_is_enough() {
    check(
        "mine",
        |request| match request.target.as_str() {
            "/api/tags" => Answer::json(&json!({"models": [
                {"name": "Mine:latest"},
                {"name": "mine:latest", "remote_host": "https://ollama.com:443"},
            ]})),
            _ => Answer::error(500, &json!({"error": "reached"})),
        },
        Failure::Unsupported,
        false,
    )
    .await;
}

#[test]
fn names_of_relayed_models_are_known_under_every_type() {
    for kind in ["custom", "litellm"] {
        let said = json!({"type": kind, "baseUrl": "http://127.0.0.1:11434/v1", "zone": "device"});
        let remote = try_remote(&network(), said).unwrap();
        assert_eq!(remote.zone(&"llama3.2".into()), Zone::Device);
        assert_eq!(remote.zone(&"gpt-oss:120b-cloud".into()), Zone::Cloud);
    }
}

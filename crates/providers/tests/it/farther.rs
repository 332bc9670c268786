//! No field of a request leads farther than its provider's zone.

use inhouse_chat::{
    Block, BlockKind, ChatRequest, Dialect, Extra, Failure, Message, Role, Source, Tool,
};
use inhouse_policy::Zone;
use inhouse_testing::Upstream;
use serde_json::{Value, json};

use crate::support::*;

fn with_fields(fields: Value) -> ChatRequest {
    with_fields_of(Dialect::OpenAiChat, fields)
}

fn with_fields_of(dialect: Dialect, fields: Value) -> ChatRequest {
    let Value::Object(fields) = fields else {
        panic!("fields")
    };
    ChatRequest {
        extra: Extra::new(dialect, fields),
        ..request()
    }
}

fn with_picture(url: &str) -> ChatRequest {
    let source = Source::Url {
        media_type: None,
        url: url.into(),
    };
    with_part(Block::new(BlockKind::Image(source)))
}

fn with_part(part: Block) -> ChatRequest {
    let mut message = Message::user(PROMPT);
    message.content.push(part);
    ChatRequest::new("m", [message])
}

/// What arrives of `request` at a provider of this zone; `None` where it is refused before anything is sent.
async fn sent(kind: &str, zone: &str, request: ChatRequest) -> Option<Value> {
    let upstream = Upstream::start().await;
    upstream.always(completion("ok"));
    let said = json!({"type": kind, "baseUrl": upstream.base_url(), "zone": zone});
    let remote = try_remote(&network(), said).unwrap();
    let call = call(&remote, "m", request);
    let meter = call.meter.clone();
    let error = inhouse_router::Provider::chat(&remote, call).await.err();
    let received = upstream.requests().pop();
    if received.is_none() {
        let error = error.expect("an error");
        assert_eq!(error.kind, Failure::Unsupported, "{}", shown(&error));
        assert!(
            shown(&error).contains("nothing was sent"),
            "{}",
            shown(&error)
        );
        assert!(!shown(&error).contains("evil"), "{}", shown(&error));
        assert_eq!((meter.bytes(), upstream.n_bytes()), (0, 0));
    }
    received.map(|received| received.json())
}

async fn refused_below(kind: &str, farthest: usize, request: ChatRequest) {
    for (index, zone) in ["device", "lan", "cloud-no-retention", "cloud"]
        .into_iter()
        .enumerate()
    {
        let arrived = sent(kind, zone, request.clone()).await.is_some();
        assert_eq!(arrived, index >= farthest, "{zone}");
    }
}

#[tokio::test]
async fn a_request_cannot_name_who_else_is_asked() {
    for fields in [
        json!({"api_base": "https://evil.example"}),
        json!({"base_url": "https://evil.example"}),
        json!({"fallbacks": ["evil"]}),
        json!({"model_list": [{"model_name": "evil"}]}),
        json!({"mcp_servers": [{"url": "https://evil.example"}]}),
        json!({"plugins": [{"id": "web"}]}),
        json!({"tools": [{"type": "mcp", "server_url": "https://evil.example"}]}),
    ] {
        refused_below("litellm", 3, with_fields(fields)).await;
    }
    refused_below(
        "custom",
        2,
        with_fields(json!({"web_search_options": {"user_location": {}}})),
    )
    .await;
    // What says nothing leads nowhere.
    let empty = json!({"fallbacks": [], "api_base": null, "store": false, "user": "evil"});
    refused_below("litellm", 0, with_fields(empty)).await;
}

#[tokio::test]
async fn near_providers_are_given_no_addresses_to_fetch() {
    for url in ["https://evil.example/a.png", "FILE:///evil", "evil"] {
        refused_below("custom", 2, with_picture(url)).await;
    }
    let video = json!({"type": "video_url", "video_url": {"url": "https://evil.example"}});
    let video = Block::new(BlockKind::Other {
        dialect: Dialect::OpenAiChat,
        value: video.into(),
    });
    refused_below("custom", 2, with_part(video)).await;
    let here = Source::Base64 {
        media_type: "image/png".into(),
        data: "aGk=".into(),
    };
    refused_below("custom", 0, with_part(Block::new(BlockKind::Image(here)))).await;
}

#[tokio::test]
async fn addresses_that_are_only_read_are_no_matter() {
    let mut request = ChatRequest::new("m", [Message::user("https://evil.example")]);
    let schema = json!({"type": "object", "properties": {"url": {"type": "string"}}});
    request.tools.push(Tool::new("fetch", schema));
    refused_below("custom", 0, request).await;
}

#[tokio::test]
async fn addresses_are_found_in_every_protocol() {
    let url = || "https://evil.example/a.png";
    for kind in ["openai", "anthropic", "gemini"] {
        assert_eq!(sent(kind, "lan", with_picture(url())).await, None, "{kind}");
        let call = Block::tool_use("t1", "fetch", json!({"url": url()}));
        let request = ChatRequest::new(
            "m",
            [
                Message::user(PROMPT),
                Message::new(Role::Assistant, vec![call]),
                Message::new(Role::User, vec![Block::tool_result("t1", url())]),
            ],
        );
        assert!(sent(kind, "lan", request).await.is_some(), "{kind}");
    }
    let responses = ChatRequest {
        extra: with_fields_of(Dialect::OpenAiResponses, json!({"truncation": "auto"})).extra,
        ..with_picture(url())
    };
    assert_eq!(sent("openai", "lan", responses).await, None);
}

#[test]
fn a_model_that_searches_the_web_is_in_the_cloud() {
    let said = json!({"type": "openrouter", "preferences": {"zdr": true}});
    let remote = try_remote(&network(), said).unwrap();
    let zone = |model: &str| inhouse_router::Provider::zone(&remote, &model.into());
    assert_eq!(zone("openai/gpt-4o"), Zone::CloudNoRetention);
    assert_eq!(zone("openai/gpt-4o:online"), Zone::Cloud);
}

#[tokio::test]
async fn who_promises_to_keep_nothing_is_not_told_to_keep() {
    let responses = |fields| with_fields_of(Dialect::OpenAiResponses, fields);
    for field in ["store", "background"] {
        let request = responses(json!({field: true}));
        assert_eq!(
            sent("openai", "cloud-no-retention", request.clone()).await,
            None
        );
        assert!(sent("openai", "cloud", request).await.is_some());
    }
    let conversation = responses(json!({"conversation": "conv_evil"}));
    assert_eq!(
        sent("openai", "cloud-no-retention", conversation).await,
        None
    );
    let stored = with_fields(json!({"store": true}));
    assert_eq!(sent("openai", "cloud-no-retention", stored).await, None);
    // Unsaid, Responses are kept for thirty days.
    let unsaid = responses(json!({"truncation": "auto"}));
    let body = sent("openai", "cloud-no-retention", unsaid.clone()).await;
    assert_eq!(body.map(|body| body["store"].clone()), Some(json!(false)));
    let body = sent("openai", "cloud", unsaid).await;
    assert_eq!(body.map(|body| body["store"].clone()), Some(Value::Null));
}

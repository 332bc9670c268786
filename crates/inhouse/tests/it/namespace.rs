//! The promise, with the kernel as its witness: in a network namespace of its own, with a way out that counts packets,
//! private requests send none.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use inhouse::{ChatRequest, Message, ModelRouter, Privacy};
use inhouse_testing::namespace::{self, packets_out};
use inhouse_testing::{Answer, Upstream};

use crate::support::open;

#[test]
fn private_requests_send_no_packet() {
    namespace::run("namespace::private_requests_send_no_packet", inside);
}

fn inside() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let here = Upstream::start().await;
        here.always(Answer::error(
            503,
            &serde_json::json!({"error": "overloaded"}),
        ));
        let router = open(&config(&here.base_url()), environment(), false);
        let before = packets_out();
        for n in 0..200 {
            ask_in_private(&router, n).await;
        }
        assert!(here.n_requests() > 0, "nobody here was asked");
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(packets_out() - before, 0, "packets left");

        // That the counter counts: one public request, which nobody answers, is seen.
        let public = ChatRequest::new("auto", [Message::user("hello")]);
        let _ = tokio::time::timeout(Duration::from_secs(3), router.chat(public)).await;
        assert!(packets_out() > before, "the counter does not count");
    });
}

/// Private in every way a request can say it, in streams that are dropped and that are not, by every provider's name.
async fn ask_in_private(router: &ModelRouter, n: usize) {
    let text = if n % 5 == 4 {
        "my card is 4111 1111 1111 1111"
    } else {
        "my diary"
    };
    let mut request = ChatRequest::new("auto", [Message::user(text)]);
    match n % 5 {
        0 => request.metadata.privacy = Some(Privacy::High),
        1 => request.metadata.local_only = Some(true),
        2 | 3 => {
            request.metadata.privacy = Some(Privacy::High);
            request.metadata.local_only = Some(true);
        }
        _ => {} // the detector finds the card
    }
    let names = [
        None,
        Some("anthropic"),
        Some("far"),
        Some("named"),
        Some("onnx"),
        None,
        None,
    ];
    request.metadata.provider = names[n % names.len()].map(Into::into);
    request.max_tokens = Some(2);
    let asked = router.stream(request);
    let patience = Duration::from_millis(if n.is_multiple_of(3) { 3 } else { 5_000 });
    let listen = async {
        if let Ok(stream) = asked.await {
            let _: Vec<_> = stream.take(n % 4).collect().await;
        }
    };
    let _ = tokio::time::timeout(patience, listen).await;
}

fn config(here: &str) -> String {
    serde_json::json!({
        "defaultProvider": "anthropic",
        "fallbackChain": ["anthropic", "here", "far", "named", "onnx"],
        "providers": {
            "anthropic": {"baseUrl": "http://203.0.113.5", "maxRetries": 1, "timeouts": {"connect": 200},
                          "models": {"default": "m"}},
            "far": {"type": "custom", "baseUrl": "http://203.0.113.6/v1", "models": {"default": "m"}},
            "named": {"type": "custom", "baseUrl": "http://upstream.example/v1", "models": {"default": "m"}},
            "here": {"type": "custom", "zone": "device", "baseUrl": format!("{here}/v1"), "maxRetries": 1, "retryDelay": 1,
                     "models": {"default": "m"}},
        },
        "routing": {"performance": {"hedgeAfter": 1}},
    })
    .to_string()
}

/// Proxies that would see everything, were they used for this device.
fn environment() -> HashMap<String, String> {
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"]
        .map(|name| (name.to_owned(), "http://203.0.113.9:3128".to_owned()))
        .into_iter()
        .chain([("ANTHROPIC_API_KEY".to_owned(), "a-key".to_owned())])
        .collect()
}

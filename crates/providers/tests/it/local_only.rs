//! `--local-only`: no client of an upstream exists.

use inhouse_config::RouterConfig;
use inhouse_providers::{ALL, Reach, build_all};
use inhouse_router::Provider;
use inhouse_testing::Upstream;
use serde_json::{Map, json};

use crate::support::*;

/// A configuration with every kind of provider, all at `address`.
fn everything(address: &str) -> RouterConfig {
    let providers: Map<_, _> = ALL
        .iter()
        .map(|kind| {
            let name = kind.kind.name();
            let said = json!({"type": name, "apiKey": KEY, "baseUrl": address});
            (name.to_owned(), said)
        })
        .chain([
            ("onnx-local".to_owned(), json!({"type": "onnx"})),
            (
                "off".to_owned(),
                json!({"type": "custom", "baseUrl": address, "enabled": false}),
            ),
            ("broken".to_owned(), json!({"type": "custom"})),
        ])
        .collect();
    serde_json::from_value(json!({"providers": providers})).unwrap()
}

#[tokio::test]
async fn local_only_builds_no_remote_client() {
    let upstream = Upstream::start().await;
    let config = everything(&upstream.base_url());
    // There is no `Network` in this, and without one there is no way to a transport: it is the only thing that
    // `build` and the transport inside take one from.
    let built = build_all(&config, &Reach::LocalOnly);
    assert!(built.remotes.is_empty());
    assert!(built.failed.is_empty());
    assert_eq!(upstream.n_connections(), 0);
}

#[tokio::test]
async fn with_a_network_every_kind_is_built_and_no_client_before_it_is_needed() {
    let upstream = Upstream::start().await;
    let network = network();
    let built = build_all(
        &everything(&upstream.base_url()),
        &Reach::Network(network.clone()),
    );
    let names: Vec<_> = built
        .remotes
        .iter()
        .map(|remote| remote.name().as_str())
        .collect();
    let expected: Vec<_> = ALL.iter().map(|kind| kind.kind.name()).collect();
    assert_eq!(names, expected);
    let failed: Vec<_> = built.failed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(failed, ["broken"]);
    assert_eq!((network.n_clients(), upstream.n_connections()), (0, 0));

    upstream.always(completion("ok"));
    let custom = built.remotes.last().unwrap();
    for _ in 0..2 {
        ask(custom, request()).await.unwrap();
    }
    assert_eq!((network.n_clients(), upstream.n_connections()), (1, 1));
}

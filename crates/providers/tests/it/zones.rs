//! Nothing leaves its zone: permits, names, proxies.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use inhouse_chat::Failure;
use inhouse_policy::Zone;
use inhouse_providers::Lookup;
use inhouse_router::{Call, Meter, Provider};
use inhouse_testing::{Answer, Upstream};
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn a_permit_for_a_nearer_zone_sends_nothing() {
    for zone in Zone::ALL {
        for permitted in Zone::ALL {
            let upstream = Upstream::start().await;
            upstream.always(completion("ok"));
            let said =
                json!({"type": "custom", "baseUrl": upstream.base_url(), "zone": zone.name()});
            let remote = try_remote(&network(), said).unwrap();
            let meter = Meter::default();
            let call = Call {
                cleared: cleared(permitted, request()),
                model: "m".into(),
                meter: meter.clone(),
                caller: None,
            };
            let outcome = remote.chat(call).await.err().map(|error| error.kind);
            if zone <= permitted {
                assert_eq!(outcome, None, "{zone} with a permit for {permitted}");
                assert!(meter.bytes() > 0);
            } else {
                assert_eq!(
                    outcome,
                    Some(Failure::NotPermitted),
                    "{zone} with a permit for {permitted}"
                );
                assert_eq!(
                    (upstream.n_connections(), upstream.n_bytes(), meter.bytes()),
                    (0, 0, 0)
                );
            }
        }
    }
}

/// Answers one look-up after another with these addresses, the last one for ever.
#[derive(Clone)]
struct Names(Arc<Mutex<Vec<Vec<IpAddr>>>>);

impl Names {
    fn new(answers: &[&[&str]]) -> Self {
        let parse = |list: &&[&str]| list.iter().map(|ip| ip.parse().unwrap()).collect();
        Self(Arc::new(Mutex::new(
            answers.iter().rev().map(parse).collect(),
        )))
    }
}

impl Lookup for Names {
    fn lookup(&self, _name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut answers = self.0.lock().unwrap();
        let answer = match answers.len() {
            1 => answers[0].clone(),
            _ => answers.pop().unwrap(),
        };
        async move { Ok(answer) }.boxed()
    }
}

/// Whether a provider of this zone, at a name with these addresses, is reached. What it is refused costs no byte.
async fn check_name(zone: &str, addresses: &[&str], is_reached: bool) {
    let upstream = Upstream::start().await;
    upstream.always(completion("ok"));
    let network = network().with_lookup(Names::new(&[addresses]));
    let address = format!("http://printer.lan:{}", upstream.address().port());
    let said = json!({"type": "custom", "baseUrl": address, "zone": zone});
    let remote = try_remote(&network, said).unwrap();
    let error = ask(&remote, request()).await.err();
    assert_eq!(error.is_none(), is_reached, "{zone} {addresses:?}");
    assert_eq!(upstream.n_connections(), usize::from(is_reached));
    if let Some(error) = error {
        assert_eq!(error.kind, Failure::Unreachable);
        let why = format!("printer.lan has no address inside zone {zone}, so nothing was sent");
        assert!(shown(&error).contains(&why), "{}", shown(&error));
    }
}

#[tokio::test]
async fn names_are_kept_inside_the_zone() {
    check_name("device", &["127.0.0.1"], true).await;
    check_name("lan", &["127.0.0.1"], true).await;
    check_name("device", &["192.168.1.5"], false).await;
    check_name("device", &["203.0.113.9"], false).await;
    check_name("lan", &["203.0.113.9", "2001:db8::1"], false).await;
    check_name("device", &[], false).await;
    // A machine of the own network may have a public address too; that one is not used.
    check_name("lan", &["203.0.113.9", "127.0.0.1"], true).await;
    check_name("cloud", &["127.0.0.1"], true).await;
}

#[tokio::test]
async fn a_name_that_changes_its_mind_gets_nothing() {
    let upstream = Upstream::start().await;
    // Closing makes the next call connect, and so look up, again.
    upstream.always(completion("ok").until_close());
    let network = network().with_lookup(Names::new(&[&["127.0.0.1"], &["203.0.113.9"]]));
    let address = format!("http://rebound.lan:{}", upstream.address().port());
    let said = json!({"type": "custom", "baseUrl": address, "zone": "device"});
    let remote = try_remote(&network, said).unwrap();
    assert!(ask(&remote, request()).await.is_ok());
    let error = refused(&remote, request()).await;
    assert_eq!(error.kind, Failure::Unreachable);
    assert_eq!(upstream.n_requests(), 1);
}

/// Whether a request of this zone to this address goes through the proxy that these variables name.
async fn check_proxy(zone: &str, address: &str, variables: &[(&str, &str)], through: bool) {
    let proxy = Upstream::start().await;
    proxy.always(completion("ok"));
    let upstream = Upstream::start().await;
    upstream.always(completion("ok"));
    let url = proxy.base_url();
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| {
            (
                *name,
                if *value == "PROXY" {
                    url.as_str()
                } else {
                    *value
                },
            )
        })
        .collect();
    let network = network_with(&variables).with_lookup(Names::new(&[&["127.0.0.1"]]));
    let address = format!("http://{address}:{}", upstream.address().port());
    let said = json!({"type": "custom", "baseUrl": address, "zone": zone});
    let remote = try_remote(&network, said).unwrap();
    ask(&remote, request()).await.unwrap();
    let seen = (proxy.n_requests(), upstream.n_requests());
    let expected = if through { (1, 0) } else { (0, 1) };
    assert_eq!(seen, expected, "{zone} {address} {variables:?}");
    if through {
        assert_eq!(
            proxy.requests()[0].target,
            format!("{address}/chat/completions")
        );
    }
}

#[tokio::test]
async fn proxies_serve_the_cloud_only() {
    let http = [("HTTP_PROXY", "PROXY")];
    let all = [("all_proxy", "PROXY")];
    check_proxy("cloud", "a.example", &http, true).await;
    check_proxy("cloud-no-retention", "a.example", &http, true).await;
    check_proxy("cloud", "a.example", &all, true).await;
    check_proxy("cloud", "a.example", &[], false).await;
    check_proxy("cloud", "a.example", &[("HTTPS_PROXY", "PROXY")], false).await;
    check_proxy(
        "cloud",
        "a.example",
        &[("HTTP_PROXY", "PROXY"), ("NO_PROXY", "b.example,a.example")],
        false,
    )
    .await;
    check_proxy(
        "cloud",
        "a.example",
        &[("HTTP_PROXY", "PROXY"), ("no_proxy", "b.example")],
        true,
    )
    .await;
    for zone in ["lan", "device"] {
        check_proxy(zone, "printer.lan", &http, false).await;
        check_proxy(zone, "127.0.0.1", &all, false).await;
    }
    check_proxy("cloud", "127.0.0.1", &http, false).await;
    check_proxy("cloud", "localhost", &http, false).await;
}

#[tokio::test]
async fn a_tunnel_through_a_proxy_shows_it_nothing_of_the_prompt() {
    let proxy = Upstream::start().await;
    proxy.always(Answer::error(403, &json!({})));
    let network = network_with(&[("HTTPS_PROXY", &proxy.base_url())]);
    let said = json!({"type": "openai", "baseUrl": "https://a.example/v1"});
    let remote = try_remote(&network, said).unwrap();
    let call = call(&remote, "m", request());
    let meter = call.meter.clone();
    let error = remote.chat(call).await.err().unwrap();
    assert_eq!(error.kind, Failure::Unreachable, "{}", shown(&error));
    assert_eq!(meter.bytes(), 0);
    let request = proxy.requests().pop().unwrap();
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("CONNECT", "a.example:443")
    );
    assert_eq!(request.header("authorization"), None);
}

#[tokio::test]
async fn a_proxy_that_cannot_be_used_is_not_gone_around() {
    let network = network_with(&[("ALL_PROXY", "socks5://user:secret@proxy:1080")]);
    let shouted = network_with(&[("ALL_PROXY", "SOCKS5://user:secret@proxy:1080")]);
    for network in [&network, &shouted] {
        let said = json!({"type": "openai"});
        assert_eq!(
            try_remote(network, said).unwrap_err().to_string(),
            "p would need a proxy, but ALL_PROXY names none that can be used; write it as http://host:port"
        );
    }
    let upstream = Upstream::start().await;
    upstream.always(completion("ok"));
    for zone in ["device", "lan", "cloud"] {
        let said = json!({"type": "custom", "baseUrl": upstream.base_url(), "zone": zone});
        let remote = try_remote(&network, said).unwrap(); // this device needs no proxy
        assert!(ask(&remote, request()).await.is_ok());
    }
}

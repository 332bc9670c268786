use std::time::Duration;

use super::*;
use crate::{Deadlines, parse};

fn config(text: &str) -> RouterConfig {
    parse(text, "f", &[]).unwrap().config
}

#[test]
fn keys_are_never_shown() {
    let config = config(
        r#"{"providers": {"openai": {"apiKey": "sk-1", "apiKeys": ["sk-2"], "headers": {"X-Key": "sk-3"},
            "baseUrl": "https://me:sk-4@proxy.example/v1?key=sk-5"}}}"#,
    );
    let shown = config.to_json_redacted();
    let openai = &shown["providers"]["openai"];
    assert_eq!(openai["apiKey"], "***");
    assert_eq!(openai["apiKeys"][0], "***");
    assert_eq!(openai["headers"]["X-Key"], "***");
    assert_eq!(openai["baseUrl"], "https://***@proxy.example/v1?***");
    for text in [shown.to_string(), format!("{config:?}")] {
        assert!(!text.contains("sk-"), "{text}");
    }
}

#[test]
fn deadlines_have_their_defaults() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let config = config(
        r#"{"providers": {"onnx": {}, "ollama": {"timeout": 5000, "timeouts": {"connect": 1000}}, "litellm": {}}}"#,
    );
    let deadlines = |name: &str| config.provider(name).unwrap().deadlines();
    assert_eq!(deadlines("litellm").first_token, seconds(120));
    assert_eq!(deadlines("litellm").total, seconds(600));
    assert_eq!(deadlines("ollama").total, seconds(5));
    assert_eq!(deadlines("ollama").connect, Duration::from_secs(1));
    let none = Deadlines {
        connect: Duration::from_secs(10),
        first_token: None,
        idle: None,
        total: None,
    };
    assert_eq!(deadlines("onnx"), none);
}

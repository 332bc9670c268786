use rust_decimal::Decimal;
use serde_json::Value;

use super::*;

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn dollars(amount: &str) -> Money {
    Money::dollars(amount.parse().unwrap())
}

const NOON: &str = "2026-11-22T12:00:00Z";

/// Why inhouse says something else than the package.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Because {
    /// An hour's write to a Claude cache costs twice the input, as Anthropic publishes; where the list has no price for
    /// it, the package charges that of five minutes.
    ClaudeHour,
    /// The package counts tokens of a class that has no price (the answer of an embedding) as 0; here the cost is unknown.
    Unpriced,
    /// The model charges for something that usage does not tell apart (hours of sound, images, pages, citations): what the
    /// package says leaves that out, here the cost is unknown.
    NotTokens,
}

/// Every model of the file whose price differs, and why.
const DIFFERENCES: &[(&str, Because)] = &[
    ("~anthropic/claude-opus-latest", Because::ClaudeHour),
    ("anthropic/claude-sonnet-4.6", Because::ClaudeHour),
    ("anthropic/claude-opus-4.8-fast", Because::ClaudeHour),
    ("anthropic/claude-fable-5:batch", Because::ClaudeHour),
    ("pplx-embed-context-v1-0.6b", Because::Unpriced),
    ("codestral-embed-2505", Because::Unpriced),
    ("amazon.titan-embed-text-v1", Because::Unpriced),
    ("pplx-decider-v1.1-27b", Because::Unpriced),
    ("phi-4-reasoning:free", Because::Unpriced),
    ("voxtral-mini-transcribe-realtime-3-0", Because::NotTokens),
    ("chatgpt-image-latest", Because::NotTokens),
    ("grok-voice-think-fast-2.0", Because::NotTokens),
    ("sonar-deep-research", Because::NotTokens),
    ("grok-voice-latest", Because::NotTokens),
    ("mistral-ocr-latest", Because::NotTokens),
    ("voxtral-small-transcribe-3-0", Because::NotTokens),
    ("gpt-live-1", Because::NotTokens),
    ("whisper-large-v3-turbo", Because::NotTokens),
    ("gemini-3.8-live", Because::NotTokens),
    ("gemini-2.5-flash-image", Because::NotTokens),
    ("tts-1-hd", Because::NotTokens),
    ("gemini-3-pro-image-preview", Because::NotTokens),
    ("gemini-omni-flash-preview", Because::NotTokens),
    ("gpt-realtime", Because::NotTokens),
];

#[test]
fn two_hundred_usages_cost_what_the_package_says() {
    let file = include_str!("../../../../testdata/prices/usages.json");
    let file: Value = serde_json::from_str(file).unwrap();
    let rows = file["usages"].as_array().unwrap();
    assert_eq!(rows.len(), 200);
    let prices = PriceList::shipped();
    let mut equal = 0;
    for row in rows {
        let ours = cost_of(&prices, row);
        let theirs = dollars(row["price"].as_str().unwrap());
        let model = row["matched"].as_str().unwrap();
        let known = DIFFERENCES.iter().find(|(name, _)| *name == model);
        let differs = known.map(|(_, because)| because);
        match differs {
            _ if ours == Some(theirs) => equal += 1,
            None => panic!("{ours:?} {row}"),
            Some(Because::ClaudeHour) => assert!(
                ours > Some(theirs) && row["cache_write_1h"] != 0 && model.contains("claude"),
                "{ours:?} {row}"
            ),
            Some(Because::Unpriced | Because::NotTokens) => assert_eq!(ours, None, "{row}"),
        }
    }
    assert_eq!(equal, 175);
    for (model, because) in DIFFERENCES {
        let differs = rows.iter().any(|row| {
            row["matched"] == *model
                && cost_of(&prices, row) != Some(dollars(row["price"].as_str().unwrap()))
        });
        assert!(differs, "{model} {because:?} is no difference any more");
    }
}

fn cost_of(prices: &PriceList, row: &Value) -> Option<Money> {
    let count = |class: &str| row[class].as_u64().unwrap();
    let usage = Usage {
        input: count("input"),
        output: count("output"),
        cache_read: count("cache_read"),
        cache_write_5m: count("cache_write_5m"),
        cache_write_1h: count("cache_write_1h"),
        reasoning: count("reasoning"),
        input_audio: count("input_audio"),
        output_audio: count("output_audio"),
        charged: None,
    };
    let text = |key: &str| row[key].as_str().unwrap();
    prices.cost(text("provider"), text("model"), &usage, at(text("at")))
}

fn usage(input: u64, output: u64) -> Usage {
    Usage {
        input,
        output,
        ..Usage::default()
    }
}

#[test]
fn names_lead_to_one_model() {
    let prices = PriceList::shipped();
    let check = |provider: &str, name: &str, expected: Option<&str>| {
        let found = prices.price(provider, name);
        let model = found.as_ref().map(|price| price.model());
        assert_eq!(model, expected, "{provider} {name}");
        assert_eq!(
            prices
                .price(provider, name)
                .map(|price| price.model().to_owned()),
            expected.map(str::to_owned),
            "remembered {provider} {name}"
        );
    };
    check("anthropic", "claude-opus-5-20260401", Some("claude-opus-5"));
    check("anthropic", "Claude-Opus-5", Some("claude-opus-5"));
    check("anthropic", "opus", None);
    check("gemini", "gemini-2.5-flash", Some("gemini-2.5-flash"));
    check("azure", "claude-sonnet-4-5", Some("claude-sonnet-4-5"));
    check(
        "litellm",
        "anthropic/claude-haiku-4-5",
        Some("claude-haiku-4-5"),
    );
    check("litellm", "claude-haiku-4-5", None);
    check(
        "huggingface",
        "openai/gpt-oss-120b:groq",
        Some("openai/gpt-oss-120b"),
    );
    check("huggingface", "openai/gpt-oss-120b", None);
    check("my-gateway", "gpt-5.5", None);
    check("onnx-local", "anything", Some(""));
    check("onnx", "anything", Some(""));
}

#[test]
fn what_is_remembered_has_an_end() {
    let prices = PriceList::shipped();
    for number in 0..MEMO_LIMIT + 10 {
        assert!(prices.price("anthropic", &format!("no-{number}")).is_none());
    }
    assert!(prices.memo.read().unwrap().count <= MEMO_LIMIT);
}

const LIST: &str = r#"{"source": {"package": "p", "version": "1", "licence": "l", "copyright": "c"}, "providers": [
  {"id": "a", "models": [
    {"id": "steps", "match": {"is": "steps"}, "context": 9, "prices": [{"input": {"base": "3", "above": [[200000, "6"]]}, "output": "15", "cache_read": "0.3"}]},
    {"id": "claude-bare", "match": {"is": "claude-bare"}, "prices": [{"input": "4", "output": "8"}]},
    {"id": "bare", "match": {"is": "bare"}, "prices": [{"input": "4", "output": "8", "cache_write": "5", "thousand_requests": "2"}]},
    {"id": "dated", "match": {"is": "dated"}, "prices": [{"input": "4"}, {"from": "2026-03-13", "input": "5"}]},
    {"id": "nightly", "match": {"is": "nightly"}, "prices": [{"input": "2"}, {"between": ["22:00", "06:00"], "input": "1"}]},
    {"id": "closed", "match": {"is": "closed"}}
  ]}]}"#;

#[test]
fn classes_steps_and_hours_have_their_prices() {
    let prices = PriceList::load(LIST).unwrap();
    let check = |model: &str, time: &str, usage: Usage, expected: Option<&str>| {
        let cost = prices.cost("a", model, &usage, at(time));
        assert_eq!(cost, expected.map(dollars), "{model} {time} {usage:?}");
    };
    let million = 1_000_000;
    check("steps", NOON, usage(200_000, 1_000), Some("0.615"));
    check("steps", NOON, usage(200_001, 0), Some("1.200006"));
    let cached = Usage {
        cache_read: 200_000,
        ..usage(1, 0)
    };
    check("steps", NOON, cached, Some("0.060006"));
    let wrote = Usage {
        cache_write_5m: million,
        cache_write_1h: million,
        ..usage(0, 0)
    };
    check("claude-bare", NOON, wrote, Some("13"));
    check("bare", NOON, wrote, Some("10.002"));
    check("bare", NOON, usage(0, 0), Some("0.002"));
    check(
        "dated",
        "2026-03-12T23:59:59Z",
        usage(million, 0),
        Some("4"),
    );
    check(
        "dated",
        "2026-03-13T00:00:00Z",
        usage(million, 0),
        Some("5"),
    );
    check("dated", NOON, usage(million, 1), None);
    check(
        "nightly",
        "2026-03-13T21:59:59Z",
        usage(million, 0),
        Some("2"),
    );
    check(
        "nightly",
        "2026-03-13T22:00:00Z",
        usage(million, 0),
        Some("1"),
    );
    check(
        "nightly",
        "2026-03-13T05:59:59Z",
        usage(million, 0),
        Some("1"),
    );
    check(
        "nightly",
        "2026-03-13T06:00:00Z",
        usage(million, 0),
        Some("2"),
    );
    check("closed", NOON, usage(1, 1), None);
    check("unknown", NOON, usage(0, 0), None);
    let most = usage(u64::MAX, u64::MAX);
    check("steps", NOON, most, Some("387381625547900.583915"));
}

#[test]
fn what_the_provider_charged_beats_the_list() {
    let prices = PriceList::load(LIST).unwrap();
    let check = |provider: &str, model: &str, charged: &str, expected: Option<&str>| {
        let usage = Usage {
            charged: Some(dollars(charged)),
            ..usage(1_000_000, 0)
        };
        let cost = prices.cost(provider, model, &usage, at(NOON));
        assert_eq!(cost, expected.map(dollars), "{provider} {model} {charged}");
    };
    check("a", "steps", "0.5", Some("0.5"));
    check("a", "unknown", "0.5", Some("0.5"));
    check("a", "steps", "0", Some("0"));
    check("a", "steps", "-1", Some("6"));
    check("onnx", "phi-4", "1", Some("0"));
}

#[test]
fn own_prices_come_first_and_leave_the_rest() {
    let own = |provider: Option<&str>, model: &str, input: i64| Override {
        provider: provider.map(str::to_owned),
        model: model.to_owned(),
        input: Some(Decimal::from(input)),
        ..Override::default()
    };
    let prices = PriceList::load(LIST).unwrap().with_overrides([
        own(Some("a"), "steps", 1),
        own(Some("mine"), "llama-*", 7),
        own(None, "bare", -1),
    ]);
    let check = |provider: &str, model: &str, usage: Usage, expected: Option<&str>| {
        let cost = prices.cost(provider, model, &usage, at(NOON));
        assert_eq!(cost, expected.map(dollars), "{provider} {model}");
    };
    check("a", "steps", usage(300_000, 1_000), Some("0.315"));
    check("mine", "llama-4", usage(1_000_000, 0), Some("7"));
    check("mine", "llama-4", usage(1_000_000, 1), None);
    check("other", "llama-4", usage(1, 0), None);
    check("a", "bare", usage(1_000_000, 0), Some("4.002"));
}

#[test]
fn estimates_count_the_cache_and_bounds_do_not_undershoot() {
    let prices = PriceList::load(LIST).unwrap();
    let price = prices.price("a", "steps").unwrap();
    let check = |cached: u64, expected: &str| {
        let estimate = price.estimate(100_000, 1_000, cached, at(NOON));
        assert_eq!(estimate, Some(dollars(expected)), "{cached}");
    };
    check(0, "0.315");
    check(100_000, "0.045");
    check(u64::MAX, "0.045");
    let bare = prices.price("a", "bare").unwrap();
    assert_eq!(
        bare.upper_bound(1_000_000, 0, at(NOON)),
        Some(dollars("5.002"))
    );
    assert_eq!(price.context_window(), Some(9));
}

#[test]
fn lists_that_make_no_sense_are_refused() {
    let check = |from: &str, to: &str, reason: &str| {
        let error = PriceList::load(&LIST.replace(from, to)).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    };
    check("\"0.3\"", "\"-0.3\"", "-0.3 is no price");
    check("\"0.3\"", "\"cheap\"", "not a decimal");
    check("\"0.3\"", "\"99999999999\"", "is no price");
    check("cache_read", "cache_red", "cache_red");
    check("22:00", "25:00", "hour");
    check("]}]}", "", "EOF");
    assert!(PriceList::load(SHIPPED).is_ok());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_list_and_no_name_panics(from in 0..LIST.len(), to in 0..LIST.len(), put in ".{0,9}", name in ".{0,40}") {
        let (head, tail) = (LIST.get(..from), LIST.get(to..));
        if let (Some(head), Some(tail)) = (head, tail) {
            drop(PriceList::load(&format!("{head}{put}{tail}")));
        }
        let prices = PriceList::load(LIST).unwrap();
        for provider in ["a", "huggingface", "litellm", &name] {
            let _ = prices.cost(provider, &name, &usage(u64::MAX, 1), at(NOON));
        }
    }
}

#[test]
fn a_provider_of_the_users_own_name_has_its_kinds_prices_and_its_own() {
    let own = Override {
        provider: Some("eu".into()),
        model: "claude-sonnet-4-5".into(),
        output: Some("20".parse().unwrap()),
        ..Override::default()
    };
    let prices = PriceList::shipped()
        .with_overrides([own])
        .with_names([("eu".to_owned(), "anthropic".to_owned())]);
    let cost = |provider| {
        let price = prices.price(provider, "claude-sonnet-4-5").unwrap();
        price.estimate(1_000, 1_000_000, 0, "2026-11-22T12:00:00Z".parse().unwrap())
    };
    assert_eq!(cost("eu").unwrap().to_string(), "$20.003");
    assert_eq!(cost("anthropic").unwrap().to_string(), "$15.003");
    assert!(prices.price("us", "claude-sonnet-4-5").is_none());
}

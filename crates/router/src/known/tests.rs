use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn found(name: &str) -> Option<&'static str> {
    let known = KnownModels::shipped().find(&name.into())?;
    Some(known.name().as_str())
}

#[track_caller]
fn check(name: &str, expected: impl Into<Option<&'static str>>) {
    assert_eq!(found(name), expected.into(), "{name}");
}

#[track_caller]
fn check_at(model: &str, kind: &str, expected: impl Into<Option<&'static str>>) {
    let name = KnownModels::shipped().name_at(&model.into(), kind);
    assert_eq!(
        name.as_ref().map(ModelName::as_str),
        expected.into(),
        "{model} at {kind}"
    );
}

#[test]
fn names_of_every_kind_find_their_model() {
    check("claude-sonnet-4-5", "claude-sonnet-4-5");
    check("Claude-Sonnet-4.5", "claude-sonnet-4-5");
    check("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5");
    check("microsoft/Phi-4-mini-instruct-onnx", "phi-4-mini");
    check("xenova/phi-3-mini-4k-instruct", "phi-3-mini-4k");
    check(
        "meta-llama/Llama-3.3-70B-Instruct",
        "llama-3.3-70b-instruct",
    );
    check("gpt-4o", "gpt-4o");
    check("gpt-oss", "gpt-oss-20b");
}

#[test]
fn dates_tags_and_prefixes_do_not_hide_a_model() {
    check("claude-sonnet-4-5-20250929", "claude-sonnet-4-5");
    check("claude-3-5-haiku-latest", "claude-3-5-haiku");
    check("claude-haiku-4-5@20251001", "claude-haiku-4-5");
    check("gpt-4o-2024-08-06", "gpt-4o");
    check("anthropic/claude-sonnet-4.5:batch", "claude-sonnet-4-5");
    check("anthropic/claude-sonnet-4-5-20250929", "claude-sonnet-4-5");
    check("models/gemini-2.5-pro", "gemini-2.5-pro");
    check("ollama/llama3.1:8b", "llama-3.1-8b-instruct");
    check("openrouter/openai/gpt-5-mini", "gpt-5-mini");
    check("llama3.1:8b-instruct-q4_K_M", "llama-3.1-8b-instruct");
    check("llama3.1:latest", "llama-3.1-8b-instruct");
    check(
        "meta-llama/Llama-3.3-70B-Instruct:cerebras",
        "llama-3.3-70b-instruct",
    );
}

#[test]
fn what_only_looks_alike_is_not_found() {
    check("", None);
    check("gpt", None);
    check("gpt-4o-2024", None);
    check("claude-sonnet-4-5-thinking", None);
    check("llama3.1:123b", None);
    check("llama3.1:8b-mine", None);
    check("qwen3:30b-a3b-thinking-2507-q8_0", None);
    check("mistral-small-latest", None);
    check("somebody/gpt-4o", None);
    check(&"a".repeat(100_000), None);
}

#[test]
fn providers_get_the_name_that_they_know() {
    check_at(
        "claude-sonnet-4-5",
        "openrouter",
        "anthropic/claude-sonnet-4.5",
    );
    check_at(
        "anthropic/claude-sonnet-4.5",
        "anthropic",
        "claude-sonnet-4-5",
    );
    check_at(
        "claude-sonnet-4-5-20250929",
        "openrouter",
        "anthropic/claude-sonnet-4.5",
    );
    check_at("gpt-4o", "openrouter", "openai/gpt-4o");
    check_at("google/gemini-2.5-pro", "gemini", "gemini-2.5-pro");
    check_at("llama-3.1-8b", "ollama", "llama3.1:8b");
    check_at("Xenova/Phi-3-mini-4k-instruct", "onnx", "phi-3-mini-4k");
    check_at("phi-4-mini-instruct", "onnx-local", "phi-4-mini");
    check_at(
        "microsoft/Phi-3.5-mini-instruct",
        "onnx-local",
        "phi-3.5-mini",
    );
    check_at("smollm2:135m", "onnx-local", "smollm2-135m");
}

#[test]
fn who_asks_for_a_version_gets_it() {
    check_at(
        "claude-sonnet-4-5-20250929",
        "anthropic",
        "claude-sonnet-4-5-20250929",
    );
    check_at(
        "claude-3-5-sonnet-20241022",
        "anthropic",
        "claude-3-5-sonnet-20241022",
    );
    check_at("gpt-4o-2024-08-06", "openai", "gpt-4o-2024-08-06");
    check_at(
        "openai/gpt-oss-20b:free",
        "openrouter",
        "openai/gpt-oss-20b:free",
    );
    check_at(
        "llama3.1:8b-instruct-q4_K_M",
        "ollama",
        "llama3.1:8b-instruct-q4_K_M",
    );
}

#[test]
fn a_model_is_only_where_it_is() {
    check_at("claude-sonnet-4-5", "openai", None);
    check_at("gpt-5", "onnx", None);
    check_at("nobody-knows-it", "openrouter", None);
    check_at("claude-sonnet-4-5", "litellm", None);
    check_at("claude-sonnet-4-5", "", None);
}

#[test]
fn a_stand_in_is_known_as_what_it_is() {
    check_at("phi-4", "onnx-local", "phi-4-mini");
    check("phi-4", "phi-4");
    let known = KnownModels::shipped();
    let quality = |name: &str| known.find(&name.into()).and_then(KnownModel::quality);
    assert!(quality("phi-4") > quality("phi-4-mini"));
    let phi_4 = known.find(&"phi-4".into()).unwrap();
    assert_eq!(phi_4.id_at("onnx"), None);
}

#[test]
fn facts_of_a_model_are_told() {
    let known = KnownModels::shipped();
    let claude = known.find(&"claude-sonnet-4-5".into()).unwrap();
    assert_eq!(
        (claude.context(), claude.max_output()),
        (200_000, Some(64_000))
    );
    assert_eq!(claude.quality(), Some(83.4));
    assert!(
        claude.can(Ability::Tools) && claude.can(Ability::Vision) && !claude.can(Ability::Audio)
    );
    let phi_3 = known.find(&"phi-3-mini-4k".into()).unwrap();
    assert_eq!((phi_3.quality(), phi_3.context()), (None, 4096));
    assert!(!phi_3.can(Ability::Tools));
    // A result on another test is no quality.
    let phi_35 = known.find(&"phi-3.5-mini".into()).unwrap();
    assert_eq!((phi_35.quality(), phi_35.results().len()), (None, 1));
    assert_eq!(known.benchmark(), "GPQA Diamond");
}

#[test]
fn the_shipped_file_is_well_formed() {
    let known = KnownModels::parse(SHIPPED_JSON).unwrap();
    let mut owners = HashMap::new();
    for model in &known {
        for name in model.names() {
            assert!(
                !name.is_empty() && name.trim() == name,
                "{name:?} of {}",
                model.name()
            );
            let other = owners.insert(name.to_ascii_lowercase(), model.name().clone());
            assert!(
                other.is_none_or(|other| other == *model.name()),
                "{name} names two models"
            );
            // What is found by a shorter form is another model or a needless alias.
            assert_eq!(
                known.find(&name.into()).unwrap().name(),
                model.name(),
                "{name}"
            );
        }
        assert!(
            model.context() > 0
                && model
                    .max_output()
                    .is_none_or(|most| most <= model.context()),
            "{}",
            model.name()
        );
        check_results(model);
    }
    assert!(known.iter().len() > 40);
    let with_quality = known
        .iter()
        .filter(|model| model.quality().is_some())
        .count();
    assert!(with_quality * 3 > known.iter().len() * 2, "{with_quality}");
    let date: jiff::civil::Date = known.collected().parse().unwrap();
    assert!(date.year() >= 2026);
}

fn check_results(model: &KnownModel) {
    let mut benchmarks: Vec<_> = model
        .results()
        .iter()
        .map(|result| &result.benchmark)
        .collect();
    benchmarks.dedup();
    assert_eq!(benchmarks.len(), model.results().len(), "{}", model.name());
    for result in model.results() {
        assert!((0.0..=100.0).contains(&result.value), "{}", model.name());
        assert!(
            result.value > 1.0,
            "{}: a share, not a percentage?",
            model.name()
        );
        assert!(
            result.source.starts_with("https://"),
            "{}: {}",
            model.name(),
            result.source
        );
        assert!(!result.by.is_empty(), "{}", model.name());
    }
}

#[test]
fn local_names_are_those_of_the_catalog() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/catalog.json");
    let catalog: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let entries = catalog["models"].as_array().unwrap();
    let names: Vec<_> = entries
        .iter()
        .filter_map(|model| model["name"].as_str())
        .collect();
    let known = KnownModels::shipped();
    for model in known {
        for id in [&model.ids, &model.stand_ins]
            .into_iter()
            .filter_map(|ids| ids.at("onnx-local"))
        {
            assert!(
                names.contains(&id.as_str()),
                "{id} of {} is not in the catalog",
                model.name()
            );
        }
    }
    for name in names {
        let model = known.find(&name.into());
        assert_eq!(
            model.and_then(|model| model.id_at("onnx-local")),
            Some(&name.into()),
            "{name} is not known"
        );
    }
}

#[test]
fn a_broken_table_is_an_error() {
    assert!(KnownModels::parse("{}").is_err());
    assert!(KnownModels::parse(&SHIPPED_JSON.replacen("\"context\"", "\"contxt\"", 1)).is_err());
    assert!(KnownModels::parse(&SHIPPED_JSON.replacen("\"tools\"", "\"hammers\"", 1)).is_err());
}

proptest! {
    #[test]
    fn any_name_is_answered(name in any::<String>(), kind in any::<String>()) {
        let known = KnownModels::shipped();
        let _ = known.find(&name.as_str().into());
        let _ = known.name_at(&name.as_str().into(), &kind);
    }

    #[test]
    fn odd_ends_of_known_names_are_answered(at in 0..100_usize, end in "[-:@/é0-9a-z_]{0,12}") {
        let known = KnownModels::shipped();
        let model = known.models.get(at % known.models.len()).unwrap();
        for name in model.names() {
            let odd = ModelName::from(format!("{name}{end}"));
            let found = known.find(&odd).is_some();
            prop_assert!(found || known.name_at(&odd, "openrouter").is_none());
        }
    }
}

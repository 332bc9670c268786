//! The page that users read, held to the schema and to the reader.

use std::collections::BTreeSet;

use serde_json::Value;

const PAGE: &str = include_str!("../../../../docs/configuration.md");

fn names(part: &Value, found: &mut BTreeSet<String>) {
    match part {
        Value::Object(members) => {
            if let Some(properties) = part["properties"].as_object() {
                found.extend(properties.keys().cloned());
            }
            members.values().for_each(|part| names(part, found));
        }
        Value::Array(parts) => parts.iter().for_each(|part| names(part, found)),
        _ => {}
    }
}

#[test]
fn the_page_names_every_key() {
    let mut all = BTreeSet::new();
    names(&super::schema(), &mut all);
    assert!(all.len() > 100, "{}", all.len());
    let code: BTreeSet<&str> = PAGE
        .split('`')
        .skip(1)
        .step_by(2)
        .flat_map(|code| code.split(['.', '<', '>', '[', ']', ' ', '"', ':', '{', '}']))
        .collect();
    let missing: Vec<_> = all
        .iter()
        .filter(|name| !code.contains(name.as_str()))
        .collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn the_examples_of_the_page_load() {
    let keys =
        ["ANTHROPIC", "OPENAI", "OPENROUTER", "GEMINI"].map(|name| format!("{name}_API_KEY"));
    let env = keys.each_ref().map(|name| (name.as_str(), "k"));
    let mut seen = 0;
    for example in PAGE.split("```json\n").skip(1) {
        let text = example.split("```").next().unwrap();
        let loaded = crate::parse(text, "example", &env).unwrap();
        assert_eq!(loaded.warnings, [], "{text}");
        seen += 1;
    }
    assert_eq!(seen, 7);
    for old in [
        include_str!("../../testdata/old-modelid.json"),
        include_str!("../../testdata/old-modelpath.json"),
    ] {
        assert!(
            PAGE.contains(old),
            "the page has the old files word for word"
        );
    }
}

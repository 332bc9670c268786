//! Old files into the form of today.

use serde_json::{Map, Value as Json};

use crate::error::Report;
use crate::json::{self, Node, Path, Value};
use crate::{ConfigError, LOCAL, canonical_name, read};

/// An old file in the form of today: with a version, `onnx` under its name `onnx-local`, everything else as it was,
/// variables included. Comments are lost. A file of today stays as it is.
pub fn migrate(text: &str) -> Result<String, ConfigError> {
    let mut report = Report::new("router.config.json");
    let old = object(text, &mut report);
    report.result()?;
    let mut new = Map::new();
    let (first, rest): (Vec<_>, Vec<_>) = old.into_iter().partition(|(name, _)| name == "$schema");
    new.extend(first);
    new.insert("version".to_owned(), "1".into());
    new.extend(rest.into_iter().filter(|(name, _)| name != "version"));
    rename(&mut new);
    // Objects of strings and numbers always can be written.
    let text = serde_json::to_string_pretty(&Json::Object(new)).unwrap_or_default();
    Ok(text + "\n")
}

/// The file as an object. What two keys say of one thing is an error, for only one of them could be kept.
fn object(text: &str, report: &mut Report) -> Map<String, Json> {
    let mut tree = match json::parse(text) {
        Ok(tree) => tree,
        Err(error) => {
            report.syntax(error);
            return Map::new();
        }
    };
    read::duplicates(&mut tree, report);
    let local = ["onnx", LOCAL].map(|name| tree.find(&Path::of(["providers", name]).0));
    if let [Some(_), Some((place, _))] = local {
        let message = "is the same provider as onnx; keep one of them";
        report.error(Some(place), &Path::of(["providers", LOCAL]), message);
    }
    match plain(&tree) {
        Json::Object(members) => members,
        _ => {
            report.error(
                Some(tree.place),
                &Path::default(),
                "the file must be an object",
            );
            Map::new()
        }
    }
}

fn plain(node: &Node) -> Json {
    match &node.value {
        Value::Null | Value::Gone => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(digits) => serde_json::from_str(digits).unwrap_or_default(),
        Value::String(words) => words.text.as_str().into(),
        Value::Array(nodes) => nodes.iter().map(plain).collect(),
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|member| (member.name.clone(), plain(&member.node)));
            Json::Object(members.collect())
        }
    }
}

fn rename(file: &mut Map<String, Json>) {
    file.entry("defaultProvider").and_modify(rename_word);
    if let Some(Json::Array(chain)) = file.get_mut("fallbackChain") {
        chain.iter_mut().for_each(rename_word);
        let mut seen = Vec::new();
        chain.retain(|name| {
            let new = !seen.contains(name);
            seen.push(name.clone());
            new
        });
    }
    file.get_mut("providers").map(rename_keys);
    file.get_mut("prices").map(rename_keys);
    file.get_mut("cache")
        .and_then(|cache| cache.get_mut("providers"))
        .map(rename_keys);
    let mapping = file
        .get_mut("toolCalling")
        .and_then(|tools| tools.get_mut("formatMapping"));
    mapping.map(rename_keys);
    let rules = file
        .get_mut("routing")
        .and_then(|routing| routing.get_mut("rules"));
    for rule in rules.and_then(Json::as_array_mut).into_iter().flatten() {
        rule.pointer_mut("/action/provider").map(rename_word);
    }
}

fn rename_word(word: &mut Json) {
    if let Json::String(name) = word {
        *name = canonical_name(name).to_owned();
    }
}

fn rename_keys(object: &mut Json) {
    if let Json::Object(members) = object {
        let old = std::mem::take(members);
        let renamed = old
            .into_iter()
            .map(|(name, value)| (canonical_name(&name).to_owned(), value));
        members.extend(renamed);
    }
}

#[cfg(test)]
mod tests;

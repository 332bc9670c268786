//! What a model wants before its texts: `query: `, say.

use std::collections::BTreeMap;

use inhouse_engine::EngineError;
use serde::Deserialize;

/// What counts of `config_sentence_transformers.json`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Prompts {
    #[serde(default)]
    prompts: BTreeMap<String, Option<String>>,
    default_prompt_name: Option<String>,
}

impl Prompts {
    /// The names that can be chosen from.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.prompts.keys().map(String::as_str)
    }

    /// The text of the prompt `name`; of the model's own default one where there is no name.
    pub(super) fn find(&self, name: Option<&str>) -> Result<&str, EngineError> {
        let name = name.or(self.default_prompt_name.as_deref()).unwrap_or("");
        if name.is_empty() {
            return Ok("");
        }
        let found = self.prompts.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.names().collect();
            let known = match known.is_empty() {
                true => "none".to_owned(),
                false => known.join(", "),
            };
            EngineError::options(format!("the model has no prompt {name:?}; it has {known}"))
        })?;
        Ok(found.as_deref().unwrap_or(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_prompt_is_found_by_its_name_or_is_the_default_one() {
        let prompts = json!({"query": "query: ", "document": null});
        let of = |default| -> Prompts {
            let file = json!({"prompts": prompts, "default_prompt_name": default});
            serde_json::from_value(file).unwrap()
        };
        let check = |default, name, expected: Result<&str, &str>| {
            let prompts = of(default);
            let found = prompts.find(name).map_err(|error| error.to_string());
            assert_eq!(
                found,
                expected.map_err(str::to_owned),
                "{default:?} {name:?}"
            );
        };
        let unknown = "the model has no prompt \"q\"; it has document, query";
        check(None, None, Ok(""));
        check(None, Some("query"), Ok("query: "));
        check(None, Some("document"), Ok(""));
        check(Some("query"), None, Ok("query: "));
        check(Some("query"), Some(""), Ok(""));
        check(Some("query"), Some("document"), Ok(""));
        check(None, Some("q"), Err(unknown));
        check(Some("q"), None, Err(unknown));
        let error = Prompts::default().find(Some("q")).unwrap_err();
        assert!(error.to_string().ends_with("it has none"), "{error}");
    }
}

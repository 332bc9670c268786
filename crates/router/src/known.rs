//! The models that are known by name: what each is called where, what it can do and how good it is.
//!
//! The table is `data/models.json`; `docs/known-models.md` says what its figures are and how a model is added.

use std::collections::HashMap;
use std::sync::LazyLock;

use inhouse_chat::ModelName;
use serde::Deserialize;

mod form;

/// A table of models, found by any of their names.
#[derive(Debug, Default)]
pub struct KnownModels {
    benchmark: String,
    collected: String,
    models: Vec<KnownModel>,
    /// Every name in lower case, and where its model is in `models`.
    index: HashMap<Box<str>, usize>,
}

/// A model, whoever serves it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KnownModel {
    name: ModelName,
    #[serde(default)]
    aliases: Vec<String>,
    context: u64,
    max_output: Option<u64>,
    abilities: Vec<Ability>,
    ids: Ids,
    #[serde(default)]
    stand_ins: Ids,
    #[serde(default)]
    results: Vec<BenchmarkResult>,
    /// Its result on the benchmark of the table; filled in once that is known.
    #[serde(skip)]
    quality: Option<f64>,
}

/// What a model can take or do. That a provider serves the model does not say that it serves all of this.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Ability {
    /// It was trained to call tools.
    Tools,
    /// It sees pictures.
    Vision,
    /// It reads documents, such as PDF files, as they are.
    Documents,
    /// It hears sound.
    Audio,
    /// It can think before it answers.
    Reasoning,
    /// Its answer can be held to a JSON schema.
    StructuredOutput,
}

/// How a model did on a public test, and who says so.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BenchmarkResult {
    /// The test's name.
    pub benchmark: String,
    /// The result, 0 to 100.
    pub value: f64,
    /// Who published it.
    pub by: String,
    /// The address where it was published.
    pub source: String,
}

/// What providers call a model.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "lowercase")]
struct Ids {
    anthropic: Option<ModelName>,
    openai: Option<ModelName>,
    openrouter: Option<ModelName>,
    gemini: Option<ModelName>,
    huggingface: Option<ModelName>,
    ollama: Option<ModelName>,
    #[serde(rename = "onnx-local")]
    onnx: Option<ModelName>,
}

/// `data/models.json` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "about")]
    _about: Vec<String>,
    benchmark: String,
    collected: String,
    models: Vec<KnownModel>,
}

impl KnownModels {
    /// The table that this program was built with.
    pub fn shipped() -> &'static Self {
        // A test reads the file, so that it cannot be shipped broken; without a table everything is unknown.
        static SHIPPED: LazyLock<KnownModels> =
            LazyLock::new(|| KnownModels::parse(SHIPPED_JSON).unwrap_or_default());
        &SHIPPED
    }

    fn parse(json: &str) -> Result<Self, serde_json::Error> {
        let file: File = serde_json::from_str(json)?;
        let mut models = file.models;
        for model in &mut models {
            let result = model.result(&file.benchmark);
            model.quality = result.map(|result| result.value);
        }
        Ok(Self {
            index: index(&models),
            benchmark: file.benchmark,
            collected: file.collected,
            models,
        })
    }

    /// The test whose result is a model's quality.
    pub fn benchmark(&self) -> &str {
        &self.benchmark
    }

    /// The day on which the figures were collected, `YYYY-MM-DD`.
    pub fn collected(&self) -> &str {
        &self.collected
    }

    /// Every model, in the order of the table.
    pub fn iter(&self) -> std::slice::Iter<'_, KnownModel> {
        self.models.iter()
    }

    /// The model that is called `name`: its own name, an alias, or what any provider calls it, in whatever case.
    ///
    /// A name with a date or tag behind it is the same model: `claude-sonnet-4-5-20250929`, `llama3.1:8b-q4_K_M`.
    pub fn find(&self, name: &ModelName) -> Option<&KnownModel> {
        form::with_forms(name.as_str(), |form| self.exactly(form))
    }

    /// What a provider of kind `kind` calls the model that `model` names.
    ///
    /// `kind` is written as in configuration: `anthropic`, `openai`, `openrouter`, `gemini`, `huggingface`, `ollama`,
    /// `onnx` or `onnx-local`. `model` comes back as it is where it is the provider's own name with a date or tag
    /// behind it: who asks for a version gets that version. `None` where the model is not known ([`Self::find`] tells
    /// whether it is), or is not known to be there.
    pub fn name_at(&self, model: &ModelName, kind: &str) -> Option<ModelName> {
        form::with_forms(model.as_str(), |form| {
            let known = self.exactly(form)?;
            let name = known.id_at(kind).or_else(|| known.stand_ins.at(kind))?;
            let is_form_of_it = form::stem(name.as_str()).eq_ignore_ascii_case(form);
            Some(if is_form_of_it {
                model.clone()
            } else {
                name.clone()
            })
        })
    }

    /// `name` is in lower case.
    fn exactly(&self, name: &str) -> Option<&KnownModel> {
        self.models.get(*self.index.get(name)?)
    }
}

impl<'a> IntoIterator for &'a KnownModels {
    type Item = &'a KnownModel;
    type IntoIter = std::slice::Iter<'a, KnownModel>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl KnownModel {
    /// The name it goes by here.
    pub fn name(&self) -> &ModelName {
        &self.name
    }

    /// Other names for it, besides those of providers.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.aliases.iter().map(String::as_str)
    }

    /// What a provider of kind `kind` calls this very model.
    pub fn id_at(&self, kind: &str) -> Option<&ModelName> {
        self.ids.at(kind)
    }

    /// Tokens that prompt and answer may have together.
    pub fn context(&self) -> u64 {
        self.context
    }

    /// Tokens that an answer may have; `None` where whoever serves the model decides.
    pub fn max_output(&self) -> Option<u64> {
        self.max_output
    }

    /// Whether it can take or do this.
    pub fn can(&self, ability: Ability) -> bool {
        self.abilities.contains(&ability)
    }

    /// How good it is, 0 to 100: its result on the benchmark of the table. `None` where no result is known.
    pub fn quality(&self) -> Option<f64> {
        self.quality
    }

    /// What is known of it from public tests.
    pub fn results(&self) -> &[BenchmarkResult] {
        &self.results
    }

    fn result(&self, benchmark: &str) -> Option<&BenchmarkResult> {
        let of_benchmark = |result: &&BenchmarkResult| result.benchmark == benchmark;
        self.results.iter().find(of_benchmark)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let own = std::iter::once(self.name.as_str());
        let ids = self.ids.all().into_iter().flatten();
        own.chain(self.aliases()).chain(ids.map(ModelName::as_str))
    }
}

impl Ids {
    fn at(&self, kind: &str) -> Option<&ModelName> {
        let id = match kind {
            "anthropic" => &self.anthropic,
            "openai" => &self.openai,
            "openrouter" => &self.openrouter,
            "gemini" => &self.gemini,
            "huggingface" => &self.huggingface,
            "ollama" => &self.ollama,
            "onnx" | "onnx-local" => &self.onnx,
            _ => &None, // what is behind `litellm` and `custom` is whoever runs it to know
        };
        id.as_ref()
    }

    fn all(&self) -> [Option<&ModelName>; 7] {
        [
            &self.anthropic,
            &self.openai,
            &self.openrouter,
            &self.gemini,
            &self.huggingface,
            &self.ollama,
            &self.onnx,
        ]
        .map(Option::as_ref)
    }
}

/// The shipped table.
const SHIPPED_JSON: &str = include_str!("../data/models.json");

/// Where two models would have one name, which a test rules out, the first keeps it.
fn index(models: &[KnownModel]) -> HashMap<Box<str>, usize> {
    let mut index = HashMap::new();
    for (at, model) in models.iter().enumerate() {
        for name in model.names() {
            index.entry(name.to_ascii_lowercase().into()).or_insert(at);
        }
    }
    index
}

#[cfg(test)]
mod tests;

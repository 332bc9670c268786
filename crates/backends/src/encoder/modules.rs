//! What becomes of the graph's answer: the modules of sentence-transformers.

use std::path::{Path, PathBuf};

use inhouse_engine::EngineError;
use serde::Deserialize;

use super::dense::Dense;
use super::files;
use super::pooling::Pooling;

/// The modules of a folder.
#[derive(Debug)]
pub(super) struct Modules {
    /// The folder of the first one, with its configuration and the tokenizer's.
    pub(super) transformer: PathBuf,
    /// What makes one vector of those of the tokens; nothing where the graph has to do that itself.
    pub(super) pooling: Option<Pooling>,
    /// What that vector goes through.
    pub(super) after: Vec<After>,
    /// Nobody said so: it is what most encoders want.
    pub(super) assumed: bool,
}

/// What a vector goes through.
#[derive(Debug)]
pub(super) enum After {
    /// It gets the length 1.
    Normalize,
    /// A layer with weights of its own.
    Dense(Dense),
}

/// An entry of `modules.json`.
#[derive(Debug, Deserialize)]
struct Entry {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

/// What counts of the `config.json` of a module that can read one value and write another.
#[derive(Debug, Default, Deserialize)]
pub(super) struct InputsFile {
    module_input_name: Option<String>,
    module_output_name: Option<String>,
}

impl Modules {
    pub(super) fn of_folder(folder: &Path) -> Result<Self, EngineError> {
        let list = folder.join("modules.json");
        let Some(entries) = files::read::<Vec<Entry>>(&list)? else {
            return Self::assumed(folder);
        };
        let mut modules: Option<Self> = None;
        for entry in &entries {
            let at = files::below(folder, &entry.path, "modules.json")?;
            match (entry.name(), &mut modules) {
                (Some("Transformer"), None) => modules = Some(Self::begin(at)),
                (Some(name), Some(modules)) => modules.add(name, &at, &list)?,
                _ => return Err(unknown(&list, &entry.kind)),
            }
        }
        modules.ok_or_else(|| files::wrong(&list, "it has no modules"))
    }

    fn begin(transformer: PathBuf) -> Self {
        Self {
            transformer,
            pooling: None,
            after: Vec::new(),
            assumed: false,
        }
    }

    fn assumed(folder: &Path) -> Result<Self, EngineError> {
        let pooling = Pooling::of_folder(&folder.join("1_Pooling"))?;
        Ok(Self {
            pooling: Some(pooling.unwrap_or_default()),
            after: vec![After::Normalize],
            assumed: true,
            ..Self::begin(folder.to_owned())
        })
    }

    fn add(&mut self, name: &str, at: &Path, list: &Path) -> Result<(), EngineError> {
        let is_first = self.pooling.is_none() && self.after.is_empty();
        match name {
            "Pooling" if is_first => {
                let pooling = Pooling::of_folder(at)?;
                let missing = || files::wrong(&at.join("config.json"), "it is missing");
                self.pooling = Some(pooling.ok_or_else(missing)?);
            }
            "Normalize" => {
                let config = at.join("config.json");
                let inputs: InputsFile = files::read(&config)?.unwrap_or_default();
                inputs.check(&config)?;
                self.after.push(After::Normalize);
            }
            "Dense" => self.after.push(After::Dense(Dense::of_folder(at)?)),
            "Dropout" => {} // it does nothing outside of training
            _ => return Err(unknown(list, name)),
        }
        Ok(())
    }
}

impl Entry {
    /// The class's name, where it is one of sentence-transformers' own.
    fn name(&self) -> Option<&str> {
        let class = self.kind.strip_prefix("sentence_transformers.")?;
        class.rsplit('.').next()
    }
}

impl InputsFile {
    /// Refuses what works on anything but the embedding of the text.
    pub(super) fn check(&self, config: &Path) -> Result<(), EngineError> {
        let names = [&self.module_input_name, &self.module_output_name];
        let mut names = names.into_iter().flatten();
        match names.find(|name| *name != "sentence_embedding") {
            Some(name) => Err(files::wrong(
                config,
                &format!("it works on {name:?}, and only sentence_embedding can be worked on here"),
            )),
            None => Ok(()),
        }
    }
}

fn unknown(list: &Path, kind: &str) -> EngineError {
    let why = format!(
        "the module {kind:?} is not one that is computed here, or not at this place; there are Transformer, then Pooling, \
         then Dense and Normalize"
    );
    files::wrong(list, &why)
}

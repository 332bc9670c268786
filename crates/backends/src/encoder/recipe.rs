//! What a model's folder says about making embeddings.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use inhouse_engine::{EngineError, ErrorKind};
use inhouse_text::Encoded;

use super::answer::Answer;
use super::files;
use super::length::{self, ConfigFile, SentenceFile, TokenizerFile};
use super::modules::{After, Modules};
use super::pooling::normalize;
use super::prompts::Prompts;

/// How a text becomes an embedding.
pub(super) struct Recipe {
    /// The model file.
    pub(super) graph: PathBuf,
    /// The folder of the tokenizer.
    pub(super) tokenizer: PathBuf,
    pub(super) prompts: Prompts,
    pub(super) max_tokens: Option<usize>,
    pub(super) config: ConfigFile,
    lower_case: bool,
    modules: Modules,
    /// What was assumed.
    pub(super) notes: Vec<String>,
}

/// Where the files of a model lie.
pub(super) struct Sources {
    pub(super) folder: PathBuf,
    /// The folder of the module that runs the graph: mostly the same one.
    pub(super) transformer: PathBuf,
}

impl Recipe {
    pub(super) fn of_folder(folder: &Path) -> Result<Self, EngineError> {
        let modules = Modules::of_folder(folder)?;
        let sources = Sources {
            folder: folder.to_owned(),
            transformer: modules.transformer.clone(),
        };
        let sentence = SentenceFile::read(&sources)?;
        let tokenizer = sources.folder_of("tokenizer.json");
        let limits: Option<TokenizerFile> = files::read(&tokenizer.join("tokenizer_config.json"))?;
        let config: Option<ConfigFile> = files::read(&sources.transformer.join("config.json"))?;
        let prompts = files::read(&folder.join("config_sentence_transformers.json"))?;
        let config = config.unwrap_or_default();
        let (graph, mut notes) = sources.graph()?;
        let max_tokens = length::max_tokens(&sentence, &limits.unwrap_or_default(), &config);
        if max_tokens.is_none() {
            notes.push("the folder does not say how long a text may be".to_owned());
        }
        Ok(Self {
            graph,
            tokenizer,
            prompts: prompts.unwrap_or_default(),
            max_tokens,
            config,
            lower_case: sentence.do_lower_case,
            modules,
            notes,
        })
    }

    /// A text as the tokenizer gets it.
    pub(super) fn text<'a>(&self, prompt: &str, text: &'a str) -> Cow<'a, str> {
        let text = match prompt {
            "" => Cow::Borrowed(text),
            prompt => Cow::Owned(format!("{prompt}{text}")),
        };
        match self.lower_case {
            // Character by character, as the tokenizers' own `Lowercase` does it.
            true => Cow::Owned(text.chars().flat_map(char::to_lowercase).collect()),
            false => text,
        }
    }

    /// Whether a prompt's tokens count like those of the text.
    pub(super) fn pools_prompt(&self) -> bool {
        let pooling = self.modules.pooling.as_ref();
        pooling.is_none_or(|pooling| pooling.include_prompt)
    }

    /// Whether vectors of tokens can be made use of.
    pub(super) fn can_pool(&self) -> bool {
        self.modules.pooling.is_some()
    }

    /// What is told where the folder does not say what becomes of the graph's answer.
    pub(super) fn assumption(&self, graph_pools: bool) -> Option<String> {
        let what = match graph_pools {
            true => "embeddings are taken as the graph gives them",
            false => "tokens are averaged, or pooled as 1_Pooling says, and the result normalised",
        };
        let assumed = self.modules.assumed;
        assumed.then(|| format!("the folder has no modules.json: {what}"))
    }

    /// The embeddings of `texts`.
    pub(super) fn finish(
        &self,
        answer: &Answer,
        texts: &[&Encoded],
        columns: usize,
        skipped: usize,
    ) -> Result<Vec<Vec<f32>>, EngineError> {
        let width = answer.check(texts.len(), columns)?;
        let row = match answer.is_pooled {
            true => width,
            false => width * columns,
        };
        let rows = answer.numbers.chunks_exact(row).zip(texts);
        rows.map(
            |(row, text)| match (&self.modules.pooling, answer.is_pooled) {
                (Some(pooling), false) => {
                    let tokens = row.get(..width * text.ids().len()).unwrap_or(row);
                    self.after(pooling.pool(tokens, width, skipped), false)
                }
                _ => self.after(row.to_vec(), true),
            },
        )
        .collect()
    }

    /// Takes a vector through what is behind the pooling; of that, a graph that pools has computed all itself, and what
    /// was normalised can be normalised again.
    fn after(&self, mut vector: Vec<f32>, graph_pools: bool) -> Result<Vec<f32>, EngineError> {
        for after in &self.modules.after {
            match after {
                After::Normalize if graph_pools && self.modules.assumed => {}
                After::Normalize => normalize(&mut vector),
                After::Dense(_) if graph_pools => {}
                After::Dense(dense) => {
                    vector = dense.apply(&vector).ok_or_else(|| {
                        EngineError::config(format!(
                            "the module Dense does not take the {} numbers that come before it",
                            vector.len()
                        ))
                    })?;
                }
            }
        }
        if vector.iter().all(|number| number.is_finite()) {
            return Ok(vector);
        }
        Err(EngineError::new(
            ErrorKind::Device,
            "the graph gave numbers that are not finite; a model of 16-bit numbers may want another execution provider",
        ))
    }
}

impl Sources {
    /// The folder that has this file, the transformer's own first.
    fn folder_of(&self, name: &str) -> PathBuf {
        match self.transformer.join(name).exists() {
            true => self.transformer.clone(),
            false => self.folder.clone(),
        }
    }

    /// The model file, and a note where it was not the only one or has an unusual name.
    fn graph(&self) -> Result<(PathBuf, Vec<String>), EngineError> {
        let folders = [&self.transformer, &self.folder]
            .map(|folder| [folder.clone(), folder.join("onnx")])
            .concat();
        let mut usual = folders.iter().map(|folder| folder.join("model.onnx"));
        if let Some(path) = usual.find(|path| path.is_file()) {
            return Ok((path, Vec::new()));
        }
        let mut others: Vec<PathBuf> = folders.iter().flat_map(|at| onnx_files(at)).collect();
        others.sort();
        others.dedup();
        let name = |path: &PathBuf| match path.strip_prefix(&self.folder) {
            Ok(name) => name.display().to_string(),
            Err(_) => path.display().to_string(),
        };
        match others.as_slice() {
            [only] => {
                let note = format!("there is no model.onnx; {} is taken", name(only));
                Ok((only.clone(), vec![note]))
            }
            [] => Err(self.no_graph("an encoder's folder has one there or in onnx/")),
            some => {
                let names: Vec<String> = some.iter().map(name).collect();
                let which = names.join(", ");
                Err(self.no_graph(&format!("there are {which}: rename the one that is meant")))
            }
        }
    }

    fn no_graph(&self, what: &str) -> EngineError {
        let folder = self.folder.display();
        let message = format!("there is no model.onnx in {folder}; {what}");
        EngineError::new(ErrorKind::Load, message)
    }
}

fn onnx_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "onnx") && path.is_file())
        .collect()
}

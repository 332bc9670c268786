//! Embeddings: texts to vectors, by an encoder that ONNX Runtime computes.
//!
//! A folder is laid out as sentence-transformers lays out its ONNX models: the graph in `model.onnx` or
//! `onnx/model.onnx`, `tokenizer.json`, and what becomes of the graph's answer in `modules.json` and the folders it names.
//! A folder without `modules.json` is taken for an encoder whose tokens are averaged, and a
//! [note](Encoder::notes) says so.
//!
//! The embedding of a text is the same whatever texts are asked for with it. A text that is too long is an error unless
//! the caller [lets it be cut](TooLong::Cut).

mod answer;
mod dense;
mod files;
mod graph;
mod groups;
mod layout;
mod length;
mod modules;
mod pooling;
mod prompts;
mod recipe;

use std::fmt;
use std::path::Path;

use inhouse_engine::{Cancel, EngineError, ErrorKind};
use inhouse_text::{Encoded, TextError, Tokenizer};

use crate::fallback::Fallback;
use crate::library::Library;
use crate::opening;
use crate::options::{Choice, Options};
use crate::runner::Opening;
use crate::runtime::Runtime;

use graph::{Facts, Loaded};
use groups::{Groups, Matrices};
use recipe::Recipe;

/// A model that makes vectors of texts.
pub struct Encoder {
    recipe: Recipe,
    tokenizer: Tokenizer,
    library: &'static Library,
    opening: Opening,
    place: Fallback<Loaded>,
    /// What was known when it was loaded.
    notes: Vec<String>,
    /// Texts may share a run.
    together: bool,
}

/// What is asked of an [`Encoder`] beside the texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmbedOptions {
    /// What becomes of a text that is longer than the model takes.
    pub too_long: TooLong,
    /// The name of the model's [prompt](Encoder::prompts) that is put before every text: its own default one where this
    /// is `None`, and none where the name is empty.
    pub prompt: Option<String>,
}

/// What becomes of a text that is longer than the model takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TooLong {
    /// It is an error, and nothing is computed.
    #[default]
    Refuse,
    /// Its end is left out, and [`Embeddings::cut`] says so.
    Cut,
}

/// Vectors, one for each text, in the order of the texts.
#[derive(Clone, PartialEq)]
pub struct Embeddings {
    /// The vectors.
    pub vectors: Vec<Vec<f32>>,
    /// Length of each vector; 0 where there are none.
    pub dimensions: usize,
    /// How many tokens were computed for each text, those around it included.
    pub tokens: Vec<usize>,
    /// The texts that were cut.
    pub cut: Vec<Cut>,
}

/// A text whose end was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Its place among the texts, from 0 on.
    pub text: usize,
    /// How many tokens it had.
    pub tokens: usize,
}

impl Encoder {
    /// Loads the encoder in `folder`.
    ///
    /// # Errors
    /// The folder is damaged or no encoder's, or it asks for what is not computed here; the memory does not suffice; no
    /// execution provider works.
    pub fn load(folder: &Path, options: &Options) -> Result<Self, EngineError> {
        if options.backend == Choice::Native {
            return Err(EngineError::options(
                "the native backend computes decoders alone; embeddings take the backend onnxruntime",
            ));
        }
        let recipe = Recipe::of_folder(folder)?;
        let tokenizer = Tokenizer::from_folder(&recipe.tokenizer).map_err(text_error)?;
        let facts = Facts::of(&recipe.graph)?;
        facts.check_memory(options.load.available_memory)?;
        let opening = opening::plain(&options.load)?;
        let runtime = Runtime::find(&options.onnxruntime, &[])?;
        runtime.check(|_| true)?;
        let mut notes = runtime.notes();
        let library = runtime.library;
        let place = Fallback::load(runtime.devices, Vec::new(), |_| true, &|device| {
            Loaded::open(&recipe, library, device, &opening)
        })?;
        let graph_pools = place.current().layout.pooled.is_some();
        notes.extend(recipe.notes.iter().cloned());
        notes.extend(recipe.assumption(graph_pools));
        notes.extend(facts.note());
        let encoder = Self {
            together: !facts.quantises_as_it_runs,
            recipe,
            tokenizer,
            library,
            opening,
            place,
            notes,
        };
        encoder.check_room()?;
        Ok(encoder)
    }

    /// The vectors of `texts`.
    ///
    /// # Errors
    /// A text is too long, the work was cancelled, or no execution provider can do it.
    pub fn embed(&self, texts: &[&str], cancel: &Cancel) -> Result<Embeddings, EngineError> {
        self.embed_with(texts, &EmbedOptions::default(), cancel)
    }

    /// As [`embed`](Self::embed), and as `options` say.
    ///
    /// # Errors
    /// As [`embed`](Self::embed), and where the model has no prompt of that name.
    pub fn embed_with(
        &self,
        texts: &[&str],
        options: &EmbedOptions,
        cancel: &Cancel,
    ) -> Result<Embeddings, EngineError> {
        let prompt = self.recipe.prompts.find(options.prompt.as_deref())?;
        let skipped = self.skipped(prompt)?;
        let mut inputs = Vec::with_capacity(texts.len());
        for text in texts {
            cancel_check(cancel)?;
            inputs.push(self.encode(prompt, text)?);
        }
        let cut = self.fit(&mut inputs, options.too_long)?;
        let tokens = inputs.iter().map(|input| input.ids().len()).collect();
        let vectors = self.compute(&inputs, skipped, cancel)?;
        Ok(Embeddings {
            dimensions: vectors.first().map_or(0, Vec::len),
            vectors,
            tokens,
            cut,
        })
    }

    /// The most tokens that a text may have, those around it included, where the folder or the graph says.
    pub fn max_tokens(&self) -> Option<usize> {
        let of_graph = self.place.current().layout.length;
        match (self.recipe.max_tokens, of_graph) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// The names of the prompts that may be put before texts, such as `query`.
    pub fn prompts(&self) -> impl Iterator<Item = &str> {
        self.recipe.prompts.names()
    }

    /// What computes, as people read it: `ONNX Runtime 1.31.1 on cpu`.
    pub fn computed_by(&self) -> String {
        let providers = self.execution_providers().join(" and ");
        format!("{} on {providers}", self.library.name())
    }

    /// The execution providers that compute, the one that was asked for first.
    pub fn execution_providers(&self) -> Vec<String> {
        self.place.current().used()
    }

    /// What did not go as asked for, and what was assumed of the folder. There may be more after it has computed.
    pub fn notes(&self) -> Vec<String> {
        [self.notes.clone(), self.place.notes()].concat()
    }

    fn encode(&self, prompt: &str, text: &str) -> Result<Encoded, EngineError> {
        let text = self.recipe.text(prompt, text);
        let encoded = self
            .tokenizer
            .encode_for_encoder(&text)
            .map_err(text_error)?;
        let limit = self.recipe.config.vocab_size().unwrap_or(usize::MAX);
        match encoded.ids().iter().find(|&&id| id as usize >= limit) {
            Some(id) => Err(EngineError::config(format!(
                "the tokenizer gives the id {id}, and the model's config.json says that there are {limit}"
            ))),
            None => Ok(encoded),
        }
    }

    /// Refuses a tokenizer that fails on an empty text, or puts more tokens around it than the model takes.
    fn check_room(&self) -> Result<(), EngineError> {
        let around = self.encode("", "")?.added();
        match self.max_tokens() {
            Some(most) if most <= around => Err(EngineError::config(format!(
                "the model takes {most} tokens and its tokenizer puts {around} around every text; \
                 sentence_bert_config.json or tokenizer_config.json gives a wrong length"
            ))),
            _ => Ok(()),
        }
    }

    /// Tokens at the start that are not pooled: the prompt's, where the model wants it so.
    fn skipped(&self, prompt: &str) -> Result<usize, EngineError> {
        if prompt.is_empty() || self.recipe.pools_prompt() {
            return Ok(0);
        }
        if self.place.current().layout.tokens.is_none() {
            return Err(EngineError::new(
                ErrorKind::UnsupportedGraph,
                "the model leaves a prompt's tokens out of its embeddings, and its graph gives no tokens to leave out",
            ));
        }
        let alone = self.encode(prompt, "")?;
        let last = alone.ids().last();
        let ends = last.is_some_and(|id| self.tokenizer.is_special(*id));
        Ok(alone.ids().len() - usize::from(ends))
    }

    /// Cuts what is too long, or refuses it.
    fn fit(&self, inputs: &mut [Encoded], too_long: TooLong) -> Result<Vec<Cut>, EngineError> {
        let mut cut = Vec::new();
        let count = inputs.len();
        let Some(most) = self.max_tokens() else {
            return Ok(cut);
        };
        for (text, input) in inputs.iter_mut().enumerate() {
            let tokens = input.ids().len();
            if tokens <= most {
                continue;
            }
            if too_long == TooLong::Refuse {
                let kind = ErrorKind::ContextOverflow {
                    needed: tokens,
                    limit: most,
                };
                let which = text + 1;
                return Err(EngineError::new(
                    kind,
                    format!(
                        "text {which} of {count} has {tokens} tokens and the model takes {most}; shorten it, split it, or \
                         let it be cut"
                    ),
                ));
            }
            input.cut(most);
            cut.push(Cut { text, tokens });
        }
        Ok(cut)
    }

    fn compute(
        &self,
        inputs: &[Encoded],
        skipped: usize,
        cancel: &Cancel,
    ) -> Result<Vec<Vec<f32>>, EngineError> {
        let mut vectors = vec![Vec::new(); inputs.len()];
        let loaded = self.place.current();
        for group in Groups::of(inputs, &loaded, self.together) {
            let rows: Vec<&Encoded> = group.iter().map(|&at| &inputs[at]).collect();
            let made = self.compute_group(&rows, skipped, cancel)?;
            for (&at, vector) in group.iter().zip(made) {
                vectors[at] = vector;
            }
        }
        Ok(vectors)
    }

    /// Runs what goes in one run, on the next device where this one fails and there is a next one.
    fn compute_group(
        &self,
        rows: &[&Encoded],
        skipped: usize,
        cancel: &Cancel,
    ) -> Result<Vec<Vec<f32>>, EngineError> {
        let config = &self.recipe.config;
        loop {
            cancel_check(cancel)?;
            let loaded = self.place.current();
            let (padding, first) = (config.padding(), config.first_position());
            let matrices = Matrices::of(rows, loaded.layout.length, padding, first);
            match loaded.run(&matrices, skipped > 0, cancel) {
                Ok(answer) => return self.recipe.finish(&answer, rows, matrices.columns, skipped),
                Err(failure) if failure.may_go_elsewhere() => {
                    self.place.next_after(&loaded, failure, &|device| {
                        Loaded::open(&self.recipe, self.library, device, &self.opening)
                    })?;
                }
                Err(failure) => return Err(failure.on(loaded.device.name())),
            }
        }
    }
}

fn cancel_check(cancel: &Cancel) -> Result<(), EngineError> {
    match cancel.is_cancelled() {
        true => Err(EngineError::cancelled()),
        false => Ok(()),
    }
}

fn text_error(error: TextError) -> EngineError {
    EngineError::new(ErrorKind::Text, error.to_string())
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("graph", &self.recipe.graph)
            .field("computed_by", &self.computed_by())
            .finish_non_exhaustive()
    }
}

/// Without the vectors: much of a text can be read from its embedding.
impl fmt::Debug for Embeddings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embeddings")
            .field("vectors", &self.vectors.len())
            .field("dimensions", &self.dimensions)
            .field("tokens", &self.tokens)
            .field("cut", &self.cut)
            .finish()
    }
}

#[cfg(test)]
mod tests;

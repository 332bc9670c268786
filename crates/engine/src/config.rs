//! `genai_config.json`: what ONNX Runtime GenAI's model folders say about a model.
//!
//! Fields and defaults follow onnxruntime-genai's `src/config.h` (0.16 to 0.18). Where the graph and this file
//! differ, the graph wins; unknown keys are kept as warnings, because newer exports add some.

mod session_options;

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::{EngineError, ErrorKind};

pub use session_options::{GraphOptimization, NamedStrings, SessionOptions};

/// The configuration's file in a model folder.
pub(crate) const FILE: &str = "genai_config.json";
/// Upper bound of the file's size: real ones have a few kilobytes.
const MAX_BYTES: usize = 1 << 20;
/// Upper bound of layers, heads and the like; far above any model, far below what would hurt.
const MAX_COUNT: usize = 1 << 20;

/// A parsed `genai_config.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct GenaiConfig {
    /// The model's type as the builder names it: `phi3`, `llama`, `mistral`, `qwen2`, `qwen3`, ...
    pub model_type: String,
    /// Most tokens the model can attend to.
    pub context_length: usize,
    /// Entries of the vocabulary.
    pub vocab_size: usize,
    /// The token that begins a text, where there is one.
    pub bos_token_id: Option<u32>,
    /// The tokens that end an answer; never empty unless the file names neither end nor padding.
    pub eos_token_ids: Vec<u32>,
    /// The padding token.
    pub pad_token_id: Option<u32>,
    /// Tokens that mark tool calls and reasoning, where the file names them.
    pub marks: MarkTokens,
    /// Folder with the tokenizer, relative to the model folder, where it is not the folder itself.
    pub tokenizer_dir: Option<String>,
    /// The decoder's file, shape and names.
    pub decoder: DecoderConfig,
    /// Default search values.
    pub search: SearchConfig,
    /// Things in the file that are not understood and were passed over, as readable lines.
    pub warnings: Vec<String>,
}

/// Tokens that mark the begin and end of tool calls and of reasoning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarkTokens {
    /// Begin of a tool call.
    pub bot: Option<u32>,
    /// End of a tool call.
    pub eot: Option<u32>,
    /// Begin of reasoning.
    pub bor: Option<u32>,
    /// End of reasoning.
    pub eor: Option<u32>,
}

/// The `decoder` section.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderConfig {
    /// The graph's file name, relative to the folder and inside it.
    pub filename: String,
    /// Values of one attention head; 0 where the file leaves it to hidden_size / num_attention_heads.
    pub head_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads.
    pub num_key_value_heads: usize,
    /// Blocks.
    pub num_hidden_layers: usize,
    /// Name of the graph's token input.
    pub input_ids: String,
    /// Name of the mask input.
    pub attention_mask: String,
    /// Name of the position input, used by graphs with rope outside attention.
    pub position_ids: String,
    /// Pattern of the past key inputs; `%d` stands for the layer.
    pub past_key_names: String,
    /// Pattern of the past value inputs.
    pub past_value_names: String,
    /// Name of the logits output.
    pub logits: String,
    /// Pattern of the present key outputs.
    pub present_key_names: String,
    /// Pattern of the present value outputs.
    pub present_value_names: String,
    /// How ONNX Runtime is to compute it; the native engine takes its threads from elsewhere.
    pub session: SessionOptions,
}

/// The `search` section: the defaults of generation.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchConfig {
    /// Draw from the distribution; otherwise greedy.
    pub do_sample: bool,
    /// Divides the logits; 0 means greedy.
    pub temperature: f32,
    /// Candidates kept; 0 means all.
    pub top_k: usize,
    /// Probability mass kept; 0 or 1 means all.
    pub top_p: f32,
    /// Divides the logits of tokens that were seen (multiplies negative ones).
    pub repetition_penalty: f32,
    /// Least tokens, prompt included.
    pub min_length: usize,
    /// Most tokens, prompt included; a limit, never an allocation.
    pub max_length: usize,
    /// No n-gram of this length is repeated; 0 means off.
    pub no_repeat_ngram_size: usize,
    /// Seed of the draws, where the file fixes one.
    pub random_seed: Option<u64>,
    /// Prompt tokens run in one forward, where the file says so.
    pub chunk_size: Option<usize>,
}

impl GenaiConfig {
    /// Reads the configuration of a model folder.
    ///
    /// # Errors
    /// The file is missing, or as [`parse`](Self::parse) has it.
    pub fn of_folder(folder: &Path) -> Result<Self, EngineError> {
        let path = folder.join(FILE);
        let bytes = std::fs::read(&path).map_err(|e| {
            let message = format!(
                "cannot read {}; a model folder holds {FILE}, model.onnx and a tokenizer",
                path.display()
            );
            EngineError::with_source(ErrorKind::Config, message, e)
        })?;
        Self::parse(&bytes)
    }

    /// Parses the bytes of a `genai_config.json`.
    ///
    /// # Errors
    /// Names the key and what is wrong with it: broken JSON, a missing or absurd value, a decoder file outside
    /// the folder, beams above one or a diversity penalty.
    pub fn parse(bytes: &[u8]) -> Result<Self, EngineError> {
        if bytes.len() > MAX_BYTES {
            return Err(invalid(format!(
                "has {} bytes; more than {MAX_BYTES} cannot be right",
                bytes.len()
            )));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let file: File = serde_json::from_slice(bytes)
            .map_err(|e| invalid(format!("is not understood: {e}")))?;
        let mut warnings = Vec::new();
        warn_unknown("", &file.unknown, &mut warnings);
        warn_unknown("model.", &file.model.unknown, &mut warnings);
        warn_unknown("model.decoder.", &file.model.decoder.unknown, &mut warnings);
        warn_unknown("search.", &file.search.unknown, &mut warnings);
        let search = search(&file.search, file.model.context_length)?;
        let config = Self {
            bos_token_id: file.model.bos_token_id.as_ref().and_then(TokenIds::first),
            pad_token_id: file.model.pad_token_id.as_ref().and_then(TokenIds::first),
            eos_token_ids: eos(&file.model),
            marks: MarkTokens {
                bot: file.model.bot_token_id.as_ref().and_then(TokenIds::first),
                eot: file.model.eot_token_id.as_ref().and_then(TokenIds::first),
                bor: file.model.bor_token_id.as_ref().and_then(TokenIds::first),
                eor: file.model.eor_token_id.as_ref().and_then(TokenIds::first),
            },
            model_type: file.model.model_type,
            context_length: file.model.context_length,
            vocab_size: file.model.vocab_size,
            tokenizer_dir: file.model.tokenizer_dir.filter(|dir| !dir.is_empty()),
            decoder: decoder(file.model.decoder, &mut warnings)?,
            search,
            warnings,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), EngineError> {
        let decoder = &self.decoder;
        for (key, value) in [
            ("model.context_length", self.context_length),
            ("model.vocab_size", self.vocab_size),
            ("model.decoder.num_hidden_layers", decoder.num_hidden_layers),
            (
                "model.decoder.num_attention_heads",
                decoder.num_attention_heads,
            ),
            (
                "model.decoder.num_key_value_heads",
                decoder.num_key_value_heads,
            ),
            ("model.decoder.hidden_size", decoder.hidden_size),
        ] {
            let limit = if key.ends_with("_length") {
                usize::MAX >> 8
            } else {
                MAX_COUNT * 16
            };
            if value == 0 || value > limit {
                return Err(invalid(format!(
                    "{key} is {value}; it must be between 1 and {limit}"
                )));
            }
        }
        check_inside("model.decoder.filename", &decoder.filename)?;
        if let Some(dir) = &self.tokenizer_dir {
            check_inside("model.tokenizer_dir", dir)?;
        }
        Ok(())
    }
}

fn invalid(what: String) -> EngineError {
    EngineError::config(format!("genai_config.json: {what}"))
}

fn warn_unknown(section: &str, unknown: &Map<String, Value>, warnings: &mut Vec<String>) {
    warnings.extend(
        unknown.keys().map(|key| {
            format!("genai_config.json: {section}{key} is not known and was passed over")
        }),
    );
}

/// A path of the file must stay inside the model folder.
fn check_inside(key: &str, path: &str) -> Result<(), EngineError> {
    use std::path::{Component, Path};
    let inside = !path.is_empty()
        && !path.contains(['\\', '\0', ':'])
        && Path::new(path)
            .components()
            .all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if inside {
        return Ok(());
    }
    Err(invalid(format!(
        "{key} is {path:?}; it must be a relative path inside the model folder"
    )))
}

fn eos(model: &ModelSection) -> Vec<u32> {
    let ids = model
        .eos_token_id
        .as_ref()
        .map(TokenIds::all)
        .unwrap_or_default();
    if !ids.is_empty() {
        return ids;
    }
    model
        .pad_token_id
        .as_ref()
        .map(TokenIds::all)
        .unwrap_or_default()
}

fn decoder(file: DecoderSection, warnings: &mut Vec<String>) -> Result<DecoderConfig, EngineError> {
    let name = |names: &Map<String, Value>, key: &str, default: &str| match names.get(key) {
        None => Ok(default.to_owned()),
        Some(Value::String(name)) => Ok(name.clone()),
        Some(other) => Err(invalid(format!(
            "model.decoder names: {key} is {other}; it must be a string"
        ))),
    };
    Ok(DecoderConfig {
        input_ids: name(&file.inputs, "input_ids", "input_ids")?,
        attention_mask: name(&file.inputs, "attention_mask", "attention_mask")?,
        position_ids: name(&file.inputs, "position_ids", "position_ids")?,
        past_key_names: name(&file.inputs, "past_key_names", "past_key_values.%d.key")?,
        past_value_names: name(&file.inputs, "past_value_names", "past_key_values.%d.value")?,
        logits: name(&file.outputs, "logits", "logits")?,
        present_key_names: name(&file.outputs, "present_key_names", "present.%d.key")?,
        present_value_names: name(&file.outputs, "present_value_names", "present.%d.value")?,
        session: SessionOptions::read(&file.session_options.unwrap_or_default(), warnings)?,
        filename: file.filename,
        head_size: file.head_size,
        hidden_size: file.hidden_size,
        num_attention_heads: file.num_attention_heads,
        num_key_value_heads: file.num_key_value_heads.unwrap_or(file.num_attention_heads),
        num_hidden_layers: file.num_hidden_layers,
    })
}

fn search(file: &SearchSection, context_length: usize) -> Result<SearchConfig, EngineError> {
    if file.num_beams > 1 {
        return Err(invalid(format!(
            "search.num_beams is {}; beam search is not supported, set it to 1",
            file.num_beams
        )));
    }
    if file.diversity_penalty != 0.0 {
        return Err(invalid(
            "search.diversity_penalty belongs to beam search, which is not supported; set it to 0"
                .into(),
        ));
    }
    for (key, value) in [
        ("temperature", file.temperature),
        ("top_p", file.top_p),
        ("repetition_penalty", file.repetition_penalty),
    ] {
        if !value.is_finite() || value < 0.0 {
            return Err(invalid(format!(
                "search.{key} is {value}; it must be a number from 0 up"
            )));
        }
    }
    Ok(SearchConfig {
        do_sample: file.do_sample,
        temperature: file.temperature,
        top_k: file.top_k,
        top_p: file.top_p,
        repetition_penalty: if file.repetition_penalty == 0.0 {
            1.0
        } else {
            file.repetition_penalty
        },
        min_length: file.min_length,
        max_length: match file.max_length {
            0 => context_length,
            length => length,
        },
        no_repeat_ngram_size: file.no_repeat_ngram_size,
        random_seed: u64::try_from(file.random_seed).ok(),
        chunk_size: file.chunk_size.filter(|&size| size > 0),
    })
}

// === the file as it is written ===

#[derive(Deserialize)]
struct File {
    model: ModelSection,
    #[serde(default)]
    search: SearchSection,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

#[derive(Deserialize)]
struct ModelSection {
    #[serde(rename = "type")]
    model_type: String,
    context_length: usize,
    vocab_size: usize,
    bos_token_id: Option<TokenIds>,
    eos_token_id: Option<TokenIds>,
    pad_token_id: Option<TokenIds>,
    bot_token_id: Option<TokenIds>,
    eot_token_id: Option<TokenIds>,
    bor_token_id: Option<TokenIds>,
    eor_token_id: Option<TokenIds>,
    #[serde(rename = "sep_token_id")]
    _sep_token_id: Option<Value>,
    tokenizer_dir: Option<String>,
    decoder: DecoderSection,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

#[derive(Deserialize)]
struct DecoderSection {
    #[serde(default = "default_filename")]
    filename: String,
    #[serde(default)]
    head_size: usize,
    #[serde(default)]
    hidden_size: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    num_hidden_layers: usize,
    #[serde(default)]
    inputs: Map<String, Value>,
    #[serde(default)]
    outputs: Map<String, Value>,
    session_options: Option<Map<String, Value>>,
    #[serde(rename = "run_options")]
    _run_options: Option<Value>,
    // The graph's own local_window_size is what the model was trained and recorded with.
    #[serde(rename = "sliding_window")]
    _sliding_window: Option<Value>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

fn default_filename() -> String {
    "model.onnx".into()
}

#[derive(Deserialize)]
#[serde(default)]
struct SearchSection {
    do_sample: bool,
    temperature: f32,
    top_k: usize,
    top_p: f32,
    repetition_penalty: f32,
    min_length: usize,
    max_length: usize,
    no_repeat_ngram_size: usize,
    num_beams: usize,
    diversity_penalty: f32,
    random_seed: i64,
    chunk_size: Option<usize>,
    // Without beams these three change nothing; how KV is shared is the engine's own affair.
    early_stopping: Value,
    length_penalty: Value,
    num_return_sequences: Value,
    past_present_share_buffer: Value,
    batch_size: Value,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

impl Default for SearchSection {
    fn default() -> Self {
        Self {
            do_sample: false,
            temperature: 1.0,
            top_k: 50,
            top_p: 0.0,
            repetition_penalty: 1.0,
            min_length: 0,
            max_length: 0,
            no_repeat_ngram_size: 0,
            num_beams: 1,
            diversity_penalty: 0.0,
            random_seed: -1,
            chunk_size: None,
            early_stopping: Value::Null,
            length_penalty: Value::Null,
            num_return_sequences: Value::Null,
            past_present_share_buffer: Value::Null,
            batch_size: Value::Null,
            unknown: Map::new(),
        }
    }
}

/// A token id, or several; negative ones mean "none".
#[derive(Deserialize)]
#[serde(untagged)]
enum TokenIds {
    One(i64),
    Many(Vec<i64>),
}

impl TokenIds {
    fn all(&self) -> Vec<u32> {
        let ids: &[i64] = match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::Many(ids) => ids,
        };
        ids.iter()
            .filter_map(|&id| u32::try_from(id).ok())
            .collect()
    }

    fn first(&self) -> Option<u32> {
        self.all().first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"{"model": {"type": "llama", "context_length": 64, "vocab_size": 16, EXTRA
        "decoder": {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1 DECODER}}, "search": {SEARCH}}"#;

    fn parse(extra: &str, decoder: &str, search: &str) -> Result<GenaiConfig, EngineError> {
        let text = SMALL
            .replace("EXTRA", extra)
            .replace("DECODER", decoder)
            .replace("SEARCH", search);
        GenaiConfig::parse(text.as_bytes())
    }

    #[test]
    fn end_tokens_are_a_number_a_list_or_the_padding() {
        let check = |extra: &str, ids: &[u32]| {
            assert_eq!(parse(extra, "", "").unwrap().eos_token_ids, ids, "{extra}")
        };
        check(r#""eos_token_id": 7,"#, &[7]);
        check(r#""eos_token_id": [200020, 199999],"#, &[200020, 199999]);
        check(r#""eos_token_id": [], "pad_token_id": 3,"#, &[3]);
        check(r#""eos_token_id": -1, "pad_token_id": 3,"#, &[3]);
        check("", &[]);
    }

    #[test]
    fn absent_search_values_are_those_of_genai() {
        let search = parse("", "", "").unwrap().search;
        assert!(!search.do_sample);
        assert_eq!(
            (search.temperature, search.top_k, search.top_p),
            (1.0, 50, 0.0)
        );
        assert_eq!(
            (
                search.repetition_penalty,
                search.max_length,
                search.chunk_size
            ),
            (1.0, 64, None)
        );
    }

    #[test]
    fn unknown_keys_are_warnings() {
        let config = parse(r#""shiny": 1,"#, r#", "pipeline": []"#, r#""swirl": true"#).unwrap();
        assert_eq!(config.warnings.len(), 3);
        assert!(
            config.warnings[0].contains("model.shiny"),
            "{:?}",
            config.warnings
        );
    }

    #[test]
    fn session_options_belong_to_the_decoder() {
        let options = r#", "session_options": {"intra_op_num_threads": 2, "a.b": "c", "d": 1}"#;
        let config = parse("", options, "").unwrap();
        let session = &config.decoder.session;
        assert_eq!(session.intra_op_num_threads, Some(2));
        assert_eq!(session.entries, [("a.b".to_owned(), "c".to_owned())]);
        assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
        assert_eq!(
            parse("", "", "").unwrap().decoder.session,
            SessionOptions::default()
        );
    }

    #[test]
    fn what_cannot_be_honoured_is_an_error_that_names_the_key() {
        let check = |extra: &str, decoder: &str, search: &str, word: &str| {
            let error = parse(extra, decoder, search).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        };
        check("", "", r#""num_beams": 4"#, "num_beams");
        check("", "", r#""diversity_penalty": 0.5"#, "diversity_penalty");
        check("", "", r#""temperature": -1"#, "temperature");
        check("", r#", "filename": "../model.onnx""#, "", "filename");
        check("", r#", "filename": "/etc/passwd""#, "", "filename");
        check("", r#", "filename": "a\\..\\b""#, "", "filename");
        check(r#""tokenizer_dir": "../x","#, "", "", "tokenizer_dir");
        check(
            "",
            r#", "num_key_value_heads": 0"#,
            "",
            "num_key_value_heads",
        );
        let threads = r#", "session_options": {"intra_op_num_threads": "two"}"#;
        check(
            "",
            threads,
            "",
            "model.decoder.session_options.intra_op_num_threads",
        );
        check("", r#", "session_options": []"#, "", "map");
        assert!(
            GenaiConfig::parse(b"{")
                .unwrap_err()
                .to_string()
                .contains("genai_config.json")
        );
        assert!(GenaiConfig::parse(&vec![b' '; MAX_BYTES + 1]).is_err());
    }

    #[test]
    fn names_of_the_graph_can_differ() {
        let names = r#", "inputs": {"input_ids": "ids", "past_key_names": "k%d"}, "outputs": {"logits": "scores"}"#;
        let decoder = parse("", names, "").unwrap().decoder;
        assert_eq!(
            (
                &*decoder.input_ids,
                &*decoder.past_key_names,
                &*decoder.logits
            ),
            ("ids", "k%d", "scores")
        );
        assert_eq!(decoder.present_key_names, "present.%d.key");
        assert_eq!(decoder.past_value_names, "past_key_values.%d.value");
    }
}

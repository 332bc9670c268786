//! From a GGUF file to a model folder.

use std::path::Path;

use inhouse_onnx::{ModelMeta, Writer};

use crate::decoder;
use crate::error::ConvertError;
use crate::family::Config;
use crate::folder::StagedFolder;
use crate::genai_config::genai_config;
use crate::gguf::Gguf;
use crate::graph::MICROSOFT;
use crate::report::{Progress, Report};
use crate::tokenizer::{self, TokenizerFiles};
use crate::weights::Weights;

/// What model builders write today; older runtimes than 1.20 are not asked for.
const IR_VERSION: i64 = 10;
const OPSET: i64 = 21;

/// How a GGUF file is converted.
#[derive(Clone, Debug, Default)]
pub struct GgufOptions {
    /// How formats with an offset per block are written.
    pub zero_points: ZeroPoints,
}

/// How 4-bit formats with an offset per block (Q4_1, Q4_K) are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZeroPoints {
    /// As floats: every weight keeps its value. ONNX Runtime is slow with these.
    #[default]
    Float,
    /// As packed integers: quantised again, to the nearest that can be found.
    Packed,
    /// Not at all: quantised again, symmetrically.
    None,
}

/// Converts `file` into the folder `out`, which must not exist or be empty.
///
/// The folder is written under another name beside it and renamed when it is complete.
pub fn convert_gguf(
    file: &Path,
    out: &Path,
    options: &GgufOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Report, ConvertError> {
    let gguf = Gguf::open(file)?;
    let config = Config::read(&gguf)?;
    // What can be refused is refused before anything is written.
    let tokenizer = tokenizer::convert(&gguf, config.vocab)?;
    let folder = StagedFolder::create(out)?;
    let mut report = write_model(&gguf, &config, &folder, options, progress)?;
    write_texts(&config, &tokenizer, &folder)?;
    folder.publish()?;
    report.folder = out.to_owned();
    Ok(report)
}

fn write_model(
    gguf: &Gguf,
    config: &Config,
    folder: &StagedFolder,
    options: &GgufOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Report, ConvertError> {
    let failed = |e| ConvertError::writing("the model", e);
    let writer = Writer::create(folder.path(), "model.onnx").map_err(failed)?;
    let mut weights = Weights::new(gguf, writer, options, progress);
    let graph = decoder::convert(gguf, config, &mut weights)?;
    let (writer, report) = weights.finish()?;
    let meta = ModelMeta {
        ir_version: IR_VERSION,
        opsets: vec![(String::new(), OPSET), (MICROSOFT.to_owned(), 1)],
    };
    writer.finish(meta, graph).map_err(failed)?;
    Ok(report)
}

fn write_texts(
    config: &Config,
    tokenizer: &TokenizerFiles,
    folder: &StagedFolder,
) -> Result<(), ConvertError> {
    folder.write_json(
        "genai_config.json",
        &genai_config(config, &tokenizer.special),
    )?;
    folder.write_json("tokenizer.json", &tokenizer.tokenizer)?;
    folder.write_json("tokenizer_config.json", &tokenizer.config)?;
    match &tokenizer.chat_template {
        Some(template) => folder.write("chat_template.jinja", template),
        None => Ok(()),
    }
}

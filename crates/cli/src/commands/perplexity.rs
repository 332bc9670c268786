//! `inhouse perplexity`: how well a model predicts a text.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use inhouse_engine::{Cancel, perplexity};
use inhouse_text::Tokenizer;
use serde::{Deserialize, Serialize};

use super::Context;
use super::backend_flags::{BackendFlag, RuntimeFlags};
use super::computed::{Computed, Told};
use super::model_flags::{self, ComputeFlags, DEFAULT_MODEL};
use crate::failure::Interrupted;
use crate::output::{Table, count};

/// Measure how well a model predicts a text: mean negative log-likelihood and perplexity
#[derive(Args, Debug)]
pub(crate) struct PerplexityArgs {
    /// A model's name or a model folder
    #[arg(short, long, value_name = "NAME|FOLDER", default_value = DEFAULT_MODEL)]
    model: String,
    /// A text file; its special tokens count as such
    #[arg(value_name = "FILE", required_unless_present = "ids")]
    file: Option<PathBuf>,
    /// Token ids instead of a text: a JSON file with "perplexity": {"input_ids": [..]}
    #[arg(long, value_name = "FILE.json", conflicts_with = "file")]
    ids: Option<PathBuf>,
    /// What computes; auto: the native engine what it knows, unless --ep names a GPU, and ONNX Runtime the rest
    #[arg(long, value_name = "BACKEND", default_value = "auto")]
    backend: BackendFlag,
    #[command(flatten)]
    compute: ComputeFlags,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    runtime: RuntimeFlags,
}

#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    #[serde(flatten)]
    computed: Computed,
    tokens: usize,
    windows: usize,
    mean_nll: f64,
    perplexity: f64,
}

/// The part that is read of a file of recorded ids.
#[derive(Deserialize)]
struct IdsFile {
    perplexity: IdsSection,
}

#[derive(Deserialize)]
struct IdsSection {
    input_ids: Vec<u32>,
}

pub(super) fn run(args: PerplexityArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let options = model_flags::options(args.backend, args.compute, &args.runtime, context)?;
    let located = model_flags::locate(&args.model, context)?;
    let given = args.ids.as_deref().map(ids_from).transpose()?;
    let text = args.file.as_deref().map(text_from).transpose()?;
    let model = model_flags::load(&located.folder, &options)?;
    let ids = match (given, text) {
        (Some(ids), _) => ids,
        (None, text) => Tokenizer::from_folder(&model.tokenizer_folder())?
            .encode_raw(&text.unwrap_or_default())?,
    };
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let work = || perplexity::measure(model.as_ref(), &ids, &cancel);
    let (measured, interrupted) = context.interrupt.during(move || stop.cancel(), work);
    if interrupted {
        return Err(Interrupted.into());
    }
    let measured = measured?;
    let perplexity = measured.perplexity();
    if args.json {
        context.out.json(&Report {
            model: &located.name,
            computed: Computed::of(model.as_ref()),
            tokens: measured.tokens,
            windows: measured.windows,
            mean_nll: measured.mean_nll,
            perplexity,
        })?;
    } else {
        Told::default().tell(model.as_ref(), context.terminal);
        let mut table = Table::facts();
        table.row(["model", &located.name]);
        table.row(["computed by", &model.info().computed_by]);
        table.row(["predicted", &count(measured.tokens, "token")]);
        if measured.windows > 1 {
            // A text longer than the context starts over in each window, which costs it some likelihood.
            table.row(["windows", &measured.windows.to_string()]);
        }
        table.row([
            "mean negative log-likelihood",
            &format!("{:.4}", measured.mean_nll),
        ]);
        table.row(["perplexity", &format!("{perplexity:.3}")]);
        context.out.table(&table)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text_from(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {} as text", file.display()))
}

fn ids_from(file: &Path) -> anyhow::Result<Vec<u32>> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let ids: IdsFile = serde_json::from_slice(&bytes).with_context(|| {
        format!(
            "{} has no token ids under perplexity.input_ids",
            file.display()
        )
    })?;
    Ok(ids.perplexity.input_ids)
}

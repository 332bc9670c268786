//! `inhouse compare`: both backends on the same prompts, their logits and their speed side by side.

mod difference;
mod prompts;
mod report;
mod side;

use std::process::ExitCode;

use clap::Args;
use inhouse_backends::{Choice, Options};
use inhouse_engine::{KvType, Precision};

use self::prompts::Prompts;
use self::report::Report;
use self::side::{Course, Side};
use super::Context;
use super::backend_flags::RuntimeFlags;
use super::computed::Told;
use super::model_flags::{self, ComputeFlags};
use crate::failure::Interrupted;
use crate::machine::{self, PeakMemory};

/// Run a model on both backends, with logits and speed side by side: the check of one on the other
///
/// The native engine goes first and is the reference: behind each prompt it takes the likeliest token, again and again,
/// and ONNX Runtime is given the same tokens, whatever it would have taken. So at every position both have seen the same.
/// Differences are in standard deviations of the reference's logits there. One backend is loaded at a time; memory is what
/// it took beyond what the program had before.
#[derive(Args, Debug)]
pub(crate) struct CompareArgs {
    /// A model's name or a model folder
    #[arg(value_name = "NAME|FOLDER")]
    model: String,
    /// A prompt, given as it is; may be given several times [default: some texts, or random tokens for a model without a
    /// tokenizer]
    #[arg(long, value_name = "TEXT")]
    prompt: Vec<String>,
    /// Tokens behind each prompt
    #[arg(short, long, value_name = "TOKENS", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    new: u32,
    /// Compute in f32 and with a KV cache in f32, instead of as chat does
    #[arg(long)]
    exact: bool,
    /// Status 1 where the RMS difference is larger than this many standard deviations
    #[arg(long, value_name = "SD", value_parser = bound, allow_negative_numbers = true)]
    max_rms: Option<f64>,
    #[command(flatten)]
    compute: ComputeFlags,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    runtime: RuntimeFlags,
}

fn bound(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(bound) if bound >= 0.0 => Ok(bound),
        _ => Err("a number of 0 or more is wanted".to_owned()),
    }
}

pub(super) fn run(args: CompareArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let mut options =
        model_flags::options(Choice::OnnxRuntime, args.compute, &args.runtime, context)?;
    if args.exact {
        options.load.precision = Precision::Exact;
        options.load.kv = KvType::F32;
    }
    let located = model_flags::locate(&args.model, context)?;
    let mut run = Run {
        args: &args,
        options,
        folder: located.folder,
        prompts: None,
        context,
    };
    let (native, reference) = run.side(Choice::Native, None)?;
    let (onnxruntime, other) = run.side(Choice::OnnxRuntime, Some(&reference))?;
    let prompts = run.prompts.unwrap_or_default();
    let mut report = Report::new([native, onnxruntime], &prompts, &reference, &other)?;
    report.model = located.name;
    report.exact = args.exact;
    report.hold_against(args.max_rms);
    if args.json {
        context.out.json(&report)?;
    } else {
        report.show(context)?;
    }
    Ok(if report.within {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What both sides have in common.
struct Run<'a> {
    args: &'a CompareArgs,
    options: Options,
    folder: std::path::PathBuf,
    /// Made by the first model.
    prompts: Option<Prompts>,
    context: &'a Context,
}

impl Run<'_> {
    /// Loads the model with this backend, runs the prompts and lets go of it; without a reference its own tokens follow
    /// them.
    fn side(
        &mut self,
        backend: Choice,
        reference: Option<&[Course]>,
    ) -> anyhow::Result<(Side, Vec<Course>)> {
        self.options.backend = backend;
        let memory = PeakMemory::start();
        let started = std::time::Instant::now();
        let model = model_flags::load(&self.folder, &self.options)?;
        let load_s = started.elapsed().as_secs_f64();
        let model = model.as_ref();
        let prompts = match self.prompts.take() {
            Some(prompts) => prompts,
            None => Prompts::new(&self.args.prompt, self.args.new, model)?,
        };
        let prompts = self.prompts.insert(prompts);
        prompts.check_memory(model.info().vocab, machine::memory().available_bytes)?;
        let cancel = inhouse_engine::Cancel::new();
        let stop = cancel.clone();
        let work = || side::run(model, prompts, reference, &cancel);
        let (ran, interrupted) = self.context.interrupt.during(move || stop.cancel(), work);
        if interrupted {
            return Err(Interrupted.into());
        }
        let (mut side, courses) = ran?;
        if !self.args.json {
            Told::default().tell(model, self.context.terminal);
        }
        side.load_s = load_s;
        side.memory_bytes = memory.added();
        Ok((side, courses))
    }
}

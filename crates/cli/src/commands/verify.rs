//! `inhouse verify`: holds a model folder against outputs that another runtime recorded.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use inhouse_engine::Backend;
use inhouse_engine::verify::{self, CaseReport, Expected, Feeding, Mode};
use serde::Serialize;
use serde_json::{Value, json};

use super::Context;
use super::backend_flags::{BackendFlag, RuntimeFlags};
use super::computed::{Computed, Told};
use super::model_flags::{self, ComputeFlags};
use crate::output::{Align, Table, count};
use crate::terminal::Style;

/// Hold a model folder against recorded outputs; status 1 where they differ by more than they may
#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// The model folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The recorded outputs [default: expected.json in the folder]
    #[arg(long, value_name = "FILE")]
    expected: Option<PathBuf>,
    /// exact: f32 arithmetic and KV cache; default: int8 activations and f16 KV cache, as chat has them
    #[arg(long, value_name = "MODE", default_value = "both")]
    mode: ModeFlag,
    /// Threads to compute with [default: every one this process may use]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// What computes; auto: the native engine what it knows, unless --ep names a GPU, and ONNX Runtime the rest
    #[arg(long, value_name = "BACKEND", default_value = "native")]
    backend: BackendFlag,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    runtime: RuntimeFlags,
}

/// Values of `--mode`.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum ModeFlag {
    Exact,
    Default,
    Both,
}

impl ModeFlag {
    fn modes(self) -> &'static [Mode] {
        match self {
            Self::Exact => &[Mode::Exact],
            Self::Default => &[Mode::Default],
            Self::Both => &[Mode::Exact, Mode::Default],
        }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    folder: &'a Path,
    recorded_by: &'a str,
    #[serde(flatten)]
    computed: Option<Computed>,
    passed: bool,
    checks: Vec<Value>,
}

pub(super) fn run(args: VerifyArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let compute = ComputeFlags {
        threads: args.threads,
        ..ComputeFlags::default()
    };
    let mut options = model_flags::options(args.backend, compute, &args.runtime, context)?;
    options.load.packed = None; // what is checked is the folder, and no other file
    let expected = args
        .expected
        .unwrap_or_else(|| args.folder.join("expected.json"));
    let expected = Expected::read(&expected)?;
    let mut checked: Option<Arc<dyn Backend>> = None;
    let load = &mut |precision, kv| {
        options.load.precision = precision;
        options.load.kv = kv;
        let model = model_flags::load_with(&args.folder, &options)?;
        checked = Some(Arc::clone(&model));
        Ok(model)
    };
    let reports = verify::run(&expected, args.mode.modes(), load)?;
    let failed = reports.iter().filter(|report| !report.passed).count();
    let checked = checked.as_deref();
    if args.json {
        context.out.json(&Report {
            folder: &args.folder,
            recorded_by: &expected.made_by,
            computed: checked.map(Computed::of),
            passed: failed == 0,
            checks: reports.iter().map(json).collect(),
        })?;
    } else {
        if let Some(model) = checked {
            Told::default().tell(model, context.terminal);
        }
        context.out.table(&table(&reports))?;
        let by = checked.map(|model| model.info().computed_by);
        let by = by.map_or(String::new(), |by| format!(", computed by {by}"));
        let verdict = verdict(reports.len(), failed, context);
        context.out.line(format!("{verdict}{by}"))?;
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn verdict(all: usize, failed: usize, context: &Context) -> String {
    if failed == 0 {
        return format!(
            "{}: {} within bounds",
            context.terminal.out(Style::Green, "passed"),
            count(all, "check")
        );
    }
    format!(
        "{}: {failed} of {} beyond bounds",
        context.terminal.out(Style::Red, "failed"),
        count(all, "check")
    )
}

/// Differences are in standard deviations of the recorded logits.
fn table(reports: &[CaseReport]) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("case", Right),
        ("tokens", Right),
        ("mode", Left),
        ("prompt", Left),
        ("worst/sd", Right),
        ("rms/sd", Right),
        ("bound", Left),
        ("greedy", Right),
        ("", Left),
    ]);
    for report in reports {
        let bounded = if report.mode == Mode::Exact {
            "worst"
        } else {
            "rms"
        };
        table.row([
            report.case.to_string(),
            report.prompt_tokens.to_string(),
            mode(report.mode).to_owned(),
            feeding(report.feeding),
            format!("{:.5}", report.worst),
            format!("{:.5}", report.rms),
            format!("{bounded} {:.5}", report.bound),
            format!("{}/{}", report.agreed, report.certain),
            if report.passed { "ok" } else { "FAILED" }.to_owned(),
        ]);
    }
    table
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Exact => "exact",
        Mode::Default => "default",
    }
}

fn feeding(feeding: Feeding) -> String {
    match feeding {
        Feeding::Whole => "whole".into(),
        Feeding::Pieces(size) => format!("pieces of {size}"),
        Feeding::Single => "token by token".into(),
    }
}

fn json(report: &CaseReport) -> Value {
    json!({
        "case": report.case,
        "prompt_tokens": report.prompt_tokens,
        "mode": mode(report.mode),
        "prompt": feeding(report.feeding),
        "worst_sd": report.worst,
        "rms_sd": report.rms,
        "bound_sd": report.bound,
        "greedy_agreed": report.agreed,
        "greedy_certain": report.certain,
        "passed": report.passed,
    })
}

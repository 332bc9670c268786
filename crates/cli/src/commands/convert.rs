//! `inhouse convert`: a model file of another format becomes a model folder.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use inhouse_convert::{Conversion, GgufOptions, Report, ZeroPoints, convert_gguf};
use inhouse_models::{Event, ProgressSink};
use serde_json::{Value, json};

use super::Context;
use crate::output::{Align, Table, bytes};
use crate::progress::PullProgress;

/// Convert a GGUF file into an ONNX Runtime GenAI model folder
#[derive(Args, Debug)]
pub(crate) struct ConvertArgs {
    /// The file to convert: .gguf
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The model folder to write; it must not exist, or be empty
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// How zero points are written: float carries Q4_1 exactly, packed and none are fast in ONNX Runtime
    #[arg(long, value_name = "KIND", default_value = "float")]
    zero_points: ZeroPointsFlag,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Values of `--zero-points`.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum ZeroPointsFlag {
    Float,
    Packed,
    None,
}

pub(super) fn run(args: ConvertArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let options = GgufOptions {
        zero_points: match args.zero_points {
            ZeroPointsFlag::Float => ZeroPoints::Float,
            ZeroPointsFlag::Packed => ZeroPoints::Packed,
            ZeroPointsFlag::None => ZeroPoints::None,
        },
    };
    let shown = PullProgress::new(context.terminal);
    let report = convert_gguf(&args.from, &args.out, &options, &mut |progress| {
        shown.event(&Event::Converting {
            done: progress.bytes_done,
            total: progress.bytes_total,
            what: progress.tensor,
        });
    })?;
    if args.json {
        context.out.json(&json(&report))?;
    } else {
        context.out.table(&table(&report))?;
        context
            .out
            .line(format!("written to {}", report.folder.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(report: &Report) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("from", Left),
        ("to", Left),
        ("values", Left),
        ("tensors", Right),
        ("bytes in", Right),
        ("bytes out", Right),
    ]);
    for row in &report.conversions {
        table.row([
            row.from.to_owned(),
            row.to.clone(),
            if row.exact { "the same" } else { "rounded" }.to_owned(),
            row.tensors.to_string(),
            bytes(row.bytes_in),
            bytes(row.bytes_out),
        ]);
    }
    table
}

fn json(report: &Report) -> Value {
    let row = |row: &Conversion| {
        json!({
            "from": row.from,
            "to": row.to,
            "exact": row.exact,
            "tensors": row.tensors,
            "bytes_in": row.bytes_in,
            "bytes_out": row.bytes_out,
        })
    };
    json!({
        "folder": report.folder,
        "exact": report.is_exact(),
        "conversions": report.conversions.iter().map(row).collect::<Vec<_>>(),
    })
}

//! `inhouse bench`: how fast a model runs on this machine.

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use inhouse_engine::{Cancel, Model, Session, Want};
use inhouse_kernels::Kernels;
use serde::Serialize;

use super::Context;
use super::model_flags::{self, ComputeFlags, DEFAULT_MODEL};
use crate::failure::Interrupted;
use crate::machine;
use crate::output::{Align, Table};

/// Time a model: prefill and decode, time to first token, load, memory
#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// A model's name or a model folder
    #[arg(short, long, value_name = "NAME|FOLDER", default_value = DEFAULT_MODEL)]
    model: String,
    /// Tokens of the prompt, which are random
    #[arg(short, long, value_name = "TOKENS", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    prompt: u32,
    /// Tokens to decode after it
    #[arg(short, long, value_name = "TOKENS", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    new: u32,
    /// Runs, each from an empty KV cache
    #[arg(short, long, value_name = "RUNS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    #[command(flatten)]
    compute: ComputeFlags,
    /// Print JSON: every figure an object of median, min and max
    #[arg(long)]
    json: bool,
}

/// A figure over all runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Figure {
    median: f64,
    min: f64,
    max: f64,
}

impl Figure {
    /// Of at least one value; rounded to `digits` behind the point, as more would only pretend.
    fn of(mut values: Vec<f64>, digits: i32) -> Self {
        values.sort_by(f64::total_cmp);
        let round = |value: f64| (value * 10f64.powi(digits)).round() / 10f64.powi(digits);
        let middle = values.len() / 2;
        let median = match values.as_slice() {
            [] => f64::NAN,
            values if values.len() % 2 == 1 => values[middle],
            values => (values[middle - 1] + values[middle]) / 2.0,
        };
        let (min, max) = (values.first(), values.last());
        Self {
            median: round(median),
            min: round(min.copied().unwrap_or(f64::NAN)),
            max: round(max.copied().unwrap_or(f64::NAN)),
        }
    }
}

/// What is printed; the keys are those of the scripts that time other engines.
#[derive(Serialize)]
struct Report {
    engine: &'static str,
    version: &'static str,
    model: String,
    isa: &'static str,
    threads: usize,
    prompt_tokens: u32,
    new_tokens: u32,
    runs: u32,
    prefill_tok_s: Figure,
    ttft_s: Figure,
    decode_tok_s: Figure,
    load_s: Figure,
    peak_rss_mb: Figure,
}

/// One run.
struct Run {
    ttft_s: f64,
    decode_s: f64,
}

pub(super) fn run(args: BenchArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let located = model_flags::locate(&args.model, context)?;
    let started = Instant::now();
    let model = model_flags::load(&located.folder, args.compute, context)?;
    let load_s = started.elapsed().as_secs_f64();
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let work = || time(&model, &args, &cancel);
    let (runs, interrupted) = context.interrupt.during(move || stop.cancel(), work);
    if interrupted {
        return Err(Interrupted.into());
    }
    let runs = runs?;
    let figure =
        |digits, value: &dyn Fn(&Run) -> f64| Figure::of(runs.iter().map(value).collect(), digits);
    let info = model.info();
    let peak_rss_mb = machine::peak_memory().map_or(f64::NAN, |bytes| (bytes >> 20) as f64);
    let report = Report {
        engine: "inhouse",
        version: env!("CARGO_PKG_VERSION"),
        model: located.name,
        isa: info.isa,
        threads: info.threads,
        prompt_tokens: args.prompt,
        new_tokens: args.new,
        runs: args.runs,
        prefill_tok_s: figure(2, &|run| f64::from(args.prompt) / run.ttft_s),
        ttft_s: figure(4, &|run| run.ttft_s),
        decode_tok_s: figure(2, &|run| f64::from(args.new) / run.decode_s),
        // Loaded once, and memory has one peak.
        load_s: Figure::of(vec![load_s], 3),
        peak_rss_mb: Figure::of(vec![peak_rss_mb], 0),
    };
    if args.json {
        context.out.json(&report)?;
    } else {
        context.out.line(format!(
            "{}: {} threads, {}; prompt {}, new {}, runs {}",
            report.model, report.threads, report.isa, args.prompt, args.new, args.runs
        ))?;
        context.out.table(&table(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn time(model: &Model, args: &BenchArgs, cancel: &Cancel) -> anyhow::Result<Vec<Run>> {
    let vocab = model.info().vocab as u64;
    let mut random = Random(0);
    let mut runs = Vec::new();
    for _ in 0..args.runs {
        let prompt: Vec<u32> = (0..args.prompt)
            .map(|_| random.below(vocab) as u32)
            .collect();
        runs.push(time_one(model, &prompt, args.new, cancel)?);
    }
    Ok(runs)
}

/// Greedy, from an empty cache; the first token counts to the prefill, as it comes out of it.
fn time_one(model: &Model, prompt: &[u32], new: u32, cancel: &Cancel) -> anyhow::Result<Run> {
    let kernels = Kernels::best();
    let mut sequence = model.sequence();
    let start = Instant::now();
    let logits = sequence.extend(prompt, Want::Last, cancel)?;
    let mut id = kernels.argmax(logits.row(0)) as u32;
    let ttft_s = start.elapsed().as_secs_f64();
    let start = Instant::now();
    for _ in 0..new {
        let logits = sequence.extend(&[id], Want::Last, cancel)?;
        id = kernels.argmax(logits.row(0)) as u32;
    }
    Ok(Run {
        ttft_s,
        decode_s: start.elapsed().as_secs_f64(),
    })
}

/// SplitMix64: ids need to be spread, not secret, and the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }
}

fn table(report: &Report) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("", Left),
        ("median", Right),
        ("min", Right),
        ("max", Right),
    ]);
    let rows = [
        ("prefill, tokens/s", report.prefill_tok_s, 1),
        ("first token, s", report.ttft_s, 3),
        ("decode, tokens/s", report.decode_tok_s, 1),
        ("load, s", report.load_s, 2),
        ("peak memory, MiB", report.peak_rss_mb, 0),
    ];
    for (name, figure, digits) in rows {
        let show = |value: f64| format!("{value:.digits$}");
        table.row([
            name.to_owned(),
            show(figure.median),
            show(figure.min),
            show(figure.max),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_median_least_and_most() {
        let check = |values: &[f64], (median, min, max)| {
            assert_eq!(
                Figure::of(values.to_vec(), 2),
                Figure { median, min, max },
                "{values:?}"
            );
        };
        check(&[1.234], (1.23, 1.23, 1.23));
        check(&[3.0, 1.0, 2.0], (2.0, 1.0, 3.0));
        check(&[4.0, 1.0, 2.0, 3.0], (2.5, 1.0, 4.0));
    }
}

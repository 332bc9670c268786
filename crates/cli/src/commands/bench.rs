//! `inhouse bench`: how fast a model runs on this machine, and how close that is to what the machine can do.

mod figure;
mod report;
mod workload;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use inhouse_backends::{Choice, Options};
use inhouse_engine::{Backend, Cancel};
use inhouse_kernels::{Isa, Kernels};

use self::figure::Figure;
use self::report::{Batch, Limits, Line, Report, Sampling};
use self::workload::Run;
use super::Context;
use super::backend_flags::RuntimeFlags;
use super::computed::{Computed, Told};
use super::model_flags::{self, ComputeFlags, DEFAULT_MODEL, Located};
use super::random::Random;
use crate::failure::Interrupted;
use crate::machine::{self, Meter, PeakMemory, Rates};

/// Time a model, each figure beside its share of what this machine can do
///
/// Prompts are random tokens from an empty KV cache; decoding is greedy. In every run all prompts are timed one after
/// the other, and then the machine: how fast it reads memory, and how many multiply-adds of bytes (int8) and of floats
/// (f32) its processor does, with the threads and the instruction set in use.
///
/// The share is the time that these limits allow, over the time it took. Multiplying counts the products of linear
/// layers that are computed in integers against the int8 rate (twice where activations have 15 bits), and those in
/// floats and of attention against the f32 rate, one after the other; the head counts only in decoding. Reading counts
/// every weight once, and in decoding the keys and values attended to, against the memory's speed. The longer of the
/// two is the limit.
#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// A model's name or a model folder
    #[arg(short, long, value_name = "NAME|FOLDER", default_value = DEFAULT_MODEL)]
    model: String,
    /// Tokens of the prompt; several lengths, as 64,512, are timed one after the other
    #[arg(short, long, value_name = "TOKENS", default_value = "64", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    prompt: Vec<u32>,
    /// Tokens to decode after it
    #[arg(short, long, value_name = "TOKENS", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    new: u32,
    /// Runs, each from an empty KV cache
    #[arg(short, long, value_name = "RUNS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Also decode this many sequences together, each after the first length of prompt
    #[arg(short, long, value_name = "SEQUENCES", value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: Option<u32>,
    /// Also measure what the process uses of a core one second after the last token
    #[arg(long)]
    idle: bool,
    /// Leave out what the machine can do, and with it the shares: for counting instructions
    #[arg(long)]
    no_limits: bool,
    /// What computes; auto: the native engine what it knows, unless --ep names a GPU, and ONNX Runtime the rest; both: one
    /// after the other, side by side
    #[arg(long, value_name = "BACKEND", default_value = "auto")]
    backend: BenchBackend,
    #[command(flatten)]
    compute: ComputeFlags,
    /// Print JSON: figures of several runs are objects of median, min and max; of both backends a list
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    runtime: RuntimeFlags,
}

/// Values of `--backend`.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum BenchBackend {
    Auto,
    Native,
    #[value(name = "onnxruntime")]
    OnnxRuntime,
    Both,
}

impl BenchBackend {
    /// What is timed, one after the other.
    fn choices(self) -> &'static [Choice] {
        match self {
            Self::Auto => &[Choice::Auto],
            Self::Native => &[Choice::Native],
            Self::OnnxRuntime => &[Choice::OnnxRuntime],
            Self::Both => &[Choice::Native, Choice::OnnxRuntime],
        }
    }
}

pub(super) fn run(args: BenchArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let choices = args.backend.choices();
    // Of both, it is ONNX Runtime that flags about it are for.
    let last = choices.last().copied().unwrap_or_default();
    let mut options = model_flags::options(last, args.compute, &args.runtime, context)?;
    let located = model_flags::locate(&args.model, context)?;
    let mut reports = Vec::new();
    for &choice in choices {
        options.backend = choice;
        reports.push(measure(&located, &options, &args, context)?);
    }
    match reports.as_slice() {
        [report] if args.json => context.out.json(report)?,
        reports if args.json => context.out.json(&reports)?,
        reports => report::show(reports, context)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(
    located: &Located,
    options: &Options,
    args: &BenchArgs,
    context: &Context,
) -> anyhow::Result<Report> {
    let memory = PeakMemory::start();
    let started = Instant::now();
    let loaded = model_flags::load(&located.folder, options)?;
    let model = loaded.as_ref();
    let load_s = started.elapsed().as_secs_f64();
    let mut told = Told::default();
    if !args.json {
        told.tell(model, context.terminal);
    }
    let isa = context.settings.isa.unwrap_or_else(Isa::best);
    let kernels = Kernels::new(isa).unwrap_or_else(Kernels::best);
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let work = || -> anyhow::Result<Report> {
        workload::one(model, &[0], 0, &cancel)?;
        let load_to_first_token_s = started.elapsed().as_secs_f64();
        let timed = time(model, args, kernels, &memory, &cancel)?;
        let mut report = timed.report(model, args);
        report.model.clone_from(&located.name);
        report.load_s = Figure::of([load_s], 3);
        report.load_to_first_token_s = Figure::of([load_to_first_token_s], 3);
        Ok(report)
    };
    let (report, interrupted) = context.interrupt.during(move || stop.cancel(), work);
    if interrupted {
        return Err(Interrupted.into());
    }
    if !args.json {
        told.tell(model, context.terminal);
    }
    report
}

/// All that was timed.
struct Timed {
    /// For each length of prompt, every run.
    runs: Vec<Vec<Run>>,
    /// The seconds of every run of the batch.
    batch: Vec<f64>,
    /// What the machine did at the end of every run.
    limits: Vec<Rates>,
    sampling_s: f64,
    peak_memory: Option<u64>,
    idle_share: Option<f64>,
}

fn time(
    model: &dyn Backend,
    args: &BenchArgs,
    kernels: Kernels,
    memory: &PeakMemory,
    cancel: &Cancel,
) -> anyhow::Result<Timed> {
    let info = model.info();
    // The processor's limits are none of another device's.
    let has_limits = info.execution_providers.iter().all(|name| name == "cpu");
    let mut random = Random(0);
    let mut timed = Timed {
        runs: vec![Vec::new(); args.prompt.len()],
        batch: Vec::new(),
        limits: Vec::new(),
        sampling_s: 0.0,
        peak_memory: None,
        idle_share: None,
    };
    let mut meter = None;
    for _ in 0..args.runs {
        for (&tokens, runs) in args.prompt.iter().zip(&mut timed.runs) {
            let prompt = random.prompt(tokens, info.vocab);
            runs.push(workload::one(model, &prompt, args.new, cancel)?);
        }
        if let (Some(sequences), Some(&tokens)) = (args.batch, args.prompt.first()) {
            let prompts: Vec<_> = (0..sequences)
                .map(|_| random.prompt(tokens, info.vocab))
                .collect();
            timed
                .batch
                .push(workload::together(model, &prompts, args.new, cancel)?);
        }
        // The meter's memory is not the model's: the peak is looked at before there is one, when all has run once.
        timed.peak_memory = timed.peak_memory.or_else(|| memory.most());
        if args.no_limits || !has_limits {
            continue;
        }
        let meter = match &meter {
            Some(meter) => meter,
            None => meter.insert(Meter::new(info.threads, machine::memory())?),
        };
        timed.limits.push(meter.rates(kernels));
    }
    drop(meter);
    timed.sampling_s = workload::sampling(model, &random.prompt(64, info.vocab), cancel)?;
    if args.idle {
        std::thread::sleep(Duration::from_secs(1));
        timed.idle_share = machine::share_of_a_core(Duration::from_secs(1));
    }
    Ok(timed)
}

impl Timed {
    fn report(&self, model: &dyn Backend, args: &BenchArgs) -> Report {
        let info = model.info();
        let lines: Vec<Line> = args
            .prompt
            .iter()
            .zip(&self.runs)
            .map(|(&tokens, runs)| self.line(model, tokens, args.new, runs))
            .collect();
        let batch = args.batch.map(|sequences| {
            let seconds =
                |rates: &Rates| decoding(model, args.prompt[0], args.new, sequences, rates);
            let total = f64::from(sequences * args.new);
            let tok_s = Figure::of(self.batch.iter().map(|s| total / s), 2);
            Batch {
                sequences,
                prompt_tokens: args.prompt[0],
                tok_s,
                share: self.shares(self.batch.iter().copied(), seconds),
                ratio_to_one: figure::rounded(tok_s.median / lines[0].decode_tok_s.median, 2),
            }
        });
        let token_s = 1.0 / lines[0].decode_tok_s.median;
        Report {
            engine: "inhouse",
            version: env!("CARGO_PKG_VERSION"),
            model: String::new(),
            processor: machine::processor().name,
            computed: Computed::of(model),
            isa: info.isa,
            threads: info.threads,
            new_tokens: args.new,
            runs: args.runs,
            weight_bytes_per_token: info.bytes_per_token,
            kv_bytes_per_token: info.kv_bytes_per_token,
            load_s: Figure::of([f64::NAN], 0),
            load_to_first_token_s: Figure::of([f64::NAN], 0),
            peak_rss_mb: Figure::of(
                [self
                    .peak_memory
                    .map_or(f64::NAN, |bytes| (bytes >> 20) as f64)],
                0,
            ),
            sampling: Sampling {
                ms: figure::rounded(self.sampling_s * 1e3, 4),
                share_of_token: figure::rounded(self.sampling_s / token_s, 5),
            },
            idle_share_of_core: self.idle_share.map(|share| figure::rounded(share, 4)),
            limits: (!self.limits.is_empty()).then(|| Limits::of(&self.limits)),
            lines,
            batch,
        }
    }

    fn line(&self, model: &dyn Backend, tokens: u32, new: u32, runs: &[Run]) -> Line {
        let prefill = |rates: &Rates| Some(seconds(model.prefill_cost(tokens as usize)?, rates));
        let decode = |rates: &Rates| decoding(model, tokens, new, 1, rates);
        Line {
            prompt_tokens: tokens,
            prefill_tok_s: Figure::of(runs.iter().map(|run| f64::from(tokens) / run.ttft_s), 2),
            prefill_share: self.shares(runs.iter().map(|run| run.ttft_s), prefill),
            ttft_s: Figure::of(runs.iter().map(|run| run.ttft_s), 4),
            decode_tok_s: Figure::of(runs.iter().map(|run| f64::from(new) / run.decode_s), 2),
            decode_share: self.shares(runs.iter().map(|run| run.decode_s), decode),
        }
    }

    /// What the limits beside each run would have allowed, over the time it took; `None` where there are no limits, or
    /// the backend does not know what it computes.
    fn shares(
        &self,
        taken: impl Iterator<Item = f64>,
        allowed: impl Fn(&Rates) -> Option<f64>,
    ) -> Option<Figure> {
        let shares = taken
            .zip(&self.limits)
            .map(|(taken, rates)| Some(allowed(rates)? / taken));
        let shares: Vec<f64> = shares.collect::<Option<_>>()?;
        (!shares.is_empty()).then(|| Figure::of(shares, 4))
    }
}

/// Seconds that the limits allow for decoding `new` tokens of each sequence, behind prompts of `tokens`.
fn decoding(
    model: &dyn Backend,
    tokens: u32,
    new: u32,
    sequences: u32,
    rates: &Rates,
) -> Option<f64> {
    let allowed = |before: u32| {
        let cost = model.decode_cost(before as usize, sequences as usize)?;
        Some(seconds(cost, rates))
    };
    (tokens..tokens + new).map(allowed).sum()
}

fn seconds(cost: inhouse_engine::Cost, rates: &Rates) -> f64 {
    cost.seconds(rates.int8, rates.f32, rates.read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_shares_where_limits_and_costs_are_known() {
        let check = |n_limits: usize, allowed: Option<f64>, share: Option<f64>| {
            let rates = Rates {
                read: 1.0,
                int8: 1.0,
                f32: 1.0,
            };
            let timed = Timed {
                runs: Vec::new(),
                batch: Vec::new(),
                limits: vec![rates; n_limits],
                sampling_s: 0.0,
                peak_memory: None,
                idle_share: None,
            };
            let shares = timed.shares([2.0, 2.0].into_iter(), |_| allowed);
            assert_eq!(shares.map(|shares| shares.median), share);
        };
        check(2, Some(1.0), Some(0.5));
        check(2, None, None);
        check(0, Some(1.0), None);
    }
}

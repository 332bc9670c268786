//! `inhouse doctor`: what this machine is, and what would run on it.

mod backend;
mod onnxruntime;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use inhouse_engine::{KvType, MemoryEstimate};
use inhouse_kernels::{Isa, Kernels, Pool};
use inhouse_models::{Installed, RealSystem, State, System};
use serde::Serialize;

use self::onnxruntime::OnnxRuntime;
use super::packed::{self, Pack};
use super::{Context, store};
use crate::machine::{self, Bandwidth, Memory, Meter, MultiplyAdds, Processor};
use crate::output::{Align, Table, bytes, count};

/// Tokens of conversation that memory is reckoned for.
const TOKENS: usize = 4096;
const MEMORY_HEADING: &str = "with 4096 tokens";

/// Show this machine, how fast its memory is, what ONNX Runtime can do on it, and which models would run
#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    version: &'static str,
    processor: Processor,
    instruction_set: InstructionSet,
    memory: Memory,
    read_bandwidth: Bandwidth,
    multiply_adds: MultiplyAdds,
    home: Folder,
    hub_cache: Folder,
    packed: Packed,
    offline: bool,
    onnxruntime: OnnxRuntime,
    models: Vec<Model>,
}

/// Weights in the processor's order, kept for the next load.
#[derive(Serialize)]
struct Packed {
    #[serde(flatten)]
    folder: Folder,
    /// Whether models are loaded from there.
    used: bool,
    packs: Vec<Pack>,
}

#[derive(Serialize)]
struct InstructionSet {
    used: &'static str,
    available: Vec<&'static str>,
}

#[derive(Serialize)]
struct Folder {
    path: String,
    /// Room on its disk; `None` where the system does not tell.
    free_bytes: Option<u64>,
}

#[derive(Serialize)]
struct Model {
    name: String,
    weight_bytes: u64,
    /// Weights and a conversation of [`TOKENS`] tokens.
    memory_bytes: u64,
    fits: bool,
    /// What would compute it by itself; `None` where nothing would.
    backend: Option<&'static str>,
    execution_provider: Option<&'static str>,
    /// Decoding reads every weight once a token, so memory bandwidth bounds it.
    decode_tok_s_at_most: f64,
    /// Why it would not run.
    problem: Option<String>,
}

pub(super) fn run(args: DoctorArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let report = examine(context)?;
    if args.json {
        context.out.json(&report)?;
    } else {
        show(&report, context)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn examine(context: &Context) -> anyhow::Result<Report> {
    let isa = context.settings.isa.unwrap_or_else(Isa::best);
    let kernels = Kernels::new(isa).unwrap_or_else(Kernels::best);
    let memory = machine::memory();
    let meter = Meter::new(machine::usable_threads(), memory)?;
    let (read_bandwidth, multiply_adds) = meter.report(kernels);
    let installed = store::with(context, |store, _| store.list())?;
    let onnxruntime = OnnxRuntime::look(&context.settings.runtimes()?);
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        processor: machine::processor(),
        instruction_set: InstructionSet {
            used: kernels.isa().name(),
            available: Isa::available().map(Isa::name).collect(),
        },
        memory,
        models: installed
            .iter()
            .map(|installed| model(installed, memory, &read_bandwidth, &onnxruntime))
            .collect(),
        onnxruntime,
        read_bandwidth,
        multiply_adds,
        home: folder(&context.settings.home),
        hub_cache: folder(&context.settings.hub.cache),
        packed: packed_weights(&installed, context)?,
        offline: context.settings.offline,
    })
}

fn folder(path: &Path) -> Folder {
    // A folder that will be made lies on the disk of the nearest one that is there.
    let there = path.ancestors().find(|folder| folder.exists());
    Folder {
        path: path.display().to_string(),
        free_bytes: there.and_then(|folder| RealSystem.free_space(folder).ok()),
    }
}

fn packed_weights(installed: &[Installed], context: &Context) -> anyhow::Result<Packed> {
    let packs = packed::folder(context);
    let pool = Pool::new(machine::usable_threads());
    let found = packs
        .list(&pool)
        .with_context(|| format!("cannot read {}", packs.path().display()))?;
    Ok(Packed {
        folder: folder(packs.path()),
        used: context.settings.packed.used,
        packs: found
            .into_iter()
            .map(|info| Pack::new(info, installed))
            .collect(),
    })
}

fn model(
    installed: &Installed,
    memory: Memory,
    bandwidth: &Bandwidth,
    onnxruntime: &OnnxRuntime,
) -> Model {
    let estimate = MemoryEstimate::of_folder(&installed.folder, KvType::F16);
    let (weight_bytes, memory_bytes) = match &estimate {
        Ok(estimate) => (estimate.weights, estimate.total(TOKENS)),
        Err(_) => (installed.size, installed.size),
    };
    let chosen = match (&installed.state, estimate) {
        (State::Damaged(why), _) => Err(why.clone()),
        (State::Ready, Err(error)) => Err(error.to_string()),
        (State::Ready, Ok(_)) => backend::choose(&installed.folder, onnxruntime),
    };
    let (chosen, problem) = match chosen {
        Ok(chosen) => (Some(chosen), None),
        Err(problem) => (None, Some(problem)),
    };
    Model {
        name: installed.name.clone(),
        weight_bytes,
        memory_bytes,
        fits: memory_bytes <= memory.available_bytes,
        backend: chosen.map(|chosen| chosen.backend),
        execution_provider: chosen.map(|chosen| chosen.provider.name()),
        decode_tok_s_at_most: bandwidth.gb_per_s * 1e9 / weight_bytes.max(1) as f64,
        problem,
    }
}

fn show(report: &Report, context: &Context) -> anyhow::Result<()> {
    context.out.table(&facts(report))?;
    for table in report.onnxruntime.tables() {
        context.out.line("")?;
        context.out.table(&table)?;
    }
    context.out.line("")?;
    if report.models.is_empty() {
        context
            .out
            .line("no models are here yet: inhouse list shows what can be pulled")?;
    } else {
        context.out.table(&models_table(&report.models))?;
    }
    if !report.packed.packs.is_empty() {
        context.out.line("")?;
        context.out.table(&packs_table(&report.packed.packs))?;
    }
    Ok(())
}

fn facts(report: &Report) -> Table {
    let (processor, bandwidth) = (&report.processor, &report.read_bandwidth);
    let set = &report.instruction_set;
    let mut table = Table::facts();
    table.row(["inhouse", report.version]);
    table.row([
        "processor",
        &format!("{}, {}", processor.name, processor.architecture),
    ]);
    table.row([
        "instruction set",
        &format!("{} (here: {})", set.used, set.available.join(", ")),
    ]);
    table.row([
        "threads",
        &format!(
            "{} of {}",
            processor.threads_usable, processor.threads_total
        ),
    ]);
    let (total, free) = (
        bytes(report.memory.total_bytes),
        bytes(report.memory.available_bytes),
    );
    table.row(["memory", &format!("{total}, {free} free")]);
    table.row([
        "memory is read at",
        &format!(
            "{:.1} GB/s (over {} with {})",
            bandwidth.gb_per_s,
            bytes(bandwidth.buffer_bytes as u64),
            count(bandwidth.threads, "thread")
        ),
    ]);
    let rates = &report.multiply_adds;
    table.row([
        "multiply-adds",
        &format!(
            "{:.0} G/s in int8, {:.0} G/s in f32",
            rates.int8_g_per_s, rates.f32_g_per_s
        ),
    ]);
    table.row(["home", &with_room(&report.home)]);
    table.row(["hub cache", &with_room(&report.hub_cache)]);
    table.row([
        "packed weights",
        &if report.packed.used {
            with_room(&report.packed.folder)
        } else {
            "made anew at every load: INHOUSE_PACKED is off".to_owned()
        },
    ]);
    table.row(["ONNX Runtime", &report.onnxruntime.describe()]);
    table.row([
        "network",
        if report.offline {
            "never used"
        } else {
            "used to pull and update models"
        },
    ]);
    table
}

fn with_room(folder: &Folder) -> String {
    match folder.free_bytes {
        Some(free) => format!("{}, {} free", folder.path, bytes(free)),
        None => folder.path.clone(),
    }
}

fn models_table(models: &[Model]) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("model", Left),
        ("weights", Right),
        (MEMORY_HEADING, Right),
        ("fits", Left),
        ("tokens/s at most", Right),
        ("runs", Left),
    ]);
    for model in models {
        let by = model.backend.zip(model.execution_provider);
        let runs = match (&model.problem, by) {
            (Some(problem), _) => format!("no: {problem}"),
            (None, by) => by.map_or("no".to_owned(), |(backend, provider)| {
                format!("{backend}, on {provider}")
            }),
        };
        table.row([
            model.name.clone(),
            bytes(model.weight_bytes),
            bytes(model.memory_bytes),
            if model.fits { "yes" } else { "no" }.to_owned(),
            format!("{:.0}", model.decode_tok_s_at_most),
            runs,
        ]);
    }
    table
}

fn packs_table(packs: &[Pack]) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("packed weights", Left),
        ("size", Right),
        ("state", Left),
        ("of", Left),
    ]);
    for pack in packs {
        let state = match &pack.problem {
            Some(problem) => format!("{}: {problem}", pack.state),
            None => pack.state.to_owned(),
        };
        let folder = pack.folder.as_ref();
        table.row([
            pack.title(),
            bytes(pack.bytes),
            state,
            folder.map_or_else(String::new, |folder| folder.display().to_string()),
        ]);
    }
    table
}

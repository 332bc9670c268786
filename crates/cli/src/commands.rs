//! The commands. Each file under `commands/` holds one: its arguments, its help and its `run`.

mod backend_flags;
mod bench;
mod chat;
mod compare;
mod completions;
mod computed;
mod config;
mod convert;
mod doctor;
mod embed;
mod gateway;
mod ledger;
mod list;
mod model_flags;
mod packed;
mod perplexity;
mod prices;
mod providers;
mod pull;
mod random;
mod receipts;
mod rm;
mod route;
mod route_flags;
mod runtime;
mod show;
mod store;
mod update;
mod usage;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::env::Env;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::settings::{self, GlobalFlags, Settings};
use crate::terminal::Terminal;

/// Language models on this machine: prompts stay in-house.
#[derive(Debug, Parser)]
#[command(
    name = "inhouse",
    version,
    propagate_version = false,
    max_term_width = 110
)]
#[command(after_help = "Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.")]
pub(crate) struct Cli {
    #[command(flatten)]
    global: GlobalFlags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Chat(chat::ChatArgs),
    Embed(embed::EmbedArgs),
    Pull(pull::PullArgs),
    List(list::ListArgs),
    Show(show::ShowArgs),
    Rm(rm::RmArgs),
    Update(update::UpdateArgs),
    Convert(convert::ConvertArgs),
    Runtime(runtime::RuntimeArgs),
    Config(config::ConfigArgs),
    Providers(providers::ProvidersArgs),
    Route(route::RouteArgs),
    Usage(usage::UsageArgs),
    Receipts(receipts::ReceiptsArgs),
    Prices(prices::PricesArgs),
    Bench(bench::BenchArgs),
    Perplexity(perplexity::PerplexityArgs),
    Verify(verify::VerifyArgs),
    Compare(compare::CompareArgs),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
}

/// What every command works with.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) terminal: Terminal,
    pub(crate) out: Output,
    pub(crate) interrupt: Interrupt,
}

/// Runs the command and answers with its exit status.
pub(crate) fn run(cli: Cli, env: &dyn Env) -> anyhow::Result<ExitCode> {
    let context = || {
        anyhow::Ok(Context {
            settings: settings::resolve(&cli.global, env)?,
            terminal: Terminal::detect(env),
            out: Output,
            interrupt: Interrupt::install()?,
        })
    };
    match cli.command {
        Command::Chat(args) => chat::run(args, &context()?),
        Command::Embed(args) => embed::run(args, &context()?),
        Command::Pull(args) => pull::run(args, &context()?),
        Command::List(args) => list::run(args, &context()?),
        Command::Show(args) => show::run(args, &context()?),
        Command::Rm(args) => rm::run(args, &context()?),
        Command::Update(args) => update::run(args, &context()?),
        Command::Convert(args) => convert::run(args, &context()?),
        Command::Runtime(args) => runtime::run(args, &context()?),
        Command::Config(args) => config::run(args, &context()?),
        Command::Providers(args) => providers::run(args, &context()?),
        Command::Route(args) => route::run(args, &context()?),
        Command::Usage(args) => usage::run(args, &context()?),
        Command::Receipts(args) => receipts::run(args, &context()?),
        Command::Prices(args) => prices::run(args, &context()?),
        Command::Bench(args) => bench::run(args, &context()?),
        Command::Perplexity(args) => perplexity::run(args, &context()?),
        Command::Verify(args) => verify::run(args, &context()?),
        Command::Compare(args) => compare::run(args, &context()?),
        Command::Doctor(args) => doctor::run(args, &context()?),
        // Without settings: a package is built where there is no home.
        Command::Completions(args) => completions::run(args, &Output),
    }
}

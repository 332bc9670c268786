//! `inhouse runtime`: ONNX Runtime's libraries, for graphs and devices that the engine inside does not know.

mod install;
mod list;
mod remove;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use inhouse_models::{ProgressSink, Runtimes, StoreError};

use super::{Context, store};

/// Install, list and remove ONNX Runtime's libraries
///
/// Models run without them: the engine inside needs nothing. They are for graphs it does not know, and for GPUs. A library
/// that is on the machine already is found too, or named by $ORT_DYLIB_PATH.
#[derive(Args, Debug)]
pub(crate) struct RuntimeArgs {
    #[command(subcommand)]
    command: RuntimeCommand,
}

#[derive(Debug, Subcommand)]
enum RuntimeCommand {
    Install(install::InstallArgs),
    List(list::ListArgs),
    Remove(remove::RemoveArgs),
}

pub(super) fn run(args: RuntimeArgs, context: &Context) -> anyhow::Result<ExitCode> {
    match args.command {
        RuntimeCommand::Install(args) => install::run(args, context),
        RuntimeCommand::List(args) => list::run(args, context),
        RuntimeCommand::Remove(args) => remove::run(args, context),
    }
}

/// Does `work` with the runtimes of this home; Ctrl-C stops it.
fn with<T>(
    context: &Context,
    work: impl FnOnce(&Runtimes, &dyn ProgressSink) -> Result<T, StoreError>,
) -> anyhow::Result<T> {
    store::with_options(context, |options, progress| {
        work(&Runtimes::open(options)?, progress)
    })
}

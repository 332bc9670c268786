//! `inhouse route`: who would answer.

mod explain;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Context;

/// Show who would answer a request
#[derive(Args, Debug)]
pub(crate) struct RouteArgs {
    #[command(subcommand)]
    command: RouteCommand,
}

#[derive(Debug, Subcommand)]
enum RouteCommand {
    Explain(explain::ExplainArgs),
}

pub(super) fn run(args: RouteArgs, context: &Context) -> anyhow::Result<ExitCode> {
    match args.command {
        RouteCommand::Explain(args) => explain::run(args, context),
    }
}

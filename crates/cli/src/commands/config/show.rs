//! `inhouse config show`: what is in force.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{load, source, warn};
use crate::commands::Context;

/// Print the configuration that is in force, completed from the environment; keys are ***
///
/// The first line, a comment, says where it is from.
#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// The file [default: --config, else the one that is found]
    file: Option<PathBuf>,
    /// Print one JSON object: file and config
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: ShowArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let loaded = load(args.file.as_deref(), context)?;
    warn(&loaded);
    let config = loaded.config.to_json_redacted();
    if args.json {
        context
            .out
            .json(&json!({"file": loaded.file, "config": config}))?;
    } else {
        context.out.line(format!("// from {}", source(&loaded)))?;
        context.out.json(&config)?;
    }
    Ok(ExitCode::SUCCESS)
}

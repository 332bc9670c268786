//! `inhouse config validate`: every problem of a configuration.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use inhouse_config::{ConfigError, Loaded, Problem};
use serde_json::json;

use super::{load, source, warn};
use crate::commands::Context;

/// Tell every problem of the configuration, each with its place and key
#[derive(Args, Debug)]
pub(crate) struct ValidateArgs {
    /// The file [default: --config, else the one that is found]
    file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: ValidateArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let loaded = load(args.file.as_deref(), context);
    if args.json {
        return as_json(loaded, context);
    }
    let loaded = loaded?;
    warn(&loaded);
    context.out.line(format!("{} is valid", source(&loaded)))?;
    Ok(ExitCode::SUCCESS)
}

fn as_json(loaded: anyhow::Result<Loaded>, context: &Context) -> anyhow::Result<ExitCode> {
    let nothing: &[Problem] = &[];
    match loaded {
        Ok(loaded) => {
            context.out.json(&json!({
                "file": loaded.file, "valid": true, "problems": nothing, "warnings": loaded.warnings,
            }))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            let Some(ConfigError::Invalid(problems)) = error.downcast_ref() else {
                return Err(error);
            };
            let file = problems.first().map(|problem| &problem.file);
            context.out.json(&json!({
                "file": file, "valid": false, "problems": problems, "warnings": nothing,
            }))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

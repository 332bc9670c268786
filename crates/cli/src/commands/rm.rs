//! `inhouse rm`: removes models.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{Context, store};
use crate::output::bytes;

/// Remove models; a folder that was not made by inhouse stays where it is
#[derive(Args, Debug)]
pub(crate) struct RmArgs {
    /// Names of models
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: RmArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let mut removed: Vec<Value> = Vec::new();
    for name in &args.names {
        let gone = store::with(context, |store, progress| store.remove(name, progress))?;
        if !args.json {
            context.out.line(format!(
                "{} is removed, {} are free",
                gone.name,
                bytes(gone.freed)
            ))?;
        }
        removed.push(json!({"name": gone.name, "freed_bytes": gone.freed}));
    }
    if args.json {
        context.out.json(&removed)?;
    }
    Ok(ExitCode::SUCCESS)
}

//! `inhouse config schema`: the JSON Schema of the file.

use std::process::ExitCode;

use clap::Args;

use crate::commands::Context;

/// Print the JSON Schema of the configuration, for editors
#[derive(Args, Debug)]
pub(crate) struct SchemaArgs {}

pub(super) fn run(_: SchemaArgs, context: &Context) -> anyhow::Result<ExitCode> {
    context.out.json(&inhouse_config::schema())?;
    Ok(ExitCode::SUCCESS)
}

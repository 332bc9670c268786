//! `inhouse config init`: a file to begin with.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::commands::Context;
use crate::files;

const USUAL: &str = "router.config.json";

/// Write a commented configuration to begin with: ./router.config.json, or what --config names
#[derive(Args, Debug)]
pub(crate) struct InitArgs {}

pub(super) fn run(_: InitArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let named = context.settings.config.clone();
    let file = named.unwrap_or_else(|| PathBuf::from(USUAL));
    write(&file)?;
    context.out.line(format!("{} is written", file.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn write(file: &Path) -> anyhow::Result<()> {
    // A link that leads nowhere is in the way as well.
    if file.symlink_metadata().is_ok() {
        anyhow::bail!(
            "{} is there already, and is not overwritten; --config FILE writes another one",
            file.display()
        );
    }
    files::replace(file, inhouse_config::init_template())
        .with_context(|| format!("cannot write {}", file.display()))
}

//! `inhouse config`: the configuration, its schema, its problems, its beginnings.

mod init;
mod migrate;
mod schema;
mod show;
mod validate;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use inhouse_config::Loaded;

use super::Context;
use crate::env::ProcessEnv;

/// Make, check and show the configuration
///
/// docs/configuration.md describes the file, and where it is looked for.
#[derive(Args, Debug)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    Init(init::InitArgs),
    Validate(validate::ValidateArgs),
    Show(show::ShowArgs),
    Schema(schema::SchemaArgs),
    Migrate(migrate::MigrateArgs),
}

pub(super) fn run(args: ConfigArgs, context: &Context) -> anyhow::Result<ExitCode> {
    match args.command {
        ConfigCommand::Init(args) => init::run(args, context),
        ConfigCommand::Validate(args) => validate::run(args, context),
        ConfigCommand::Show(args) => show::run(args, context),
        ConfigCommand::Schema(args) => schema::run(args, context),
        ConfigCommand::Migrate(args) => migrate::run(args, context),
    }
}

/// The configuration in force: of `file`, else as the search finds it.
pub(super) fn load(file: Option<&Path>, context: &Context) -> anyhow::Result<Loaded> {
    let cwd = std::env::current_dir().context("the working directory cannot be read")?;
    let asked_for = file.or(context.settings.config.as_deref());
    Ok(inhouse_config::load(asked_for, &cwd, &ProcessEnv)?)
}

/// What a configuration's file is called in what is shown, or what is in its place.
fn source(loaded: &Loaded) -> String {
    let Some(file) = &loaded.file else {
        return "the environment alone".into();
    };
    let cwd = std::env::current_dir().unwrap_or_default();
    let shown = file.strip_prefix(cwd).unwrap_or(file);
    shown.display().to_string()
}

/// What looks wrong in it, on stderr.
pub(super) fn warn(loaded: &Loaded) {
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
}

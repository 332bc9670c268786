//! `inhouse config migrate`: an old file in the form of today.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use inhouse_config::ConfigError;

use crate::commands::Context;
use crate::files;

/// Print an old configuration in the form of today; comments are lost
#[derive(Args, Debug)]
pub(crate) struct MigrateArgs {
    /// The old file
    file: PathBuf,
    /// Replace FILE, and keep the old one as FILE.old
    #[arg(long)]
    write: bool,
}

pub(super) fn run(args: MigrateArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let file = &args.file;
    let shown = file.display();
    let old = std::fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
    let new = inhouse_config::migrate(&old).map_err(|error| named(error, file))?;
    if !args.write {
        context.out.piece(&new)?;
    } else if new == old {
        context
            .out
            .line(format!("{shown} has the form of today already"))?;
    } else {
        let kept = write(file, &new)?;
        context.out.line(format!(
            "{shown} is written; the old one is {}",
            kept.display()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Problems with the file's own name instead of the usual one.
fn named(error: ConfigError, file: &Path) -> ConfigError {
    match error {
        ConfigError::Invalid(mut problems) => {
            for problem in &mut problems {
                problem.file = file.display().to_string();
            }
            ConfigError::Invalid(problems)
        }
        unreadable @ ConfigError::Unreadable { .. } => unreadable,
    }
}

fn write(file: &Path, new: &str) -> anyhow::Result<PathBuf> {
    let kept = files::beside(file, ".old");
    if kept.symlink_metadata().is_ok() {
        anyhow::bail!(
            "{} is there already; move it away, for the old file is kept under that name",
            kept.display()
        );
    }
    std::fs::copy(file, &kept).with_context(|| format!("cannot write {}", kept.display()))?;
    files::replace_guarded(file, new)
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(kept)
}

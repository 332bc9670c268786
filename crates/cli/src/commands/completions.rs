//! `inhouse completions`: scripts that let a shell complete our commands.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use crate::output::Output;

/// Print a script that completes inhouse's commands in a shell
///
/// For bash: inhouse completions bash > ~/.local/share/bash-completion/completions/inhouse
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: CompletionsArgs, out: &Output) -> anyhow::Result<ExitCode> {
    // Through a buffer: clap_complete panics where a pipe breaks.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "inhouse", &mut script);
    out.piece(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

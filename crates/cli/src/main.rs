//! The program `inhouse`: language models on this machine.
//!
//! `commands.rs` lists the commands, one file each under `commands/`; `settings.rs` alone turns flags and
//! environment into settings; `output.rs` and `terminal.rs` are all that knows about screens.
#![forbid(unsafe_code)]

mod commands;
mod env;
mod failure;
mod files;
mod interrupt;
mod log;
mod machine;
mod output;
mod progress;
mod settings;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    inhouse_backends::telemetry::turn_off(); // before there is another thread: ONNX Runtime would report home
    let cli = commands::Cli::parse(); // prints help and usage errors itself, the latter with status 2
    match commands::run(cli, &env::ProcessEnv) {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}

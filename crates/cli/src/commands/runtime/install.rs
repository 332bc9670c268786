//! `inhouse runtime install`: gets ONNX Runtime's libraries onto this machine.

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use inhouse_models::{Flavour, RuntimeChange, RuntimeSetup};

use crate::commands::Context;
use crate::output::{bytes, seconds};

/// Get ONNX Runtime's libraries onto this machine: a known package, by pip or npm, verified
///
/// cpu runs everywhere, cuda is for NVIDIA's cards on Linux and Windows, directml for any card on Windows, and webgpu for
/// any card: a plugin, which brings cpu where that is not here. What is here and whole is not fetched again, and what is
/// damaged is mended.
#[derive(Args, Debug)]
pub(super) struct InstallArgs {
    /// What it is to compute on
    #[arg(default_value = "cpu", value_parser = flavours())]
    flavour: Flavour,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn flavours() -> impl TypedValueParser<Value = Flavour> {
    let names = Flavour::ALL.map(Flavour::name);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Flavour>())
}

pub(super) fn run(args: InstallArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let setups = super::with(context, |runtimes, progress| {
        runtimes.install(args.flavour, progress)
    })?;
    if args.json {
        context.out.json(&setups)?;
        return Ok(ExitCode::SUCCESS);
    }
    let time = seconds(started.elapsed().as_secs_f64());
    for setup in &setups {
        context.out.line(done(setup, &time))?;
        if let Some(needs) = needs(setup) {
            context.out.line(needs)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One line about what was done.
fn done(setup: &RuntimeSetup, time: &str) -> String {
    let runtime = &setup.runtime;
    let what = format!(
        "{}: {} {}",
        runtime.flavour, runtime.package, runtime.version
    );
    let how = match setup.change {
        RuntimeChange::None => "was here already".into(),
        RuntimeChange::Installed => format!("is here, {} after {time}", bytes(runtime.size)),
        RuntimeChange::Mended => format!("is mended after {time}"),
        RuntimeChange::Replaced => format!("has replaced the one before after {time}"),
    };
    format!("{what} {how}: {}", runtime.folder.display())
}

/// One line about what it does not bring.
fn needs(setup: &RuntimeSetup) -> Option<String> {
    if setup.requires.is_empty() {
        return None;
    }
    let flavour = setup.runtime.flavour;
    let list = setup.requires.join(", ");
    let what = match flavour {
        Flavour::Cuda => {
            format!("NVIDIA's driver and libraries of CUDA and cuDNN, by pip's names {list}")
        }
        _ => list,
    };
    Some(format!(
        "{flavour} also needs {what}; inhouse doctor tells what is missing"
    ))
}

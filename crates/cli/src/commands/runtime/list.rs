//! `inhouse runtime list`: the runtimes that are here, and those that can be installed.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use inhouse_models::{InstalledRuntime, Platform, RuntimePackage};
use serde::Serialize;

use crate::commands::{Context, list};
use crate::output::{Align, Table, bytes, plain};

/// List the runtimes that are here, every byte checked, and those that can be installed on this platform
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listing {
    folder: PathBuf,
    platform: Platform,
    installed: Vec<InstalledRuntime>,
    /// What an installation would fetch, of those that are not here or here in another version.
    available: Vec<RuntimePackage>,
}

pub(super) fn run(args: ListArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let listing = super::with(context, |runtimes, _| {
        let installed = runtimes.list()?;
        let available = runtimes
            .available(&installed)
            .into_iter()
            .cloned()
            .collect();
        Ok(Listing {
            folder: runtimes.folder(),
            platform: runtimes.platform().clone(),
            installed,
            available,
        })
    })?;
    if args.json {
        context.out.json(&listing)?;
    } else {
        show(&listing, context)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(listing: &Listing, context: &Context) -> anyhow::Result<()> {
    if listing.installed.is_empty() {
        context.out.line("no runtimes are here yet")?;
    } else {
        context.out.table(&here(&listing.installed))?;
    }
    if !listing.available.is_empty() {
        context.out.line("")?;
        context.out.table(&to_install(&listing.available))?;
    }
    Ok(())
}

fn here(installed: &[InstalledRuntime]) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("here", Left),
        ("version", Left),
        ("size", Right),
        ("state", Left),
        ("folder", Left),
    ]);
    for runtime in installed {
        table.row([
            runtime.flavour.to_string(),
            plain(&runtime.version), // of a file that anyone may have written
            bytes(runtime.size),
            list::state(&runtime.state),
            runtime.folder.display().to_string(),
        ]);
    }
    table
}

fn to_install(available: &[RuntimePackage]) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("to install", Left),
        ("version", Left),
        ("download", Right),
        ("disk", Right),
        ("package", Left),
    ]);
    for package in available {
        let beside = package.beside.map(|base| format!(", beside {base}"));
        table.row([
            package.flavour.to_string(),
            package.version.clone(),
            bytes(package.archive.size),
            bytes(package.disk_bytes()),
            format!("{}{}", package.package, beside.unwrap_or_default()),
        ]);
    }
    table
}

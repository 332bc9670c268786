//! `inhouse list`: the models that are here, and those that can be pulled by name.

use std::process::ExitCode;

use clap::Args;
use inhouse_models::{Catalog, Entry, Installed, State};
use serde::Serialize;

use super::{Context, store};
use crate::output::{Align, Table, bytes};

/// List the models that are here, and those that can be pulled by name
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listing {
    installed: Vec<Installed>,
    /// The rest of the catalog.
    available: Vec<Entry>,
}

pub(super) fn run(args: ListArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let installed = store::with(context, |store, _| store.list())?;
    let is_here = |entry: &&Entry| installed.iter().any(|model| model.name == entry.name);
    let available = Catalog::builtin()
        .entries()
        .iter()
        .filter(|entry| !is_here(entry))
        .cloned()
        .collect();
    let listing = Listing {
        installed,
        available,
    };
    if args.json {
        context.out.json(&listing)?;
    } else {
        show(&listing, context)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(listing: &Listing, context: &Context) -> anyhow::Result<()> {
    use Align::{Left, Right};
    if listing.installed.is_empty() {
        context.out.line("no models are here yet")?;
    } else {
        let mut table = Table::new(&[
            ("here", Left),
            ("size", Right),
            ("state", Left),
            ("from", Left),
        ]);
        for model in &listing.installed {
            table.row([
                model.name.clone(),
                bytes(model.size),
                state(&model.state),
                model.source.to_string(),
            ]);
        }
        context.out.table(&table)?;
    }
    if !listing.available.is_empty() {
        let mut table = Table::new(&[
            ("to pull", Left),
            ("download", Right),
            ("memory", Right),
            ("licence", Left),
            ("", Left),
        ]);
        for entry in &listing.available {
            let sizes = [bytes(entry.download_bytes), bytes(entry.memory_bytes)];
            let [download, memory] = sizes;
            table.row([
                entry.name.clone(),
                download,
                memory,
                entry.licence.clone(),
                entry.description.clone(),
            ]);
        }
        context.out.line("")?;
        context.out.table(&table)?;
    }
    Ok(())
}

/// "ready", or what is wrong.
pub(super) fn state(state: &State) -> String {
    match state {
        State::Ready => "ready".into(),
        State::Damaged(why) => format!("damaged: {why}"),
    }
}

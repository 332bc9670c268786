//! `inhouse show`: all that is known about one model.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use inhouse_engine::{KvType, MemoryEstimate};
use inhouse_models::{Details, Installed};
use serde::Serialize;

use super::{Context, list, store};
use crate::output::{Table, bytes, count};

/// Show all that is known about a model: source, licence, files, memory
#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// The model's name
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    details: Details,
    /// What the installed model takes, where its folder can be read.
    memory: Option<Memory>,
}

#[derive(Serialize)]
struct Memory {
    weight_bytes: u64,
    kv_bytes_per_token: u64,
}

pub(super) fn run(args: ShowArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let details = store::with(context, |store, _| store.show(&args.name))?;
    let memory = details
        .installed
        .as_ref()
        .and_then(|installed| memory(&installed.folder));
    let shown = Shown { details, memory };
    if args.json {
        context.out.json(&shown)?;
    } else {
        context.out.table(&table(&shown))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn memory(folder: &Path) -> Option<Memory> {
    let estimate = MemoryEstimate::of_folder(folder, KvType::F16).ok()?;
    Some(Memory {
        weight_bytes: estimate.weights,
        kv_bytes_per_token: estimate.kv_per_token,
    })
}

fn table(shown: &Shown) -> Table {
    let mut table = Table::facts();
    table.row(["name", &shown.details.name]);
    if let Some(entry) = &shown.details.catalog {
        table.row(["about", &entry.description]);
        table.row(["context", &count(entry.context as usize, "token")]);
    }
    match (&shown.details.installed, &shown.details.catalog) {
        (Some(installed), _) => rows(&mut table, installed),
        (None, Some(entry)) => {
            table.row(["source", &entry.source.to_string()]);
            table.row(["licence", &entry.licence]);
            table.row(["download", &bytes(entry.download_bytes)]);
            table.row(["memory", &format!("about {}", bytes(entry.memory_bytes))]);
            table.row(["state", &format!("not here: inhouse pull {}", entry.name)]);
        }
        (None, None) => {}
    }
    if let Some(memory) = &shown.memory {
        let (weights, kv) = (bytes(memory.weight_bytes), bytes(memory.kv_bytes_per_token));
        table.row([
            "memory",
            &format!("{weights} of weights and {kv} a token of conversation"),
        ]);
    }
    table
}

fn rows(table: &mut Table, installed: &Installed) {
    table.row(["source", &installed.source.to_string()]);
    if let Some(revision) = &installed.revision {
        table.row(["revision", revision]);
    }
    table.row(["licence", installed.licence.as_deref().unwrap_or("unknown")]);
    if let Some(file) = &installed.converted_from {
        table.row([
            "converted from",
            &format!("{}, {}", file.path, bytes(file.size)),
        ]);
    }
    table.row(["pulled at", &installed.pulled_at]);
    table.row(["state", &list::state(&installed.state)]);
    table.row(["folder", &installed.folder.display().to_string()]);
    for file in &installed.files {
        table.row(["file", &format!("{}, {}", file.path, bytes(file.size))]);
    }
}

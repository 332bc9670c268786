//! `inhouse update`: brings models up to date with where they come from.

use std::process::ExitCode;

use clap::Args;
use inhouse_models::{Installed, Updated};
use serde_json::{Value, json};

use super::{Context, store};

/// Bring models up to date with their sources; only what changed is fetched
#[derive(Args, Debug)]
pub(crate) struct UpdateArgs {
    /// Names of models [default: all that are here]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: UpdateArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let names = if args.names.is_empty() {
        store::with(context, |store, _| store.list())?
            .into_iter()
            .map(|model| model.name)
            .collect()
    } else {
        args.names
    };
    let mut updates: Vec<Value> = Vec::new();
    for name in &names {
        let updated = store::with(context, |store, progress| store.update(name, progress))?;
        if !args.json {
            context.out.line(said(&updated))?;
        }
        updates.push(as_json(&updated));
    }
    if args.json {
        context.out.json(&updates)?;
    } else if names.is_empty() {
        context.out.line("no models are here yet")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn revision(revision: Option<&str>) -> &str {
    revision.unwrap_or("an unnamed revision")
}

fn said(updated: &Updated) -> String {
    match updated {
        Updated::UpToDate(installed) => format!("{} is up to date", installed.name),
        Updated::Replaced { from, now } => format!(
            "{} went from {} to {}",
            now.name,
            revision(from.as_deref()),
            revision(now.revision.as_deref())
        ),
    }
}

fn as_json(updated: &Updated) -> Value {
    let (replaced, from, now): (bool, Option<&str>, &Installed) = match updated {
        Updated::UpToDate(installed) => (false, installed.revision.as_deref(), installed),
        Updated::Replaced { from, now } => (true, from.as_deref(), now),
    };
    json!({"name": now.name, "replaced": replaced, "from": from, "to": now.revision})
}

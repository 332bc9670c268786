//! `inhouse prices`: what models charge, and where that is known from.

mod show;
mod update;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use inhouse_ledger::PriceList;
use serde_json::json;

use super::Context;
use crate::output::Table;

/// Show where the prices of models come from, or one model's price
///
/// Nothing here uses the network. Prices in the configuration replace what the list says.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct PricesArgs {
    #[command(subcommand)]
    command: Option<PricesCommand>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum PricesCommand {
    Show(show::ShowArgs),
    Update(update::UpdateArgs),
}

/// The list that is used.
struct Prices {
    list: PriceList,
    /// `None`: it is the one that was shipped.
    file: Option<PathBuf>,
}

pub(super) fn run(args: PricesArgs, context: &Context) -> anyhow::Result<ExitCode> {
    match args.command {
        Some(PricesCommand::Show(args)) => show::run(args, context),
        Some(PricesCommand::Update(args)) => update::run(args, context),
        None => overview(args.json, context),
    }
}

fn overview(json: bool, context: &Context) -> anyhow::Result<ExitCode> {
    let Prices { list, file } = used(context)?;
    let source = list.source();
    if json {
        context.out.json(&json!({
            "package": source.package,
            "version": source.version,
            "licence": source.licence,
            "copyright": source.copyright,
            "file": file,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::facts();
    table.row(["prices", &format!("{} {}", source.package, source.version)]);
    table.row([
        "licence",
        &format!("{}, {}", source.licence, source.copyright),
    ]);
    let from = file.map_or_else(
        || format!("this program, version {}", env!("CARGO_PKG_VERSION")),
        |file| {
            format!(
                "{}; without that file the shipped ones hold",
                file.display()
            )
        },
    );
    table.row(["from", &from]);
    context.out.table(&table)?;
    Ok(ExitCode::SUCCESS)
}

/// The list in the folder for state where there is one, else the shipped one.
fn used(context: &Context) -> anyhow::Result<Prices> {
    let file = context.settings.prices()?;
    if !file.exists() {
        let list = PriceList::shipped();
        return Ok(Prices { list, file: None });
    }
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    let list = PriceList::load(&text).with_context(|| {
        format!(
            "{} is wrong; without it the shipped prices hold",
            file.display()
        )
    })?;
    Ok(Prices {
        list,
        file: Some(file),
    })
}

//! `inhouse prices update`: another list of prices.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use inhouse_ledger::PriceList;

use crate::commands::Context;
use crate::files;

/// Use the prices of a file from now on; nothing is fetched
///
/// scripts/make_prices.py makes such a file from a newer version of the package that the shipped prices are from.
#[derive(Args, Debug)]
pub(crate) struct UpdateArgs {
    /// The list of prices
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
}

pub(super) fn run(args: UpdateArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let from = args.from.display();
    let text =
        std::fs::read_to_string(&args.from).with_context(|| format!("cannot read {from}"))?;
    let list = PriceList::load(&text).with_context(|| format!("cannot use {from}"))?;
    let file = context.settings.prices()?;
    let cannot = || format!("cannot write {}", file.display());
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(cannot)?;
    }
    files::replace(&file, &text).with_context(cannot)?;
    let source = list.source();
    context.out.line(format!(
        "prices of {} {} are used from now on: {}",
        source.package,
        source.version,
        file.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

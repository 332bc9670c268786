//! `inhouse receipts`: where each request went.

mod verify;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use inhouse_ledger::receipts::Entry;
use serde_json::{Value, json};

use super::{Context, ledger};
use crate::output::{Align, Table, bytes, plain};

/// Show where each request went, the newest first
///
/// A receipt says how far a request was allowed to go, who received bytes of it, who answered and what it cost. Each
/// holds a hash over all before it, so that what was changed shows.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ReceiptsArgs {
    #[command(subcommand)]
    command: Option<ReceiptsCommand>,
    /// Most receipts to show
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Print JSON; amounts are strings of dollars, null where unknown
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum ReceiptsCommand {
    Verify(verify::VerifyArgs),
}

pub(super) fn run(args: ReceiptsArgs, context: &Context) -> anyhow::Result<ExitCode> {
    if let Some(ReceiptsCommand::Verify(args)) = args.command {
        return verify::run(args, context);
    }
    let entries = ledger::open(context)?.receipts(args.limit)?;
    if args.json {
        let entries: Vec<Value> = entries.iter().map(as_json).collect();
        context.out.json(&entries)?;
    } else if entries.is_empty() {
        context.out.line("no request has left a receipt yet")?;
    } else {
        show(&entries, context)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(entries: &[Entry], context: &Context) -> anyhow::Result<()> {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("no.", Right),
        ("time", Left),
        ("request", Left),
        ("ceiling", Left),
        ("answered in", Left),
        ("received by", Left),
        ("cost", Right),
        ("rule", Left),
    ]);
    for Entry { seq, receipt, .. } in entries {
        let recipients = receipt.recipients.iter();
        let recipients: Vec<String> = recipients
            .map(|to| format!("{} ({}, {})", to.provider, to.zone, bytes(to.bytes)))
            .collect();
        table.row([
            seq.to_string(),
            ledger::time(receipt.at),
            plain(&receipt.request),
            receipt.ceiling.to_string(),
            receipt.used.map_or("-".into(), |zone| zone.to_string()),
            if recipients.is_empty() {
                "nobody".into()
            } else {
                recipients.join(", ")
            },
            ledger::shown(receipt.cost),
            receipt.rule.as_deref().map_or("-".into(), plain),
        ]);
    }
    Ok(context.out.table(&table)?)
}

fn as_json(entry: &Entry) -> Value {
    let receipt = &entry.receipt;
    let recipients = receipt.recipients.iter().map(
        |to| json!({"provider": to.provider.as_str(), "zone": to.zone.name(), "bytes": to.bytes}),
    );
    let hash: String = entry
        .hash
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    json!({
        "seq": entry.seq,
        "at": receipt.at.to_string(),
        "request": receipt.request,
        "rule": receipt.rule,
        "ceiling": receipt.ceiling.name(),
        "used": receipt.used.map(|zone| zone.name()),
        "recipients": recipients.collect::<Vec<_>>(),
        "cost": ledger::amount(receipt.cost),
        "hash": hash,
    })
}

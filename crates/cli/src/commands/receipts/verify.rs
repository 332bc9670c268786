//! `inhouse receipts verify`: whether the chain is as it was written.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use inhouse_ledger::{Head, VerifyError};
use serde_json::json;

use crate::commands::{Context, ledger};
use crate::output::count;

/// Go through the chain of receipts, and fail where one was changed, taken out, moved or put in
///
/// Prints the chain's head. Kept elsewhere and given to --against later, it also shows a chain that was made anew.
#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// A head that was kept: the chain must still go through it
    #[arg(long, value_name = "SEQ:HASH")]
    against: Option<Head>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: VerifyArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let ledger = ledger::open(context)?;
    let verified = match &args.against {
        Some(kept) => ledger.verify_against(kept),
        None => ledger.verify(),
    };
    match verified {
        Ok(n_receipts) => {
            let head = ledger.head()?.map(|head| head.to_string());
            if args.json {
                context
                    .out
                    .json(&json!({"valid": true, "receipts": n_receipts, "head": head}))?;
            } else {
                let n_receipts = usize::try_from(n_receipts).unwrap_or(usize::MAX);
                let receipts = count(n_receipts, "receipt");
                context.out.line(format!("{receipts}, as written"))?;
                if let Some(head) = head {
                    context.out.line(format!("head {head}"))?;
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(VerifyError::Broken(broken)) if args.json => {
            let why = broken.why.to_string();
            context
                .out
                .json(&json!({"valid": false, "broken_at": broken.seq, "why": why}))?;
            Ok(ExitCode::FAILURE)
        }
        Err(VerifyError::Broken(broken)) => {
            Err(broken).context("the chain of receipts is not as it was written")
        }
        Err(VerifyError::Ledger(error)) => Err(error.into()),
    }
}

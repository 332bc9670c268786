//! `inhouse usage`: what was asked, what it took, what it cost.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use inhouse_ledger::{By, Report, ReportRow};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{Context, ledger};
use crate::failure::UsageError;
use crate::output::{Align, Table, count, plain};

/// Show what was asked, what it took, what it cost, and what local answers saved
///
/// A cost that is unknown is counted and is not in the sum. Saved is what the cheapest cloud provider would have charged.
#[derive(Args, Debug)]
pub(crate) struct UsageArgs {
    /// By what to add up
    #[arg(long, value_name = "WHAT", default_value = "provider")]
    by: ByFlag,
    /// The first day, as 2026-11-22; days are those of UTC
    #[arg(long, value_name = "DATE")]
    since: Option<Date>,
    /// The last day
    #[arg(long, value_name = "DATE")]
    until: Option<Date>,
    /// Print JSON; amounts are strings of dollars, null where unknown
    #[arg(long)]
    json: bool,
}

/// Values of `--by`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ByFlag {
    Provider,
    Agent,
    Model,
    Day,
}

impl ByFlag {
    fn by(self) -> By {
        match self {
            Self::Provider => By::Provider,
            Self::Agent => By::Agent,
            Self::Model => By::Model,
            Self::Day => By::Day,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Agent => "agent",
            Self::Model => "model",
            Self::Day => "day",
        }
    }
}

pub(super) fn run(args: UsageArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let (from, to) = span(args.since, args.until)?;
    let report = ledger::open(context)?.report(args.by.by(), from, to)?;
    if args.json {
        let rows: Vec<Value> = report.rows.iter().map(as_json).collect();
        let total = as_json(&report.total);
        context
            .out
            .json(&json!({"by": args.by.name(), "rows": rows, "total": total}))?;
    } else {
        show(&report, args.by, context)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// From the begin of the first day until just before the day after the last one.
fn span(since: Option<Date>, until: Option<Date>) -> anyhow::Result<(Timestamp, Timestamp)> {
    let begin = |day: Date| Ok(day.to_zoned(TimeZone::UTC)?.timestamp());
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        let message = format!("--since {since} is after --until {until}");
        return Err(UsageError(message).into());
    }
    let from = since.map_or(Ok::<_, jiff::Error>(Timestamp::MIN), begin)?;
    let to = until.map_or(Ok::<_, jiff::Error>(Timestamp::MAX), |day| {
        begin(day.tomorrow()?)
    })?;
    Ok((from, to))
}

fn show(report: &Report, by: ByFlag, context: &Context) -> anyhow::Result<()> {
    use Align::{Left, Right};
    if report.rows.is_empty() {
        return Ok(context.out.line("nothing was asked in this time")?);
    }
    let mut table = Table::new(&[
        (by.name(), Left),
        ("attempts", Right),
        ("failed", Right),
        ("cached", Right),
        ("prompt", Right),
        ("answer", Right),
        ("cost", Right),
        ("saved", Right),
    ]);
    for row in &report.rows {
        let name = if row.name.is_empty() { "-" } else { &row.name };
        table.row(entries(name, row));
    }
    table.row(entries("total", &report.total));
    context.out.table(&table)?;
    let unknown = usize::try_from(report.total.unknown_cost).unwrap_or(usize::MAX);
    if unknown > 0 {
        let attempts = count(unknown, "attempt");
        context.out.line(format!(
            "the cost of {attempts} is unknown and not in the sum; prices in the configuration make it known"
        ))?;
    }
    Ok(())
}

fn entries(name: &str, row: &ReportRow) -> [String; 8] {
    let known = row.unknown_cost < row.attempts;
    let cost = match row.unknown_cost {
        0 => row.cost.to_string(),
        unknown if known => format!("{} + {unknown} unknown", row.cost),
        _ => "unknown".to_owned(),
    };
    [
        plain(name), // agents choose theirs
        row.attempts.to_string(),
        row.failed.to_string(),
        row.cached.to_string(),
        prompt(row).to_string(),
        row.output.to_string(),
        cost,
        row.saved.to_string(),
    ]
}

fn prompt(row: &ReportRow) -> u64 {
    row.input
        .saturating_add(row.cache_read)
        .saturating_add(row.cache_write)
}

fn as_json(row: &ReportRow) -> Value {
    json!({
        "name": row.name,
        "attempts": row.attempts,
        "failed": row.failed,
        "cached": row.cached,
        "input": row.input,
        "output": row.output,
        "cache_read": row.cache_read,
        "cache_write": row.cache_write,
        "cost": ledger::amount(Some(row.cost)),
        "unknown_cost": row.unknown_cost,
        "estimated": row.estimated,
        "saved": ledger::amount(Some(row.saved)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_days_are_in_the_span() {
        let check = |since: Option<&str>, until: Option<&str>, from: &str, to: &str| {
            let day = |text: Option<&str>| text.map(|text| text.parse().unwrap());
            let (begin, end) = span(day(since), day(until)).unwrap();
            assert_eq!(
                (begin.to_string(), end.to_string()),
                (from.into(), to.into())
            );
        };
        let (first, last) = (Timestamp::MIN.to_string(), Timestamp::MAX.to_string());
        check(None, None, &first, &last);
        check(
            Some("2026-11-22"),
            Some("2026-11-22"),
            "2026-11-22T00:00:00Z",
            "2026-11-23T00:00:00Z",
        );
        check(None, Some("2026-12-31"), &first, "2027-01-01T00:00:00Z");
        assert!(span("2026-11-22".parse().ok(), "2026-11-21".parse().ok()).is_err());
    }
}

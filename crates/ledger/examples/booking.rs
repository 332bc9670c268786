//! Prints what the ledger costs a request, in microseconds of CPU of the whole process (its writer included).
//!
//! ```text
//! cargo run --release -p inhouse-ledger --example booking
//! ```
#![allow(clippy::print_stdout)] // it prints

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use inhouse_chat::{ModelName, Money, ProviderName, Usage};
use inhouse_ledger::{
    Ask, Attempt, Budget, Ledger, PriceList, Receipt, Recipient, Scope, Which, Window,
};
use inhouse_policy::Zone;
use jiff::Timestamp;

const REQUESTS: u32 = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    let at = "2026-11-22T12:00:00Z".parse::<Timestamp>()?;
    prices(at);
    let folder = tempfile::tempdir()?;
    let ledger = Ledger::open(folder.path().join("ledger.db"))?;
    let all = |name: &str, work: &dyn Fn() -> Result<(), Box<dyn Error>>| {
        time(name, REQUESTS, work, || Ok(ledger.flush()?))
    };
    all("attempt and receipt", &|| record(&ledger, at))?;
    all("reserve and settle, no budget", &|| spend(&ledger, at))?;
    ledger.set_budgets([budget("request", Scope::Everything, Window::Request)]);
    all("reserve and settle, a budget of the request", &|| {
        spend(&ledger, at)
    })?;
    let day = budget("day", Scope::Everything, Window::Day);
    ledger.set_budgets([day.clone()]);
    all("reserve and settle, a daily budget", &|| spend(&ledger, at))?;
    let key = budget("key", Scope::Key(Which::Each), Window::Month);
    ledger.set_budgets([day, key]);
    all("reserve and settle, a daily and a monthly budget", &|| {
        spend(&ledger, at)
    })?;
    let log = std::fs::metadata(folder.path().join("ledger.db-wal"))?.len();
    println!("{:>9.1} MiB write-ahead log", log as f64 / (1 << 20) as f64);
    Ok(())
}

fn prices(at: Timestamp) {
    let began = Instant::now();
    let prices = PriceList::shipped();
    black_box(prices.price("anthropic", "claude-haiku-4-5"));
    println!(
        "{:>9.1} us  reading the price list, once",
        began.elapsed().as_secs_f64() * 1e6
    );
    let usage = Usage {
        input: 12_345,
        output: 678,
        cache_read: 90_000,
        ..Usage::default()
    };
    let lookup = || {
        black_box(prices.price("anthropic", "claude-haiku-4-5"));
        Ok(())
    };
    drop(time("looking a price up", 1_000_000, lookup, || Ok(())));
    let cost = || {
        black_box(prices.cost("anthropic", "claude-haiku-4-5", &usage, at));
        Ok(())
    };
    drop(time(
        "looking a price up, and a cost",
        1_000_000,
        cost,
        || Ok(()),
    ));
}

/// CPU of the process, from /proc: in ticks of a hundredth of a second.
fn cpu() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}

fn time(
    what: &str,
    turns: u32,
    work: impl Fn() -> Result<(), Box<dyn Error>>,
    finish: impl Fn() -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let (began, cpu_before) = (Instant::now(), cpu());
    for _ in 0..turns {
        work()?;
    }
    finish()?;
    let each = |seconds: f64| seconds * 1e6 / f64::from(turns);
    let wall = each(began.elapsed().as_secs_f64());
    let cpu = cpu_before
        .zip(cpu())
        .map(|(before, after)| each(after - before));
    println!(
        "{:>9.3} us of CPU, {wall:.3} us elapsed  {what}",
        cpu.unwrap_or(f64::NAN)
    );
    Ok(())
}

fn budget(id: &str, scope: Scope, window: Window) -> Budget {
    Budget {
        id: id.into(),
        scope,
        window,
        limit: Money::dollars(1_000_000_000.into()),
        hard_stop: true,
        alert_at: Vec::new(),
    }
}

fn spend(ledger: &Ledger, at: Timestamp) -> Result<(), Box<dyn Error>> {
    let held = ledger.reserve(&Ask {
        request: "req-0123456789",
        key: Some("team-a"),
        agent: Some("coder"),
        provider: "anthropic",
        model: "claude-haiku-4-5",
        most: Some(Money::dollars(1.into())),
        at,
        sent: true,
    })?;
    held.settle(Some(Money::dollars("0.0123456".parse()?)))?;
    Ok(())
}

fn record(ledger: &Ledger, at: Timestamp) -> Result<(), Box<dyn Error>> {
    let provider = ProviderName::from("anthropic");
    let model = ModelName::from("claude-haiku-4-5");
    let attempt = Attempt {
        reason: "agent type coder".into(),
        key: Some("team-a".into()),
        agent: Some("coder".into()),
        cost: Some(Money::dollars("0.0123456".parse()?)),
        ..Attempt::new(at, "req-0123456789", provider.clone(), model, Zone::Cloud)
    };
    let receipt = Receipt {
        at,
        request: "req-0123456789".into(),
        rule: Some("agent type coder".into()),
        ceiling: Zone::Cloud,
        used: Some(Zone::Cloud),
        recipients: vec![Recipient {
            provider,
            zone: Zone::Cloud,
            bytes: 60_000,
        }],
        cost: attempt.cost,
    };
    ledger.record(attempt)?;
    ledger.record_receipt(receipt)?;
    Ok(())
}

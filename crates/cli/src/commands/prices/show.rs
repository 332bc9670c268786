//! `inhouse prices show`: what one model charges.

use std::process::ExitCode;

use clap::Args;
use inhouse_chat::{Money, Usage};
use inhouse_config::{ProviderKind, RouterConfig};
use inhouse_ledger::{Price, PriceList};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Prices, used};
use crate::commands::{Context, config, ledger};
use crate::output::{Align, Table};

/// Show what a model charges, dollars for a million tokens, with every provider whose list has it
#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// The model, as its provider calls it
    model: String,
    /// Print JSON; amounts are strings, null where unknown
    #[arg(long)]
    json: bool,
}

/// What a model charges with one provider.
struct Row {
    provider: String,
    /// As the list calls it.
    model: String,
    /// It is the configuration that says so.
    configured: bool,
    rates: Rates,
    /// For prompts of so many tokens, where that is another price.
    long: Option<(u64, Rates)>,
}

/// Dollars for a million tokens of each class.
#[derive(Clone, Copy, PartialEq)]
struct Rates {
    input: Option<Money>,
    output: Option<Money>,
    cache_read: Option<Money>,
    cache_write: Option<Money>,
    cache_write_1h: Option<Money>,
}

pub(super) fn run(args: ShowArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let Prices { list, .. } = used(context)?;
    let config = config::load(None, context)?.config;
    let mut rows = configured(&config, &args.model);
    rows.extend(listed(&list, &args.model));
    if args.json {
        let prices: Vec<Value> = rows.iter().map(as_json).collect();
        context
            .out
            .json(&json!({"model": args.model, "prices": prices}))?;
        return Ok(ExitCode::SUCCESS);
    }
    if rows.is_empty() {
        anyhow::bail!(
            "no list has a price of {}; prices in the configuration can name one",
            args.model
        );
    }
    show(&rows, context)?;
    Ok(ExitCode::SUCCESS)
}

/// What the configuration says; what it leaves out is taken from the list.
fn configured(config: &RouterConfig, model: &str) -> Vec<Row> {
    let prices = config.prices.iter();
    let own = prices.filter_map(|(provider, models)| {
        let price = models.get(model)?;
        Some(Row {
            provider: provider.to_owned(),
            model: model.to_owned(),
            configured: true,
            rates: Rates {
                input: price.input,
                output: price.output,
                cache_read: price.cache_read,
                cache_write: price.cache_write,
                cache_write_1h: price.cache_write_1h,
            },
            long: None,
        })
    });
    own.collect()
}

fn listed(list: &PriceList, model: &str) -> Vec<Row> {
    let now = Timestamp::now();
    let kinds = ProviderKind::ALL.into_iter();
    let kinds = kinds.filter(|kind| *kind != ProviderKind::Onnx); // it is free, whatever runs
    let found = kinds.filter_map(|kind| {
        let price = list.price(kind.name(), model)?;
        let rates = Rates::of(&price, 1, now);
        let long = price.context_window().and_then(|room| {
            let long = Rates::of(&price, room, now);
            (long.input != rates.input || long.output != rates.output).then_some((room, long))
        });
        Some(Row {
            provider: kind.name().to_owned(),
            model: price.model().to_owned(),
            configured: false,
            rates,
            long,
        })
    });
    found.collect()
}

impl Rates {
    /// What the classes cost beside a prompt of so many tokens.
    fn of(price: &Price, prompt_tokens: u64, at: Timestamp) -> Self {
        let prompt = prompt_tokens.max(1);
        let million = |usage: Usage, without: Usage, tokens: u64| {
            let more = price.cost(&usage, at)? - price.cost(&without, at)?;
            let one = more.amount().checked_div(tokens.into())?;
            Some(Money::dollars(one.checked_mul(1_000_000.into())?))
        };
        let nothing = Usage::default();
        let input = Usage {
            input: prompt,
            ..nothing
        };
        let output = Usage { output: 1, ..input };
        let class = |usage| million(usage, nothing, prompt);
        Self {
            input: class(input),
            output: million(output, input, 1),
            cache_read: class(Usage {
                cache_read: prompt,
                ..nothing
            }),
            cache_write: class(Usage {
                cache_write_5m: prompt,
                ..nothing
            }),
            cache_write_1h: class(Usage {
                cache_write_1h: prompt,
                ..nothing
            }),
        }
    }

    fn entries(self) -> [String; 5] {
        let classes = [
            self.input,
            self.output,
            self.cache_read,
            self.cache_write,
            self.cache_write_1h,
        ];
        classes.map(|class| class.map_or("-".into(), |rate| rate.to_string()))
    }

    fn json(self) -> Value {
        json!({
            "input": ledger::amount(self.input),
            "output": ledger::amount(self.output),
            "cache_read": ledger::amount(self.cache_read),
            "cache_write": ledger::amount(self.cache_write),
            "cache_write_1h": ledger::amount(self.cache_write_1h),
        })
    }
}

fn show(rows: &[Row], context: &Context) -> anyhow::Result<()> {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("provider", Left),
        ("model", Left),
        ("input", Right),
        ("output", Right),
        ("cache read", Right),
        ("cache write", Right),
        ("for an hour", Right),
        ("", Left),
    ]);
    let mut row = |row: &Row, rates: Rates, remark: String| {
        let names = [row.provider.clone(), row.model.clone()];
        table.row(names.into_iter().chain(rates.entries()).chain([remark]));
    };
    for one in rows {
        let remark = if one.configured { "configuration" } else { "" };
        row(one, one.rates, remark.into());
        if let Some((tokens, rates)) = one.long {
            row(one, rates, format!("prompts of {tokens} tokens"));
        }
    }
    Ok(context.out.table(&table)?)
}

fn as_json(row: &Row) -> Value {
    let long = row
        .long
        .map(|(tokens, rates)| json!({"prompt_tokens": tokens, "rates": rates.json()}));
    json!({
        "provider": row.provider,
        "model": row.model,
        "configured": row.configured,
        "rates": row.rates.json(),
        "long_prompts": long,
    })
}

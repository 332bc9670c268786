//! `inhouse route explain`: who would answer a request, and why.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use inhouse::{Caller, ChatRequest, Considered, Explanation};
use inhouse_chat::Dialect;
use inhouse_router::Known;
use serde_json::{Value, json};

use crate::commands::gateway::Gateway;
use crate::commands::model_flags::ComputeFlags;
use crate::commands::route_flags::RouteFlags;
use crate::commands::{Context, ledger};
use crate::output::{Align, Table, plain};

/// Show who would answer a request, who would not, and why; nothing is sent
#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// The request: JSON with model, messages and metadata; - is stdin
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Print JSON; amounts are strings of dollars, null where unknown
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    route: RouteFlags,
}

pub(super) fn run(args: ExplainArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let mut request = read(&args.file)?;
    args.route.apply(&mut request.metadata);
    let gateway = Gateway::open(args.route.local_only, ComputeFlags::default(), context)?;
    let explanation = gateway.router.explain(request, &Caller::default())?;
    if args.json {
        context.out.json(&as_json(&explanation))?;
    } else {
        show(&explanation, context)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> anyhow::Result<ChatRequest> {
    let (name, text) = if file == Path::new("-") {
        let mut text = String::new();
        let read = io::stdin().lock().read_to_string(&mut text);
        ("stdin".to_owned(), read.map(|_| text))
    } else {
        (file.display().to_string(), std::fs::read_to_string(file))
    };
    let text = text.with_context(|| format!("cannot read {name}"))?;
    let cannot = || format!("{name} is not a request");
    let body: Value = serde_json::from_str(&text).with_context(cannot)?;
    inhouse_wire::decode_request(Dialect::Neutral, body).with_context(cannot)
}

fn show(explanation: &Explanation, context: &Context) -> anyhow::Result<()> {
    use Align::{Left, Right};
    let mut facts = Table::facts();
    let because = match explanation.ceiling_because.as_slice() {
        [] => String::new(),
        because => format!(": {}", because.join("; ")),
    };
    facts.row(["ceiling", &format!("{}{because}", explanation.ceiling)]);
    facts.row(["decided by", &explanation.reason]);
    let known = |known: &str, stated: bool| {
        let how = if stated { "stated" } else { "guessed" };
        format!("{known}, {how}")
    };
    let (complexity, stated) = fact(explanation.complexity);
    facts.row(["complexity", &known(complexity.name(), stated)]);
    let (reasoning, stated) = fact(explanation.reasoning);
    facts.row([
        "reasoning",
        &known(if reasoning { "needed" } else { "not needed" }, stated),
    ]);
    facts.row([
        "prompt",
        &format!("about {} tokens", explanation.prompt_tokens),
    ]);
    if explanation.masked {
        facts.row(["masked", "personal data, for whoever is not on this device"]);
    }
    context.out.table(&facts)?;
    context.out.line("")?;
    let mut table = Table::new(&[
        ("", Right),
        ("provider", Left),
        ("model", Left),
        ("zone", Left),
        ("cost", Right),
        ("why", Left),
    ]);
    for considered in &explanation.candidates {
        table.row(entries(considered));
    }
    Ok(context.out.table(&table)?)
}

fn entries(considered: &Considered) -> [String; 6] {
    let none = || "-".to_owned();
    let model = considered.model.as_ref();
    let cost = considered
        .place
        .map(|_| ledger::shown(considered.estimated_cost));
    [
        considered
            .place
            .map_or_else(none, |place| place.to_string()),
        plain(considered.provider.as_str()),
        model.map_or_else(none, |model| plain(model.as_str())),
        considered.zone.map_or_else(none, |zone| zone.to_string()),
        cost.unwrap_or_else(none),
        plain(&considered.why),
    ]
}

/// A fact, and whether the request states it.
fn fact<T>(known: Known<T>) -> (T, bool) {
    match known {
        Known::Stated(fact) => (fact, true),
        Known::Guessed(fact) => (fact, false),
    }
}

fn as_json(explanation: &Explanation) -> Value {
    let (complexity, complexity_stated) = fact(explanation.complexity);
    let (reasoning, reasoning_stated) = fact(explanation.reasoning);
    let candidates = explanation.candidates.iter().map(|considered| {
        json!({
            "place": considered.place,
            "provider": considered.provider.as_str(),
            "model": considered.model.as_ref().map(|model| model.as_str()),
            "zone": considered.zone.map(|zone| zone.name()),
            "estimated_cost": ledger::amount(considered.estimated_cost),
            "why": considered.why,
        })
    });
    json!({
        "ceiling": explanation.ceiling.name(),
        "ceiling_because": explanation.ceiling_because,
        "reason": explanation.reason,
        "prompt_tokens": explanation.prompt_tokens,
        "complexity": {"value": complexity.name(), "stated": complexity_stated},
        "reasoning": {"value": reasoning, "stated": reasoning_stated},
        "masked": explanation.masked,
        "candidates": candidates.collect::<Vec<_>>(),
    })
}

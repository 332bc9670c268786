//! `inhouse providers test`: whether providers can be reached and take our keys.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use inhouse_chat::{Failure, Phase, ProviderError};
use inhouse_config::{ProviderKind, canonical_name};
use inhouse_policy::Zone;
use inhouse_providers::{CheckReport, Remote};
use inhouse_router::Provider;
use serde_json::{Value, json};

use crate::commands::Context;
use crate::commands::gateway::Gateway;
use crate::commands::model_flags::ComputeFlags;
use crate::failure::{self, Interrupted, UsageError};
use crate::output::{Align, Table, count, seconds};

/// Whoever has not told its models by then is not well.
const PATIENCE: Duration = Duration::from_secs(30);

/// Ask providers for their models or the state of our key; no prompt is sent
#[derive(Args, Debug)]
pub(crate) struct TestArgs {
    /// The one to test [default: all that can be asked]
    name: Option<String>,
    /// Nothing leaves this device, so that no remote provider can be tested
    #[arg(long)]
    local_only: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How a test ended.
struct Tested {
    name: String,
    zone: Option<Zone>,
    latency: Option<Duration>,
    outcome: Result<CheckReport, String>,
}

pub(super) fn run(args: TestArgs, context: &Context) -> anyhow::Result<ExitCode> {
    if args.local_only || context.settings.offline {
        anyhow::bail!("nothing may leave this device, so no provider can be tested");
    }
    let gateway = Gateway::open(false, ComputeFlags::default(), context)?;
    let wanted = args.name.as_deref().map(canonical_name);
    let is_wanted = |name: &str| wanted.is_none_or(|wanted| wanted == name);
    let mut tested = Vec::new();
    for remote in gateway.router.remotes() {
        if is_wanted(remote.name().as_str()) {
            let one = gateway.run(context, test(remote));
            tested.push(one.ok_or(Interrupted)?);
        }
    }
    for (name, why) in gateway.router.unavailable() {
        if is_wanted(name.as_str()) {
            tested.push(Tested {
                name: name.to_string(),
                zone: None,
                latency: None,
                outcome: Err(why.clone()),
            });
        }
    }
    if tested.is_empty() {
        return nobody(wanted, args.json, context);
    }
    if args.json {
        let tested: Vec<Value> = tested.iter().map(as_json).collect();
        context.out.json(&tested)?;
    } else {
        show(&tested, context)?;
    }
    let failed = tested.iter().any(|one| one.outcome.is_err());
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn nobody(wanted: Option<&str>, json: bool, context: &Context) -> anyhow::Result<ExitCode> {
    match wanted {
        Some(inhouse_config::LOCAL) => {
            anyhow::bail!(
                "onnx-local is in this program, and has nothing to be reached; inhouse doctor tells of it"
            )
        }
        Some(name) if ProviderKind::of_name(name).is_some() => {
            anyhow::bail!("{name} is not configured; inhouse providers says what it lacks")
        }
        Some(name) => {
            let message =
                format!("there is no provider {name}; inhouse providers lists those there are");
            Err(UsageError(message).into())
        }
        None if json => {
            context.out.json(&Vec::<Value>::new())?;
            Ok(ExitCode::SUCCESS)
        }
        None => {
            context.out.line("no remote provider is configured")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn test(remote: &Remote) -> Tested {
    let begun = Instant::now();
    let outcome = match tokio::time::timeout(PATIENCE, remote.check()).await {
        Ok(outcome) => outcome,
        Err(_) => Err(ProviderError::new(
            remote.name(),
            Failure::TimedOut(Phase::Total),
        )),
    };
    let model = remote.default_model().cloned().unwrap_or_else(|| "".into());
    Tested {
        name: remote.name().to_string(),
        zone: Some(remote.zone(&model)),
        latency: Some(begun.elapsed()),
        outcome: outcome.map_err(|error| failure::provider_line(&error)),
    }
}

fn show(tested: &[Tested], context: &Context) -> anyhow::Result<()> {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("provider", Left),
        ("zone", Left),
        ("", Left),
        ("after", Right),
        ("", Left),
    ]);
    for one in tested {
        let (outcome, detail) = match &one.outcome {
            Ok(report) => ("ok", detail(report)),
            Err(why) => ("failed", why.clone()),
        };
        table.row([
            one.name.clone(),
            one.zone.map_or("-".into(), |zone| zone.to_string()),
            outcome.to_owned(),
            one.latency
                .map_or("-".into(), |latency| seconds(latency.as_secs_f64())),
            detail,
        ]);
    }
    Ok(context.out.table(&table)?)
}

fn detail(report: &CheckReport) -> String {
    let models = match report.models.len() {
        0 => None,
        n => Some(count(n, "model")),
    };
    let key = report
        .key_was_checked
        .then(|| "it takes our key".to_owned());
    let said: Vec<String> = models.into_iter().chain(key).collect();
    said.join("; ")
}

fn as_json(tested: &Tested) -> Value {
    let report = tested.outcome.as_ref().ok();
    let models = report.map(|report| {
        let models = report.models.iter().map(|model| model.as_str());
        models.collect::<Vec<_>>()
    });
    json!({
        "name": tested.name,
        "ok": report.is_some(),
        "why_not": tested.outcome.as_ref().err(),
        "zone": tested.zone.map(Zone::name),
        "latency_s": tested.latency.map(|latency| latency.as_secs_f64()),
        "models": models,
        "key_was_checked": report.map(|report| report.key_was_checked),
    })
}

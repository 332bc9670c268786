//! `inhouse providers`: who can be asked, and who cannot.

mod test;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use inhouse_config::{LOCAL, ProviderConfig, ProviderKind, RouterConfig};
use inhouse_policy::Zone;
use inhouse_providers::{ALL, Network, build};
use serde_json::{Value, json};

use super::{Context, config};
use crate::env::ProcessEnv;
use crate::output::{Align, Table};

/// List the providers: who can be asked, who cannot and why
///
/// Nobody is asked anything, except by inhouse providers test.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ProvidersArgs {
    #[command(subcommand)]
    command: Option<ProvidersCommand>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum ProvidersCommand {
    Test(test::TestArgs),
}

/// A provider as it is listed.
struct Listed {
    name: String,
    kind: ProviderKind,
    zone: Option<Zone>,
    address: Option<String>,
    /// By use, or as the engine's configuration names it.
    models: Vec<(String, String)>,
    /// Why it cannot be asked.
    lacks: Option<String>,
}

pub(super) fn run(args: ProvidersArgs, context: &Context) -> anyhow::Result<ExitCode> {
    if let Some(ProvidersCommand::Test(args)) = args.command {
        return test::run(args, context);
    }
    let loaded = config::load(None, context)?;
    config::warn(&loaded);
    let listed = list(&loaded.config, context);
    if args.json {
        let listed: Vec<Value> = listed.iter().map(as_json).collect();
        context.out.json(&listed)?;
    } else {
        show(&listed, context)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Those of the configuration, in its order, then the kinds that it does not have.
fn list(config: &RouterConfig, context: &Context) -> Vec<Listed> {
    let network = Network::new(&ProcessEnv);
    let configured = config.providers.iter();
    let mut listed: Vec<Listed> = configured
        .map(|(name, provider)| configured_as(name, provider, &network, context.settings.offline))
        .collect();
    for kind in ProviderKind::ALL {
        let there = listed.iter().any(|one| one.name == kind.name());
        if !there && kind != ProviderKind::Custom {
            listed.push(missing(kind));
        }
    }
    listed
}

fn configured_as(
    name: &str,
    provider: &ProviderConfig,
    network: &Network,
    offline: bool,
) -> Listed {
    let kind = provider.kind();
    let usual = ALL.iter().find(|one| one.kind == kind);
    let usual = usual.and_then(|kind| kind.base_url).map(str::to_owned);
    let stated = provider.base_url.as_ref().map(ToString::to_string);
    let models = provider.models.iter();
    let mut models: Vec<(String, String)> = models
        .map(|(by_use, model)| (by_use.to_owned(), model.to_string()))
        .collect();
    let path = provider.model_path.as_ref();
    let own = path.map(|path| path.display().to_string());
    models.extend(
        own.or(provider.model_id.clone())
            .map(|own| ("default".to_owned(), own)),
    );
    let lacks = if !provider.enabled {
        Some("it is switched off (enabled)".to_owned())
    } else if kind == ProviderKind::Onnx {
        None
    } else if offline {
        Some("--offline".to_owned())
    } else {
        let built = build(&name.into(), provider, network);
        built.err().map(|error| error.to_string())
    };
    Listed {
        name: name.to_owned(),
        kind,
        zone: Some(provider.effective_zone()),
        address: stated.or(usual),
        models,
        lacks,
    }
}

/// A kind of provider that nobody configured.
fn missing(kind: ProviderKind) -> Listed {
    let variables = kind.key_variables().first().copied();
    let variable = if kind.needs_key() {
        variables
    } else {
        kind.url_variable()
    };
    Listed {
        name: kind.name().to_owned(),
        kind,
        zone: (kind == ProviderKind::Onnx).then_some(Zone::Device),
        address: None,
        models: Vec::new(),
        // The engine inside is always there.
        lacks: variable
            .map(|variable| format!("not configured: {variable} or a configuration does")),
    }
}

fn show(listed: &[Listed], context: &Context) -> anyhow::Result<()> {
    use Align::Left;
    let mut table = Table::new(&[
        ("provider", Left),
        ("type", Left),
        ("zone", Left),
        ("address", Left),
        ("models", Left),
        ("", Left),
    ]);
    for one in listed {
        let models: Vec<&str> = one.models.iter().map(|(_, model)| model.as_str()).collect();
        let dash = |text: String| {
            if text.is_empty() {
                "-".to_owned()
            } else {
                text
            }
        };
        table.row([
            one.name.clone(),
            one.kind.name().to_owned(),
            one.zone.map_or("-".into(), |zone| zone.to_string()),
            match (one.name.as_str(), &one.address) {
                (LOCAL, _) => "this program".into(),
                (_, address) => address.clone().unwrap_or_else(|| "-".into()),
            },
            dash(models.join(", ")),
            one.lacks.clone().unwrap_or_else(|| "ready".into()),
        ]);
    }
    Ok(context.out.table(&table)?)
}

fn as_json(listed: &Listed) -> Value {
    let models: serde_json::Map<String, Value> = listed
        .models
        .iter()
        .map(|(by_use, model)| (by_use.clone(), model.as_str().into()))
        .collect();
    json!({
        "name": listed.name,
        "type": listed.kind.name(),
        "ready": listed.lacks.is_none(),
        "why_not": listed.lacks,
        "zone": listed.zone.map(Zone::name),
        "address": listed.address,
        "models": models,
    })
}

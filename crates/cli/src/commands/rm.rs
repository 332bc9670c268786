//! `inhouse rm`: removes models, and packed weights.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use inhouse_engine::pack::PackFolder;
use serde_json::{Value, json};

use super::{Context, packed, store};
use crate::output::{bytes, count};

/// Remove models; a folder that was not made by inhouse stays where it is
#[derive(Args, Debug)]
pub(crate) struct RmArgs {
    /// Names of models
    #[arg(required_unless_present = "packed", value_name = "NAME")]
    names: Vec<String>,
    /// Remove packed weights alone: of the models named (a folder or a pack that doctor shows will do), or all; the next
    /// load makes them anew
    #[arg(long)]
    packed: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: RmArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let mut removed: Vec<Value> = Vec::new();
    if args.packed && args.names.is_empty() {
        removed = all_packs(args.json, context)?;
    } else {
        let remove = if args.packed { packs_of } else { model };
        for name in &args.names {
            let (line, value) = remove(name, context)?;
            if !args.json {
                context.out.line(line)?;
            }
            removed.push(value);
        }
    }
    if args.json {
        context.out.json(&removed)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes a model and its packed weights.
fn model(name: &str, context: &Context) -> anyhow::Result<(String, Value)> {
    // Found by the model's folder, so asked while that is there.
    let pack = folder_of(name, context).and_then(|folder| {
        let used = others_use(&folder, name, context);
        if used {
            None
        } else {
            packed::of_model(&folder, context)
        }
    });
    let gone = store::with(context, |store, progress| store.remove(name, progress))?;
    let packed = pack.map_or(Ok(0), |pack| packed::remove(&pack))?;
    let freed = gone.freed + packed;
    let mut line = format!("{} is removed, {} are free", gone.name, bytes(freed));
    if packed > 0 {
        line += &format!(", {} of them packed weights", bytes(packed));
    }
    let value = json!({"name": gone.name, "freed_bytes": freed, "packed_bytes": packed});
    Ok((line, value))
}

/// Removes the packed weights of what `name` stands for.
fn packs_of(name: &str, context: &Context) -> anyhow::Result<(String, Value)> {
    let folder = folder_of(name, context);
    let known = folder.is_some();
    let pack = folder
        .and_then(|folder| packed::of_model(&folder, context))
        .or_else(|| called(name, &packed::folder(context)));
    let Some(pack) = pack else {
        anyhow::ensure!(
            known,
            "there is no model and there are no packed weights {name:?}; inhouse doctor shows what is here"
        );
        let line = format!("{name} has no packed weights");
        return Ok((line, json!({"name": name, "freed_bytes": 0})));
    };
    let freed = packed::remove(&pack)?;
    let line = format!(
        "packed weights of {name} are removed, {} are free",
        bytes(freed)
    );
    Ok((line, json!({"name": name, "freed_bytes": freed})))
}

/// Removes all packed weights, those of models that are gone too.
fn all_packs(quiet: bool, context: &Context) -> anyhow::Result<Vec<Value>> {
    let folder = packed::folder(context);
    let mut freed = folder.remove_unfinished();
    let files = folder
        .files()
        .with_context(|| format!("cannot read {}", folder.path().display()))?;
    // What another process is writing stays.
    let packs = files
        .iter()
        .filter(|path| path.extension() == Some(OsStr::new("pack")));
    let mut removed = Vec::new();
    for path in packs {
        let bytes = packed::remove(path)?;
        freed += bytes;
        removed.push(json!({"file": path, "freed_bytes": bytes}));
    }
    if !quiet {
        context.out.line(format!(
            "{} removed, {} are free",
            count(removed.len(), "pack"),
            bytes(freed)
        ))?;
    }
    Ok(removed)
}

/// The model folder that `name` stands for: a model's of the store, or a path.
fn folder_of(name: &str, context: &Context) -> Option<PathBuf> {
    let details = store::with(context, |store, _| store.show(name)).ok();
    let installed = details.and_then(|details| details.installed);
    let path = Path::new(name);
    installed.map(|installed| installed.folder).or_else(|| {
        path.join("genai_config.json")
            .is_file()
            .then(|| path.to_owned())
    })
}

/// Whether another model of the store is in the same folder.
fn others_use(folder: &Path, name: &str, context: &Context) -> bool {
    let all = store::with(context, |store, _| store.list()).unwrap_or_default();
    all.iter()
        .any(|model| !model.name.eq_ignore_ascii_case(name.trim()) && model.folder == folder)
}

/// The pack whose file has this name, with or without its ending.
fn called(name: &str, folder: &PackFolder) -> Option<PathBuf> {
    let is =
        |path: &PathBuf| [path.file_name(), path.file_stem()].contains(&Some(OsStr::new(name)));
    folder.files().ok()?.into_iter().find(is)
}

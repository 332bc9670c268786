//! The model store as the commands use it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use inhouse_models::{
    Cancel, Catalog, Installed, ProgressSink, Store, StoreError, StoreErrorKind, StoreOptions,
};

use super::Context;
use crate::failure::Interrupted;
use crate::output::{bytes, seconds};
use crate::progress::PullProgress;

/// Opens the store and does `work` with it; Ctrl-C stops it at its next read, and what has arrived is kept.
pub(super) fn with<T>(
    context: &Context,
    work: impl FnOnce(&Store, &dyn ProgressSink) -> Result<T, StoreError>,
) -> anyhow::Result<T> {
    with_options(context, |options, progress| {
        work(&Store::open(options)?, progress)
    })
}

/// As [`with`], for what is kept beside the models.
pub(super) fn with_options<T>(
    context: &Context,
    work: impl FnOnce(StoreOptions, &dyn ProgressSink) -> Result<T, StoreError>,
) -> anyhow::Result<T> {
    let settings = &context.settings;
    let cancel = Cancel::new();
    let mut options = StoreOptions::new(&settings.home, &settings.hub.cache);
    options.hf_endpoint.clone_from(&settings.hub.endpoint);
    options.hf_token.clone_from(&settings.hub.token);
    options.offline = settings.offline;
    options.cancel = cancel.clone();
    let progress = PullProgress::new(context.terminal);
    let (result, _) = context
        .interrupt
        .during(move || cancel.cancel(), || work(options, &progress));
    result.map_err(|error| match error.kind() {
        StoreErrorKind::Cancelled => {
            eprintln!("{error}");
            Interrupted.into()
        }
        _ => error.into(),
    })
}

/// The folder of the model `name`. The default model is pulled where it is missing, for it is what a first try asks
/// for.
pub(super) fn resolve_or_pull(name: &str, context: &Context) -> anyhow::Result<PathBuf> {
    let default = &Catalog::builtin().default_entry().name;
    let pull = |store: &Store, progress: &dyn ProgressSink| {
        eprintln!("{default} is not here yet: pulling it");
        let started = Instant::now();
        let installed = store.pull(default, progress)?;
        eprintln!("{}", pulled(&installed, started.elapsed()));
        Ok(installed.folder)
    };
    with(context, |store, progress| match store.resolve(name) {
        Err(error) if error.kind() != StoreErrorKind::UnknownModel => Err(error),
        Err(_) if name.eq_ignore_ascii_case(default) => pull(store, progress),
        // Loading it will say what it lacks.
        Err(_) if Path::new(name).is_dir() => Ok(PathBuf::from(name)),
        resolved => resolved,
    })
}

/// One line about a model that has arrived.
pub(super) fn pulled(installed: &Installed, time: Duration) -> String {
    format!(
        "{} is here, {} after {}: {}",
        installed.name,
        bytes(installed.size),
        seconds(time.as_secs_f64()),
        installed.folder.display()
    )
}

//! Where ONNX Runtime's library may be.

use std::path::Path;
use std::sync::Arc;

use inhouse_backends::library::{Env, Search};
use inhouse_models::RuntimeCatalog;

/// Where ONNX Runtime's library may be on this machine: what `ORT_DYLIB_PATH` names, the runtimes in `home`, and the
/// usual folders. In a folder of somebody else's only the official builds are trusted that `inhouse runtime install`
/// knows.
///
/// `env` must be the environment of this process: what it names is run.
pub fn runtime_search(env: Env<'_>, home: &Path, current_dir: &Path) -> Search {
    let mut search = Search::from_env(env, home, current_dir);
    search.is_official = Arc::new(|hash| RuntimeCatalog::builtin().is_official(hash));
    search
}

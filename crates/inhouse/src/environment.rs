//! The environment of this process.

use std::path::PathBuf;

use inhouse_config::Env;

/// The environment that this process was started with. The libraries below read none: whoever opens a router hands
/// them one.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }
}

/// Where models are kept: `INHOUSE_HOME`, else `inhouse` in the folder for data.
pub(crate) fn home(env: &dyn Env) -> Option<PathBuf> {
    let own = env.get("INHOUSE_HOME").map(PathBuf::from);
    own.or_else(|| folder(env, "XDG_DATA_HOME", ".local/share").map(|data| data.join("inhouse")))
}

/// Where usage, budgets and receipts are kept: `inhouse/ledger.db` in the folder for state.
pub(crate) fn ledger(env: &dyn Env) -> Option<PathBuf> {
    folder(env, "XDG_STATE_HOME", ".local/state").map(|state| state.join("inhouse/ledger.db"))
}

/// A folder of the XDG base directory specification, which ignores relative paths; on Windows, the local one.
fn folder(env: &dyn Env, name: &str, in_home: &str) -> Option<PathBuf> {
    let path = |name| env.get(name).map(PathBuf::from);
    let stated = path(name).filter(|path| path.is_absolute());
    let home = || path("HOME").or_else(|| path("USERPROFILE"));
    stated
        .or_else(|| path("LOCALAPPDATA"))
        .or_else(|| home().map(|home| home.join(in_home)))
}

//! The environment: every variable this program reads has its name here, and is read through [`Env`].
//!
//! The configuration reads more: `INHOUSE_CONFIG`, then the old `AGENTIC_FLOW_ROUTER_CONFIG` (which file), `XDG_CONFIG_HOME`
//! (where to look for it), keys and addresses of providers, and what files name as `${VAR}`; connections read
//! `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`. Both do it through [`ProcessEnv`]; `docs/configuration.md`
//! lists them. ONNX Runtime is looked for where `ORT_DYLIB_PATH` says, and where `PATH`, `VIRTUAL_ENV`, `NODE_PATH` and
//! others like them (`crates/backends/src/library/folders.rs`) say that packages and libraries are.

/// The store's folder, as `--home`.
pub(crate) const INHOUSE_HOME: &str = "INHOUSE_HOME";
/// Anything but empty and `0`: never use the network, as `--offline`.
pub(crate) const INHOUSE_OFFLINE: &str = "INHOUSE_OFFLINE";
/// The instruction set to compute with, instead of the best one found: see `inhouse doctor`.
pub(crate) const INHOUSE_ISA: &str = "INHOUSE_ISA";
/// The folder that packed weights are kept in, or `off` to keep none.
pub(crate) const INHOUSE_PACKED: &str = "INHOUSE_PACKED";
/// The Hugging Face hub's address, for a mirror.
pub(crate) const HF_ENDPOINT: &str = "HF_ENDPOINT";
/// The token shown to the hub, for repositories that ask for one.
pub(crate) const HF_TOKEN: &str = "HF_TOKEN";
/// Hugging Face's own folder, which holds its cache (`hub`) and a saved token (`token`).
pub(crate) const HF_HOME: &str = "HF_HOME";
/// Hugging Face's download cache, where it is not `$HF_HOME/hub`.
pub(crate) const HF_HUB_CACHE: &str = "HF_HUB_CACHE";
/// Anything but empty: no colours and no bars.
pub(crate) const NO_COLOR: &str = "NO_COLOR";
/// `dumb` means a terminal that cannot redraw a line.
pub(crate) const TERM: &str = "TERM";
/// Where programs keep data: the XDG base directory specification.
pub(crate) const XDG_DATA_HOME: &str = "XDG_DATA_HOME";
/// Where programs keep state, such as the ledger: the XDG base directory specification.
pub(crate) const XDG_STATE_HOME: &str = "XDG_STATE_HOME";
/// Where programs keep caches: the XDG base directory specification.
pub(crate) const XDG_CACHE_HOME: &str = "XDG_CACHE_HOME";
/// The user's folder.
pub(crate) const HOME: &str = "HOME";
/// Where programs keep data on Windows.
pub(crate) const LOCALAPPDATA: &str = "LOCALAPPDATA";
/// The user's folder on Windows.
pub(crate) const USERPROFILE: &str = "USERPROFILE";

/// A source of environment variables, so that tests need not change the process's own.
pub(crate) trait Env {
    /// The variable's value; `None` where it is unset or empty.
    fn get(&self, name: &str) -> Option<String>;
}

/// The environment this process was started with.
#[derive(Clone, Copy)]
pub(crate) struct ProcessEnv;

impl Env for ProcessEnv {
    fn get(&self, name: &str) -> Option<String> {
        let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
        Some(value.to_string_lossy().into_owned())
    }
}

/// For the configuration, which names its variables itself.
impl inhouse_config::Env for ProcessEnv {
    fn get(&self, name: &str) -> Option<String> {
        let value = std::env::var(name).ok()?;
        Some(value).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
impl Env for std::collections::HashMap<&str, &str> {
    fn get(&self, name: &str) -> Option<String> {
        std::collections::HashMap::get(self, name)
            .filter(|value| !value.is_empty())
            .map(|&value| value.to_owned())
    }
}

//! Turns flags and environment into settings. Nothing else in the program reads either.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use inhouse_backends::Search;
use inhouse_kernels::Isa;
use inhouse_models::{DEFAULT_ENDPOINT, Token};

use crate::env::{self, Env};
use crate::failure::UsageError;

/// Flags that every command has.
#[derive(Args, Debug, Default)]
pub(crate) struct GlobalFlags {
    /// Folder that holds the models [default: $INHOUSE_HOME, else inhouse in the XDG data folder]
    #[arg(
        long,
        global = true,
        value_name = "FOLDER",
        help_heading = "Everywhere"
    )]
    pub(crate) home: Option<PathBuf>,
    /// Never use the network; what is not here already is an error [also: $INHOUSE_OFFLINE]
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) offline: bool,
    /// The configuration [default: $INHOUSE_CONFIG, else the first of ./router.config.json,
    /// ./config/router.config.json and inhouse/router.config.json in the XDG configuration folder]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    pub(crate) config: Option<PathBuf>,
}

/// What flags and environment come to.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) home: PathBuf,
    /// The configuration that `--config` names.
    pub(crate) config: Option<PathBuf>,
    /// Where the ledger and fetched prices are; `None` where there is no user's folder.
    state: Option<PathBuf>,
    pub(crate) offline: bool,
    /// `None` where the best instruction set is to be used.
    pub(crate) isa: Option<Isa>,
    pub(crate) packed: PackedSettings,
    pub(crate) hub: HubSettings,
    /// Where ONNX Runtime's library is looked for; `None` where the working directory is gone.
    runtimes: Option<Search>,
}

impl Settings {
    /// Where ONNX Runtime's library is looked for.
    pub(crate) fn runtimes(&self) -> anyhow::Result<Search> {
        let found = self.runtimes.clone();
        found.context("the working directory cannot be read; go to another one")
    }

    /// The ledger, where the configuration does not say.
    pub(crate) fn ledger(&self) -> anyhow::Result<PathBuf> {
        Ok(self.state()?.join("ledger.db"))
    }

    /// The prices that are used instead of the shipped ones, if they are there.
    pub(crate) fn prices(&self) -> anyhow::Result<PathBuf> {
        Ok(self.state()?.join("prices.json"))
    }

    fn state(&self) -> anyhow::Result<&Path> {
        self.state.as_deref().ok_or_else(|| {
            let message = "no folder to keep the ledger in: neither HOME nor XDG_STATE_HOME is set";
            UsageError(message.into()).into()
        })
    }
}

/// Where packed weights are kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PackedSettings {
    pub(crate) folder: PathBuf,
    /// Whether models are loaded from there; what is there can be looked at and removed in any case.
    pub(crate) used: bool,
}

impl PackedSettings {
    /// The folder, for loading a model.
    pub(crate) fn for_loading(&self) -> Option<PathBuf> {
        self.used.then(|| self.folder.clone())
    }
}

/// How the Hugging Face hub is reached, by its own tools' variables.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HubSettings {
    pub(crate) endpoint: String,
    pub(crate) token: Option<Token>,
    /// The cache that Hugging Face's own tools use.
    pub(crate) cache: PathBuf,
}

/// Flags beat environment, environment beats defaults.
pub(crate) fn resolve(flags: &GlobalFlags, env: &dyn Env) -> anyhow::Result<Settings> {
    let home = home(flags, env)?;
    Ok(Settings {
        hub: hub(env, &home),
        packed: packed(env, &home)?,
        runtimes: runtimes(env, &home),
        home,
        offline: flags.offline
            || env
                .get(env::INHOUSE_OFFLINE)
                .is_some_and(|value| value != "0"),
        isa: isa(env)?,
        config: flags.config.clone(),
        state: state_folder(env).map(|state| state.join("inhouse")),
    })
}

fn home(flags: &GlobalFlags, env: &dyn Env) -> anyhow::Result<PathBuf> {
    let given = flags.home.clone().or_else(|| path(env, env::INHOUSE_HOME));
    let home = given.or_else(|| data_folder(env).map(|data| data.join("inhouse"))).ok_or_else(|| {
        UsageError("no folder to keep models in: neither HOME nor XDG_DATA_HOME is set; give --home FOLDER".into())
    })?;
    // A later change of folder must not change what is meant.
    Ok(std::path::absolute(home)?)
}

fn packed(env: &dyn Env, home: &Path) -> anyhow::Result<PackedSettings> {
    let given = path(env, env::INHOUSE_PACKED);
    let off = given.as_deref() == Some(Path::new("off"));
    let folder = given
        .filter(|_| !off)
        .unwrap_or_else(|| home.join("packed"));
    Ok(PackedSettings {
        folder: std::path::absolute(folder)?,
        used: !off,
    })
}

/// In somebody else's folder only official builds are trusted.
fn runtimes(env: &dyn Env, home: &Path) -> Option<Search> {
    let variable = |name: &str| env.get(name).map(OsString::from);
    let here = std::env::current_dir().ok()?;
    Some(inhouse::runtime_search(&variable, home, &here))
}

fn path(env: &dyn Env, name: &str) -> Option<PathBuf> {
    env.get(name).map(PathBuf::from)
}

fn user_folder(env: &dyn Env) -> Option<PathBuf> {
    path(env, env::HOME).or_else(|| path(env, env::USERPROFILE))
}

/// The specification says that relative paths in its variables are to be ignored.
fn xdg(env: &dyn Env, name: &str) -> Option<PathBuf> {
    path(env, name).filter(|path| path.is_absolute())
}

fn data_folder(env: &dyn Env) -> Option<PathBuf> {
    xdg(env, env::XDG_DATA_HOME)
        .or_else(|| path(env, env::LOCALAPPDATA))
        .or_else(|| user_folder(env).map(|home| home.join(".local/share")))
}

fn state_folder(env: &dyn Env) -> Option<PathBuf> {
    xdg(env, env::XDG_STATE_HOME)
        .or_else(|| path(env, env::LOCALAPPDATA))
        .or_else(|| user_folder(env).map(|home| home.join(".local/state")))
}

fn isa(env: &dyn Env) -> anyhow::Result<Option<Isa>> {
    let Some(name) = env.get(env::INHOUSE_ISA) else {
        return Ok(None);
    };
    match Isa::from_name(&name) {
        Some(isa) if isa.is_available() => Ok(Some(isa)),
        _ => {
            let here: Vec<_> = Isa::available().map(Isa::name).collect();
            let message = format!(
                "INHOUSE_ISA is {name:?}, which this machine does not have; it has {}",
                here.join(", ")
            );
            Err(UsageError(message).into())
        }
    }
}

fn hub(env: &dyn Env, home: &Path) -> HubSettings {
    let folder = path(env, env::HF_HOME).or_else(|| {
        let cache = xdg(env, env::XDG_CACHE_HOME)
            .or_else(|| user_folder(env).map(|home| home.join(".cache")));
        cache.map(|cache| cache.join("huggingface"))
    });
    // Without a user's folder the cache is kept with the models.
    let folder = folder.unwrap_or_else(|| home.join("huggingface"));
    HubSettings {
        endpoint: env
            .get(env::HF_ENDPOINT)
            .unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned()),
        token: env
            .get(env::HF_TOKEN)
            .or_else(|| saved_token(&folder))
            .and_then(|token| Token::new(&token)),
        cache: path(env, env::HF_HUB_CACHE).unwrap_or_else(|| folder.join("hub")),
    }
}

/// The token that `hf auth login` leaves behind.
fn saved_token(folder: &Path) -> Option<String> {
    std::fs::read_to_string(folder.join("token")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn resolved(env: &[(&'static str, &'static str)], flags: &GlobalFlags) -> Settings {
        resolve(flags, &env.iter().copied().collect::<HashMap<_, _>>()).unwrap()
    }

    #[test]
    fn home_is_flag_then_variable_then_xdg_then_user_folder() {
        let check = |env: &[(&'static str, &'static str)], flag: Option<&str>, home: &str| {
            let flags = GlobalFlags {
                home: flag.map(PathBuf::from),
                ..GlobalFlags::default()
            };
            assert_eq!(
                resolved(env, &flags).home,
                Path::new(home),
                "{env:?} {flag:?}"
            );
        };
        let all = [
            ("INHOUSE_HOME", "/models"),
            ("XDG_DATA_HOME", "/data"),
            ("HOME", "/u"),
        ];
        check(&all, Some("/flag"), "/flag");
        check(&all, None, "/models");
        check(&all[1..], None, "/data/inhouse");
        check(&all[2..], None, "/u/.local/share/inhouse");
        check(
            &[("XDG_DATA_HOME", "relative"), ("HOME", "/u")],
            None,
            "/u/.local/share/inhouse",
        );
    }

    #[test]
    fn state_is_xdg_then_user_folder_then_nowhere() {
        let check = |env: &[(&'static str, &'static str)], ledger: Option<&str>| {
            let settings = resolved(env, &GlobalFlags::default());
            assert_eq!(settings.ledger().ok(), ledger.map(PathBuf::from), "{env:?}");
        };
        let all = [
            ("XDG_STATE_HOME", "/state"),
            ("HOME", "/u"),
            ("INHOUSE_HOME", "/models"),
        ];
        check(&all, Some("/state/inhouse/ledger.db"));
        check(&all[1..], Some("/u/.local/state/inhouse/ledger.db"));
        check(&all[2..], None);
    }

    #[test]
    fn packed_weights_are_kept_at_home_elsewhere_or_not_at_all() {
        let check = |value: &'static str, folder: &str, used| {
            let env = [("INHOUSE_HOME", "/models"), ("INHOUSE_PACKED", value)];
            let packed = resolved(&env, &GlobalFlags::default()).packed;
            assert_eq!(
                (packed.folder.as_path(), packed.used),
                (Path::new(folder), used)
            );
            assert_eq!(packed.for_loading(), used.then(|| folder.into()));
        };
        check("", "/models/packed", true);
        check("/fast/disk", "/fast/disk", true);
        check("/off", "/off", true);
        check("off", "/models/packed", false);
    }

    #[test]
    fn onnx_runtime_is_looked_for_at_home_or_where_the_variable_says() {
        let check = |env: &[(&'static str, &'static str)], named: Option<&str>| {
            let search = resolved(env, &GlobalFlags::default()).runtimes().unwrap();
            assert_eq!(
                search.runtimes.as_deref(),
                Some(Path::new("/models/runtimes"))
            );
            assert_eq!(search.dylib_path.as_deref(), named.map(Path::new));
            let packages = inhouse_models::RuntimeCatalog::builtin().packages();
            assert!((search.is_official)(&packages[0].files[0].sha256));
            assert!(!(search.is_official)(&"0".repeat(64)));
        };
        let home = ("INHOUSE_HOME", "/models");
        check(&[home], None);
        check(&[home, ("ORT_DYLIB_PATH", "")], None);
        check(
            &[home, ("ORT_DYLIB_PATH", "/lib/ort.so")],
            Some("/lib/ort.so"),
        );
    }

    #[test]
    fn nowhere_to_keep_models_says_what_to_do() {
        let error = resolve(&GlobalFlags::default(), &HashMap::new()).unwrap_err();
        assert!(error.to_string().contains("--home"), "{error}");
    }

    #[test]
    fn the_hub_cache_is_where_hugging_face_keeps_it() {
        let check = |env: &[(&'static str, &'static str)], cache: &str| {
            assert_eq!(
                resolved(env, &GlobalFlags::default()).hub.cache,
                Path::new(cache),
                "{env:?}"
            );
        };
        let all = [
            ("HF_HUB_CACHE", "/hub"),
            ("HF_HOME", "/hf"),
            ("XDG_CACHE_HOME", "/cache"),
            ("HOME", "/u"),
        ];
        check(&all, "/hub");
        check(&all[1..], "/hf/hub");
        check(&all[2..], "/cache/huggingface/hub");
        check(&all[3..], "/u/.cache/huggingface/hub");
    }

    #[test]
    fn offline_is_a_flag_or_a_variable() {
        let offline = |value| {
            resolved(
                &[("HOME", "/u"), ("INHOUSE_OFFLINE", value)],
                &GlobalFlags::default(),
            )
            .offline
        };
        assert!(offline("1") && offline("yes") && !offline("0") && !offline(""));
        assert!(
            resolved(
                &[("HOME", "/u")],
                &GlobalFlags {
                    offline: true,
                    ..GlobalFlags::default()
                }
            )
            .offline
        );
    }

    #[test]
    fn instruction_sets_are_known_and_here() {
        let isa = |name| {
            resolve(
                &GlobalFlags::default(),
                &HashMap::from([("HOME", "/u"), ("INHOUSE_ISA", name)]),
            )
        };
        for there in Isa::available() {
            assert_eq!(isa(there.name()).unwrap().isa, Some(there));
        }
        let absent = Isa::ALL.iter().filter(|isa| !isa.is_available());
        let here: Vec<_> = Isa::available().map(Isa::name).collect();
        for name in absent.map(|isa| isa.name()).chain(["mmx", "AVX2"]) {
            let error = isa(name).unwrap_err();
            assert!(
                error
                    .to_string()
                    .ends_with(&format!("; it has {}", here.join(", "))),
                "{error}"
            );
        }
    }
}

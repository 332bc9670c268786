//! A router over a configuration, with a ledger and models of its own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use inhouse::config::Env;
use inhouse::{Compute, FindModel, LedgerAt, ModelRouter, Options};

/// A small real export, of which only the size is not that of a real model.
pub(crate) fn zoo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/zoo/phi4mini-int4")
}

/// Knows one model under every name.
struct Zoo;

impl FindModel for Zoo {
    fn find(&self, _: &str) -> Result<PathBuf, inhouse::chat::BoxError> {
        Ok(zoo())
    }
}

/// Opens a router by the text of a file.
pub(crate) fn open(config: &str, env: HashMap<String, String>, local_only: bool) -> ModelRouter {
    let config = inhouse::config::parse(config, "test.json", &env).expect("a configuration");
    let env: Arc<dyn Env + Send + Sync> = Arc::new(env);
    let options = Options {
        config,
        env,
        local_only,
        models: Arc::new(Zoo),
        ledger: LedgerAt::Memory,
        prices: None,
        compute: Compute::default(),
    };
    ModelRouter::open(options).expect("a router")
}

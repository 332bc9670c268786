//! Models of the store, for the engine.

use std::path::PathBuf;

use inhouse_models::{Store, StoreOptions};
use inhouse_providers::FindModel;

/// Finds models in the store. It downloads nothing: an answer must not wait for gigabytes that nobody asked for.
pub(crate) struct InStore {
    pub(crate) home: PathBuf,
}

impl FindModel for InStore {
    fn find(&self, name: &str) -> Result<PathBuf, inhouse_chat::BoxError> {
        let mut options = StoreOptions::new(&self.home, self.home.join("huggingface/hub"));
        options.offline = true;
        Ok(Store::open(options)?.resolve(name)?)
    }
}

//! Removing a runtime.

use serde::Serialize;

use super::Runtimes;
use super::flavour::{Flavour, names};
use crate::error::{StoreError, StoreErrorKind};
use crate::progress::ProgressSink;
use crate::space;

/// A runtime that was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RemovedRuntime {
    /// Which it was.
    pub flavour: Flavour,
    /// How many bytes became free.
    #[serde(rename = "freed_bytes")]
    pub freed: u64,
    /// Plugins that are still here and have nothing now to be loaded into.
    pub stranded: Vec<Flavour>,
}

impl Runtimes {
    /// Removes the runtime of this name.
    pub fn remove(
        &self,
        name: &str,
        sink: &dyn ProgressSink,
    ) -> Result<RemovedRuntime, StoreError> {
        let here = || {
            Flavour::ALL
                .into_iter()
                .filter(|flavour| self.home(*flavour).is_dir())
        };
        let unknown = || {
            let message = format!("there is no runtime {name:?} here; here: {}", names(here()));
            StoreError::new(StoreErrorKind::UnknownRuntime, message)
        };
        let flavour: Flavour = name.parse().map_err(|_| unknown())?;
        let staging = self.staging(flavour);
        let _lock = self.lock(&staging, flavour, sink)?;
        let home = self.home(flavour);
        if !home.is_dir() {
            return Err(unknown());
        }
        let freed = space::size_of(&home);
        staging.discard()?;
        let needs = |plugin: &Flavour| {
            let mut packages = self.catalog.packages_of(*plugin, &self.platform);
            packages.any(|package| package.beside == Some(flavour))
        };
        Ok(RemovedRuntime {
            flavour,
            freed,
            stranded: here().filter(needs).collect(),
        })
    }
}

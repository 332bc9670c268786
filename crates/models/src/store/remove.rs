//! Removing a model, and from the hub's cache what no other model and no other snapshot uses.

use super::Store;
use crate::error::StoreError;
use crate::hub::cache::RepoCache;
use crate::name::model_name;
use crate::progress::ProgressSink;
use crate::record::{HubFiles, Record};
use crate::space;

/// A model that was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Its name.
    pub name: String,
    /// How many bytes became free.
    pub freed: u64,
}

impl Store {
    /// Removes a model. A folder of the user's own stays; only the store's record of it goes.
    pub fn remove(&self, name: &str, sink: &dyn ProgressSink) -> Result<Removed, StoreError> {
        let name = model_name(name)?;
        let _lock = self.lock(&name, sink)?;
        let home = self.home_of(&name);
        let record = match self.record(&name) {
            Ok(Some(record)) => Some(record),
            Ok(None) => return Err(self.unknown(&name)),
            // A record that cannot be read is no reason to keep it.
            Err(_) => None,
        };
        let mut freed = space::size_of(&home);
        // The files first: if that fails, the record still knows of them.
        if let Some(hub) = record.as_ref().and_then(|record| record.hub.as_ref()) {
            freed += self.remove_from_cache(&name, hub)?;
        }
        self.staging(&name).discard()?;
        Ok(Removed { name, freed })
    }

    /// Removes what a model had in the hub's cache before it was replaced, but for what it has now.
    pub(super) fn remove_replaced(
        &self,
        name: &str,
        before: Option<HubFiles>,
    ) -> Result<(), StoreError> {
        let Some(mut before) = before else {
            return Ok(());
        };
        if let Some(now) = self.record(name)?.and_then(|record| record.hub)
            && now.is_of_the_same_snapshot(&before)
        {
            before.files.retain(|file| !now.files.contains(file));
        }
        self.remove_from_cache(name, &before)?;
        Ok(())
    }

    /// Removes files of the hub's cache that belong to `name` alone.
    fn remove_from_cache(&self, name: &str, hub: &HubFiles) -> Result<u64, StoreError> {
        let others = self.other_users(name, hub)?;
        let shared = |file: &&String| others.iter().any(|other| other.files.contains(file));
        let files: Vec<_> = hub
            .files
            .iter()
            .filter(|file| !shared(file))
            .cloned()
            .collect();
        let before = space::size_of(&hub.cache);
        RepoCache::new(&hub.cache, &hub.repo).remove(&hub.commit, &files)?;
        Ok(before.saturating_sub(space::size_of(&hub.cache)))
    }

    /// What other models of this store use of the same snapshot.
    fn other_users(&self, name: &str, hub: &HubFiles) -> Result<Vec<HubFiles>, StoreError> {
        let mut others = Vec::new();
        for model in self.list()? {
            if model.name == name {
                continue;
            }
            let Ok(Some(Record {
                hub: Some(other), ..
            })) = self.record(&model.name)
            else {
                continue;
            };
            if other.is_of_the_same_snapshot(hub) {
                others.push(other);
            }
        }
        Ok(others)
    }
}

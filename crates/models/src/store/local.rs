//! Pulling what is on this machine: a model folder is used where it is, a GGUF file is converted.

use std::path::Path;

use super::pull::{Place, Pull, Ready, check_folder};
use crate::error::{IoContext, StoreError, StoreErrorKind};
use crate::hash;
use crate::progress::Event;
use crate::record::{self, FileRecord};
use crate::space::Needs;

impl Pull<'_> {
    pub(super) fn local_model(&self, path: &Path) -> Result<Ready, StoreError> {
        let metadata = path.metadata().at("find", path)?;
        if metadata.is_dir() {
            return self.folder_where_it_is(path);
        }
        let size = metadata.len();
        let mut needs = Needs::default();
        needs.add(&self.store.models_folder(), self.room_for(size));
        needs.check(&self.name, self.store.options.system.as_ref())?;
        let label = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        self.context
            .sink
            .event(&Event::Verifying { file: &label, size });
        let sha256 = hash::of_file(path, None, &self.store.options.cancel)?.sha256;
        let folder = self.convert(path)?;
        let files = self.scan(&folder)?;
        Ok(Ready {
            place: Place::Staged(folder),
            revision: Some(sha256.clone()),
            licence: None,
            files,
            converted_from: Some(FileRecord {
                path: label,
                size,
                sha256: Some(sha256),
            }),
            hub: None,
        })
    }

    fn folder_where_it_is(&self, path: &Path) -> Result<Ready, StoreError> {
        if path.starts_with(self.store.models_folder()) {
            return Err(StoreError::new(
                StoreErrorKind::BadSource,
                format!("{} is in the store already", path.display()),
            ));
        }
        check_folder(path)?;
        Ok(Ready {
            place: Place::Elsewhere(path.to_owned()),
            revision: None,
            licence: None,
            files: record::scan(path, false, &self.store.options.cancel)?,
            converted_from: None,
            hub: None,
        })
    }
}

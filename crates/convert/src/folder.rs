//! An output folder that appears complete or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{ConvertError, ConvertErrorKind};

/// A temporary folder beside the wanted one; removed unless it is given its name.
pub(crate) struct StagedFolder {
    staging: PathBuf,
    wanted: PathBuf,
    published: bool,
}

impl StagedFolder {
    /// Makes `<wanted>.partial`. The wanted folder may exist if it is empty.
    pub(crate) fn create(wanted: &Path) -> Result<StagedFolder, ConvertError> {
        if is_occupied(wanted) {
            return Err(ConvertError::new(
                ConvertErrorKind::Output,
                format!(
                    "{} exists and is not an empty folder: remove it or choose another",
                    wanted.display()
                ),
            ));
        }
        let mut name = wanted.as_os_str().to_owned();
        name.push(".partial");
        let staging = PathBuf::from(name);
        let made = match fs::remove_dir_all(&staging) {
            // Left over from a conversion that was killed.
            Ok(()) => fs::create_dir_all(&staging),
            Err(_) => fs::create_dir_all(&staging),
        };
        made.map_err(|e| ConvertError::writing(staging.display(), e))?;
        Ok(StagedFolder {
            staging,
            wanted: wanted.to_owned(),
            published: false,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.staging
    }

    pub(crate) fn write(&self, name: &str, contents: &str) -> Result<(), ConvertError> {
        let path = self.staging.join(name);
        fs::write(&path, contents).map_err(|e| ConvertError::writing(path.display(), e))
    }

    pub(crate) fn write_json(&self, name: &str, value: &Value) -> Result<(), ConvertError> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|e| ConvertError::writing(self.staging.join(name).display(), e))?;
        self.write(name, &text)
    }

    /// Gives the folder its name.
    pub(crate) fn publish(mut self) -> Result<(), ConvertError> {
        let failed = |e| ConvertError::writing(self.wanted.display(), e);
        if self.wanted.exists() {
            fs::remove_dir(&self.wanted).map_err(failed)?;
        }
        fs::rename(&self.staging, &self.wanted).map_err(failed)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for StagedFolder {
    fn drop(&mut self) {
        if !self.published {
            // Nothing can be done about a failure here, and the error that led here is told.
            let _ = fs::remove_dir_all(&self.staging);
        }
    }
}

fn is_occupied(path: &Path) -> bool {
    match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => path.exists(),
    }
}

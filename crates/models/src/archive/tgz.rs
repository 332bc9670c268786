//! Archives of npm: files taken out in the order in which they come, for there is no index.

use std::fs::File;
use std::path::Path;

use flate2::read::GzDecoder;

use super::{Member, broken, write};
use crate::catalog::CatalogFile;
use crate::error::{IoContext, StoreError, StoreErrorKind};
use crate::http::Context;

/// Writes these files of an archive into `folder`, each by the last part of its name.
pub(crate) fn extract(
    archive: &Path,
    files: &[CatalogFile],
    folder: &Path,
    context: &Context<'_>,
) -> Result<(), StoreError> {
    let opened = File::open(archive).at("open", archive)?;
    let mut tar = tar::Archive::new(GzDecoder::new(opened));
    let mut missing: Vec<_> = files.iter().collect();
    for entry in tar.entries().map_err(|cause| broken(archive, cause))? {
        context.check()?;
        let entry = entry.map_err(|cause| broken(archive, cause))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let wanted = missing.iter().position(|file| file.path == name);
        let Some(wanted) = wanted.filter(|_| entry.header().entry_type().is_file()) else {
            continue;
        };
        let file = missing.swap_remove(wanted);
        let member = Member {
            relative: file.name().to_owned(),
            size: entry.size(),
            name,
        };
        let place = folder.join(file.name());
        write(entry, &member, archive, &place, Some(file), context)?;
        if missing.is_empty() {
            return Ok(());
        }
    }
    let Some(file) = missing.first() else {
        return Ok(());
    };
    Err(StoreError::new(
        StoreErrorKind::NotFound,
        format!("{} holds no {:?}", archive.display(), file.path),
    ))
}

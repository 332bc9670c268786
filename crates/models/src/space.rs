//! Whether there is room, asked before the first byte.

use std::path::{Path, PathBuf};

use crate::error::{IoContext, StoreError, StoreErrorKind};
use crate::system::System;

/// Bytes that will be written, by where.
#[derive(Debug, Default)]
pub(crate) struct Needs(Vec<(PathBuf, u64)>);

impl Needs {
    pub(crate) fn add(&mut self, folder: &Path, bytes: u64) {
        if bytes > 0 {
            self.0.push((folder.to_owned(), bytes));
        }
    }

    /// Refuses with the numbers when something does not fit. Folders on one file system share its room.
    pub(crate) fn check(&self, what: &str, system: &dyn System) -> Result<(), StoreError> {
        let mut sums: Vec<(PathBuf, Option<u64>, u64)> = Vec::new();
        for (folder, bytes) in &self.0 {
            std::fs::create_dir_all(folder).at("create the folder", folder)?;
            let device = device(folder);
            let same = |sum: &&mut (PathBuf, Option<u64>, u64)| {
                sum.0 == *folder || (device.is_some() && sum.1 == device)
            };
            match sums.iter_mut().find(same) {
                Some(sum) => sum.2 = sum.2.saturating_add(*bytes),
                None => sums.push((folder.clone(), device, *bytes)),
            }
        }
        for (folder, _, needed) in sums {
            let free = system
                .free_space(&folder)
                .at("ask for the free space of", &folder)?;
            if needed > free {
                return Err(no_room(what, &folder, needed, free));
            }
        }
        Ok(())
    }
}

fn no_room(what: &str, folder: &Path, needed: u64, free: u64) -> StoreError {
    StoreError::new(
        StoreErrorKind::NoSpace,
        format!(
            "not enough room for {what}: {} needed, {} free in {}; free {} or put the models elsewhere",
            human(needed),
            human(free),
            folder.display(),
            human(needed - free),
        ),
    )
}

#[cfg(unix)]
fn device(folder: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    folder.metadata().ok().map(|metadata| metadata.dev())
}

#[cfg(not(unix))]
fn device(folder: &Path) -> Option<u64> {
    // The drive's letter or the share's name tells file systems apart well enough.
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    folder
        .canonicalize()
        .ok()?
        .components()
        .next()?
        .hash(&mut hasher);
    Some(hasher.finish())
}

/// A number of bytes as people read it: "4.93 GB". Units of 1000, as disks are sold.
pub(crate) fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match (unit, value) {
        (0, _) => format!("{bytes} bytes"),
        (_, value) if value < 9.995 => format!("{value:.2} {}", UNITS[unit]),
        (_, value) if value < 99.95 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// Bytes of the regular files below a folder, links not followed.
pub(crate) fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => size_of(&entry.path()),
            Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |metadata| metadata.len()),
            _ => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_people_read_them() {
        for (bytes, expected) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1_000, "1.00 kB"),
            (98_362_432, "98.4 MB"),
            (4_930_000_000, "4.93 GB"),
            (999_999_999, "1.00 GB"),
            (123_456, "123 kB"),
        ] {
            assert_eq!(human(bytes), expected);
        }
    }
}

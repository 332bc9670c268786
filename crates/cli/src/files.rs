//! Writing a file so that it is whole or not there at all.

use std::io;
use std::path::{Path, PathBuf};

/// Puts `text` into `file`, in place of what was there. A full disk leaves what was there.
pub(crate) fn replace(file: &Path, text: &str) -> io::Result<()> {
    let partial = beside(file, ".partial");
    std::fs::write(&partial, text)
        .and_then(|()| std::fs::rename(&partial, file))
        .inspect_err(|_| drop(std::fs::remove_file(&partial)))
}

/// As [`replace`], where what was there may hold keys: the new file can be read by nobody who could not read the old one.
pub(crate) fn replace_guarded(file: &Path, text: &str) -> io::Result<()> {
    let partial = beside(file, ".partial");
    // A copy has the permissions of what was copied, and keeps them when it is written over.
    std::fs::copy(file, &partial)
        .and_then(|_| std::fs::write(&partial, text))
        .and_then(|()| std::fs::rename(&partial, file))
        .inspect_err(|_| drop(std::fs::remove_file(&partial)))
}

/// `file` with more at the end of its name.
pub(crate) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

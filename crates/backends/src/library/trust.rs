//! Whether code that lies in the folder that the program was started in may be run.
//!
//! A cloned project may bring a `node_modules` or a virtual environment along, and merely starting a program in it
//! must not run what it brought. So libraries below the current folder are loaded only where their bytes are
//! those of an official build, and where nothing lies beside them that the system's loader would take along:
//! official builds look for their own dependencies beside themselves first. It is about what lies there, not about who
//! exchanges files between the look and the loading: whoever can do that runs programs of this user already.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::folders::Os;

/// Folders within folders that are looked at for neighbours: the loader knows `glibc-hwcaps/x86-64-v3`.
const DEPTH: usize = 3;
/// Entries that are looked at; more than that and nobody vouches for them.
const MOST_ENTRIES: usize = 2000;

/// The first file that would be loaded with this one and is not an official build, if there is one.
pub(super) fn stranger(file: &Path, os: Os, is_official: &dyn Fn(&str) -> bool) -> Option<PathBuf> {
    let vouched = |path: &Path| sha256(path).is_ok_and(|hash| is_official(&hash));
    if !vouched(file) {
        return Some(file.to_path_buf());
    }
    let folder = file.parent()?;
    match neighbours(folder, os) {
        Some(files) => files.into_iter().find(|path| !vouched(path)),
        None => Some(folder.to_path_buf()),
    }
}

/// The loadable files of a folder and of those in it; [`None`] where it cannot be read, or has no end.
fn neighbours(folder: &Path, os: Os) -> Option<Vec<PathBuf>> {
    let mut left = MOST_ENTRIES;
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_path_buf(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(folder).ok()? {
            left = left.checked_sub(1)?;
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_string_lossy().into_owned();
            if path.is_dir() {
                if depth < DEPTH {
                    folders.push((path, depth + 1));
                }
            } else if os.is_loadable(&name) {
                found.push(path);
            }
        }
    }
    Some(found)
}

/// The SHA-256 of a file, as 64 lower-case digits.
pub(crate) fn sha256(path: &Path) -> io::Result<String> {
    if !path.is_file() {
        return Err(io::Error::other("not a file")); // opening a pipe would wait for its writer
    }
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    let mut text = String::with_capacity(64);
    for byte in hasher.finalize() {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
    }
    Ok(text)
}

//! What can be said of a file without loading it.

use std::{
    fs,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use super::{Search, Trust};
use crate::library::{
    elf::{CUT_OFF, is_cut_off},
    place::{Candidate, Place, Verdict},
    version::Version,
};

impl Search {
    /// Looks at one file.
    pub(super) fn judge(&self, path: PathBuf, place: Place, trust: Trust) -> Candidate {
        let version = version_of(&path);
        let verdict = self
            .objection(&path, version, trust)
            .unwrap_or(Verdict::Usable);
        Candidate {
            path,
            place,
            version,
            verdict,
        }
    }

    /// What speaks against it; what costs most comes last.
    fn objection(&self, path: &Path, version: Option<Version>, trust: Trust) -> Option<Verdict> {
        let broken = |reason: &str| Some(Verdict::Broken(reason.to_owned()));
        match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Some(Verdict::Missing),
            Err(error) => return broken(&format!("cannot be read: {error}")),
            Ok(data) if data.is_dir() => {
                return broken("is a folder without ONNX Runtime's library");
            }
            Ok(data) if !data.is_file() => return broken("is not a file"),
            Ok(_) => {}
        }
        if !self.os.begins_library(&beginning(path)) {
            return broken("is not a library of this system");
        }
        if is_companion(path) {
            return broken("is a companion of ONNX Runtime's library, not the library");
        }
        if is_cut_off(path) {
            return broken(CUT_OFF);
        }
        if let Some(version) = version.filter(|version| version.is_too_old()) {
            return Some(Verdict::TooOld(version));
        }
        self.stranger(path, trust).map(|file| Verdict::Untrusted {
            beside: Some(file).filter(|file| file != path),
        })
    }
}

/// The version that the name tells, or else the file.
pub(super) fn version_of(path: &Path) -> Option<Version> {
    path.file_name()
        .and_then(|name| Version::of_name(name.to_str()?))
        .or_else(|| Version::of_file(path).ok().flatten())
}

/// Whether a file is one of those that hold a provider. Loaded alone they end the process.
fn is_companion(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().contains("onnxruntime_providers_"))
}

fn beginning(path: &Path) -> [u8; 4] {
    let mut bytes = [0; 4];
    // What cannot be read has no such beginning.
    let _ = fs::File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
    bytes
}

/// The file itself, so that the libraries beside it are found, and that it is listed once.
/// On Windows the resolved form of a path is one that not every loader of a companion takes.
pub(super) fn real(path: &Path) -> PathBuf {
    let resolved = if cfg!(windows) {
        std::path::absolute(path)
    } else {
        fs::canonicalize(path)
    };
    resolved.unwrap_or_else(|_| path.to_path_buf())
}

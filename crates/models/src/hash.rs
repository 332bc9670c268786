//! Hashes of files: sha256, and git's name for a small file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::error::{IoContext, StoreError};
use crate::progress::Cancel;

/// What a file's bytes must hash to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// The sha256 of the bytes.
    Sha256(String),
    /// Git's name of the file: the sha1 of a header with the size, and the bytes.
    GitBlob(String),
}

impl Expected {
    /// A hub names a file in LFS by its sha256 and a small one by git's name for it.
    pub(crate) fn of_blob(id: &str) -> Option<Self> {
        let id = id.to_ascii_lowercase();
        if is_hex(&id, 64) {
            return Some(Self::Sha256(id));
        }
        is_hex(&id, 40).then_some(Self::GitBlob(id))
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Sha256(text) | Self::GitBlob(text) => text,
        }
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "sha256",
            Self::GitBlob(_) => "git blob sha1",
        }
    }
}

/// The hashes of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hashes {
    pub(crate) sha256: String,
    git_blob: Option<String>,
}

impl Hashes {
    /// The hash to compare with what was expected.
    pub(crate) fn like<'a>(&'a self, expected: &Expected) -> &'a str {
        match (expected, &self.git_blob) {
            (Expected::GitBlob(_), Some(git_blob)) => git_blob,
            _ => &self.sha256,
        }
    }
}

/// Takes bytes as they come.
pub(crate) struct Hasher {
    sha256: Sha256,
    git_blob: Option<Sha1>,
}

impl Hasher {
    /// Git's name needs the size beforehand; where it is not expected it is not computed.
    pub(crate) fn new(expected: Option<&Expected>, size: Option<u64>) -> Self {
        let git_blob = match (expected, size) {
            (Some(Expected::GitBlob(_)), Some(size)) => {
                Some(Sha1::new_with_prefix(format!("blob {size}\0")))
            }
            _ => None,
        };
        Self {
            sha256: Sha256::new(),
            git_blob,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(git_blob) = &mut self.git_blob {
            git_blob.update(bytes);
        }
    }

    /// Takes a file's bytes and says how many there were.
    pub(crate) fn update_from(&mut self, path: &Path, cancel: &Cancel) -> Result<u64, StoreError> {
        let mut file = File::open(path).at("open", path)?;
        let mut buffer = vec![0; 1 << 20];
        let mut total = 0;
        loop {
            if cancel.is_cancelled() {
                return Err(StoreError::cancelled());
            }
            let count = file.read(&mut buffer).at("read", path)?;
            if count == 0 {
                return Ok(total);
            }
            self.update(&buffer[..count]);
            total += count as u64;
        }
    }

    pub(crate) fn finish(self) -> Hashes {
        Hashes {
            sha256: hex(&self.sha256.finalize()),
            git_blob: self.git_blob.map(|git_blob| hex(&git_blob.finalize())),
        }
    }
}

/// The hashes of a file.
pub(crate) fn of_file(
    path: &Path,
    expected: Option<&Expected>,
    cancel: &Cancel,
) -> Result<Hashes, StoreError> {
    let size = path.metadata().at("read", path)?.len();
    let mut hasher = Hasher::new(expected, Some(size));
    hasher.update_from(path, cancel)?;
    Ok(hasher.finish())
}

/// Whether a text is so many hexadecimal digits.
pub(crate) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_hello() {
        // From `printf hello | sha256sum` and `printf hello | git hash-object --stdin`.
        let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let git = "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0";
        let expected = Expected::of_blob(git).unwrap();
        let mut hasher = Hasher::new(Some(&expected), Some(5));
        hasher.update(b"hel");
        hasher.update(b"lo");
        let hashes = hasher.finish();
        assert_eq!(hashes.sha256, sha256);
        assert_eq!(hashes.like(&expected), git);
        assert_eq!(hashes.like(&Expected::of_blob(sha256).unwrap()), sha256);
    }

    #[test]
    fn blob_names() {
        assert!(Expected::of_blob("../../etc/passwd").is_none());
        assert!(Expected::of_blob("").is_none());
    }
}

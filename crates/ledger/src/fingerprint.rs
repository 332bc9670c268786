//! Names for what must not be written down.

use sha2::{Digest, Sha256};

/// A name for a key or a user that tells nothing of it but whether two are the same: the first 16 hexadecimal digits of
/// its SHA-256. What is short enough to be guessed can be found by guessing.
pub fn fingerprint(secret: &str) -> String {
    let hash = Sha256::digest(secret.as_bytes());
    hash.iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_secret_has_the_same_name() {
        assert_eq!(fingerprint("abc"), "ba7816bf8f01cfea");
        assert_ne!(fingerprint("abc"), fingerprint("abd"));
    }
}

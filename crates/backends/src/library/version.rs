//! Which version of ONNX Runtime a file is, told without loading it.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
};

/// The oldest ONNX Runtime whose interface is understood: `ort` asks for the functions of this one.
pub const OLDEST: Version = Version {
    major: 1,
    minor: 22,
    patch: Some(0),
};

/// How much of a file is searched for its version: names of symbols stand at the front of ELF files.
const SEARCHED: u64 = 4 << 20;

/// A version of ONNX Runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 1, until ONNX Runtime 2 comes.
    pub major: u32,
    /// The release.
    pub minor: u32,
    /// Its correction; [`None`] where only the release is known.
    pub patch: Option<u32>,
}

impl Version {
    /// Whether this version is too old to be used.
    pub fn is_too_old(self) -> bool {
        (self.major, self.minor) < (OLDEST.major, OLDEST.minor)
    }

    /// The version that a file of this name says it is: `libonnxruntime.so.1.31.1`, `libonnxruntime.1.31.1.dylib`.
    pub fn of_name(name: &str) -> Option<Self> {
        let rest = name.strip_prefix("libonnxruntime.")?;
        let rest = rest
            .strip_prefix("so.")
            .or_else(|| rest.strip_suffix(".dylib"))?;
        Self::parse(rest)
    }

    /// The version that the file itself says it is, where it is an ELF file: its symbols are marked
    /// `VERS_1.31.1`. Names like `libonnxruntime.so.1` do not tell.
    pub fn of_file(path: &Path) -> io::Result<Option<Self>> {
        if !path.is_file() {
            return Ok(None); // opening a pipe would wait for its writer
        }
        let mut bytes = Vec::new();
        File::open(path)?.take(SEARCHED).read_to_end(&mut bytes)?;
        Ok(if bytes.starts_with(b"\x7fELF") {
            Self::of_symbols(&bytes)
        } else {
            None
        })
    }

    fn of_symbols(bytes: &[u8]) -> Option<Self> {
        const MARK: &[u8] = b"\0VERS_";
        let start = bytes.windows(MARK.len()).position(|w| w == MARK)? + MARK.len();
        let text = bytes[start..].split(|&byte| byte == 0).next()?;
        Self::parse(std::str::from_utf8(text).ok()?)
    }

    /// Reads `1.31.1` or `1.31`; a lone `1` says nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(str::parse);
        let version = Self {
            major: numbers.next()?.ok()?,
            minor: numbers.next()?.ok()?,
            patch: numbers.next().transpose().ok()?,
        };
        numbers.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        match self.patch {
            Some(patch) => write!(f, ".{patch}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    fn check(name: &str, expected: Option<&str>) {
        let found = Version::of_name(name).map(|version| version.to_string());
        assert_eq!(found.as_deref(), expected, "{name}");
    }

    #[test]
    fn names_tell_versions() {
        check("libonnxruntime.so.1.31.1", Some("1.31.1"));
        check("libonnxruntime.1.30.0.dylib", Some("1.30.0"));
        check("libonnxruntime.so.1.22", Some("1.22"));
        check("libonnxruntime.so.1", None);
        check("libonnxruntime.so", None);
        check("libonnxruntime.dylib", None);
        check("onnxruntime.dll", None);
        check("libonnxruntime.so.1.31.1.bak", None);
        check("libonnxruntime.so.99999999999.1", None);
    }

    #[test]
    fn releases_before_1_22_are_too_old() {
        for (text, expected) in [
            ("1.21.1", true),
            ("0.99", true),
            ("1.22.0", false),
            ("1.22", false),
            ("2.0.0", false),
        ] {
            let version = Version::parse(text).expect("a version");
            assert_eq!(version.is_too_old(), expected, "{text}");
        }
    }

    #[test]
    fn elf_files_tell_their_version() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("libonnxruntime.so.1");
        for (bytes, expected) in [
            (
                &b"\x7fELF..\0OrtGetApiBase\0VERS_1.30.0\0..."[..],
                Some("1.30.0"),
            ),
            (b"\x7fELF..\0VERS_", None),
            (b"\x7fELF..\0VERS_\xff\xff\0", None),
            (b"not ELF \0VERS_1.30.0\0", None),
            (b"", None),
        ] {
            std::fs::write(&path, bytes).expect("written");
            let found = Version::of_file(&path).expect("read");
            assert_eq!(found.map(|v| v.to_string()).as_deref(), expected);
        }
    }
}

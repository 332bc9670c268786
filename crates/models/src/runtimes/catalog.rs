//! The packages that runtimes come from, pinned.

use std::collections::HashSet;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::flavour::{Flavour, Platform};
use crate::catalog::CatalogFile;
use crate::clients::pip::Tags;
use crate::error::{StoreError, StoreErrorKind};
use crate::hash;
use crate::name;

/// The packages of ONNX Runtime that are known by name; see `runtimes.json` for what its figures mean.
#[derive(Clone, Debug)]
pub struct RuntimeCatalog {
    packages: Vec<RuntimePackage>,
    official: HashSet<String>,
}

/// One package for one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimePackage {
    /// What it is of.
    pub flavour: Flavour,
    /// The system it is for: `linux`, `macos` or `windows`.
    pub os: String,
    /// The processor it is for: `x86_64` or `aarch64`.
    pub arch: String,
    /// What fetches it.
    pub client: PackageClient,
    /// Its name there.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The runtime that loads it, where it is a plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Flavour>,
    /// What the machine needs besides.
    pub requires: Vec<String>,
    /// The archive that is fetched.
    pub archive: RuntimeArchive,
    /// The files that are taken out of it; the library itself is the first.
    pub files: Vec<CatalogFile>,
}

/// What fetches a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageClient {
    /// Python's.
    Pip,
    /// Node's.
    Npm,
}

/// An archive whose size and hash are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeArchive {
    /// Its name.
    pub file: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its sha256.
    pub sha256: String,
}

impl RuntimeCatalog {
    /// The catalogue that is part of the program.
    #[must_use]
    pub fn builtin() -> &'static Self {
        static BUILTIN: OnceLock<RuntimeCatalog> = OnceLock::new();
        BUILTIN.get_or_init(|| {
            // The text is part of the program and a test reads it.
            Self::parse(include_str!("../../runtimes.json")).unwrap_or(Self {
                packages: Vec::new(),
                official: HashSet::new(),
            })
        })
    }

    /// Reads a catalogue.
    pub fn parse(json: &str) -> Result<Self, StoreError> {
        let file: File = serde_json::from_str(json).map_err(|cause| {
            let message = "the catalogue of runtimes cannot be read";
            StoreError::new(StoreErrorKind::BadSource, message).caused_by(cause)
        })?;
        for package in &file.packages {
            package.check()?;
        }
        let files = file.packages.iter().flat_map(|package| &package.files);
        let hashes = files.map(|file| &file.sha256);
        let others = file.others.iter().map(|other| &other.sha256);
        Ok(Self {
            official: hashes.chain(others).map(lower).collect(),
            packages: file.packages,
        })
    }

    /// All packages; of several for one flavour and platform the first whose client is there is taken.
    #[must_use]
    pub fn packages(&self) -> &[RuntimePackage] {
        &self.packages
    }

    /// The packages of a flavour for a platform.
    pub fn packages_of(
        &self,
        flavour: Flavour,
        platform: &Platform,
    ) -> impl Iterator<Item = &RuntimePackage> {
        let fits = move |package: &&RuntimePackage| {
            package.flavour == flavour && package.os == platform.os && package.arch == platform.arch
        };
        self.packages.iter().filter(fits)
    }

    /// The flavours that there are for a platform.
    pub fn flavours(&self, platform: &Platform) -> impl Iterator<Item = Flavour> {
        let has = |flavour: &Flavour| self.packages_of(*flavour, platform).next().is_some();
        Flavour::ALL.into_iter().filter(has)
    }

    /// Whether this is the sha256 of a library as one of the pinned packages has it, for whatever platform.
    #[must_use]
    pub fn is_official(&self, sha256: &str) -> bool {
        self.official.contains(&lower(sha256))
    }
}

impl RuntimePackage {
    /// The file name of its library.
    #[must_use]
    pub fn library(&self) -> &str {
        self.files.first().map_or("", CatalogFile::name)
    }

    /// How many bytes its files take.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        let sizes = self.files.iter().map(|file| file.size);
        sizes.fold(0, u64::saturating_add)
    }

    /// As its client writes it: `onnxruntime==1.31.1`.
    pub(super) fn requirement(&self) -> String {
        let between = match self.client {
            PackageClient::Pip => "==",
            PackageClient::Npm => "@",
        };
        format!("{}{between}{}", self.package, self.version)
    }

    /// Names of the catalogue become paths and arguments.
    fn check(&self) -> Result<(), StoreError> {
        let mut names: Vec<_> = self.files.iter().map(CatalogFile::name).collect();
        names.push(&self.archive.file);
        let hashes = self.files.iter().map(|file| &file.sha256);
        let known = match self.client {
            PackageClient::Pip => Tags::of(&self.archive.file).is_some(),
            PackageClient::Npm => self.archive.file.ends_with(".tgz"),
        };
        let word = |text: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(fits)
        };
        let mut unlike = HashSet::new();
        let fits = !self.files.is_empty()
            && known
            && word(&self.package)
            && word(&self.version)
            && names.iter().all(|name| {
                !name.contains('/') && name::inside(name).is_ok() && unlike.insert(name)
            })
            && hashes
                .chain([&self.archive.sha256])
                .all(|sha256| hash::is_hex(sha256, 64));
        if fits {
            return Ok(());
        }
        let message = format!(
            "the catalogue's entry of {} makes no sense",
            self.requirement()
        );
        Err(StoreError::new(StoreErrorKind::BadSource, message))
    }
}

/// The shape of `runtimes.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "about")]
    _about: Vec<String>,
    packages: Vec<RuntimePackage>,
    others: Vec<Other>,
}

/// A library that is recognised.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Other {
    #[serde(rename = "file")]
    _file: String,
    #[serde(rename = "from")]
    _from: String,
    sha256: String,
}

fn lower(sha256: impl AsRef<str>) -> String {
    sha256.as_ref().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(os: &str, arch: &str) -> Platform {
        Platform {
            os: os.into(),
            arch: arch.into(),
        }
    }

    #[test]
    fn the_built_in_catalogue_reads() {
        let catalog = RuntimeCatalog::parse(include_str!("../../runtimes.json")).unwrap();
        let check = |os, arch, expected: &str| {
            let platform = platform(os, arch);
            let found = super::super::flavour::names(catalog.flavours(&platform));
            assert_eq!(found, expected, "{platform}");
        };
        check("linux", "x86_64", "cpu, cuda, webgpu");
        check("linux", "aarch64", "cpu, webgpu");
        check("macos", "aarch64", "cpu, webgpu");
        check("macos", "x86_64", "cpu");
        check("windows", "x86_64", "cpu, cuda, directml, webgpu");
        check("windows", "aarch64", "cpu, directml, webgpu");
        check("freebsd", "x86_64", "none");
    }

    #[test]
    fn a_package_is_pip_s_before_it_is_npm_s() {
        let linux = platform("linux", "x86_64");
        let packages = RuntimeCatalog::builtin().packages_of(Flavour::Cpu, &linux);
        let found: Vec<_> = packages
            .map(|package| (package.requirement(), package.library()))
            .collect();
        assert_eq!(
            found,
            [
                ("onnxruntime==1.31.1".to_owned(), "libonnxruntime.so.1.31.1"),
                ("onnxruntime-node@1.30.0".to_owned(), "libonnxruntime.so.1"),
            ]
        );
    }

    #[test]
    fn what_others_have_is_recognised() {
        let catalog = RuntimeCatalog::builtin();
        for package in catalog.packages() {
            for file in &package.files {
                assert!(catalog.is_official(&file.sha256.to_ascii_uppercase()));
            }
            assert!(!catalog.is_official(&package.archive.sha256));
        }
        // The library that Python 3.13 gets on Windows.
        let other = "68d0d5f502be4509e2a16f932627a95137d748b2fae519027f80125c0b1f550b";
        assert!(catalog.is_official(other));
        assert!(!catalog.is_official(""));
    }

    #[test]
    fn broken_catalogues_are_refused() {
        let whole = serde_json::json!({
            "flavour": "cpu", "os": "linux", "arch": "x86_64", "client": "npm",
            "package": "a", "version": "1", "requires": [],
            "archive": {"file": "a-1.tgz", "size": 1, "sha256": "0".repeat(64)},
            "files": [{"path": "a/b.so", "size": 1, "sha256": "0".repeat(64)}],
        });
        let parse = |package: &serde_json::Value| {
            let file = serde_json::json!({"about": [], "packages": [package], "others": []});
            RuntimeCatalog::parse(&file.to_string())
        };
        parse(&whole).unwrap();
        for (pointer, wrong) in [
            ("/flavour", "rocm"),
            ("/client", "pip"),
            ("/package", "--index-url=x"),
            ("/version", "1 --hash=x"),
            ("/archive/file", "../a-1.tgz"),
            ("/archive/sha256", "0"),
            ("/files/0/path", "a/.."),
            ("/files/0/path", "a/a-1.tgz"),
            ("/files/0/sha256", "x"),
        ] {
            let mut package = whole.clone();
            *package.pointer_mut(pointer).unwrap() = wrong.into();
            assert!(parse(&package).is_err(), "{pointer} {wrong}");
        }
        assert!(RuntimeCatalog::parse("{}").is_err());
    }
}

//! The models that are known by name.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::error::{StoreError, StoreErrorKind};
use crate::source::Source;

/// The models that are known by name; see `catalog.json` for what its figures mean.
#[derive(Clone, Debug)]
pub struct Catalog {
    entries: Vec<Entry>,
}

/// One model of the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The name it is pulled by.
    pub name: String,
    /// One line about it.
    pub description: String,
    /// Where it comes from.
    pub source: Source,
    /// Its licence, as an SPDX identifier.
    pub licence: String,
    /// How many parameters it has.
    pub parameters: Option<u64>,
    /// How many tokens it can look at.
    pub context: u64,
    /// About how many bytes a pull fetches.
    pub download_bytes: u64,
    /// About how many bytes it takes on the disk, where that is not what is fetched.
    pub disk_bytes: Option<u64>,
    /// About how many bytes of memory it needs.
    pub memory_bytes: u64,
    /// The files that are checked against this catalog; a hub's files are checked against the hub.
    pub files: Vec<CatalogFile>,
    /// Whether it is the model that is used where none is named.
    pub default: bool,
}

/// A file whose size and hash the catalog knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogFile {
    /// Its path inside the source.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its sha256.
    pub sha256: String,
}

impl CatalogFile {
    /// The last part of its path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

impl Catalog {
    /// The catalog that is part of the program.
    #[must_use]
    pub fn builtin() -> &'static Self {
        static BUILTIN: OnceLock<Catalog> = OnceLock::new();
        BUILTIN.get_or_init(|| {
            // The text is part of the program and a test reads it.
            Self::parse(include_str!("../catalog.json")).unwrap_or(Self {
                entries: Vec::new(),
            })
        })
    }

    /// Reads a catalog.
    pub fn parse(json: &str) -> Result<Self, StoreError> {
        let file: File = serde_json::from_str(json).map_err(|cause| {
            StoreError::new(StoreErrorKind::BadSource, "the catalog cannot be read")
                .caused_by(cause)
        })?;
        let entries = file
            .models
            .into_iter()
            .map(Entry::try_from)
            .collect::<Result<Vec<_>, _>>()?;
        if entries.iter().filter(|entry| entry.default).count() != 1 {
            return Err(StoreError::new(
                StoreErrorKind::BadSource,
                "a catalog has exactly one default model",
            ));
        }
        Ok(Self { entries })
    }

    /// All models, in the order they are shown.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The model of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.name.eq_ignore_ascii_case(name.trim()))
    }

    /// The model that is used where none is named.
    ///
    /// # Panics
    ///
    /// Never: a catalog without a default model is not made.
    #[must_use]
    pub fn default_entry(&self) -> &Entry {
        let found = self.entries.iter().find(|entry| entry.default);
        found.unwrap_or_else(|| unreachable!("a catalog has a default model"))
    }

    /// The entry that comes from this source.
    #[must_use]
    pub fn by_source(&self, source: &Source) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.source == *source)
    }

    /// The names, separated by commas.
    pub(crate) fn names(&self) -> String {
        let names: Vec<_> = self
            .entries
            .iter()
            .map(|entry| entry.name.as_str())
            .collect();
        names.join(", ")
    }
}

/// The shape of `catalog.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "about")]
    _about: Vec<String>,
    models: Vec<FileEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEntry {
    name: String,
    description: String,
    source: String,
    licence: String,
    parameters: Option<u64>,
    context: u64,
    download_bytes: u64,
    disk_bytes: Option<u64>,
    memory_bytes: u64,
    #[serde(default)]
    files: Vec<CatalogFile>,
    #[serde(default)]
    default: bool,
}

impl TryFrom<FileEntry> for Entry {
    type Error = StoreError;

    fn try_from(file: FileEntry) -> Result<Self, StoreError> {
        Ok(Self {
            name: crate::name::model_name(&file.name)?,
            description: file.description,
            source: file.source.parse()?,
            licence: file.licence,
            parameters: file.parameters,
            context: file.context,
            download_bytes: file.download_bytes,
            disk_bytes: file.disk_bytes,
            memory_bytes: file.memory_bytes,
            files: file.files,
            default: file.default,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalog_reads() {
        let catalog = Catalog::parse(include_str!("../catalog.json")).unwrap();
        assert_eq!(
            catalog.names(),
            "smollm2-135m, phi-4-mini, phi-3.5-mini, phi-3-mini-4k"
        );
        assert_eq!(catalog.default_entry().name, "smollm2-135m");
        assert_eq!(catalog.get("PHI-4-mini").unwrap().context, 131_072);
        for entry in catalog.entries() {
            assert_eq!(catalog.by_source(&entry.source), Some(entry));
        }
    }

    #[test]
    fn what_packages_hold_is_pinned() {
        for entry in Catalog::builtin().entries() {
            if let Source::Package { path, .. } = &entry.source {
                let file = entry.files.iter().find(|file| file.path == *path).unwrap();
                assert!(crate::hash::is_hex(&file.sha256, 64));
            }
        }
    }

    #[test]
    fn broken_catalogs_are_refused() {
        for json in [
            "",
            "{}",
            r#"{"about":[],"models":[]}"#,
            r#"{"about":[],"models":[{"name":"x"}]}"#,
        ] {
            assert!(Catalog::parse(json).is_err(), "{json}");
        }
    }
}

//! External data: weights in files beside the model, mapped once each.
//!
//! A model file says where its weights are, and a hostile one may say `../../etc/passwd`. Only files inside the model's
//! folder are read. The Hugging Face cache is the one layout in which files are links to somewhere else
//! (`models--owner--repo/snapshots/<revision>/..` to `models--owner--repo/blobs/..`), so links from a snapshot to the
//! blobs of the same repository are followed as well.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;

use crate::MappedFile;
use crate::error::quote;
use crate::proto::StringStringEntryProto;
use crate::{LoadError, LoadErrorKind};

/// Where a model's external data may come from.
pub(super) struct ExternalData(Option<Folder>);

struct Folder {
    /// The model's folder, links resolved.
    root: PathBuf,
    /// The blobs of the repository that the folder is a snapshot of.
    blobs: Option<PathBuf>,
    /// The files mapped so far with their paths in the folder, by the location that the model gives.
    maps: HashMap<String, (PathBuf, MappedFile)>,
}

impl ExternalData {
    /// Data in the folder of the model at `model`.
    pub(super) fn beside(model: &Path) -> Result<ExternalData, LoadError> {
        // The folder is taken before links are resolved: in the Hugging Face cache the model is itself a link.
        let folder = match model.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let root = folder
            .canonicalize()
            .map_err(|e| LoadError::io(folder, "cannot be read", e))?;
        let blobs = blobs_of_snapshot(&root);
        Ok(ExternalData(Some(Folder {
            root,
            blobs,
            maps: HashMap::new(),
        })))
    }

    /// No external data: the model is not in a folder.
    pub(super) fn refused() -> ExternalData {
        ExternalData(None)
    }

    /// The files that were mapped, each with its path in the model's folder.
    pub(super) fn into_files(self) -> impl Iterator<Item = (PathBuf, MappedFile)> {
        self.0
            .into_iter()
            .flat_map(|folder| folder.maps.into_values())
    }

    /// The bytes that a tensor's `external_data` entries point at.
    pub(super) fn bytes(
        &mut self,
        tensor: &str,
        entries: &[StringStringEntryProto],
    ) -> Result<Bytes, LoadError> {
        let error = |message: String| {
            let message = format!("tensor {}: {message}", quote(tensor));
            LoadError::new(LoadErrorKind::ExternalData, message)
        };
        let folder = self.0.as_mut().ok_or_else(|| {
            error("has external data, which a model given as bytes cannot have; load it from its file".into())
        })?;
        let place = Place::parse(entries).map_err(error)?;
        let file = folder.file(place.location).map_err(error)?;
        let end = match place.length {
            Some(length) => place.offset.checked_add(length),
            None => Some(file.len()),
        };
        match end {
            Some(end) if place.offset <= end && end <= file.len() => {
                Ok(file.slice(place.offset..end))
            }
            _ => Err(error(format!(
                "external data {} has {} bytes, but {} from {} are asked for; fetch the file again",
                quote(place.location),
                file.len(),
                place.length.map_or("those".into(), |n| n.to_string()),
                place.offset
            ))),
        }
    }
}

impl Folder {
    fn file(&mut self, location: &str) -> Result<Bytes, String> {
        if let Some((_, file)) = self.maps.get(location) {
            return Ok(file.bytes());
        }
        let path = self.resolve(location)?;
        let file = MappedFile::open(&path)
            .map_err(|e| format!("external data {} cannot be read: {e}", quote(location)))?;
        let bytes = file.bytes();
        let named = self.root.join(location);
        self.maps.insert(location.to_owned(), (named, file));
        Ok(bytes)
    }

    fn resolve(&self, location: &str) -> Result<PathBuf, String> {
        if !is_plain_relative(location) {
            return Err(format!(
                "external data location {} is not a plain path inside the model's folder",
                quote(location)
            ));
        }
        let path = self.root.join(location);
        let path = path.canonicalize().map_err(|e| {
            format!(
                "external data {} is not in the model's folder: {e}",
                quote(location)
            )
        })?;
        let allowed = |folder: &PathBuf| path.starts_with(folder);
        if allowed(&self.root) || self.blobs.as_ref().is_some_and(allowed) {
            return Ok(path);
        }
        Err(format!(
            "external data {} is a link to outside the model's folder",
            quote(location)
        ))
    }
}

/// Whether a location names something below a folder, on every system: a backslash or a colon is part of a name on one
/// and a step out of the folder on another.
fn is_plain_relative(location: &str) -> bool {
    let mut components = Path::new(location).components();
    !location.is_empty()
        && !location.contains(['\\', ':', '\0'])
        && components.all(|c| matches!(c, Component::Normal(_)))
}

/// The `blobs` folder beside `snapshots`, if `root` is in a snapshot of a Hugging Face cache.
fn blobs_of_snapshot(root: &Path) -> Option<PathBuf> {
    let snapshots = root
        .ancestors()
        .skip(1)
        .find(|a| a.file_name().is_some_and(|name| name == "snapshots"))?;
    let repository = snapshots.parent()?;
    let name = repository.file_name()?.to_str()?;
    if !name.starts_with("models--") {
        return None;
    }
    let blobs = repository.join("blobs").canonicalize().ok()?;
    // A link in place of the folder would let it stand for any other.
    blobs.starts_with(repository).then_some(blobs)
}

/// Where a tensor's data is, as its entries say.
struct Place<'a> {
    location: &'a str,
    offset: usize,
    length: Option<usize>,
}

impl Place<'_> {
    fn parse(entries: &[StringStringEntryProto]) -> Result<Place<'_>, String> {
        let get = |key| {
            let found = entries.iter().find(|e| e.key.as_deref() == Some(key));
            found.map(|e| e.value.as_deref().unwrap_or_default())
        };
        let number = |key| match get(key) {
            None => Ok(None),
            Some(text) => match text.parse::<usize>() {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(format!(
                    "external data has the {key} {}, which is no number",
                    quote(text)
                )),
            },
        };
        Ok(Place {
            location: get("location").ok_or("external data has no location")?,
            offset: number("offset")?.unwrap_or(0),
            length: number("length")?,
        })
    }
}

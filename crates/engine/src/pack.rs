//! The pack: a model's weights in the order that the processor reads them, in a file that is mapped on every load but the
//! first.
//!
//! A pack is made anew whenever it cannot be used, so nothing in it is precious, and nobody is asked. What is written is
//! a container that does not know what it holds: an entry has a name (`layers.3.mlp.gate_up`), a layout (a short text
//! that says in which order its bytes are, and must be equal on reading) and bytes.
//!
//! ```no_run
//! use std::path::Path;
//! use inhouse_engine::pack::{Fingerprint, PackFile, PackFolder, PackWriter};
//! use inhouse_kernels::Pool;
//! use inhouse_onnx::Model;
//!
//! # let (pool, folder) = (Pool::new(2), Path::new("models/smollm2-135m"));
//! let (model, sources) = Model::load_with_sources(&folder.join("model.onnx"))?;
//! let path = PackFolder::new("packed").path_of(folder)?;
//! let source = Fingerprint::of_model(folder, &sources, [folder.join("genai_config.json")])?;
//! if let Err(why) = PackFile::open(&path, &source, &pool) {
//!     println!("packing the weights: {why}");
//!     let mut writer = PackWriter::create(&path, &source, 1 << 20)?; // an error here: pack in memory
//!     writer.begin("head", "panels of 16", 3)?;
//!     writer.write(&[1, 2, 3])?;
//!     sources.release_pages();
//!     writer.finish()?;
//! }
//! let pack = PackFile::open(&path, &source, &pool)?;
//! assert_eq!(pack.entry("head", "panels of 16", 3).unwrap(), [1, 2, 3].as_slice());
//! assert!(pack.entry("head", "panels of 8", 3).is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The file
//!
//! Little-endian throughout.
//!
//! | Where | What |
//! |---|---|
//! | 0 | header: magic, format, lengths, checksums of the table and of itself, then zeros; 4096 bytes |
//! | 4096 | the entries, each at a multiple of 4096, zeros between them |
//! | behind them | the table, as JSON: who wrote it, the source's fingerprint, the entries, a checksum of every MiB |
//!
//! Every byte is under one of the checksums (XXH3, 64 bits), and all are verified on every load, over the pool: they
//! guard against a disk, a cut-off write and a stray program, not against somebody who writes packs on purpose. Such a
//! file may name and hold whatever it likes, but can neither panic the reader nor make it allocate more than a small
//! multiple of what there is of it.
//!
//! # Its life
//!
//! A writer has a temporary file of its own beside the pack, locked for as long as it lives, and renames it at the end.
//! Several may write one pack at once: each succeeds, and the last one's stays. It does not wait for the disk (`fsync`):
//! that would hold the first answer back by the time a disk takes for gigabytes, only to save them from a power cut
//! that the checksums find.

mod fingerprint;
mod folder;
mod format;
mod reader;
mod writer;

pub use fingerprint::{Fingerprint, SourceState};
pub use folder::{PackFolder, PackInfo, PackState};
pub use reader::{PackFile, Unusable};
pub use writer::PackWriter;

use std::io;

/// Why a pack cannot be written. Whoever gets it packs in memory instead, and says so.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct PackError {
    kind: PackErrorKind,
    message: String,
    #[source]
    source: Option<io::Error>,
}

/// What kind of failure a [`PackError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackErrorKind {
    /// The disk, a quota or the largest file allowed is too small.
    NoRoom,
    /// The folder or the file cannot be made or written.
    NotWritable,
    /// The model's files cannot be asked for what tells them apart.
    Source,
}

impl PackError {
    fn new(kind: PackErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    fn source(message: impl Into<String>, cause: io::Error) -> Self {
        Self {
            source: Some(cause),
            ..Self::new(PackErrorKind::Source, message)
        }
    }

    /// What was written just now cannot be read.
    pub(crate) fn unreadable(path: &std::path::Path, why: &str) -> Self {
        let message = format!("{} was written, but {why}", path.display());
        Self::new(PackErrorKind::NotWritable, message)
    }

    /// A failure of writing; what the system answered tells a lack of room from the rest.
    fn writing(message: impl Into<String>, cause: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let kind = match cause.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => PackErrorKind::NoRoom,
            _ => PackErrorKind::NotWritable,
        };
        Self {
            source: Some(cause),
            ..Self::new(kind, message)
        }
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> PackErrorKind {
        self.kind
    }
}

#[cfg(test)]
mod tests;

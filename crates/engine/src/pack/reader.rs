//! Reading a pack.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use inhouse_kernels::Pool;
use inhouse_onnx::MappedFile;

use super::Fingerprint;
use super::format::{ALIGN, Entry, Header, PIECE, PROGRAM, Table, checksum};

/// A pack, mapped, and found whole and current.
#[derive(Debug)]
pub struct PackFile {
    file: Bytes,
    source: Fingerprint,
    entries: HashMap<String, Entry>,
}

/// Why a pack is not used. It is made anew, whatever the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// There is no such file.
    #[error("there is none")]
    Absent,
    /// The system does not let it be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// The file is something else.
    #[error("the file is not one")]
    Foreign,
    /// Another version wrote it.
    #[error("it was written by another version ({0})")]
    Version(String),
    /// The model's files are not those it was made of.
    #[error("it is stale: {0}")]
    Stale(String),
    /// Its end is missing.
    #[error("it is cut short: {bytes} of {wanted} bytes")]
    CutShort {
        /// Bytes that are there.
        bytes: u64,
        /// Bytes that it says it has, or needs at least.
        wanted: u64,
    },
    /// What is named has other bytes than were written.
    #[error("{0} is damaged")]
    Damaged(String),
}

impl PackFile {
    /// Maps the pack `path` and verifies every byte of it, with all threads of `pool`.
    ///
    /// The file must not be changed or shortened in place while the pack or any entry of it lives; writers never do.
    ///
    /// # Errors
    /// The pack is missing, damaged, another version's, or made of other files than `expected`.
    pub fn open(path: &Path, expected: &Fingerprint, pool: &Pool) -> Result<Self, Unusable> {
        let unread = Unread::open(path)?;
        // Asked before all is read.
        if let Some(change) = unread.table.source.change(expected) {
            return Err(Unusable::Stale(change));
        }
        unread.verify(pool)
    }

    /// The bytes of the entry `name`, in place; `None` where there is none with this layout and length.
    ///
    /// The file stays mapped for as long as they live.
    pub fn entry(&self, name: &str, layout: &str, len: usize) -> Option<Bytes> {
        let entry = self.entries.get(name)?;
        if entry.layout != layout || entry.len != len as u64 {
            return None;
        }
        let start = entry.offset as usize;
        Some(self.file.slice(start..start + len))
    }

    /// What it was made of.
    pub fn source(&self) -> &Fingerprint {
        &self.source
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.file.len() as u64
    }

    /// How many entries it has.
    pub fn entries(&self) -> usize {
        self.entries.len()
    }
}

/// A pack whose header and table are sound, and whose entries have not been looked at.
pub(super) struct Unread {
    mapped: MappedFile,
    header: Header,
    pub(super) table: Table,
}

impl Unread {
    pub(super) fn open(path: &Path) -> Result<Self, Unusable> {
        let mapped = MappedFile::open(path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Unusable::Absent,
            _ => Unusable::Unreadable(e.to_string()),
        })?;
        let file = mapped.bytes();
        let header = Header::decode(&file)?;
        let table = Table::decode(&file, &header)?;
        Ok(Self {
            mapped,
            header,
            table,
        })
    }

    pub(super) fn verify(self, pool: &Pool) -> Result<PackFile, Unusable> {
        let Table {
            program,
            source,
            entries,
            pieces,
        } = self.table;
        if program != PROGRAM {
            return Err(Unusable::Version(program));
        }
        self.mapped.prefetch();
        let file = self.mapped.bytes();
        let data = &file[ALIGN as usize..self.header.table as usize];
        let first_bad = AtomicUsize::new(usize::MAX);
        pool.for_each(pieces.len(), |i| {
            let start = i * PIECE;
            let piece = &data[start..data.len().min(start + PIECE)];
            if checksum(piece) != pieces[i] {
                first_bad.fetch_min(i, Ordering::Relaxed);
            }
        });
        let first_bad = first_bad.into_inner();
        if first_bad < pieces.len() {
            return Err(Unusable::Damaged(whose(first_bad, &entries)));
        }
        let count = entries.len();
        let entries: HashMap<_, _> = entries
            .into_iter()
            .map(|entry| (entry.name.clone(), entry))
            .collect();
        if entries.len() != count {
            return Err(Unusable::Damaged("its table".into()));
        }
        Ok(PackFile {
            file,
            source,
            entries,
        })
    }
}

/// Names an entry of which bytes are in this piece.
fn whose(piece: usize, entries: &[Entry]) -> String {
    let start = ALIGN + (piece * PIECE) as u64;
    let reaches = |entry: &&Entry| entry.offset + entry.len > start;
    match entries.iter().find(reaches) {
        Some(entry) => format!("{:?}", entry.name),
        None => "what lies between its entries".into(),
    }
}

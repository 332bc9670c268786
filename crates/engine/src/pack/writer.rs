//! Writing a pack.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::Hasher;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use twox_hash::XxHash3_64;

use super::folder::{self, TEMPORARY};
use super::format::{ALIGN, Entry, Header, PIECE, PROGRAM, Table, checksum};
use super::{Fingerprint, PackError, PackErrorKind};

/// Room for header and table, and for what else a disk takes for a file.
const OVERHEAD: u64 = 1 << 20;

/// A pack that is being written; dropped before [`finish`](Self::finish), it leaves nothing behind.
pub struct PackWriter {
    temporary: Temporary,
    path: PathBuf,
    entries: Pieces<BufWriter<File>>,
    table: Table,
    /// Bytes that the entry at hand still lacks.
    lacking: u64,
}

impl PackWriter {
    /// Begins the pack `path` of a model with this fingerprint, of about `bytes` bytes in all.
    ///
    /// Makes the folder where there is none, and removes what writers of the same pack have left that were killed.
    ///
    /// # Errors
    /// The folder or the file cannot be made, or the disk has less room than that.
    pub fn create(path: &Path, source: &Fingerprint, bytes: u64) -> Result<Self, PackError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)
            .map_err(|cause| failed("cannot make the folder", folder, cause))?;
        folder::remove_unfinished(folder, path.file_name());
        check_room(folder, bytes)?;
        let (temporary, file) = Temporary::create(path)
            .map_err(|cause| failed("cannot write into the folder", folder, cause))?;
        let mut file = BufWriter::with_capacity(PIECE, file);
        // The header's place; it is known when all else is.
        file.write_all(&[0; ALIGN as usize])
            .map_err(|cause| failed("cannot write", path, cause))?;
        Ok(Self {
            temporary,
            path: path.to_owned(),
            entries: Pieces::new(file),
            table: Table {
                program: PROGRAM.into(),
                source: source.clone(),
                entries: Vec::new(),
                pieces: Vec::new(),
            },
            lacking: 0,
        })
    }

    /// Begins an entry of `len` bytes, which [`write`](Self::write) is to bring.
    ///
    /// # Errors
    /// The disk is full, or another failure of writing.
    ///
    /// # Panics
    /// When the entry before lacks bytes, or one of this name is there.
    pub fn begin(&mut self, name: &str, layout: &str, len: usize) -> Result<(), PackError> {
        self.check_complete();
        let known = self.table.entries.iter().any(|entry| entry.name == name);
        assert!(!known, "the pack has an entry {name:?} already");
        let end = ALIGN + self.entries.written;
        let offset = end.next_multiple_of(ALIGN);
        self.put(&[0; ALIGN as usize][..(offset - end) as usize])?;
        self.table.entries.push(Entry {
            name: name.into(),
            layout: layout.into(),
            offset,
            len: len as u64,
        });
        self.lacking = len as u64;
        Ok(())
    }

    /// The next bytes of the entry that was begun.
    ///
    /// # Errors
    /// The disk is full, or another failure of writing.
    ///
    /// # Panics
    /// When they are more than the entry was to have.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        let lacking = self.lacking.checked_sub(bytes.len() as u64);
        self.lacking = lacking.expect("an entry gets no more bytes than it was begun with");
        self.put(bytes)
    }

    /// Writes what is left and gives the pack its name, in place of one that has it.
    ///
    /// # Errors
    /// As [`write`](Self::write); nothing is left behind then.
    ///
    /// # Panics
    /// When the last entry lacks bytes.
    pub fn finish(self) -> Result<(), PackError> {
        self.check_complete();
        let Self {
            temporary,
            path,
            entries,
            mut table,
            ..
        } = self;
        let failed = |cause| failed("cannot write", &path, cause);
        let start = ALIGN + entries.written;
        let (mut file, pieces) = entries.finish();
        table.pieces = pieces;
        let bytes = serde_json::to_vec(&table).map_err(|e| failed(e.into()))?;
        let header = Header {
            table: start,
            table_len: bytes.len() as u64,
            table_sum: checksum(&bytes),
        };
        let write = || {
            file.write_all(&bytes)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&header.encode())?;
            // Not synced: see the module's notes.
            file.into_inner().map_err(|e| e.into_error())
        };
        let file = write().map_err(failed)?;
        temporary.rename(&path).map_err(failed)?;
        // Its lock was held up to here, so that no other writer took the file for one that was left.
        drop(file);
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        self.entries
            .write(bytes)
            .map_err(|cause| failed("cannot write", &self.path, cause))
    }

    fn check_complete(&self) {
        let name = self.table.entries.last().map(|entry| entry.name.as_str());
        assert!(
            self.lacking == 0,
            "the entry {:?} lacks {} bytes",
            name.unwrap_or_default(),
            self.lacking
        );
    }
}

impl std::fmt::Debug for PackWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PackWriter")
            .field("path", &self.path)
            .field("written", &self.entries.written)
            .finish_non_exhaustive()
    }
}

fn failed(what: &str, path: &Path, cause: io::Error) -> PackError {
    PackError::writing(format!("{what} {}", path.display()), cause)
}

fn check_room(folder: &Path, bytes: u64) -> Result<(), PackError> {
    // A system that does not tell says so when it is full.
    let Ok(free) = fs4::available_space(folder) else {
        return Ok(());
    };
    let needed = bytes.saturating_add(OVERHEAD);
    if needed <= free {
        return Ok(());
    }
    let mb = |bytes: u64| bytes.div_ceil(1_000_000);
    let message = format!(
        "packed weights need {} MB and {} has {} MB free",
        mb(needed),
        folder.display(),
        free / 1_000_000
    );
    Err(PackError::new(PackErrorKind::NoRoom, message))
}

/// Passes bytes on and makes checksums of them, piece by piece.
pub(super) struct Pieces<W> {
    out: W,
    hasher: XxHash3_64,
    sums: Vec<u64>,
    /// Bytes in all.
    written: u64,
}

impl<W: Write> Pieces<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            hasher: XxHash3_64::new(),
            sums: Vec::new(),
            written: 0,
        }
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = PIECE - (self.written % PIECE as u64) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.out.write_all(now)?;
            self.hasher.write(now);
            self.written += now.len() as u64;
            if now.len() == room {
                self.end_piece();
            }
            bytes = later;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> (W, Vec<u64>) {
        if !self.written.is_multiple_of(PIECE as u64) {
            self.end_piece();
        }
        (self.out, self.sums)
    }

    fn end_piece(&mut self) {
        let hasher = std::mem::replace(&mut self.hasher, XxHash3_64::new());
        self.sums.push(hasher.finish());
    }
}

/// The name of a file that is not complete; the file goes with it.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
    renamed: bool,
}

impl Temporary {
    /// Creates a locked file beside `target` whose name nobody else has.
    fn create(target: &Path) -> io::Result<(Self, File)> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let mut name = target.file_name().unwrap_or_default().to_owned();
            name.push(format!(".{}-{number}.{TEMPORARY}", std::process::id()));
            let path = target.with_file_name(name);
            let file = match OpenOptions::new().write(true).create_new(true).open(&path) {
                // Containers that share the folder may have the same process numbers.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                opened => opened?,
            };
            let renamed = false;
            let temporary = Self { path, renamed };
            match file.try_lock() {
                // Where there are no locks, nobody else gets one to remove the file with.
                Ok(()) | Err(TryLockError::Error(_)) => {}
                // Somebody is about to remove it, having found it before it was locked.
                Err(TryLockError::WouldBlock) => continue,
            }
            if temporary.path.exists() {
                return Ok((temporary, file));
            }
        }
    }

    fn rename(mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            // Nobody is there to hear of a failure, and the next writer removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

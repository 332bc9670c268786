//! How a pack is laid out: its header and its table.

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::{Fingerprint, Unusable};

/// Raised whenever the file is laid out otherwise, or a name and a layout come to stand for other bytes.
pub(super) const FORMAT: u32 = 1;
/// Who writes packs, and reads back none but its own: a release may find other weights in the same files.
pub(super) const PROGRAM: &str = concat!("inhouse ", env!("CARGO_PKG_VERSION"));
/// Entries begin at multiples of this: the page of every system that is common, and more than any vector needs.
pub(super) const ALIGN: u64 = 4096;
/// Bytes under one checksum: few enough that threads end together, enough that there are not many.
pub(super) const PIECE: usize = 1 << 20;
/// The largest table that is read: a terabyte of pieces needs less.
const MAX_TABLE: u64 = 64 << 20;

/// The first byte is no text, and the line ends tell of a transfer that took it for one.
const MAGIC: [u8; 8] = *b"\x8bihpk\r\n\x1a";
/// Bytes of the header that mean something; zeros follow up to [`ALIGN`].
const HEADER: usize = 56;

/// What the first page says: where the table is. All between it and the table is entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) table: u64,
    pub(super) table_len: u64,
    pub(super) table_sum: u64,
}

/// What is in the file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Table {
    pub(super) program: String,
    pub(super) source: Fingerprint,
    pub(super) entries: Vec<Entry>,
    /// Checksums of the bytes between header and table, one a [`PIECE`].
    pub(super) pieces: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) layout: String,
    pub(super) offset: u64,
    pub(super) len: u64,
}

pub(super) fn checksum(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

impl Header {
    /// Bytes of the whole file.
    pub(super) fn file_len(&self) -> Option<u64> {
        self.table.checked_add(self.table_len)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut page = Vec::with_capacity(ALIGN as usize);
        page.extend(MAGIC);
        page.extend(FORMAT.to_le_bytes());
        page.extend([0; 4]);
        for value in [
            self.file_len().unwrap_or(0),
            self.table,
            self.table_len,
            self.table_sum,
        ] {
            page.extend(value.to_le_bytes());
        }
        page.extend(checksum(&page).to_le_bytes());
        page.resize(ALIGN as usize, 0);
        page
    }

    /// Reads the header of `file`, and holds it against the file's length.
    pub(super) fn decode(file: &[u8]) -> Result<Self, Unusable> {
        let known = file.len().min(MAGIC.len());
        if file[..known] != MAGIC[..known] {
            return Err(Unusable::Foreign);
        }
        let cut_short = |wanted| Unusable::CutShort {
            bytes: file.len() as u64,
            wanted,
        };
        let Some(page) = file.get(..ALIGN as usize) else {
            return Err(cut_short(ALIGN));
        };
        let format = u32::from_le_bytes(page[8..12].try_into().expect("four bytes"));
        if format != FORMAT {
            return Err(Unusable::Version(format!("format {format}")));
        }
        let value =
            |at: usize| u64::from_le_bytes(page[at..at + 8].try_into().expect("eight bytes"));
        let sound = value(HEADER - 8) == checksum(&page[..HEADER - 8])
            && page[12..16] == [0; 4]
            && page[HEADER..].iter().all(|&byte| byte == 0);
        let header = Self {
            table: value(24),
            table_len: value(32),
            table_sum: value(40),
        };
        let len = value(16);
        if !sound || header.file_len() != Some(len) || header.table < ALIGN {
            return Err(Unusable::Damaged("its header".into()));
        }
        if (file.len() as u64) < len {
            return Err(cut_short(len));
        }
        if file.len() as u64 != len {
            return Err(Unusable::Damaged("its end".into()));
        }
        Ok(header)
    }
}

impl Table {
    /// Reads the table of `file`, whose length the header was held against.
    pub(super) fn decode(file: &[u8], header: &Header) -> Result<Self, Unusable> {
        let damaged = || Unusable::Damaged("its table".into());
        let bytes = &file[header.table as usize..];
        if header.table_len > MAX_TABLE || checksum(bytes) != header.table_sum {
            return Err(damaged());
        }
        let table: Self = serde_json::from_slice(bytes).map_err(|_| damaged())?;
        let pieces = (header.table - ALIGN).div_ceil(PIECE as u64);
        let mut end = ALIGN;
        for entry in &table.entries {
            let fits = entry.offset.is_multiple_of(ALIGN) && entry.offset >= end;
            end = entry.offset.checked_add(entry.len).ok_or_else(damaged)?;
            if !fits || end > header.table {
                return Err(damaged());
            }
        }
        if table.pieces.len() as u64 != pieces {
            return Err(damaged());
        }
        Ok(table)
    }
}

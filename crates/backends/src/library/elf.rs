//! Whether a library is all there.
//!
//! Linux maps a library's file without asking how long it is, and ends a process that touches what is missing: a copy
//! that was interrupted would take the whole program with it. Other systems refuse such files themselves.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

/// What is said of a library that is not all there.
pub(crate) const CUT_OFF: &str =
    "is cut off, as by a copy that was interrupted: put it there again";

/// Length of the header of a 64-bit ELF file.
const HEADER: usize = 64;
/// Length of a segment's entry.
const SEGMENT: usize = 56;
/// The kind of segment that is mapped.
const LOAD: u64 = 1;

/// Whether a file ends before the segments do that it says it has. What is not ELF, or too short to say, is not.
pub(crate) fn is_cut_off(path: &Path) -> bool {
    if !path.is_file() {
        return false; // opening a pipe would wait for its writer
    }
    let Ok(mut file) = File::open(path) else {
        return false;
    };
    match (end_of_segments(&mut file), file.metadata()) {
        (Some(end), Ok(data)) => data.len() < end,
        _ => false,
    }
}

fn end_of_segments(file: &mut File) -> Option<u64> {
    let mut header = [0; HEADER];
    file.read_exact(&mut header).ok()?;
    // 64 bits, the lowest byte first: all that this program is built for.
    if !header.starts_with(b"\x7fELF\x02\x01") || number(&header, 54, 2)? != SEGMENT as u64 {
        return None;
    }
    let count = usize::try_from(number(&header, 56, 2)?).ok()?;
    let mut table = vec![0; count * SEGMENT];
    file.seek(SeekFrom::Start(number(&header, 32, 8)?)).ok()?;
    file.read_exact(&mut table).ok()?;
    table
        .chunks_exact(SEGMENT)
        .filter(|segment| number(segment, 0, 4) == Some(LOAD))
        .filter_map(|segment| {
            let (start, length) = (number(segment, 8, 8)?, number(segment, 32, 8)?);
            Some(start.saturating_add(length))
        })
        .max()
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let mut number = [0; 8];
    number[..length].copy_from_slice(bytes.get(at..at + length)?);
    Some(u64::from_le_bytes(number))
}

/// A file with one segment of `length` bytes from its beginning, of which `there` are.
#[cfg(test)]
pub(super) fn sample(length: u64, there: usize) -> Vec<u8> {
    let mut bytes = vec![0_u8; HEADER + SEGMENT];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[32] = HEADER as u8;
    bytes[54] = SEGMENT as u8;
    bytes[56] = 1;
    bytes[HEADER] = 1;
    bytes[HEADER + 32..HEADER + 40].copy_from_slice(&length.to_le_bytes());
    bytes.resize(there, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::{HEADER, SEGMENT, is_cut_off, sample};

    fn check(length: u64, there: usize, expected: bool) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("libonnxruntime.so.1.31.1");
        std::fs::write(&path, sample(length, there)).expect("written");
        assert_eq!(is_cut_off(&path), expected, "{there} of {length}");
    }

    #[test]
    fn a_file_that_ends_before_its_segments_is_cut_off() {
        check(500, 500, false);
        check(500, 900, false);
        check(500, 499, true);
        check(u64::MAX, 500, true);
        // The loader itself sees these.
        check(500, HEADER + SEGMENT - 1, false);
        check(500, 10, false);
        check(500, 0, false);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn programs_that_run_are_whole() {
        assert!(!is_cut_off(&std::env::current_exe().expect("this one")));
    }
}

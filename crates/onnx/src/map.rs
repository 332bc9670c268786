//! Files mapped into memory: the one place of this crate that needs `unsafe`.

use std::fs::File;
use std::io;
use std::path::Path;

use bytes::Bytes;
use memmap2::Mmap;

/// Maps a regular file of any format, for crates that read large files.
///
/// It stays mapped for as long as any slice of these bytes lives. As with a model and its external data, the file must not
/// be changed or shortened in place meanwhile: the operating system ends programs that read where it no longer reaches.
pub fn map_file(path: &Path) -> io::Result<Bytes> {
    // Asked before opening: to open a named pipe would wait for a writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "is not a regular file",
        ));
    }
    let file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: a shared, read-only map is sound while nobody changes or shortens the file. Programs cannot hold others to
    // that; like every engine that maps weights we ask it of the user, above and at `Model::load`, and our own writers never
    // change a model file in place: they write beside it and rename.
    let map = unsafe { Mmap::map(&file)? };
    Ok(Bytes::from_owner(map))
}

//! Files mapped into memory: the one place of this crate that needs `unsafe`.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use memmap2::Mmap;

/// Maps a regular file of any format, for crates that read large files.
///
/// It stays mapped for as long as any slice of these bytes lives. As with a model and its external data, the file must not
/// be changed or shortened in place meanwhile: the operating system ends programs that read where it no longer reaches.
pub fn map_file(path: &Path) -> io::Result<Bytes> {
    MappedFile::open(path).map(|file| file.bytes())
}

/// A mapped file, for those who tell the operating system how its pages are used.
///
/// What [`map_file`] says of the file holds here too. Cloning it maps nothing anew.
#[derive(Clone, Debug)]
pub struct MappedFile {
    /// `None` for an empty file, which cannot be mapped.
    map: Option<Arc<Mmap>>,
    metadata: Metadata,
}

impl MappedFile {
    /// Maps a regular file.
    pub fn open(path: &Path) -> io::Result<MappedFile> {
        // Asked before opening: to open a named pipe would wait for a writer.
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "is not a regular file",
            ));
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.len() == 0 {
            return Ok(MappedFile {
                map: None,
                metadata,
            });
        }
        // SAFETY: a shared, read-only map is sound while nobody changes or shortens the file. Programs cannot hold others
        // to that; like every engine that maps weights we ask it of the user, above and at `Model::load`, and our own
        // writers never change such a file in place: they write beside it and rename.
        let map = unsafe { Mmap::map(&file)? };
        Ok(MappedFile {
            map: Some(Arc::new(map)),
            metadata,
        })
    }

    /// The file's size and times as it was mapped, whatever has taken its place since.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The whole file.
    pub fn bytes(&self) -> Bytes {
        match &self.map {
            Some(map) => Bytes::from_owner(Owner(Arc::clone(map))),
            None => Bytes::new(),
        }
    }

    /// Says that the whole file is read soon: what is not in memory yet is fetched in large pieces, in the background.
    ///
    /// Faults alone fetch little at a time: 2.2 GB from a cold disk took 3.8 s without this and 1.0 s with it.
    pub fn prefetch(&self) {
        #[cfg(unix)]
        if let Some(map) = &self.map {
            // It is advice: where the system has none to take, reading is slower and no less right.
            let _ = map.advise(memmap2::Advice::WillNeed);
        }
    }

    /// Gives back the memory of pages that were read. Reading them again fetches them again, from the operating system's
    /// cache while they are in it.
    pub fn release_pages(&self) {
        if let Some(map) = &self.map {
            self.release_pages_of(map);
        }
    }

    /// The same for the pages that some bytes of this file lie on; where they are others, nothing happens.
    pub fn release_pages_of(&self, bytes: &[u8]) {
        #[cfg(target_os = "linux")]
        if let Some(map) = &self.map
            && let Some(start) = (bytes.as_ptr() as usize).checked_sub(map.as_ptr() as usize)
            && start < map.len()
        {
            let len = bytes.len().min(map.len() - start);
            // SAFETY: this drops pages of a shared, read-only map of a file; nothing was ever written to them, and
            // whoever reads there next gets the same bytes from the file. A slice that another thread is reading
            // meanwhile sees no more than a slower read. (On an anonymous map the bytes would become zeros; `map` is
            // made in `open` alone, of a file.)
            let _ = unsafe {
                map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, len)
            };
        }
        #[cfg(not(target_os = "linux"))]
        let _ = bytes;
    }
}

/// What slices of a mapped file hold on to.
struct Owner(Arc<Mmap>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_outlive_the_mapping_and_read_the_same_after_a_release() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let content: Vec<u8> = (0..100_000_u32).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let file = MappedFile::open(&path).unwrap();
        file.prefetch();
        let slice = file.bytes().slice(5000..90_000);
        assert_eq!(slice, content[5000..90_000]);
        file.release_pages();
        drop(file);
        assert_eq!(slice, content[5000..90_000]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn released_pages_are_not_resident() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        std::fs::write(&path, vec![7; 4 << 20]).unwrap();
        let file = MappedFile::open(&path).unwrap();
        let bytes = file.bytes();
        let resident = || {
            let address = format!("{:x}-", bytes.as_ptr() as usize);
            let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
            let ours = maps.lines().skip_while(|line| !line.starts_with(&address));
            let rss = ours.skip(1).find_map(|line| line.strip_prefix("Rss:"));
            let kib = rss.and_then(|rss| rss.trim().strip_suffix(" kB"));
            kib.unwrap().trim().parse::<usize>().unwrap()
        };
        let sum = || bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
        assert_eq!(sum(), 7 * (4 << 20));
        let all = resident();
        assert!(all > 0);
        file.release_pages_of(&[0; 1 << 20]);
        assert_eq!(resident(), all, "others' bytes are not of the file");
        file.release_pages_of(&bytes[1 << 20..2 << 20]);
        assert!(resident() <= all - (1 << 10));
        file.release_pages();
        assert_eq!(resident(), 0);
        assert_eq!(sum(), 7 * (4 << 20));
    }

    #[test]
    fn an_empty_file_has_no_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        std::fs::write(&path, []).unwrap();
        let file = MappedFile::open(&path).unwrap();
        file.prefetch();
        file.release_pages();
        assert!(file.bytes().is_empty());
        assert!(MappedFile::open(folder.path()).is_err());
    }
}

//! Weights packed: taken from the pack where there is one that fits, made where there is none.

use std::path::{Path, PathBuf};

use inhouse_kernels::{PackedLayout, Pool};
use inhouse_onnx::SourceFiles;

use crate::decoder::Decoder;
use crate::decoder::product::{Product, aligned};
use crate::pack::{Fingerprint, PackError, PackFile, PackFolder, PackWriter};

/// Bytes that are packed at a time on their way to a file.
const PIECE_BYTES: usize = 8 << 20;

/// What happens while a model is loaded, for whoever waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadNote {
    /// Weights are packed for this program and written to a file, which takes a while and happens once.
    Packing {
        /// Bytes to be written.
        bytes: u64,
        /// Why the pack that is there is of no use; `None` where there is none.
        why: Option<String>,
    },
    /// Weights were packed in memory, because the pack could not be written.
    InMemory {
        /// What stood in the way.
        why: String,
    },
}

/// Where a model's packed weights are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackedIn {
    /// Nothing was packed: there is nothing that can be, or arithmetic is exact.
    Nowhere,
    /// In memory, made at this load.
    Memory,
    /// In this file.
    File(PathBuf),
}

/// The files of a model.
pub(crate) struct Source<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) config: &'a Path,
    pub(crate) files: &'a SourceFiles,
}

/// Packs every product that can be, through a file in `packs` where one is given.
pub(crate) fn pack(
    decoder: &mut Decoder,
    pool: &Pool,
    source: &Source<'_>,
    packs: Option<&Path>,
    note: &mut dyn FnMut(LoadNote),
) -> PackedIn {
    if decoder
        .products()
        .all(|product| product.layout_candidates().is_empty())
    {
        return PackedIn::Nowhere;
    }
    let filed = packs.map(|packs| through_file(decoder, pool, source, packs, note));
    match filed {
        Some(Ok(path)) => PackedIn::File(path),
        Some(Err(error)) => {
            note(LoadNote::InMemory {
                why: error.to_string(),
            });
            in_memory(decoder, pool, source.files);
            PackedIn::Memory
        }
        None => {
            in_memory(decoder, pool, source.files);
            PackedIn::Memory
        }
    }
}

fn in_memory(decoder: &mut Decoder, pool: &Pool, files: &SourceFiles) {
    for (_, product) in decoder.products_mut() {
        if let Some(layout) = product.layout() {
            let bytes = aligned(layout.bytes(), |out| {
                product.pack_pieces(pool, &layout, 0..layout.pieces(), out)
            });
            product.set_packed(layout, bytes);
            files.release_pages();
        }
    }
}

/// Takes the weights from the pack, and makes it before where it is of no use.
fn through_file(
    decoder: &mut Decoder,
    pool: &Pool,
    source: &Source<'_>,
    packs: &Path,
    note: &mut dyn FnMut(LoadNote),
) -> Result<PathBuf, PackError> {
    let path = PackFolder::new(packs).path_of(source.folder)?;
    let fingerprint = Fingerprint::of_model(source.folder, source.files, [source.config])?;
    let why = match PackFile::open(&path, &fingerprint, pool) {
        Ok(pack) if take(decoder, &pack) => return Ok(path),
        Ok(_) => Some("it was made for other kernels".into()),
        Err(crate::pack::Unusable::Absent) => None,
        Err(why) => Some(why.to_string()),
    };
    let layouts: Vec<Option<PackedLayout>> = decoder.products().map(Product::layout).collect();
    let bytes = layouts.iter().flatten().map(|layout| layout.bytes() as u64);
    let bytes = bytes.sum();
    note(LoadNote::Packing { bytes, why });
    let mut writer = PackWriter::create(&path, &fingerprint, bytes)?;
    for ((name, product), layout) in decoder.products_mut().zip(layouts) {
        if let Some(layout) = layout {
            write(&mut writer, &name, product, &layout, pool)?;
            source.files.release_pages();
        }
    }
    writer.finish()?;
    match PackFile::open(&path, &fingerprint, pool) {
        Ok(pack) if take(decoder, &pack) => Ok(path),
        Ok(_) => Err(PackError::unreadable(&path, "it lacks an entry")),
        Err(why) => Err(PackError::unreadable(&path, &why.to_string())),
    }
}

fn write(
    writer: &mut PackWriter,
    name: &str,
    product: &Product,
    layout: &PackedLayout,
    pool: &Pool,
) -> Result<(), PackError> {
    writer.begin(name, &layout.to_string(), layout.bytes())?;
    let step = (PIECE_BYTES / layout.piece_bytes()).max(1);
    let mut buffer = vec![0; step * layout.piece_bytes()];
    for start in (0..layout.pieces()).step_by(step) {
        let pieces = start..layout.pieces().min(start + step);
        let out = &mut buffer[..pieces.len() * layout.piece_bytes()];
        product.pack_pieces(pool, layout, pieces, out);
        writer.write(out)?;
    }
    Ok(())
}

/// Takes the weights of every product from a pack; `false` where it lacks one.
fn take(decoder: &mut Decoder, pack: &PackFile) -> bool {
    decoder.products_mut().all(|(name, product)| {
        let candidates = product.layout_candidates();
        let entry = candidates.iter().find_map(|layout| {
            let bytes = pack.entry(&name, &layout.to_string(), layout.bytes())?;
            Some((*layout, bytes))
        });
        match entry {
            Some((layout, bytes)) => product.set_packed(layout, bytes),
            None => return candidates.is_empty(),
        }
        true
    })
}

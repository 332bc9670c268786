//! The files behind a model that was read.

use std::path::{Path, PathBuf};

use crate::MappedFile;

/// The files that a model's tensors are slices of: the graph, and the external data that its tensors name.
#[derive(Clone, Debug)]
pub struct SourceFiles(Vec<(PathBuf, MappedFile)>);

impl SourceFiles {
    pub(super) fn new(
        path: &Path,
        graph: MappedFile,
        external: impl Iterator<Item = (PathBuf, MappedFile)>,
    ) -> SourceFiles {
        let mut external: Vec<_> = external.collect();
        // Whatever a map's order is: what is made of the list should be the same each time.
        external.sort_by(|(a, _), (b, _)| a.cmp(b));
        external.insert(0, (path.to_owned(), graph));
        SourceFiles(external)
    }

    /// Where they are: the graph as it was asked for, then external data in its folder, links in that folder not followed.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files().map(|(path, _)| path)
    }

    /// The files by their paths.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &MappedFile)> {
        self.0.iter().map(|(path, file)| (path.as_path(), file))
    }

    /// Gives back the memory of weights that were read, for a caller that has put them elsewhere. The tensors stay valid:
    /// reading them again fetches them from their files.
    pub fn release_pages(&self) {
        self.0.iter().for_each(|(_, file)| file.release_pages());
    }

    /// The same for the pages that some bytes of a tensor lie on.
    pub fn release_pages_of(&self, bytes: &[u8]) {
        let files = self.0.iter();
        files.for_each(|(_, file)| file.release_pages_of(bytes));
    }
}

//! Reading: bytes to [`Model`].

mod convert;
mod external;
mod scan;
mod sources;

use std::path::Path;

use bytes::Bytes;
use prost::Message;

use crate::MappedFile;
use crate::proto::ModelProto;
use crate::{LoadError, LoadErrorKind, Model};
use external::ExternalData;
pub use sources::SourceFiles;

/// Protocol Buffers' own limit for one message.
pub(crate) const MAX_PROTOBUF: usize = i32::MAX as usize;

impl Model {
    /// Reads a model file. It is mapped and so is the external data beside it; no weight is copied.
    ///
    /// The files must not be changed or shortened while the model, or any of its tensors, lives: the operating system ends
    /// programs that read where a mapped file no longer reaches.
    pub fn load(path: &Path) -> Result<Model, LoadError> {
        Model::load_with_sources(path).map(|(model, _)| model)
    }

    /// As [`load`](Model::load), and with the model its files: which they are, and a way to let go of their pages.
    pub fn load_with_sources(path: &Path) -> Result<(Model, SourceFiles), LoadError> {
        let graph = MappedFile::open(path).map_err(|e| LoadError::io(path, "cannot be read", e))?;
        let load = || {
            let mut external = ExternalData::beside(path)?;
            let model = decode(graph.bytes(), &mut external)?;
            let sources = SourceFiles::new(path, graph.clone(), external.into_files());
            Ok((model, sources))
        };
        load().map_err(|e: LoadError| e.at(path))
    }

    /// Reads a model that is in memory. External data is refused: there is no folder to look for it in.
    pub fn from_bytes(bytes: Bytes) -> Result<Model, LoadError> {
        decode(bytes, &mut ExternalData::refused())
    }
}

fn decode(bytes: Bytes, external: &mut ExternalData) -> Result<Model, LoadError> {
    if bytes.len() > MAX_PROTOBUF {
        let message = format!(
            "is {} bytes, more than the 2 GiB of a protobuf file",
            bytes.len()
        );
        return Err(LoadError::new(LoadErrorKind::Limit, message));
    }
    if bytes.starts_with(b"version https://git-lfs") {
        let message = "is a Git LFS pointer and not the file itself; run `git lfs pull`";
        return Err(LoadError::malformed(message));
    }
    scan::check(&bytes)?;
    let proto = ModelProto::decode(bytes)
        .map_err(|e| LoadError::malformed(format!("is not a valid ONNX file: {e}")))?;
    convert::model(proto, external)
}

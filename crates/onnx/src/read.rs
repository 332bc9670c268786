//! Reading: bytes to [`Model`].

mod convert;
mod external;
mod scan;

use std::path::Path;

use bytes::Bytes;
use prost::Message;

use crate::map_file;
use crate::proto::ModelProto;
use crate::{LoadError, LoadErrorKind, Model};
use external::ExternalData;

/// Protocol Buffers' own limit for one message.
pub(crate) const MAX_PROTOBUF: usize = i32::MAX as usize;

impl Model {
    /// Reads a model file. It is mapped and so is the external data beside it; no weight is copied.
    ///
    /// The files must not be changed or shortened while the model, or any of its tensors, lives: the operating system ends
    /// programs that read where a mapped file no longer reaches.
    pub fn load(path: &Path) -> Result<Model, LoadError> {
        let bytes = map_file(path).map_err(|e| LoadError::io(path, "cannot be read", e))?;
        let load = || decode(bytes, ExternalData::beside(path)?);
        load().map_err(|e| e.at(path))
    }

    /// Reads a model that is in memory. External data is refused: there is no folder to look for it in.
    pub fn from_bytes(bytes: Bytes) -> Result<Model, LoadError> {
        decode(bytes, ExternalData::refused())
    }
}

fn decode(bytes: Bytes, external: ExternalData) -> Result<Model, LoadError> {
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

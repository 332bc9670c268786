//! Writing: tensors streamed to an external data file, then the graph.

pub(crate) mod encode;
mod staged;

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use prost::Message;

use crate::error::quote;
use crate::proto::*;
use crate::read::MAX_PROTOBUF;
use crate::tensor::byte_len;
use crate::{DataType, Graph, Model, WriteError, WriteErrorKind};
use staged::StagedFile;

/// Tensors from this size on begin at a page, so that mapping one touches no other's.
const PAGE_ALIGNED_FROM: usize = 64 << 10;
const PAGE: u64 = 4096;
/// A cache line, and the widest vector register.
const LINE: u64 = 64;

/// What a written model says about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelMeta {
    /// Version of the file format.
    pub ir_version: i64,
    /// Operator sets: domain (empty for ONNX's own) and version.
    pub opsets: Vec<(String, i64)>,
}

/// Writes a model: weights go to `<name>.data` as they come, so that only one at a time need be in memory.
///
/// Nothing appears under the final names before [`finish`](Writer::finish); a writer that is dropped before takes its
/// temporary files with it.
///
/// ```
/// use inhouse_onnx::{DataType, Graph, Model, ModelMeta, Node, Writer};
///
/// let folder = tempfile::tempdir()?;
/// let mut writer = Writer::create(folder.path(), "model.onnx")?;
/// writer.add_external("w", DataType::F32, &[2], &[0; 8])?;
/// let node = Node { op_type: "Identity".into(), inputs: vec!["w".into()], outputs: vec!["y".into()], ..Node::default() };
/// let graph = Graph { name: "g".into(), nodes: vec![node], ..Graph::default() };
/// writer.finish(ModelMeta { ir_version: 10, opsets: vec![(String::new(), 21)] }, graph)?;
///
/// let model = Model::load(&folder.path().join("model.onnx"))?;
/// assert_eq!(model.graph.initializers[0].to_f32()?, [0.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Writer {
    model: StagedFile,
    data: StagedFile,
    /// How external tensors name the data file.
    location: String,
    /// Where the next tensor may begin.
    position: u64,
    external: Vec<TensorProto>,
    open: Option<OpenTensor>,
}

/// A tensor whose data is being written.
struct OpenTensor {
    proto: TensorProto,
    offset: u64,
    len: usize,
    missing: usize,
}

impl Writer {
    /// Begins a model in an existing folder. `name` is the model file's; `<name>.data` beside it will hold the weights.
    pub fn create(folder: &Path, name: &str) -> Result<Writer, WriteError> {
        let location = format!("{name}.data");
        Ok(Writer {
            // The data file is staged first: whoever holds its lock owns both names.
            data: StagedFile::create(folder.join(&location))?,
            model: StagedFile::create(folder.join(name))?,
            location,
            position: 0,
            external: Vec::new(),
            open: None,
        })
    }

    /// Adds an initializer whose data, little-endian, is at hand as a whole.
    pub fn add_external(
        &mut self,
        name: &str,
        dtype: DataType,
        dims: &[usize],
        data: &[u8],
    ) -> Result<(), WriteError> {
        self.begin(name, dtype, dims)?;
        self.write(data)?;
        self.end()
    }

    /// Begins an initializer whose data comes in pieces: [`write`](Writer::write) them, then [`end`](Writer::end).
    pub fn begin(&mut self, name: &str, dtype: DataType, dims: &[usize]) -> Result<(), WriteError> {
        self.no_open_tensor()?;
        let problem =
            |e: &dyn std::fmt::Display| self.misuse(format!("tensor {} {e}", quote(name)));
        let len = byte_len(dtype, dims).map_err(|e| problem(&e))?;
        let dims: Result<Vec<i64>, _> = dims.iter().map(|dim| i64::try_from(*dim)).collect();
        let proto = TensorProto {
            name: Some(name.to_owned()),
            data_type: Some(dtype.to_onnx()),
            dims: dims.map_err(|e| problem(&e))?,
            ..TensorProto::default()
        };
        let alignment = if len >= PAGE_ALIGNED_FROM { PAGE } else { LINE };
        let offset = self.position.next_multiple_of(alignment);
        // What is skipped reads as zeros.
        let sought = self.data.file().seek(SeekFrom::Start(offset));
        sought.map_err(|e| WriteError::io(self.data.temporary(), "cannot be written", e))?;
        self.open = Some(OpenTensor {
            proto,
            offset,
            len,
            missing: len,
        });
        Ok(())
    }

    /// Writes the next piece of the tensor that was begun.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), WriteError> {
        let Some(open) = &mut self.open else {
            return Err(self.misuse("data was written before a tensor was begun".into()));
        };
        let Some(missing) = open.missing.checked_sub(piece.len()) else {
            let message = format!(
                "tensor {} was given more than its {} bytes",
                open.name(),
                open.len
            );
            return Err(self.misuse(message));
        };
        open.missing = missing;
        let written = self.data.file().write_all(piece);
        written.map_err(|e| WriteError::io(self.data.temporary(), "cannot be written", e))
    }

    /// Ends the tensor that was begun; all of its data must have come.
    pub fn end(&mut self) -> Result<(), WriteError> {
        let Some(mut open) = self.open.take() else {
            return Err(self.misuse("a tensor was ended before one was begun".into()));
        };
        if open.missing > 0 {
            let message = format!(
                "tensor {} lacks {} of its {} bytes",
                open.name(),
                open.missing,
                open.len
            );
            return Err(self.misuse(message));
        }
        self.position = open.offset + open.len as u64;
        open.proto.data_location = Some(EXTERNAL);
        open.proto.external_data = vec![
            encode::entry("location", self.location.clone()),
            encode::entry("offset", open.offset.to_string()),
            encode::entry("length", open.len.to_string()),
        ];
        self.external.push(open.proto);
        Ok(())
    }

    /// Writes the graph, whose `initializers` are the small ones that stay inside it, and gives both files their names.
    pub fn finish(mut self, meta: ModelMeta, graph: Graph) -> Result<(), WriteError> {
        self.no_open_tensor()?;
        let external = std::mem::take(&mut self.external);
        let has_data = !external.is_empty();
        let proto = encode::model(meta, graph, external);
        let len = proto.encoded_len();
        if len > MAX_PROTOBUF {
            let message = format!(
                "would be {len} bytes, more than the 2 GiB of a protobuf file; make weights external"
            );
            return Err(WriteError::new(
                WriteErrorKind::TooLarge,
                self.model.final_path(),
                message,
            ));
        }
        let written = self.model.file().write_all(&proto.encode_to_vec());
        written.map_err(|e| WriteError::io(self.model.temporary(), "cannot be written", e))?;
        self.publish(has_data)
    }

    fn publish(self, has_data: bool) -> Result<(), WriteError> {
        let Writer {
            mut model,
            mut data,
            position,
            ..
        } = self;
        if has_data {
            data.set_len(position)?;
            data.sync()?;
        }
        model.sync()?;
        // An old model must never be seen with new weights, so it goes first and the new one comes last.
        model.remove_old()?;
        if has_data {
            data.publish()?;
        }
        model.publish()
    }

    fn no_open_tensor(&self) -> Result<(), WriteError> {
        match &self.open {
            Some(open) => {
                Err(self.misuse(format!("tensor {} was begun and not ended", open.name())))
            }
            None => Ok(()),
        }
    }

    fn misuse(&self, message: String) -> WriteError {
        WriteError::new(WriteErrorKind::Misuse, self.data.final_path(), message)
    }
}

impl Model {
    /// The bytes of the model as a file, weights and all: for small ones.
    pub fn to_bytes(&self) -> Vec<u8> {
        let meta = ModelMeta {
            ir_version: self.ir_version,
            opsets: self.opsets.clone(),
        };
        encode::model(meta, self.graph.clone(), Vec::new()).encode_to_vec()
    }
}

impl OpenTensor {
    fn name(&self) -> String {
        quote(self.proto.name.as_deref().unwrap_or_default())
    }
}

/// Path of the temporary file that becomes `path`.
fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

//! ONNX model files: read with external data mapped from disk, and written.

mod dtype;
mod error;
mod graph;
// A mapped file is the one thing here that the compiler cannot vouch for.
#[allow(unsafe_code)]
mod map;
mod proto;
mod read;
mod tensor;

pub use bytes::Bytes;
pub use dtype::DataType;
pub use error::{LoadError, LoadErrorKind, WriteError, WriteErrorKind};
pub use graph::{Attribute, AttributeValue, Dim, Graph, Model, Node, ValueInfo};
pub use tensor::{Tensor, TensorError};

//! ONNX model files: read with external data mapped from disk, and written.
//!
//! [`Model::load`] gives a model as plain structs: a [`Graph`] of [`Node`]s, [`Tensor`]s whose bytes are slices of the
//! mapped files, and nothing of the file format. [`Writer`] goes the other way, weights first and one at a time; [`Changes`]
//! alters a file's bytes and leaves alone what nobody here reads. None of them knows what an operator means.
//!
//! ```no_run
//! use inhouse_onnx::Model;
//!
//! let model = Model::load("phi-4-mini/model.onnx".as_ref())?;
//! for node in model.graph.nodes.iter().filter(|node| node.op_type == "MatMulNBits") {
//!     println!("{}: {:?} bits, weights {:?}", node.name, node.int("bits"), node.input(1));
//! }
//! # Ok::<(), inhouse_onnx::LoadError>(())
//! ```
//!
//! # What is read
//!
//! Initializers and constants of every integer and floating-point type from 4 to 64 bits, raw, in typed fields or
//! external; attributes that are numbers, strings, tensors, graphs (the branches of an `If`) or lists of the first two.
//! Strings as tensor elements, complex and 8-bit floating-point numbers, lists of tensors or graphs, sequences, and
//! sparse initializers and functions *that a node uses* are errors which name the tensor or node.
//!
//! # Untrusted files
//!
//! A file can be cut off, damaged or hostile. Each such file is one [`LoadError`]; no file is a panic.
//!
//! - **Memory.** Before anything is decoded, a walk over the file adds up what its messages take in memory, and refuses
//!   more than 12 times the file's size (1 MiB is always allowed). Real models take about twice the size of their graph.
//!   As lists grow in steps, the peak of the worst accepted file is 44 times its size; a test holds it below 64. Weights are
//!   not part of it: they are slices of the mapped file.
//! - **Depth.** Graphs inside graphs end at 16.
//! - **Size.** A `.onnx` file is at most 2 GiB, as Protocol Buffers has it; external data has no limit but the disk's.
//! - **Shapes** are multiplied with overflow checks and must match the bytes there are.
//! - **External data** is read from inside the model's folder only: plain relative names, links only to targets in the same
//!   folder, or from a Hugging Face snapshot to the blobs of the same repository.
//!
//! # Why prost
//!
//! `prost` 0.14 and `rten-onnx` 0.27 both read and write the schema. Measured on the graph of Phi-4-mini (8 MB, of which 7
//! are rope tables; two-core x86-64 machine):
//!
//! | | prost and our checks | rten-onnx |
//! |---|---|---|
//! | time to plain structs | 0.8 ms | 1.2 to 1.9 ms |
//! | peak memory | 0.9 MB, weights are slices of the map | 9.3 MB, weights are copied |
//! | graphs nested 60,000 deep | error | stack overflow, the process ends |
//! | 10 bytes that announce a string of 4 TB | error | allocation fails, the process ends |
//! | 8 MB of empty nodes | error | 906 MB |
//! | integer lists packed, as proto3 writers do | read | error |
//! | string attributes that are not UTF-8 | read | error |
//! | `uint64_data` | read | ignored |
//! | dependencies | `bytes`; `syn` and friends to build | none |
//!
//! So: prost, with the subset of the schema annotated by hand (no `protoc`, no generated code).

mod dtype;
mod error;
mod graph;
// A mapped file is the one thing here that the compiler cannot vouch for.
#[allow(unsafe_code)]
mod map;
mod proto;
mod read;
mod splice;
mod tensor;
mod write;

pub use bytes::Bytes;
pub use dtype::DataType;
pub use error::{LoadError, LoadErrorKind, WriteError, WriteErrorKind};
pub use graph::{Attribute, AttributeValue, Dim, Graph, Model, Node, ValueInfo};
pub use map::{MappedFile, map_file};
pub use read::SourceFiles;
pub use splice::Changes;
pub use tensor::{Tensor, TensorError};
pub use write::{ModelMeta, Writer};

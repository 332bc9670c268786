//! A walk over a file's messages before anything is allocated for them.
//!
//! Protocol Buffers is a format in which two bytes can stand for an empty message that takes hundreds when decoded, and
//! in which messages nest without end. The walk follows the same schema as the decoder, adds up what decoding would
//! allocate, and refuses what is out of proportion; it also finds where a file was cut off.

use std::mem::size_of;

use crate::proto::*;
use crate::{LoadError, LoadErrorKind};

/// Graphs inside graphs (a branch's branch ..); real models stay below five.
const MAX_GRAPH_DEPTH: usize = 16;

/// What the decoded messages may take for each byte of the file.
const MAX_EXPANSION: usize = 12;

/// What the decoded messages of any file may take, so that small files need no excuse.
const ALWAYS_ALLOWED: usize = 1 << 20;

/// Checks the form of a file: complete, not nested too deep, and not growing out of proportion when decoded.
pub(super) fn check(file: &[u8]) -> Result<(), LoadError> {
    let limit = file.len().saturating_mul(MAX_EXPANSION).max(ALWAYS_ALLOWED);
    let mut scan = Scan {
        file_len: file.len(),
        budget: limit,
    };
    scan.message(Kind::Model, file, 0)
}

/// The messages that the decoder goes into.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Model,
    OperatorSet,
    Function,
    Graph,
    Node,
    Attribute,
    Tensor,
    SparseTensor,
    Entry,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Dimension,
}

/// What the decoder makes of a field.
enum Field {
    /// Nothing, or something no larger than its bytes.
    Plain,
    /// One more element of this size.
    Element(usize),
    /// Numbers, each of at most this size, out of at least one byte.
    Numbers(usize),
    /// A message that takes this size, and what is inside it.
    Message(Kind, usize),
}

impl Kind {
    fn field(self, tag: u64) -> Field {
        use Field::{Element, Message, Numbers};
        match (self, tag) {
            (Kind::Model, 7) => Message(Kind::Graph, size_of::<GraphProto>()),
            (Kind::Model, 8) => Message(Kind::OperatorSet, size_of::<OperatorSetIdProto>()),
            (Kind::Model, 25) => Message(Kind::Function, size_of::<FunctionProto>()),
            (Kind::Graph, 1) => Message(Kind::Node, size_of::<NodeProto>()),
            (Kind::Graph, 5) => Message(Kind::Tensor, size_of::<TensorProto>()),
            (Kind::Graph, 11 | 12) => Message(Kind::ValueInfo, size_of::<ValueInfoProto>()),
            (Kind::Graph, 15) => Message(Kind::SparseTensor, size_of::<SparseTensorProto>()),
            (Kind::Node, 1 | 2) => Element(size_of::<String>()),
            (Kind::Node, 5) => Message(Kind::Attribute, size_of::<AttributeProto>()),
            (Kind::Attribute, 5) => Message(Kind::Tensor, size_of::<TensorProto>()),
            (Kind::Attribute, 6) => Message(Kind::Graph, size_of::<GraphProto>()),
            (Kind::Attribute, 7) => Numbers(size_of::<f32>()),
            (Kind::Attribute, 8) => Numbers(size_of::<i64>()),
            (Kind::Attribute, 9) => Element(size_of::<bytes::Bytes>()),
            (Kind::Tensor, 1 | 7 | 11) => Numbers(size_of::<i64>()),
            (Kind::Tensor, 5) => Numbers(size_of::<i32>()),
            (Kind::Tensor, 13) => Message(Kind::Entry, size_of::<StringStringEntryProto>()),
            (Kind::SparseTensor, 1) => Message(Kind::Tensor, size_of::<TensorProto>()),
            // Those below are held in place or, the dimensions, in a list.
            (Kind::ValueInfo, 2) => Message(Kind::Type, 0),
            (Kind::Type, 1) => Message(Kind::TensorType, 0),
            (Kind::TensorType, 2) => Message(Kind::Shape, 0),
            (Kind::Shape, 1) => Message(Kind::Dimension, size_of::<DimensionProto>()),
            _ => Field::Plain,
        }
    }
}

struct Scan {
    file_len: usize,
    budget: usize,
}

impl Scan {
    fn message(&mut self, kind: Kind, mut bytes: &[u8], depth: usize) -> Result<(), LoadError> {
        let depth = depth + usize::from(kind == Kind::Graph);
        if depth > MAX_GRAPH_DEPTH {
            let message = format!("nests more than {MAX_GRAPH_DEPTH} graphs inside each other");
            return Err(LoadError::new(LoadErrorKind::Limit, message));
        }
        while !bytes.is_empty() {
            let key = varint(&mut bytes).ok_or_else(|| cut_off(kind))?;
            let payload = payload(key & 7, &mut bytes).ok_or_else(|| cut_off(kind))?;
            match kind.field(key >> 3) {
                Field::Plain => {}
                Field::Element(size) => self.spend(size)?,
                Field::Numbers(size) => self.spend(payload.len().saturating_mul(size))?,
                Field::Message(inner, size) => {
                    self.spend(size)?;
                    // Of any other wire type it is no message; the decoder says so.
                    if key & 7 == LENGTH_DELIMITED {
                        self.message(inner, payload, depth)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn spend(&mut self, size: usize) -> Result<(), LoadError> {
        let left = self.budget.checked_sub(size);
        self.budget = left.ok_or_else(|| {
            let len = self.file_len;
            let message = format!(
                "would take more than {MAX_EXPANSION} times its {len} bytes in memory: it is damaged or hostile"
            );
            LoadError::new(LoadErrorKind::Limit, message)
        })?;
        Ok(())
    }
}

const LENGTH_DELIMITED: u64 = 2;

/// Takes a field's value off the front. `None` for one that goes on past the end, and for groups, which ONNX never had.
fn payload<'a>(wire_type: u64, bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = match wire_type {
        0 => {
            let start = *bytes;
            varint(bytes)?;
            return start.get(..start.len() - bytes.len());
        }
        1 => 8,
        LENGTH_DELIMITED => usize::try_from(varint(bytes)?).ok()?,
        5 => 4,
        _ => return None,
    };
    let (payload, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(payload)
}

/// Takes a number off the front: seven bits a byte, the least first.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn cut_off(kind: Kind) -> LoadError {
    let part = match kind {
        Kind::Model => "the model",
        Kind::OperatorSet => "an operator set",
        Kind::Function => "a function",
        Kind::Graph => "a graph",
        Kind::Node => "a node",
        Kind::Attribute => "an attribute",
        Kind::Tensor | Kind::SparseTensor => "a tensor",
        Kind::Entry => "a tensor's external data",
        Kind::ValueInfo | Kind::Type | Kind::TensorType | Kind::Shape | Kind::Dimension => {
            "a value's type"
        }
    };
    LoadError::malformed(format!(
        "is not a valid ONNX file: {part} is cut off or damaged; fetch the file again"
    ))
}

//! Rows of a GGUF tensor, in the order ONNX wants them.

use crate::gguf::TensorInfo;

/// A GGUF matrix and the order its rows are wanted in.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) tensor: &'a TensorInfo,
    /// Values in a row.
    pub(crate) k: usize,
    pub(crate) n: usize,
    pub(crate) order: RowOrder,
}

/// How output rows are found in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowOrder {
    /// As they are.
    Same,
    /// As they are, after so many that belong to something else.
    After(usize),
    /// Halves of a head from neighbouring pairs: GGUF stores Llama's q and k for rotary
    /// embeddings of neighbours, ONNX rotates the halves of a head against each other.
    Heads(usize),
}

impl RowOrder {
    pub(crate) fn source(self, row: usize) -> usize {
        match self {
            RowOrder::Same => row,
            RowOrder::After(skipped) => skipped + row,
            RowOrder::Heads(size) => {
                let (head, within, half) = (row / size, row % size, size / 2);
                head * size + (within % half) * 2 + within / half
            }
        }
    }
}

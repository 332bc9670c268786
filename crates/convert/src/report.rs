//! What a conversion did, and how far it has come.

use std::path::PathBuf;

use crate::gguf::TensorInfo;

/// How far a conversion has come; given to the caller after every tensor.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The tensor that was just converted.
    pub tensor: &'a str,
    /// Bytes of tensors read.
    pub bytes_done: u64,
    /// Bytes of all tensors.
    pub bytes_total: u64,
}

/// What became of a file's tensors.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The folder that was written.
    pub folder: PathBuf,
    /// One row for each type that was met and what it became.
    pub conversions: Vec<Conversion>,
}

/// Tensors of one type that became one other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// The GGUF type.
    pub from: &'static str,
    /// The form in ONNX, in words.
    pub to: String,
    /// Whether the values are the same, to the rounding of f32 arithmetic.
    pub exact: bool,
    /// How many there were.
    pub tensors: usize,
    /// Their bytes in the GGUF file.
    pub bytes_in: u64,
    /// Their bytes in the folder.
    pub bytes_out: u64,
}

impl Report {
    /// Whether every weight kept its value.
    pub fn is_exact(&self) -> bool {
        self.conversions.iter().all(|row| row.exact)
    }

    pub(crate) fn add(&mut self, tensor: &TensorInfo, to: &str, exact: bool, bytes_out: u64) {
        let from = tensor.tensor_type().name();
        let mut rows = self.conversions.iter_mut();
        let row = match rows.find(|row| row.from == from && row.to == to && row.exact == exact) {
            Some(row) => row,
            None => {
                self.conversions.push(Conversion {
                    from,
                    to: to.to_owned(),
                    exact,
                    tensors: 0,
                    bytes_in: 0,
                    bytes_out: 0,
                });
                match self.conversions.last_mut() {
                    Some(row) => row,
                    None => return,
                }
            }
        };
        row.tensors += 1;
        row.bytes_in += tensor.byte_len() as u64;
        row.bytes_out += bytes_out;
    }
}

//! A model's graph before ONNX Runtime gets it: what is read from it, and what is changed in it.
//!
//! Three things are changed, in memory and never on the disk. The head computes only the rows it is asked for, by an input
//! [`ROWS`]: a prompt's logits are 800 KB a token and a sixth of its arithmetic for Phi-4-mini, and one row of them is
//! looked at. The choice between LongRoPE's tables becomes an input [`LONG`], as otherwise a prompt that is given in
//! pieces has other keys than one that is given whole. And exact arithmetic is `accuracy_level` 0.

mod head;
mod rope;

use std::path::Path;

use inhouse_engine::{EngineError, ErrorKind, Precision};
use inhouse_onnx::{Changes, Graph, LoadErrorKind, Model};

/// The input that says which positions get logits: integers, one for each row.
pub(crate) const ROWS: &str = "inhouse.rows";
/// The input that chooses the long rotary tables: a boolean.
pub(crate) const LONG: &str = "inhouse.long";

/// A model that is ready for ONNX Runtime.
pub(crate) struct Prepared {
    /// The graph's bytes; weights outside of it are still in the model's folder.
    pub(crate) bytes: Vec<u8>,
    /// The graph takes [`LONG`]; the longest sequence that the short tables are for.
    pub(crate) original_length: Option<usize>,
    /// Keys and values of the past and the present may be one buffer.
    pub(crate) shares_buffer: bool,
    /// Behind a past it takes one token at a time.
    pub(crate) goes_by_one: bool,
    /// It has branches or loops, which cannot be captured.
    has_control_flow: bool,
}

impl Prepared {
    /// Reads the model file at `path` and changes what is to be changed for a decoder whose logits are named `logits` and
    /// whose past keys and values are the inputs that `is_past` knows.
    ///
    /// # Errors
    /// The file is damaged, or names weights outside of its folder.
    pub(crate) fn decoder(
        path: &Path,
        logits: &str,
        is_past: &dyn Fn(&str) -> bool,
        precision: Precision,
    ) -> Result<Self, EngineError> {
        let Some((bytes, model)) = read(path)? else {
            return Self::as_it_is(path);
        };
        let graph = &model.graph;
        let mut changes = Changes::default();
        head::prune(graph, logits, &mut changes);
        let original_length = rope::choose(graph, &mut changes);
        if precision == Precision::Exact {
            compute_exactly(graph, &mut changes);
        }
        let damaged = || load_error(path, "its bytes and its contents differ");
        Ok(Self {
            bytes: changes.apply(&bytes).ok_or_else(damaged)?,
            original_length,
            shares_buffer: shares_buffer(graph, is_past),
            goes_by_one: goes_by_one(graph),
            has_control_flow: graph.nodes.iter().any(is_control_flow),
        })
    }

    /// Why steps of it cannot be recorded on any device, where that is so.
    pub(crate) fn not_recorded(&self) -> Option<&'static str> {
        if self.has_control_flow {
            Some("the graph has branches or loops")
        } else if !self.shares_buffer {
            Some("its keys and values do not stay in one place")
        } else {
            None
        }
    }

    /// A model whose graph is not a decoder's.
    ///
    /// # Errors
    /// As [`decoder`](Self::decoder).
    pub(crate) fn unchanged(path: &Path) -> Result<Self, EngineError> {
        read(path)?;
        Self::as_it_is(path)
    }

    fn as_it_is(path: &Path) -> Result<Self, EngineError> {
        Ok(Self {
            bytes: std::fs::read(path).map_err(|e| cannot_read(path, e))?,
            original_length: None,
            shares_buffer: false,
            goes_by_one: false,
            has_control_flow: true,
        })
    }
}

/// The file's bytes and what they say; nothing where it uses a part of ONNX that we do not read and ONNX Runtime may.
fn read(path: &Path) -> Result<Option<(Vec<u8>, Model)>, EngineError> {
    let model = match Model::load(path) {
        Ok(model) => model,
        Err(error) if error.kind() == LoadErrorKind::Unsupported => return Ok(None),
        Err(error) => return Err(cannot_read(path, error)),
    };
    let bytes = std::fs::read(path).map_err(|e| cannot_read(path, e))?;
    Ok(Some((bytes, model)))
}

/// Attention that finds the past in a buffer that is longer than it, and writes the present behind it.
fn shares_buffer(graph: &Graph, is_past: &dyn Fn(&str) -> bool) -> bool {
    let mut attention = 0;
    for node in &graph.nodes {
        if node.inputs.iter().any(|input| is_past(input)) {
            if node.op_type != "GroupQueryAttention" {
                return false;
            }
            attention += 1;
        }
    }
    attention > 0
}

/// The official builder's mask for `MultiHeadAttention` has the shape of a whole prompt or of one token, and fails at more
/// tokens behind a past.
fn goes_by_one(graph: &Graph) -> bool {
    let mut nodes = graph.nodes.iter();
    nodes.any(|node| node.op_type == "MultiHeadAttention")
}

fn is_control_flow(node: &inhouse_onnx::Node) -> bool {
    matches!(node.op_type.as_str(), "If" | "Loop" | "Scan")
}

fn compute_exactly(graph: &Graph, changes: &mut Changes) {
    for (index, node) in graph.nodes.iter().enumerate() {
        if node.int("accuracy_level").is_some_and(|level| level != 0) {
            changes.set_attribute(index, "accuracy_level", 0);
        }
    }
}

fn load_error(path: &Path, why: &str) -> EngineError {
    let message = format!("cannot load {}: {why}", path.display());
    EngineError::new(ErrorKind::Load, message)
}

fn cannot_read(
    path: &Path,
    why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> EngineError {
    let message = format!("cannot load {}", path.display());
    EngineError::with_source(ErrorKind::Load, message, why)
}

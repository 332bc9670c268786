//! LongRoPE: which of two rotary tables a sequence is computed with.

use inhouse_onnx::{Graph, Node};

use super::LONG;
use super::splice::{Changes, Value};

/// `TensorProto.DataType.BOOL`.
const BOOL: u64 = 9;

/// Makes the condition of `If(Greater(length, original))` an input of the graph. Gives the original length, where there is
/// such a choice.
pub(super) fn choose(graph: &Graph, changes: &mut Changes) -> Option<usize> {
    let mut original_length = None;
    for (index, node) in graph.nodes.iter().enumerate() {
        let Some(length) = original_length_of(graph, node) else {
            continue;
        };
        if original_length.is_some_and(|other| other != length) {
            continue; // one input chooses for all that ask the same
        }
        original_length = Some(length);
        changes.rename_input(index, 0, LONG);
    }
    if original_length.is_some() {
        changes.add_input(&Value {
            name: LONG,
            element: BOOL,
            dims: Some(&[]),
        });
    }
    original_length
}

fn original_length_of(graph: &Graph, choice: &Node) -> Option<usize> {
    if choice.op_type != "If" {
        return None;
    }
    let condition = choice.input(0)?;
    let mut nodes = graph.nodes.iter();
    let greater = nodes.find(|node| node.outputs.iter().any(|output| output == condition))?;
    if greater.op_type != "Greater" {
        return None;
    }
    let limit = greater.input(1)?;
    let initializers = graph.initializers.iter();
    let constants = graph
        .nodes
        .iter()
        .filter(|node| node.output(0) == Some(limit))
        .filter_map(|node| node.tensor("value"));
    let tensor = initializers
        .filter(|tensor| tensor.name == limit)
        .chain(constants)
        .next()?;
    match tensor.to_i64().ok()?.as_slice() {
        &[length] => usize::try_from(length).ok().filter(|&length| length > 0),
        _ => None,
    }
}

//! LongRoPE: which of two rotary tables a sequence is computed with.

use std::collections::HashMap;

use inhouse_onnx::{Changes, DataType, Graph, Node, ValueInfo};

use super::LONG;

/// Makes the condition of `If(Greater(length, original))` an input of the graph, where its branches are the tables. Gives
/// the original length, where there is such a choice.
pub(super) fn choose(graph: &Graph, changes: &mut Changes) -> Option<usize> {
    let choices = graph.nodes.iter().enumerate();
    let choices: Vec<_> = choices.filter(|(_, node)| is_of_tables(node)).collect();
    if choices.is_empty() {
        return None;
    }
    let made = graph.nodes.iter().flat_map(|node| {
        let outputs = node.outputs.iter();
        outputs.map(move |output| (output.as_str(), node))
    });
    let made: HashMap<&str, &Node> = made.collect();
    let mut original_length = None;
    for (index, node) in choices {
        let Some(length) = original_length_of(graph, &made, node) else {
            continue;
        };
        if original_length.is_some_and(|other| other != length) {
            continue; // one input chooses for all that ask the same
        }
        original_length = Some(length);
        changes.rename_input(index, 0, LONG);
    }
    if original_length.is_some() {
        changes.add_input(ValueInfo {
            name: LONG.to_owned(),
            dtype: Some(DataType::Bool),
            shape: Vec::new(),
        });
    }
    original_length
}

/// A choice between constants, of cosines and of sines.
fn is_of_tables(node: &Node) -> bool {
    let is_tables = |branch: &str| {
        node.graph(branch).is_some_and(|graph| {
            let is_table = |node: &Node| match node.op_type.as_str() {
                "Constant" => node
                    .tensor("value")
                    .is_some_and(|table| table.dims.len() == 2),
                "Identity" => true,
                _ => false,
            };
            graph.outputs.len() == 2 && graph.nodes.iter().all(is_table)
        })
    };
    node.op_type == "If" && is_tables("then_branch") && is_tables("else_branch")
}

fn original_length_of(graph: &Graph, made: &HashMap<&str, &Node>, choice: &Node) -> Option<usize> {
    let greater = made.get(choice.input(0)?)?;
    if greater.op_type != "Greater" {
        return None;
    }
    let limit = greater.input(1)?;
    let constant = made.get(limit).and_then(|node| node.tensor("value"));
    let mut initializers = graph.initializers.iter();
    let tensor = initializers
        .find(|tensor| tensor.name == limit)
        .or(constant)?;
    match tensor.to_i64().ok()?.as_slice() {
        &[length] => usize::try_from(length).ok().filter(|&length| length > 0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use inhouse_onnx::{AttributeValue, Model};

    use super::*;

    #[test]
    fn only_a_choice_between_tables_is_made_an_input() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/zoo/phi4mini-fp32");
        let mut graph = Model::load(&folder.join("model.onnx")).unwrap().graph;
        let found = choose(&graph, &mut Changes::default());
        assert!(found.is_some_and(|length| length > 1), "{found:?}");
        // Another graph may ask whether there is more than one token, say.
        for node in graph.nodes.iter_mut().filter(|node| node.op_type == "If") {
            for attribute in &mut node.attributes {
                if let AttributeValue::Graph(branch) = &mut attribute.value {
                    branch.nodes[0].op_type = "Shape".into();
                }
            }
        }
        assert_eq!(choose(&graph, &mut Changes::default()), None);
    }
}

//! The head computes the rows it is asked for.

use inhouse_onnx::{Attribute, AttributeValue, Changes, DataType, Dim, Graph, Node, ValueInfo};

use super::ROWS;

/// Nodes between the last norm and the logits; a graph with more is not looked through.
const MAX_STEPS: usize = 16;
/// What the head's product reads instead of every row.
const PRUNED: &str = "inhouse.pruned";
/// What the number of rows is called.
const N_ROWS: &str = "inhouse.n_rows";

/// Puts a `Gather` of the asked rows before the head's product, but where the graph selects rows in a way of its own, where
/// no product with constant weights stands before the logits, or where something else reads what comes of the product.
pub(super) fn prune(graph: &Graph, logits: &str, changes: &mut Changes) {
    let Some(head) = Head::find(graph, logits) else {
        return;
    };
    let output = graph.outputs.iter().find(|output| output.name == logits);
    let output = output.filter(|output| output.shape.len() == 3);
    let Some(element) = output.and_then(|output| output.dtype) else {
        return;
    };
    let value = |name: &str, dtype, dims: &[&str]| ValueInfo {
        name: name.to_owned(),
        dtype: Some(dtype),
        shape: dims
            .iter()
            .map(|dim| Dim::Named((*dim).to_owned()))
            .collect(),
    };
    changes.add_input(value(ROWS, DataType::I64, &[N_ROWS]));
    let shape = ["inhouse.batch", N_ROWS, "inhouse.vocabulary"];
    changes.replace_output(value(logits, element, &shape));
    let gather = Node {
        name: "inhouse.prune".to_owned(),
        op_type: "Gather".to_owned(),
        inputs: vec![head.hidden.to_owned(), ROWS.to_owned()],
        outputs: vec![PRUNED.to_owned()],
        attributes: vec![Attribute::new("axis", AttributeValue::Int(1))],
        ..Node::default()
    };
    changes.insert(head.product, gather);
    changes.rename_input(head.product, 0, PRUNED);
}

/// The way from the last norm to the logits.
struct Head<'a> {
    /// Place of the product among the nodes.
    product: usize,
    /// What it multiplies.
    hidden: &'a str,
}

impl<'a> Head<'a> {
    fn find(graph: &'a Graph, logits: &'a str) -> Option<Self> {
        let mut value = logits;
        for _ in 0..MAX_STEPS {
            if reads(graph, value) != 1 {
                return None;
            }
            let (product, node) = producer(graph, value)?;
            value = match node.op_type.as_str() {
                "MatMul" | "MatMulNBits" | "FusedMatMul" => {
                    let turned = ["transA", "transBatchA"].map(|name| node.int(name).unwrap_or(0));
                    if turned != [0, 0] {
                        return None; // its positions are elsewhere
                    }
                    let hidden = before_pruning(graph, node.input(0)?)?;
                    let found = is_constant(graph, node.input(1)?) && !is_constant(graph, hidden);
                    return found.then_some(Self { product, hidden });
                }
                // Row by row, so that it does not matter which rows there are.
                "Cast" | "Identity" | "Tanh" => node.input(0)?,
                "Add" | "Mul" | "Div" | "Sub" => the_other_is_small(graph, node)?,
                _ => return None,
            };
        }
        None
    }
}

/// The input that is not a constant, where the other one has no dimension of positions: soft caps, scales, biases.
fn the_other_is_small<'a>(graph: &'a Graph, node: &'a Node) -> Option<&'a str> {
    let (left, right) = (node.input(0)?, node.input(1)?);
    let small = |name: &str| {
        let tensor = graph
            .initializers
            .iter()
            .find(|tensor| tensor.name == name)
            .or_else(|| producer(graph, name)?.1.tensor("value"));
        tensor.is_some_and(|tensor| tensor.dims.iter().rev().skip(1).all(|&dim| dim == 1))
    };
    match (small(left), small(right)) {
        (false, true) => Some(left),
        (true, false) => Some(right),
        _ => None,
    }
}

/// A constant, or one that is made of constants alone: dequantised or turned round.
fn is_constant(graph: &Graph, value: &str) -> bool {
    let mut value = value;
    for _ in 0..MAX_STEPS {
        if graph.initializers.iter().any(|tensor| tensor.name == value) {
            return true;
        }
        let Some((_, node)) = producer(graph, value) else {
            return false;
        };
        match (node.op_type.as_str(), node.input(0)) {
            ("Constant", _) => return true,
            ("DequantizeLinear" | "Transpose" | "Cast" | "Reshape", Some(input)) => value = input,
            _ => return false,
        }
    }
    false
}

/// Exports with a pruned head select the last row by `Unsqueeze(Gather(x, -1))`, which is passed over; nothing for other
/// selections.
fn before_pruning<'a>(graph: &'a Graph, hidden: &'a str) -> Option<&'a str> {
    let Some((_, node)) = producer(graph, hidden) else {
        return Some(hidden);
    };
    match node.op_type.as_str() {
        "Unsqueeze" => {
            let (_, gather) = producer(graph, node.input(0)?)?;
            let of_positions = gather.op_type == "Gather" && gather.int("axis") == Some(1);
            of_positions.then(|| gather.input(0))?
        }
        "Gather" | "GatherND" | "Slice" => None,
        _ => Some(hidden),
    }
}

fn producer<'a>(graph: &'a Graph, value: &str) -> Option<(usize, &'a Node)> {
    let mut nodes = graph.nodes.iter().enumerate();
    nodes.find(|(_, node)| node.outputs.iter().any(|output| output == value))
}

/// How often the graph and those in it take a value, or hand it back.
fn reads(graph: &Graph, value: &str) -> usize {
    let by_nodes = graph.nodes.iter().map(|node| {
        let inner = node
            .attributes
            .iter()
            .map(|attribute| match &attribute.value {
                AttributeValue::Graph(graph) => reads(graph, value),
                _ => 0,
            });
        let own = node.inputs.iter().filter(|input| *input == value);
        inner.sum::<usize>() + own.count()
    });
    let handed_back = graph.outputs.iter().filter(|output| output.name == value);
    by_nodes.sum::<usize>() + handed_back.count()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use inhouse_onnx::{Attribute, Model, ValueInfo};

    use super::*;

    /// A small decoder, changed; whether its head is pruned then.
    fn is_pruned(change: impl FnOnce(&mut Graph, usize)) -> bool {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/zoo/llama-fp32");
        let mut graph = Model::load(&folder.join("model.onnx")).unwrap().graph;
        let product = producer(&graph, "logits").unwrap().0;
        change(&mut graph, product);
        let mut changes = Changes::default();
        prune(&graph, "logits", &mut changes);
        let nothing = Changes::default();
        format!("{changes:?}") != format!("{nothing:?}")
    }

    fn reader(value: &str) -> Node {
        Node {
            op_type: "ArgMax".into(),
            inputs: vec![value.into()],
            outputs: vec!["token".into()],
            ..Node::default()
        }
    }

    #[test]
    fn a_head_is_pruned_where_nothing_else_reads_of_it() {
        assert!(is_pruned(|_, _| {}));
        assert!(!is_pruned(|graph, _| graph.nodes.push(reader("logits"))));
        assert!(!is_pruned(|graph, _| {
            let branch = Graph {
                nodes: vec![reader("logits")],
                ..Graph::default()
            };
            let branch = Attribute::new("then_branch", AttributeValue::Graph(branch));
            let mut choice = reader("a condition");
            choice.attributes.push(branch);
            graph.nodes.push(choice);
        }));
        // What it multiplies is read by others as it was.
        assert!(is_pruned(|graph, product| {
            let hidden = graph.nodes[product].inputs[0].clone();
            graph.nodes.push(reader(&hidden));
        }));
    }

    #[test]
    fn a_head_is_pruned_where_positions_are_its_second_dimension() {
        assert!(!is_pruned(|graph, _| {
            let is_logits = |output: &&mut ValueInfo| output.name == "logits";
            let logits = graph.outputs.iter_mut().find(is_logits).unwrap();
            logits.shape.remove(0);
        }));
        assert!(!is_pruned(|graph, product| {
            let node = &mut graph.nodes[product];
            node.op_type = "FusedMatMul".into();
            let turned = Attribute::new("transA", AttributeValue::Int(1));
            node.attributes.push(turned);
        }));
    }
}

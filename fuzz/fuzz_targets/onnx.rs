//! Any bytes are a model or an error; of a model, every tensor can be asked for its elements.

#![no_main]

use inhouse_onnx::{AttributeValue, Bytes, Graph, Model};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Model::from_bytes(Bytes::copy_from_slice(bytes)) {
        Ok(model) => visit(&model.graph),
        Err(error) => assert!(
            error.to_string().len() < 2000,
            "an error should be a line: {error}"
        ),
    }
});

fn visit(graph: &Graph) {
    for tensor in &graph.initializers {
        let _ = (tensor.to_f32(), tensor.to_i64());
    }
    for attribute in graph.nodes.iter().flat_map(|node| &node.attributes) {
        match &attribute.value {
            AttributeValue::Graph(graph) => visit(graph),
            AttributeValue::Tensor(tensor) => {
                let _ = (tensor.to_f32(), tensor.to_i64());
            }
            _ => {}
        }
    }
}

//! Trying a provider for real: the smallest graph, on it and on nothing else.

use ort::{session::Session, value::Tensor};

use super::{dispatch, name::ExecutionProvider, options::Options};
use crate::library::Library;

/// `y = x . x` for a 2 x 2 matrix of 32-bit numbers, in operator set 13.
const GRAPH: &[u8] = b"\x08\x08\x3a\x40\
    \x0a\x11\x0a\x01x\x0a\x01x\x12\x01y\x22\x06MatMul\x12\x01g\
    \x5a\x13\x0a\x01x\x12\x0e\x0a\x0c\x08\x01\x12\x08\x0a\x02\x08\x02\x0a\x02\x08\x02\
    \x62\x13\x0a\x01y\x12\x0e\x0a\x0c\x08\x01\x12\x08\x0a\x02\x08\x02\x0a\x02\x08\x02\
    \x42\x04\x0a\x00\x10\x0d";
const X: [f32; 4] = [1.0, 2.0, 3.0, 4.0];
const Y: [f32; 4] = [7.0, 10.0, 15.0, 22.0];

/// Puts the provider into a session's options, which loads its libraries.
pub(super) fn attach(
    provider: ExecutionProvider,
    options: &Options,
    library: &Library,
) -> Result<(), String> {
    builder(provider, options, library)
        .map(drop)
        .map_err(|error| error.message().to_owned())
}

/// Multiplies two small matrices on the provider alone.
pub(super) fn run(
    provider: ExecutionProvider,
    options: &Options,
    library: &Library,
) -> Result<(), String> {
    match multiply(provider, options, library) {
        Ok(product) if product == Y => Ok(()),
        Ok(product) => Err(format!(
            "it multiplied wrongly: {product:?} instead of {Y:?}"
        )),
        Err(error) => Err(error.message().to_owned()),
    }
}

fn multiply(
    provider: ExecutionProvider,
    options: &Options,
    library: &Library,
) -> ort::Result<Vec<f32>> {
    let mut builder = builder(provider, options, library)?;
    if provider != ExecutionProvider::Cpu {
        builder = builder.with_disable_cpu_fallback()?;
    }
    let mut session: Session = builder.with_intra_threads(1)?.commit_from_memory(GRAPH)?;
    let x = Tensor::from_array(([2_usize, 2], X.to_vec()))?;
    let outputs = session.run(ort::inputs![x])?;
    let (_, y) = outputs[0].try_extract_tensor::<f32>()?;
    Ok(y.to_vec())
}

fn builder(
    provider: ExecutionProvider,
    options: &Options,
    library: &Library,
) -> ort::Result<ort::session::builder::SessionBuilder> {
    let builder = Session::builder(&library.environment)?;
    dispatch::attach(builder, provider, options, library)
}

#[cfg(test)]
mod tests {
    use inhouse_onnx::Model;

    use super::GRAPH;

    #[test]
    fn the_graph_is_what_it_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.onnx");
        std::fs::write(&path, GRAPH).expect("written");
        let graph = Model::load(&path).expect("a model").graph;
        assert_eq!(graph.nodes.len(), 1);
        let node = &graph.nodes[0];
        assert_eq!(node.op_type, "MatMul");
        assert_eq!([node.input(0), node.input(1)], [Some("x"), Some("x")]);
    }
}

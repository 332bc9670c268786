//! Lift, don't interpret: a graph is recognised once as a decoder and its weights are taken into typed structs.
//!
//! Exports of the official builder differ in a few places only: where the embedding comes from, how q, k and v are
//! packed, which norms there are, how weights are stored. So the lift walks **backwards** from the logits: every
//! value has exactly one producer, and at each step the producer must be one of the few operators that can stand
//! there. What is not recognised is an error that names family, node, operator and what differs; such graphs are
//! for a backend that runs any graph.

mod attention;
mod embedding;
mod graph;
mod head;
mod linear;
mod mlp;
mod nbits;
mod norm;
mod reorder;
mod rope;

use crate::config::GenaiConfig;
use crate::decoder::product::Product;
use crate::decoder::{Decoder, Layer, Shape};
use crate::error::EngineError;
use crate::weights::Norm;
use graph::GraphView;
use norm::Stream;

/// Takes the weights of `model` into a [`Decoder`].
///
/// # Errors
/// The graph is not a decoder this engine knows: the message names family, node, operator and what differs.
pub(crate) fn lift(
    model: &inhouse_onnx::Model,
    config: &GenaiConfig,
) -> Result<Decoder, EngineError> {
    Lift {
        graph: GraphView::new(&model.graph, config)?,
        config,
        ropes: Vec::new(),
    }
    .decoder()
}

struct Lift<'a> {
    graph: GraphView<'a>,
    config: &'a GenaiConfig,
    /// Tables found so far, by the name of their cosines.
    ropes: Vec<(String, crate::decoder::rope::Rope)>,
}

/// A block as read from the graph, with the stream it starts from.
struct Block<'a> {
    layer: Layer,
    stream: Stream<'a>,
    heads: Heads,
}

/// What a block's attention says about heads.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Heads {
    query: usize,
    kv: usize,
    dim: usize,
}

impl<'a> Lift<'a> {
    fn decoder(mut self) -> Result<Decoder, EngineError> {
        let head = self.head()?;
        let mut blocks = Vec::new();
        let mut stream = head.stream;
        let layers = self.config.decoder.num_hidden_layers;
        for index in (0..layers).rev() {
            let block = self.block(index, &stream)?;
            stream = block.stream.clone();
            blocks.push(block);
        }
        blocks.reverse();
        let embedding = self.embedding(&stream)?;
        let heads = blocks
            .first()
            .map(|block| block.heads)
            .ok_or_else(|| self.graph.unsupported("has no layers"))?;
        if let Some(index) = blocks.iter().position(|block| block.heads != heads) {
            return Err(self
                .graph
                .unsupported(format!("layer {index} has other head counts than layer 0")));
        }
        let shape = Shape {
            hidden: head.final_norm.weight.len(),
            heads: heads.query,
            kv_heads: heads.kv,
            head_dim: heads.dim,
            vocab: head.linear.n(),
            context: self.config.context_length.min(
                self.ropes
                    .iter()
                    .map(|(_, r)| r.positions())
                    .min()
                    .unwrap_or(usize::MAX),
            ),
        };
        let decoder = Decoder {
            shape,
            embedding,
            layers: blocks.into_iter().map(|block| block.layer).collect(),
            final_norm: head.final_norm,
            head: Product::stacked(vec![head.linear]),
            logit_softcap: head.softcap,
            ropes: self.ropes.into_iter().map(|(_, rope)| rope).collect(),
        };
        check_widths(&decoder, &self.graph)?;
        Ok(decoder)
    }

    /// Reads block `index` backwards from the stream it writes.
    fn block(&mut self, index: usize, after: &Stream<'a>) -> Result<Block<'a>, EngineError> {
        let (middle, mlp_branch) = self.graph.sum_of(after)?;
        let (mlp_branch_norm, mlp_out) = self.branch_norm(mlp_branch)?;
        let (mlp, mlp_in) = self.mlp(mlp_out)?;
        let (mlp_norm, mlp_stream) = self.norm(mlp_in)?;
        self.same_stream(mlp_in, &mlp_stream, &middle)?;

        let (before, attention_branch) = self.graph.sum_of(&middle)?;
        let (attention_branch_norm, attention_out) = self.branch_norm(attention_branch)?;
        let (attention, attention_in, heads) = self.attention(index, attention_out)?;
        let (input_norm, attention_stream) = self.norm(attention_in)?;
        self.same_stream(attention_in, &attention_stream, &before)?;
        let layer = Layer {
            input_norm,
            attention,
            attention_branch_norm,
            mlp_norm,
            mlp,
            mlp_branch_norm,
        };
        Ok(Block {
            layer,
            stream: before,
            heads,
        })
    }

    /// A norm at the end of a branch, if there is one.
    fn branch_norm(&self, branch: &'a str) -> Result<(Option<Norm>, &'a str), EngineError> {
        if !self.graph.is_plain_norm(branch) {
            return Ok((None, branch));
        }
        let (norm, stream) = self.norm(branch)?;
        match stream {
            Stream::Value(value) => Ok((Some(norm), value)),
            Stream::Sum { .. } => Err(self.graph.differs_at(
                branch,
                "a branch is normed together with the residual stream",
            )),
        }
    }

    fn same_stream(
        &self,
        normed: &str,
        found: &Stream<'a>,
        expected: &Stream<'a>,
    ) -> Result<(), EngineError> {
        if self.graph.same(found, expected) {
            return Ok(());
        }
        Err(self.graph.differs_at(
            normed,
            "the norm reads another residual stream than the one the branch is added to",
        ))
    }
}

/// Widths along the residual stream must agree; the kernels rely on it.
fn check_widths(decoder: &Decoder, graph: &GraphView<'_>) -> Result<(), EngineError> {
    let hidden = decoder.shape.hidden;
    let wrong = |what: String| Err(graph.unsupported(what));
    let check = |place: String, found: usize, expected: usize| {
        if found == expected {
            Ok(())
        } else {
            wrong(format!(
                "{place} is {found} wide where {expected} is expected"
            ))
        }
    };
    let Shape {
        head_dim,
        vocab,
        context,
        ..
    } = decoder.shape;
    if [hidden, head_dim, vocab, context].contains(&0) {
        return wrong(format!(
            "nothing is left of it: {hidden} values wide, heads of {head_dim}, {vocab} words, {context} positions"
        ));
    }
    if let Some(rope) = decoder
        .ropes
        .iter()
        .find(|rope| rope.short.half > head_dim / 2)
    {
        let half = rope.short.half;
        return wrong(format!(
            "rotary tables turn 2 x {half} values of heads of {head_dim}"
        ));
    }
    check("the embedding".into(), decoder.embedding.width(), hidden)?;
    check("the head's input".into(), decoder.head.k(), hidden)?;
    for (index, layer) in decoder.layers.iter().enumerate() {
        let at = |part: &str| format!("layer {index}'s {part}");
        let heads = decoder.shape.heads * decoder.shape.head_dim;
        check(at("input norm"), layer.input_norm.weight.len(), hidden)?;
        check(at("feed-forward norm"), layer.mlp_norm.weight.len(), hidden)?;
        for norm in [&layer.attention_branch_norm, &layer.mlp_branch_norm]
            .into_iter()
            .flatten()
        {
            check(at("branch norm"), norm.weight.len(), hidden)?;
        }
        check(at("attention output"), layer.attention.output.k(), heads)?;
        check(at("attention output"), layer.attention.output.n(), hidden)?;
        check(at("down projection"), layer.mlp.down.k(), layer.mlp.width())?;
        check(at("down projection"), layer.mlp.down.n(), hidden)?;
        let keys = decoder.shape.kv_heads * head_dim;
        let qkv = match layer.attention.qkv.parts() {
            [_] => vec![decoder.shape.qkv()],
            _ => vec![heads, keys, keys],
        };
        for (linear, n) in layer.attention.qkv.parts().iter().zip(qkv) {
            check(at("q, k or v projection"), linear.n(), n)?;
            check(at("q, k or v projection"), linear.k(), hidden)?;
        }
        let gate_up = layer.mlp.gate_up.parts();
        let width = 2 * layer.mlp.width() / gate_up.len();
        for linear in gate_up {
            check(at("gate or up projection"), linear.n(), width)?;
            check(at("gate or up projection"), linear.k(), hidden)?;
        }
        for (norm, heads) in [
            (&layer.attention.q_norm, decoder.shape.heads),
            (&layer.attention.k_norm, decoder.shape.kv_heads),
        ] {
            let Some(norm) = norm else { continue };
            let (width, head) = (norm.weight.len(), decoder.shape.head_dim);
            if width != head && width != heads * head {
                return wrong(format!(
                    "{} is {width} wide where {head} or {} is expected",
                    at("head norm"),
                    heads * head
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! Weights and nodes of a Llama-like decoder, layer by layer.

mod attention;
mod ends;
mod feed_forward;
mod product;

use inhouse_onnx::{DataType, Graph, Tensor};

use crate::error::ConvertError;
use crate::family::Config;
use crate::gguf::Gguf;
use crate::graph::{Builder, float, int};
use crate::rope::{self, Rotation, Wave};
use crate::weights::{RowOrder, Weights};
use product::{Product, multiply};

/// Writes every weight and returns the graph that uses them.
pub(crate) fn convert(
    gguf: &Gguf,
    config: &Config,
    weights: &mut Weights<'_>,
) -> Result<Graph, ConvertError> {
    let mut decoder = Decoder {
        config,
        weights,
        graph: Builder::default(),
    };
    decoder.graph.sequence_lengths();
    decoder.rope_tables(gguf)?;
    let ends = decoder.ends()?;
    let mut stream = Stream {
        residual: decoder.lookup(&ends),
        branch: None,
    };
    for layer in 0..config.layers {
        decoder.layer(layer, &mut stream)?;
    }
    let name = format!("layers.{}/final_norm_layernorm", config.layers);
    let normed = decoder.norm(&name, "output_norm.weight", &mut stream, true)?;
    let accuracy = decoder.accuracy();
    let graph = &mut decoder.graph;
    let product = Product {
        name: "/lm_head/MatMul",
        output: Some("logits"),
        accuracy,
    };
    multiply(graph, &product, &normed, &ends.head);
    Ok(decoder.graph.finish(config))
}

/// The two tables, and what they are tables of.
const WAVES: [(&str, Wave); 2] = [("cos_cache", f64::cos), ("sin_cache", f64::sin)];

fn rope_constants(table: &rope::Table) -> Result<[Tensor; 2], ConvertError> {
    let constant = |(name, wave): (&str, Wave)| {
        let bytes: Vec<u8> = table.pieces(wave).flatten().collect();
        Tensor::new(name, DataType::F32, table.dims(), bytes)
            .map_err(|e| ConvertError::writing(name, e))
    };
    let [cos, sin] = WAVES;
    Ok([constant(cos)?, constant(sin)?])
}

struct Decoder<'a, 'w> {
    config: &'a Config,
    weights: &'a mut Weights<'w>,
    graph: Builder,
}

/// The residual stream, and what is to be added to it at the next norm.
struct Stream {
    residual: String,
    branch: Option<String>,
}

impl<'w> Decoder<'_, 'w> {
    fn rope_tables(&mut self, gguf: &Gguf) -> Result<(), ConvertError> {
        for name in rope::TENSORS {
            self.weights.mark_used(name);
        }
        match Rotation::read(gguf, self.config)? {
            Rotation::One(table) => {
                for (name, wave) in WAVES {
                    self.weights
                        .computed(name, &table.dims(), table.pieces(wave))?;
                }
            }
            Rotation::Two { short, long } => {
                let (short, long) = (rope_constants(&short)?, rope_constants(&long)?);
                self.graph
                    .long_rope(self.config.original_context, short, long);
            }
        }
        Ok(())
    }

    fn layer(&mut self, layer: usize, stream: &mut Stream) -> Result<(), ConvertError> {
        let input_norm = format!("layers.{layer}/input_layernorm");
        let normed = self.norm(
            &input_norm,
            &format!("blk.{layer}.attn_norm.weight"),
            stream,
            false,
        )?;
        stream.branch = Some(self.attention(layer, &normed)?);
        let after = format!("layers.{layer}/post_attention_layernorm");
        let normed = self.norm(
            &after,
            &format!("blk.{layer}.ffn_norm.weight"),
            stream,
            false,
        )?;
        stream.branch = Some(self.feed_forward(layer, &normed)?);
        Ok(())
    }

    /// Adds what is pending to the stream and normalises it.
    fn norm(
        &mut self,
        name: &str,
        tensor: &str,
        stream: &mut Stream,
        last: bool,
    ) -> Result<String, ConvertError> {
        let weight = format!("model.{}.weight", name.replace('/', "."));
        let rows = self.vector_rows(tensor, self.config.hidden, RowOrder::Same)?;
        self.weights.vector(&weight, &[rows])?;
        let epsilon = float("epsilon", self.config.epsilon);
        let base = format!("/model/{name}");
        let output = format!("{base}/output_0");
        let Some(branch) = stream.branch.take() else {
            self.graph.add(
                "SimplifiedLayerNormalization",
                &format!("{base}/LayerNorm"),
                &[&stream.residual, &weight],
                &[&output],
                vec![epsilon, int("axis", -1), int("stash_type", 1)],
            );
            return Ok(output);
        };
        let sum = format!("{base}/output_3");
        // Nothing follows the last norm that could want the sum.
        let outputs: &[&str] = if last {
            &[&output]
        } else {
            &[&output, "", "", &sum]
        };
        self.graph.add(
            "SkipSimplifiedLayerNormalization",
            &format!("{base}/SkipLayerNorm"),
            &[&stream.residual, &branch, &weight],
            outputs,
            vec![epsilon],
        );
        stream.residual = sum;
        Ok(output)
    }
}

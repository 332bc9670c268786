//! The embedding and the head, which may share their weights.

use inhouse_onnx::{Attribute, AttributeValue};

use super::Decoder;
use super::product::to_f32;
use crate::error::ConvertError;
use crate::graph::int;
use crate::matrix::Use;
use crate::weights::{RowOrder, Rows, Written};

/// Both ends of the model, which may share their weights.
pub(super) struct Ends {
    pub(super) embedding: Written,
    pub(super) head: Written,
    /// Whether the embedding is the head's own tensor of floats, which lies the other way round.
    turned: bool,
}

impl Decoder<'_, '_> {
    /// Writes the embedding and the head. A tied head is written once where the embedding can
    /// read it, that is, unless it has zero points that are floats.
    pub(super) fn ends(&mut self) -> Result<Ends, ConvertError> {
        let (k, n) = (self.config.hidden, self.config.vocab);
        let table = self.rows("token_embd.weight", k, n, RowOrder::Same)?;
        let head = match self.weights.optional("output.weight", &[k, n])? {
            Some(tensor) => Rows { tensor, ..table },
            None => table,
        };
        let tied = std::ptr::eq(head.tensor, table.tensor);
        let written = self.weights.matrix("lm_head", &[head])?;
        let gathers = self.weights.form(table.tensor.tensor_type(), Use::Gather);
        let embedding = match &written {
            Written::Quantised { form, .. } if tied && gathers == Some(*form) => written.clone(),
            Written::Float { .. } if tied => written.clone(),
            _ => self.weights.embedding("model.embed_tokens.weight", table)?,
        };
        Ok(Ends {
            embedding,
            turned: tied && matches!(written, Written::Float { .. }),
            head: written,
        })
    }

    /// The embedding of the input, as f32.
    pub(super) fn lookup(&mut self, ends: &Ends) -> String {
        let base = "/model/embed_tokens";
        let graph = &mut self.graph;
        match &ends.embedding {
            Written::Quantised {
                levels,
                scales,
                zero_points,
                form,
                n,
                k,
            } => {
                let shape = graph.ints(&[*n as i64, (*k * form.bits / 8) as i64]);
                let flat = graph.node(
                    "Reshape",
                    &format!("{base}/Reshape"),
                    &[levels, &shape],
                    vec![],
                );
                let mut inputs = vec![flat.as_str(), "input_ids", scales];
                inputs.extend(zero_points.as_deref());
                let attributes = vec![
                    int("bits", form.bits as i64),
                    int("block_size", form.block as i64),
                    int("gather_axis", 0),
                    int("quantize_axis", 1),
                ];
                let name = format!("{base}/GatherBlockQuantized");
                graph.node("GatherBlockQuantized", &name, &inputs, attributes)
            }
            Written::Float { name, dtype } => {
                let mut table = name.clone();
                if ends.turned {
                    let perm = Attribute::new("perm", AttributeValue::Ints(vec![1, 0]));
                    table = graph.node(
                        "Transpose",
                        &format!("{base}/Transpose"),
                        &[name],
                        vec![perm],
                    );
                }
                let gathered = graph.node(
                    "Gather",
                    &format!("{base}/Gather"),
                    &[&table, "input_ids"],
                    vec![],
                );
                to_f32(graph, &format!("{base}/Cast"), gathered, *dtype)
            }
        }
    }
}

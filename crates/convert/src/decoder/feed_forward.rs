//! The feed-forward part: SiLU of the gate times up, and down again.

use super::Decoder;
use crate::error::ConvertError;
use crate::weights::{RowOrder, Rows};

impl<'w> Decoder<'_, 'w> {
    pub(super) fn feed_forward(
        &mut self,
        layer: usize,
        input: &str,
    ) -> Result<String, ConvertError> {
        let (hidden, inner) = (self.config.hidden, self.config.feed_forward);
        let base = format!("layers.{layer}/mlp");
        let [gate, up] = self.gate_and_up(layer)?;
        let gate = self.project_rows(&format!("{base}/gate_proj"), &[gate], &[], input)?;
        let up = self.project_rows(&format!("{base}/up_proj"), &[up], &[], input)?;
        let name = |part: &str| format!("/model/{base}/{part}");
        let graph = &mut self.graph;
        let sigmoid = graph.node("Sigmoid", &name("act_fn/Sigmoid"), &[&gate], vec![]);
        let silu = graph.node("Mul", &name("act_fn/Mul"), &[&gate, &sigmoid], vec![]);
        let product = graph.node("Mul", &name("Mul"), &[&silu, &up], vec![]);
        self.project(
            &format!("{base}/down_proj"),
            &format!("blk.{layer}.ffn_down"),
            &product,
            inner,
            hidden,
        )
    }

    /// Two tensors, or the halves of one.
    fn gate_and_up(&mut self, layer: usize) -> Result<[Rows<'w>; 2], ConvertError> {
        let (k, n) = (self.config.hidden, self.config.feed_forward);
        let up = format!("blk.{layer}.ffn_up.weight");
        if !self.config.family.fused {
            let gate = format!("blk.{layer}.ffn_gate.weight");
            return Ok([
                self.rows(&gate, k, n, RowOrder::Same)?,
                self.rows(&up, k, n, RowOrder::Same)?,
            ]);
        }
        let both = self.rows(&up, k, 2 * n, RowOrder::Same)?;
        let half = |order| Rows { n, order, ..both };
        Ok([half(RowOrder::Same), half(RowOrder::After(n))])
    }
}

//! Columns in another order: checkpoints quantised by GPTQ with act-order say for each column (`g_idx`) which block's
//! scale and zero point it has. Sorted by block the columns lie as all others do, and the activations are put into the
//! same order. (ONNX Runtime 1.31 on CPU passes over packed zero points here and takes 8; the operator means them.)

use inhouse_onnx::{Node, Tensor};

use super::Lift;
use super::nbits::BlockQuantized;
use crate::error::EngineError;

impl<'a> Lift<'a> {
    /// The columns of a matrix in the order of their blocks, or nothing where that is the order they have.
    ///
    /// # Errors
    /// The blocks do not have as many columns each as the block size says.
    pub(super) fn column_order(
        &self,
        node: &Node,
        groups: &Tensor,
        k: usize,
        block: usize,
    ) -> Result<Option<Box<[u32]>>, EngineError> {
        let groups = groups
            .to_i64()
            .map_err(|e| self.graph.differs(node, format!("{:?}: {e}", groups.name)))?;
        let mut order: Vec<u32> = (0..groups.len() as u32).collect();
        order.sort_by_key(|&column| groups[column as usize]);
        let fits =
            |(place, &column): (usize, &u32)| groups[column as usize] == (place / block) as i64;
        if groups.len() != k || !order.iter().enumerate().all(fits) {
            let what =
                format!("g_idx does not give each block of {block} as many of the {k} columns");
            return Err(self.graph.differs(node, what));
        }
        let changed = order
            .iter()
            .enumerate()
            .any(|(place, &column)| place != column as usize);
        Ok(changed.then(|| order.into()))
    }

    /// The quants of `parts` with their columns in this order.
    pub(super) fn reordered(
        &self,
        node: &Node,
        parts: &BlockQuantized<'a>,
        order: &[u32],
    ) -> Result<Tensor, EngineError> {
        let bytes = parts.quants.bytes();
        let stride = parts.k.div_ceil(parts.block).saturating_mul(parts.block);
        let per_byte = if parts.bits == 4 { 2 } else { 1 };
        if parts.n.checked_mul(stride) != bytes.len().checked_mul(per_byte) {
            return Err(self.graph.differs(node, "the quants have the wrong count"));
        }
        let mut out = vec![0u8; bytes.len()];
        for row in (0..bytes.len() * per_byte).step_by(stride) {
            for (place, &column) in order.iter().enumerate() {
                let (from, to) = (row + column as usize, row + place);
                if per_byte == 1 {
                    out[to] = bytes[from];
                } else {
                    out[to / 2] |= (bytes[from / 2] >> (from % 2 * 4) & 0xf) << (to % 2 * 4);
                }
            }
        }
        Tensor::new(
            &parts.quants.name,
            parts.quants.dtype,
            parts.quants.dims.clone(),
            out,
        )
        .map_err(|e| {
            self.graph
                .differs(node, format!("{:?}: {e}", parts.quants.name))
        })
    }
}

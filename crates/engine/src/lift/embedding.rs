//! The embedding: a table of floats, or rows of the head's own quantised weights where both are tied.

use inhouse_kernels::Layout;
use inhouse_onnx::Node;

use super::Lift;
use super::nbits::BlockQuantized;
use super::norm::Stream;
use crate::error::EngineError;
use crate::weights::{Embedding, Weight};

impl<'a> Lift<'a> {
    pub(super) fn embedding(&self, stream: &Stream<'a>) -> Result<Embedding, EngineError> {
        let value = match *stream {
            Stream::Value(value) => value,
            Stream::Sum { base, .. } => base,
        };
        self.embedding_of(value, None)
    }

    fn embedding_of(&self, value: &'a str, width: Option<usize>) -> Result<Embedding, EngineError> {
        let node = self.graph.producer(value)?;
        match node.op_type.as_str() {
            "Gather" => self.gather(node),
            "GatherBlockQuantized" => self.gather_quantized(node, width),
            "Mul" => {
                let (a, b) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?);
                let (inner, scale) = match (self.graph.scalar(a), self.graph.scalar(b)) {
                    (None, Some(scale)) => (a, scale),
                    (Some(scale), None) => (b, scale),
                    _ => {
                        return Err(self.graph.differs(
                            node,
                            "the embedding is multiplied by something other than one number",
                        ));
                    }
                };
                let mut embedding = self.embedding_of(inner, width)?;
                embedding.scale *= scale;
                Ok(embedding)
            }
            "Slice" => {
                // Rows are padded to whole blocks; the padding is cut off again.
                let list = |index| {
                    node.input(index)
                        .and_then(|value| self.graph.integers(value))
                };
                match (list(1).as_deref(), list(2).as_deref(), list(3).as_deref()) {
                    (Some([0]), Some([width]), Some([-1 | 2])) if *width > 0 => {
                        self.embedding_of(self.graph.input(node, 0)?, Some(*width as usize))
                    }
                    _ => Err(self
                        .graph
                        .differs(node, "only padding at the end of a row may be cut off")),
                }
            }
            _ => Err(self.graph.differs(
                node,
                "the embedding is expected here: Gather or GatherBlockQuantized",
            )),
        }
    }

    fn gather(&self, node: &'a Node) -> Result<Embedding, EngineError> {
        self.check_ids(node)?;
        if node.int("axis").unwrap_or(0) != 0 {
            return Err(self
                .graph
                .differs(node, "the embedding is not gathered along axis 0"));
        }
        let table = self.graph.input(node, 0)?;
        let dense = match (
            self.graph.constant(table),
            self.graph.producer_of(table, "Transpose"),
        ) {
            (Some(tensor), _) => self.dense(node, tensor, Layout::NK)?,
            (None, Some(transpose)) => {
                self.dense(transpose, self.graph.weight(transpose, 0)?, Layout::KN)?
            }
            (None, None) => {
                return Err(self
                    .graph
                    .differs(node, "the embedding table is not a constant"));
            }
        };
        Ok(Embedding {
            table: Weight::Dense(dense),
            scale: 1.0,
            release: None,
        })
    }

    fn gather_quantized(
        &self,
        node: &'a Node,
        width: Option<usize>,
    ) -> Result<Embedding, EngineError> {
        self.check_ids(node)?;
        let bits = node.int("bits").unwrap_or(4);
        let block = node
            .int("block_size")
            .and_then(|size| usize::try_from(size).ok())
            .unwrap_or(128);
        if node.int("gather_axis").unwrap_or(0) != 0
            || !matches!(node.int("quantize_axis").unwrap_or(1), 1 | -1)
        {
            return Err(self
                .graph
                .differs(node, "rows are expected along axis 0, blocks along axis 1"));
        }
        let data = self.graph.input(node, 0)?;
        let quants = match (
            self.graph.constant(data),
            self.graph.producer_of(data, "Reshape"),
        ) {
            (Some(tensor), _) => tensor,
            (None, Some(reshape)) => self.graph.weight(reshape, 0)?,
            (None, None) => {
                return Err(self
                    .graph
                    .differs(node, "the embedding's weights are not a constant"));
            }
        };
        let scales = self.graph.weight(node, 2)?;
        let &[n, blocks] = scales.dims.as_slice() else {
            return Err(self.graph.differs(
                node,
                format!(
                    "scales have the shape {:?}; [rows, blocks] is expected",
                    scales.dims
                ),
            ));
        };
        let padded = blocks.saturating_mul(block);
        let k = width.unwrap_or(padded);
        if k.div_ceil(block.max(1)) != blocks {
            return Err(self.graph.differs(
                node,
                format!("rows of {k} values do not fill {blocks} blocks of {block}"),
            ));
        }
        let zero_points = node
            .input(3)
            .map(|_| self.graph.weight(node, 3))
            .transpose()?;
        let table = self.block_quantized(
            node,
            BlockQuantized {
                n,
                k,
                bits,
                block,
                quants,
                scales,
                zero_points,
            },
        )?;
        Ok(Embedding {
            table: Weight::NBits(table),
            scale: 1.0,
            release: None,
        })
    }

    fn check_ids(&self, node: &'a Node) -> Result<(), EngineError> {
        let ids = self.graph.peel(self.graph.input(node, 1)?);
        if ids == self.config.decoder.input_ids {
            return Ok(());
        }
        Err(self.graph.differs(
            node,
            format!(
                "rows are picked by {ids:?} and not by {:?}",
                self.config.decoder.input_ids
            ),
        ))
    }
}

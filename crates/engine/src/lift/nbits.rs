//! Block-quantised matrices: the tensors of `MatMulNBits`, `GatherBlockQuantized` and of QDQ exports.
//!
//! Source: the operators' definitions in ONNX Runtime's `docs/ContribOperators.md` and ONNX `DequantizeLinear`.

use bytes::Bytes;
use inhouse_kernels::{Bits, Layout};
use inhouse_onnx::{DataType, Node, Tensor};

use super::Lift;
use crate::error::EngineError;
use crate::weights::{NBitsWeight, Values, ZeroPointValues};

/// The parts of a block-quantised matrix [n, k], as a node names them.
pub(super) struct BlockQuantized<'a> {
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) bits: i64,
    pub(super) block: usize,
    pub(super) quants: &'a Tensor,
    pub(super) scales: &'a Tensor,
    pub(super) zero_points: Option<&'a Tensor>,
}

impl<'a> Lift<'a> {
    /// Checks the parts against each other and takes them over, in place where the file allows it.
    pub(super) fn block_quantized(
        &self,
        node: &Node,
        parts: BlockQuantized<'a>,
    ) -> Result<NBitsWeight, EngineError> {
        let BlockQuantized { n, k, block, .. } = parts;
        let bits = match parts.bits {
            4 => Bits::Four,
            8 => Bits::Eight,
            other => {
                return Err(self
                    .graph
                    .differs(node, format!("{other}-bit weights; 4 or 8 are supported")));
            }
        };
        if !matches!(block, 16 | 32 | 64 | 128 | 256) {
            return Err(self.graph.differs(
                node,
                format!("block size {block}; 16, 32, 64, 128 or 256 is supported"),
            ));
        }
        let blocks = n.saturating_mul(k.div_ceil(block));
        let expect = |tensor: &Tensor, what: &str, found: usize, expected: usize| {
            if found == expected {
                return Ok(());
            }
            let what = format!(
                "{what} {:?} hold {found} values where [{n}, {k}] in blocks of {block} need {expected}",
                tensor.name
            );
            Err(self.graph.differs(node, what))
        };
        let (quants, signed) = self.quants(node, parts.quants)?;
        expect(
            parts.quants,
            "quants",
            quants.len(),
            blocks.saturating_mul(block * parts.bits as usize / 8),
        )?;
        expect(parts.scales, "scales", parts.scales.len(), blocks)?;
        let scales = match parts.scales.dtype {
            DataType::F32 => Values::new(parts.scales.bytes().clone()),
            _ => Values::from_vec(self.graph.floats(node, parts.scales)?),
        };
        let zero_points = match parts.zero_points {
            None => default_zero_points(parts.quants.dtype, blocks),
            Some(tensor) => self.zero_points(node, tensor, &parts, signed)?,
        };
        Ok(NBitsWeight {
            n,
            k,
            bits,
            block,
            quants,
            scales,
            zero_points,
        })
    }

    /// Quants as unsigned bytes or nibbles; signed ones are shifted, together with their zero points.
    fn quants(&self, node: &Node, tensor: &Tensor) -> Result<(Bytes, bool), EngineError> {
        let bytes = tensor.bytes();
        match tensor.dtype {
            DataType::U8 | DataType::U4 => Ok((bytes.clone(), false)),
            DataType::I4 => Ok((bytes.iter().map(|byte| byte ^ 0x88).collect(), true)),
            DataType::I8 => Ok((bytes.iter().map(|byte| byte ^ 0x80).collect(), true)),
            other => Err(self.graph.differs(
                node,
                format!("quants {:?} are of type {other:?}", tensor.name),
            )),
        }
    }

    fn zero_points(
        &self,
        node: &Node,
        tensor: &Tensor,
        parts: &BlockQuantized<'_>,
        signed: bool,
    ) -> Result<ZeroPointValues, EngineError> {
        let per_row = parts.k.div_ceil(parts.block);
        let is_float = matches!(tensor.dtype, DataType::F32 | DataType::F16 | DataType::BF16);
        if is_float {
            let values = self.graph.floats(node, tensor)?;
            if values.len() != parts.n * per_row {
                return Err(self.graph.differs(
                    node,
                    format!("zero points {:?} have the wrong count", tensor.name),
                ));
            }
            return Ok(ZeroPointValues::Floats(Values::from_vec(values)));
        }
        let mask = match (signed, parts.bits) {
            (false, _) => 0,
            (true, 4) => 0x88,
            (true, _) => 0x80,
        };
        let bytes = tensor.bytes();
        let unpacked: Option<Vec<u8>> = if parts.bits == 8 {
            (bytes.len() == parts.n * per_row)
                .then(|| bytes.iter().map(|byte| byte ^ mask).collect())
        } else {
            unpack_nibbles(bytes, parts.n, per_row, mask)
        };
        match unpacked {
            Some(values) => Ok(ZeroPointValues::Bytes(values.into())),
            None => Err(self.graph.differs(
                node,
                format!("zero points {:?} have the wrong count", tensor.name),
            )),
        }
    }

    /// The quantised matrix behind a `DequantizeLinear`: blocks along the last axis of [n, k], or the first of [k, n].
    pub(super) fn dequantized(
        &self,
        node: &'a Node,
        layout: Layout,
    ) -> Result<NBitsWeight, EngineError> {
        if node.op_type != "DequantizeLinear" {
            return Err(self
                .graph
                .differs(node, "a DequantizeLinear of a constant is expected here"));
        }
        let quants = self.graph.weight(node, 0)?;
        let scales = self.graph.weight(node, 1)?;
        let zero_points = node
            .input(2)
            .map(|_| self.graph.weight(node, 2))
            .transpose()?;
        let (axis, block) = (
            node.int("axis").unwrap_or(1),
            node.int("block_size").unwrap_or(0),
        );
        let (&[rows, columns], true) = (quants.dims.as_slice(), block > 0) else {
            return Err(self
                .graph
                .differs(node, "a matrix quantised in blocks is expected"));
        };
        let bits = if matches!(quants.dtype, DataType::U4 | DataType::I4) {
            4
        } else {
            8
        };
        match (layout, axis) {
            (Layout::NK, -1 | 1) => self.block_quantized(
                node,
                BlockQuantized {
                    n: rows,
                    k: columns,
                    bits,
                    block: block as usize,
                    quants,
                    scales,
                    zero_points,
                },
            ),
            (Layout::KN, 0) => {
                let transpose = |tensor: &Tensor| self.transposed(node, tensor, bits);
                let (quants, scales) = (transpose(quants)?, self.transposed(node, scales, 32)?);
                let zero_points = zero_points.map(transpose).transpose()?;
                self.block_quantized(
                    node,
                    BlockQuantized {
                        n: columns,
                        k: rows,
                        bits,
                        block: block as usize,
                        quants: &quants,
                        scales: &scales,
                        zero_points: zero_points.as_ref(),
                    },
                )
            }
            _ => Err(self.graph.differs(
                node,
                format!("blocks along axis {axis} do not lie along the inner dimension"),
            )),
        }
    }

    /// A matrix of nibbles, bytes or floats the other way round; every row begins at a whole byte.
    fn transposed(&self, node: &Node, tensor: &Tensor, bits: i64) -> Result<Tensor, EngineError> {
        let &[rows, columns] = tensor.dims.as_slice() else {
            return Err(self
                .graph
                .differs(node, format!("{:?} is not a matrix", tensor.name)));
        };
        let error =
            |e: &dyn std::fmt::Display| self.graph.differs(node, format!("{:?}: {e}", tensor.name));
        if bits == 32 {
            let values = self.graph.floats(node, tensor)?;
            let turned: Vec<f32> = (0..values.len())
                .map(|i| values[(i % rows) * columns + i / rows])
                .collect();
            let bytes = bytemuck::cast_slice(&turned).to_vec();
            return Tensor::new(&tensor.name, DataType::F32, vec![columns, rows], bytes)
                .map_err(|e| error(&e));
        }
        let source = tensor.bytes();
        let turned = if bits == 8 {
            (0..source.len())
                .map(|i| source[(i % rows) * columns + i / rows])
                .collect()
        } else {
            let nibble = |row: usize, column: usize| {
                let index = row * columns + column;
                source[index / 2] >> (index % 2 * 4) & 0xf
            };
            let mut turned = vec![0u8; columns * rows.div_ceil(2)];
            for column in 0..columns {
                for row in 0..rows {
                    turned[column * rows.div_ceil(2) + row / 2] |=
                        nibble(row, column) << (row % 2 * 4);
                }
            }
            turned
        };
        // Bytes from here on: padded rows of nibbles are what zero points use, and quants have no odd rows.
        let signed = matches!(tensor.dtype, DataType::I4 | DataType::I8);
        let mask = if bits == 4 { 0x88 } else { 0x80 };
        let turned: Vec<u8> = if signed {
            turned.into_iter().map(|byte: u8| byte ^ mask).collect()
        } else {
            turned
        };
        let width = turned.len() / columns.max(1);
        Tensor::new(&tensor.name, DataType::U8, vec![columns, width], turned).map_err(|e| error(&e))
    }
}

/// Without zero points, `uint8` containers mean the middle of the range and ONNX's own 4-bit types mean zero.
fn default_zero_points(dtype: DataType, blocks: usize) -> ZeroPointValues {
    match dtype {
        DataType::U4 => ZeroPointValues::Bytes(vec![0; blocks].into()),
        // Signed quants were shifted by the middle of the range, so their zero is there too.
        _ => ZeroPointValues::Middle,
    }
}

/// One nibble a block, every row beginning at a whole byte; tightly packed where that is how long the tensor is.
fn unpack_nibbles(bytes: &[u8], rows: usize, per_row: usize, mask: u8) -> Option<Vec<u8>> {
    let nibble = |index: usize| ((bytes[index / 2] ^ mask) >> (index % 2 * 4)) & 0xf;
    let stride = if bytes.len() == rows * per_row.div_ceil(2) {
        per_row.div_ceil(2) * 2
    } else if bytes.len() == (rows * per_row).div_ceil(2) {
        per_row
    } else {
        return None;
    };
    Some(
        (0..rows)
            .flat_map(|row| (0..per_row).map(move |column| row * stride + column))
            .map(nibble)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nibbles_of_odd_rows_begin_at_whole_bytes() {
        let rows = [0x21, 0x03, 0x65, 0x07];
        assert_eq!(unpack_nibbles(&rows, 2, 3, 0), Some(vec![1, 2, 3, 5, 6, 7]));
        assert_eq!(
            unpack_nibbles(&[0x21, 0x53, 0x76], 2, 3, 0),
            Some(vec![1, 2, 3, 5, 6, 7])
        );
        assert_eq!(unpack_nibbles(&[0x21], 2, 3, 0), None);
        assert_eq!(unpack_nibbles(&[0xf8], 1, 2, 0x88), Some(vec![0, 7]));
    }
}

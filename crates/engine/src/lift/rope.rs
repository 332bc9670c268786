//! Rotary tables: constants, or an `If` on the sequence's length with a pair in each branch (LongRoPE).

use inhouse_onnx::{DataType, Graph, Node, Tensor};

use super::Lift;
use crate::decoder::rope::{LongRope, Rope, RopeTable};
use crate::error::EngineError;

impl<'a> Lift<'a> {
    /// The number of the tables named `cos` and `sin`, read once for all layers that share them.
    pub(super) fn rope(
        &mut self,
        node: &'a Node,
        cos: &'a str,
        sin: &'a str,
        interleaved: bool,
    ) -> Result<usize, EngineError> {
        let cos = self.graph.peel(cos);
        if let Some(index) = self.ropes.iter().position(|(name, _)| name == cos) {
            return Ok(index);
        }
        let sin = self.graph.peel(sin);
        let rope = match (self.graph.constant(cos), self.graph.constant(sin)) {
            (Some(cos), Some(sin)) => Rope {
                short: self.table(node, cos, sin)?,
                long: None,
                interleaved,
            },
            _ => self.long_rope(node, cos, sin, interleaved)?,
        };
        self.ropes.push((cos.to_owned(), rope));
        Ok(self.ropes.len() - 1)
    }

    fn long_rope(
        &self,
        node: &'a Node,
        cos: &'a str,
        sin: &'a str,
        interleaved: bool,
    ) -> Result<Rope, EngineError> {
        let Some(choice) = self.graph.producer_of(cos, "If") else {
            return Err(self.graph.differs(
                node,
                "its rotary tables are neither constants nor an If between two pairs",
            ));
        };
        let outputs =
            [cos, sin].map(|name| choice.outputs.iter().position(|output| output == name));
        let [Some(cos), Some(sin)] = outputs else {
            return Err(self
                .graph
                .differs(choice, "cosines and sines do not come out of the same If"));
        };
        let branch = |name: &str| {
            let graph = choice
                .graph(name)
                .ok_or_else(|| self.graph.differs(choice, format!("{name} is missing")))?;
            let table = |index: usize| {
                branch_constant(graph, index).ok_or_else(|| {
                    self.graph
                        .differs(choice, format!("{name}'s output {index} is not a constant"))
                })
            };
            self.table(choice, table(cos)?, table(sin)?)
        };
        let original_length = self.original_length(choice)?;
        let (long, short) = (branch("then_branch")?, branch("else_branch")?);
        if long.half != short.half {
            return Err(self
                .graph
                .differs(choice, "its branches hold tables of different widths"));
        }
        if short.positions < original_length.min(long.positions) {
            let what = format!(
                "its short tables hold {} positions where they are used up to {original_length}",
                short.positions
            );
            return Err(self.graph.differs(choice, what));
        }
        Ok(Rope {
            short,
            long: Some(LongRope {
                original_length,
                table: long,
            }),
            interleaved,
        })
    }

    /// The length in `If(Greater(length, original))`.
    fn original_length(&self, choice: &'a Node) -> Result<usize, EngineError> {
        let condition = self.graph.producer(self.graph.input(choice, 0)?)?;
        if condition.op_type != "Greater" {
            return Err(self.graph.differs(
                condition,
                "the choice between rotary tables is expected to be Greater(length, constant)",
            ));
        }
        let limit = self.graph.integers(self.graph.input(condition, 1)?);
        match limit.as_deref() {
            Some(&[length]) if length > 0 => Ok(length as usize),
            _ => Err(self.graph.differs(
                condition,
                "the original length is not one positive constant",
            )),
        }
    }

    fn table(&self, node: &Node, cos: &Tensor, sin: &Tensor) -> Result<RopeTable, EngineError> {
        let (&[positions, half], true) = (
            cos.dims.as_slice(),
            cos.dims == sin.dims && cos.dtype == sin.dtype,
        ) else {
            let what = format!(
                "rotary tables of the shapes {:?} and {:?}; two of [positions, half] are expected",
                cos.dims, sin.dims
            );
            return Err(self.graph.differs(node, what));
        };
        let kind = cos.dtype;
        if !matches!(kind, DataType::F32 | DataType::F16) || half == 0 || positions == 0 {
            return Err(self.graph.differs(
                node,
                format!("rotary tables {:?} of type {kind:?}", cos.name),
            ));
        }
        Ok(RopeTable {
            cos: cos.bytes().clone(),
            sin: sin.bytes().clone(),
            half,
            positions,
            is_f16: kind == DataType::F16,
        })
    }
}

/// The constant that a branch gives out at `index`.
fn branch_constant(graph: &Graph, index: usize) -> Option<&Tensor> {
    let mut name = graph.outputs.get(index)?.name.as_str();
    loop {
        if let Some(tensor) = graph.initializers.iter().find(|tensor| tensor.name == name) {
            return Some(tensor);
        }
        let node = graph
            .nodes
            .iter()
            .find(|node| node.outputs.iter().any(|output| output == name))?;
        match node.op_type.as_str() {
            "Constant" => return node.tensor("value"),
            // A branch's nodes come in order, so following inputs ends; Identity of itself does not pass `find`.
            "Identity" | "Cast" if node.input(0) != Some(name) => name = node.input(0)?,
            _ => return None,
        }
    }
}

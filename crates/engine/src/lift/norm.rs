//! Root-mean-square norms and the residual stream they read.

use super::Lift;
use crate::error::EngineError;
use crate::weights::Norm;

/// The residual stream at some place of the graph.
#[derive(Clone, Debug)]
pub(super) enum Stream<'a> {
    /// A value that a node outputs.
    Value(&'a str),
    /// The sum that a skip norm makes inside without giving it out.
    Sum { base: &'a str, branch: &'a str },
}

impl<'a> Lift<'a> {
    /// The norm whose output is `value`, and the stream it reads.
    pub(super) fn norm(&self, value: &'a str) -> Result<(Norm, Stream<'a>), EngineError> {
        let node = self.graph.producer(value)?;
        let (weight, stream) = match node.op_type.as_str() {
            "SimplifiedLayerNormalization" | "RMSNormalization" => {
                if !matches!(node.int("axis"), None | Some(-1)) {
                    return Err(self
                        .graph
                        .differs(node, "the norm is not along the last axis"));
                }
                (
                    1,
                    Stream::Value(self.graph.peel(self.graph.input(node, 0)?)),
                )
            }
            "SkipSimplifiedLayerNormalization" => {
                if node.input(3).is_some() {
                    return Err(self
                        .graph
                        .differs(node, "a bias inside the skip norm is not supported"));
                }
                let (base, branch) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?);
                (
                    2,
                    Stream::Sum {
                        base: self.graph.peel(base),
                        branch: self.graph.peel(branch),
                    },
                )
            }
            _ => {
                return Err(self
                    .graph
                    .differs(node, "a root-mean-square norm is expected here"));
            }
        };
        let weight = self.graph.floats(node, self.graph.weight(node, weight)?)?;
        Ok((
            Norm {
                weight,
                epsilon: node.float("epsilon").unwrap_or(1e-5),
            },
            stream,
        ))
    }
}

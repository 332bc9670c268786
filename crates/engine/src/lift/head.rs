//! From the logits back to the last residual stream.

use super::Lift;
use super::norm::Stream;
use crate::error::EngineError;
use crate::weights::{Linear, Norm};

/// The end of the decoder.
pub(super) struct Head<'a> {
    pub(super) linear: Linear,
    pub(super) softcap: Option<f32>,
    pub(super) final_norm: Norm,
    pub(super) stream: Stream<'a>,
}

impl<'a> Lift<'a> {
    pub(super) fn head(&self) -> Result<Head<'a>, EngineError> {
        let name = &self.config.decoder.logits;
        let output = self
            .graph
            .graph
            .outputs
            .iter()
            .find(|output| output.name == *name);
        let Some(output) = output else {
            let names: Vec<_> = self
                .graph
                .graph
                .outputs
                .iter()
                .map(|output| output.name.as_str())
                .take(4)
                .collect();
            return Err(self.graph.unsupported(format!(
                "there is no output {name:?}; its outputs begin with {names:?}"
            )));
        };
        let (softcap, capped) = self.softcap(&output.name)?;
        let (linear, input) = self.linear(capped)?;
        let (final_norm, stream) = self.norm(self.before_pruning(input)?)?;
        Ok(Head {
            linear,
            softcap,
            final_norm,
            stream,
        })
    }

    /// `Mul(Tanh(Div(x, cap)), cap)`: the cap and x.
    fn softcap(&self, value: &'a str) -> Result<(Option<f32>, &'a str), EngineError> {
        let parts = || {
            let mul = self.graph.producer_of(value, "Mul")?;
            let tanh = self.graph.producer_of(mul.input(0)?, "Tanh")?;
            let div = self.graph.producer_of(tanh.input(0)?, "Div")?;
            Some((mul, div))
        };
        let Some((mul, div)) = parts() else {
            return Ok((None, value));
        };
        let cap = self.graph.scalar(self.graph.input(div, 1)?);
        if cap.is_none() || cap != self.graph.scalar(self.graph.input(mul, 1)?) {
            return Err(self.graph.differs(
                mul,
                "the soft cap divides and multiplies by different values",
            ));
        }
        Ok((cap, self.graph.input(div, 0)?))
    }

    /// Exports with a pruned head select the last row: `Unsqueeze(Gather(x, -1))`. Which rows get logits is the
    /// caller's choice here, so the selection is passed over.
    fn before_pruning(&self, value: &'a str) -> Result<&'a str, EngineError> {
        let Some(unsqueeze) = self.graph.producer_of(value, "Unsqueeze") else {
            return Ok(value);
        };
        let gather = self.graph.producer(self.graph.input(unsqueeze, 0)?)?;
        let last = self.graph.integers(self.graph.input(gather, 1)?) == Some(vec![-1]);
        if gather.op_type != "Gather" || gather.int("axis") != Some(1) || !last {
            return Err(self.graph.differs(
                gather,
                "a selection of the last row is expected before the head",
            ));
        }
        self.graph.input(gather, 0)
    }
}

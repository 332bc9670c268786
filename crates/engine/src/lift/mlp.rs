//! The gated feed-forward, read backwards from its down projection.

use super::Lift;
use crate::decoder::product::Product;
use crate::decoder::{Activation, Mlp};
use crate::error::EngineError;

impl<'a> Lift<'a> {
    /// The feed-forward whose output is `value`, and the value it reads.
    pub(super) fn mlp(&self, value: &'a str) -> Result<(Mlp, &'a str), EngineError> {
        let (down, product) = self.linear(value)?;
        let node = self.graph.producer(product)?;
        if node.op_type != "Mul" {
            return Err(self.graph.differs(
                node,
                "a gated feed-forward is expected: Mul(activation(gate), up)",
            ));
        }
        let (a, b) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?);
        let (activation, gate, up) = match (self.activation(a), self.activation(b)) {
            (Some((activation, gate)), _) => (activation, gate, b),
            (None, Some((activation, gate))) => (activation, gate, a),
            (None, None) => {
                return Err(self
                    .graph
                    .differs(node, "neither side is SiLU or tanh GELU of the gate"));
            }
        };
        let (gate_up, input) = self.gate_up(gate, up)?;
        Ok((
            Mlp {
                gate_up,
                activation,
                down: Product::stacked(vec![down]),
            },
            input,
        ))
    }

    /// SiLU is written as `Mul(x, Sigmoid(x))`; GELU has its own operators.
    fn activation(&self, value: &'a str) -> Option<(Activation, &'a str)> {
        let node = self.graph.producer(value).ok()?;
        let input = node.input(0)?;
        match node.op_type.as_str() {
            "Mul" => {
                let other = node.input(1)?;
                let is_sigmoid_of = |sigmoid: &'a str, x: &'a str| {
                    self.graph
                        .producer_of(sigmoid, "Sigmoid")
                        .and_then(|node| node.input(0))
                        .is_some_and(|inner| self.graph.peel(inner) == self.graph.peel(x))
                };
                let gate = if is_sigmoid_of(other, input) {
                    input
                } else if is_sigmoid_of(input, other) {
                    other
                } else {
                    return None;
                };
                Some((Activation::Silu, gate))
            }
            "Silu" | "Swish" => Some((Activation::Silu, input)),
            "Gelu" if node.string("approximate") == Some("tanh") => {
                Some((Activation::GeluTanh, input))
            }
            "FastGelu" if node.input(1).is_none() => Some((Activation::GeluTanh, input)),
            _ => None,
        }
    }

    fn gate_up(&self, gate: &'a str, up: &'a str) -> Result<(Product, &'a str), EngineError> {
        if let (Some((gate_split, 0)), Some((up_split, 1))) =
            (self.split_part(gate), self.split_part(up))
            && std::ptr::eq(gate_split, up_split)
        {
            let (linear, input) = self.linear(self.graph.input(gate_split, 0)?)?;
            return Ok((Product::gated(vec![linear]), input));
        }
        let (gate_linear, gate_input) = self.linear(gate)?;
        let (up_linear, up_input) = self.linear(up)?;
        if self.graph.peel(gate_input) != self.graph.peel(up_input) {
            return Err(self
                .graph
                .differs_at(up, "gate and up read different values"));
        }
        Ok((Product::gated(vec![gate_linear, up_linear]), gate_input))
    }

    /// The `Split` along the last axis that makes `value`, and which of its outputs `value` is.
    pub(super) fn split_part(&self, value: &'a str) -> Option<(&'a inhouse_onnx::Node, usize)> {
        let value = self.graph.peel(value);
        let node = self.graph.producer_of(value, "Split")?;
        let index = node.outputs.iter().position(|output| output == value)?;
        matches!(node.int("axis"), Some(-1 | 2)).then_some((node, index))
    }
}

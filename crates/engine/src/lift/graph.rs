//! The graph as the lift looks at it: who produces a value, what is constant, what an error says.

use std::collections::HashMap;

use inhouse_onnx::{Graph, Node, Tensor};

use super::norm::Stream;
use crate::config::GenaiConfig;
use crate::error::{EngineError, ErrorKind};

/// How many pass-through nodes may follow each other; a cycle is cut here.
const MAX_HOPS: usize = 64;

pub(super) struct GraphView<'a> {
    pub(super) graph: &'a Graph,
    producers: HashMap<&'a str, &'a Node>,
    initializers: HashMap<&'a str, &'a Tensor>,
    model_type: &'a str,
}

impl<'a> GraphView<'a> {
    pub(super) fn new(graph: &'a Graph, config: &'a GenaiConfig) -> Result<Self, EngineError> {
        let mut producers = HashMap::new();
        for node in &graph.nodes {
            for output in node.outputs.iter().filter(|name| !name.is_empty()) {
                producers.insert(output.as_str(), node);
            }
        }
        let initializers = graph
            .initializers
            .iter()
            .map(|tensor| (tensor.name.as_str(), tensor))
            .collect();
        Ok(Self {
            graph,
            producers,
            initializers,
            model_type: &config.model_type,
        })
    }

    /// The node that makes `value`, seen through casts and identities.
    ///
    /// Casts between float types are passed over: this engine computes in f32 whatever the graph rounds to.
    pub(super) fn producer(&self, value: &'a str) -> Result<&'a Node, EngineError> {
        let value = self.peel(value);
        self.producers.get(value).copied().ok_or_else(|| {
            let what = if self.initializers.contains_key(value) {
                "is a constant"
            } else {
                "is produced by no node"
            };
            self.unsupported(format!(
                "value {value:?} {what}, where an operator's output is expected"
            ))
        })
    }

    /// The producer, if it is of this operator type.
    pub(super) fn producer_of(&self, value: &'a str, op_type: &str) -> Option<&'a Node> {
        self.producers
            .get(self.peel(value))
            .copied()
            .filter(|node| node.op_type == op_type)
    }

    /// `value` before casts and identities.
    pub(super) fn peel(&self, value: &'a str) -> &'a str {
        let mut value = value;
        for _ in 0..MAX_HOPS {
            match self.producers.get(value) {
                Some(node) if matches!(node.op_type.as_str(), "Cast" | "Identity" | "Dropout") => {
                    match node.input(0) {
                        Some(input) => value = input,
                        None => break,
                    }
                }
                _ => break,
            }
        }
        value
    }

    /// The constant that `value` is: an initializer or a `Constant` node, seen through casts.
    pub(super) fn constant(&self, value: &'a str) -> Option<&'a Tensor> {
        let value = self.peel(value);
        if let Some(tensor) = self.initializers.get(value) {
            return Some(tensor);
        }
        let node = self
            .producers
            .get(value)
            .filter(|node| node.op_type == "Constant")?;
        node.tensor("value")
    }

    /// Like [`Self::constant`], with an error that names the node wanting it.
    pub(super) fn weight(&self, node: &'a Node, input: usize) -> Result<&'a Tensor, EngineError> {
        let value = self.input(node, input)?;
        self.constant(value).ok_or_else(|| {
            self.differs(node, format!("input {input} ({value:?}) is not a constant"))
        })
    }

    /// A single float constant.
    pub(super) fn scalar(&self, value: &'a str) -> Option<f32> {
        let tensor = self.constant(value)?;
        match tensor.to_f32().ok()?.as_slice() {
            [scalar] => Some(*scalar),
            _ => None,
        }
    }

    /// A constant list of integers.
    pub(super) fn integers(&self, value: &'a str) -> Option<Vec<i64>> {
        self.constant(value)?.to_i64().ok()
    }

    /// The name of an input that must be there.
    pub(super) fn input(&self, node: &'a Node, index: usize) -> Result<&'a str, EngineError> {
        node.input(index)
            .ok_or_else(|| self.differs(node, format!("input {index} is missing")))
    }

    /// A float tensor as values.
    pub(super) fn floats(&self, node: &Node, tensor: &Tensor) -> Result<Vec<f32>, EngineError> {
        tensor
            .to_f32()
            .map_err(|e| self.differs(node, format!("{:?}: {e}", tensor.name)))
    }

    /// Splits a residual stream into what was there and the branch that was added.
    pub(super) fn sum_of(&self, stream: &Stream<'a>) -> Result<(Stream<'a>, &'a str), EngineError> {
        let (base, branch) = match *stream {
            Stream::Sum { base, branch } => (base, branch),
            Stream::Value(value) => {
                let node = self.producer(value)?;
                match node.op_type.as_str() {
                    "SkipSimplifiedLayerNormalization"
                        if node.output(3) == Some(self.peel(value)) =>
                    {
                        (self.input(node, 0)?, self.input(node, 1)?)
                    }
                    "Add" => (self.input(node, 0)?, self.input(node, 1)?),
                    _ => {
                        return Err(self.differs(
                            node,
                            "the residual stream is expected here: a skip norm's sum or an Add",
                        ));
                    }
                }
            }
        };
        Ok((Stream::Value(self.peel(base)), self.peel(branch)))
    }

    /// Whether two descriptions mean the same residual stream.
    pub(super) fn same(&self, a: &Stream<'a>, b: &Stream<'a>) -> bool {
        if let (Stream::Value(a), Stream::Value(b)) = (a, b)
            && self.peel(a) == self.peel(b)
        {
            return true;
        }
        match (self.sum_of(a), self.sum_of(b)) {
            (Ok((Stream::Value(a), x)), Ok((Stream::Value(b), y))) => a == b && x == y,
            _ => false,
        }
    }

    /// Whether `value` comes out of a norm that adds nothing.
    pub(super) fn is_plain_norm(&self, value: &'a str) -> bool {
        self.producer_of(value, "SimplifiedLayerNormalization")
            .is_some()
    }

    /// The error for a node that is not what is expected there.
    pub(super) fn differs(&self, node: &Node, what: impl std::fmt::Display) -> EngineError {
        let domain = if node.domain.is_empty() {
            String::new()
        } else {
            format!("{}.", node.domain)
        };
        self.unsupported(format!(
            "node {:?} ({domain}{}): {what}",
            node.name, node.op_type
        ))
    }

    /// The error for the node that produces `value`.
    pub(super) fn differs_at(&self, value: &str, what: &str) -> EngineError {
        match self.producers.get(value) {
            Some(node) => self.differs(node, what),
            None => self.unsupported(format!("value {value:?}: {what}")),
        }
    }

    /// The error for the graph as a whole.
    pub(super) fn unsupported(&self, what: impl std::fmt::Display) -> EngineError {
        let message = format!(
            "the native engine does not recognise this graph as a {:?} decoder: {what}; \
             it runs what the official builder exports for CPU",
            self.model_type
        );
        EngineError::new(ErrorKind::UnsupportedGraph, message)
    }
}

//! `com.microsoft.MultiHeadAttention`, which f16 exports for CPU use: rotary embedding stands before it, the mask is
//! made by the graph, and shared key heads are appended to the cache and repeated by hand:
//! `Concat(past, Transpose(Reshape(k)))`, then Unsqueeze, Expand, Reshape, Transpose, Reshape.

use std::collections::HashSet;

use inhouse_onnx::Node;

use super::{Core, Path};
use crate::error::EngineError;
use crate::lift::Lift;

/// Nodes between the cache and the attention.
const MAX_HOPS: usize = 8;

impl<'a> Lift<'a> {
    pub(super) fn multi_head(&self, index: usize, node: &'a Node) -> Result<Core<'a>, EngineError> {
        if node.input(3).is_some() || node.input(4).is_some() {
            let what = "a bias or a padding mask inside the attention is not supported";
            return Err(self.graph.differs(node, what));
        }
        let mask = self.graph.input(node, 5)?;
        if !self.depends_on_mask(mask) {
            return Err(self
                .graph
                .differs(node, "its mask is not made from the attention mask"));
        }
        let query = self.count(node, "num_heads")?;
        let names = &self.config.decoder;
        let (k, k_heads) = self.cached(index, node, [1, 6], &names.past_key_names, query)?;
        let (v, v_heads) = self.cached(index, node, [2, 7], &names.past_value_names, query)?;
        if k_heads != v_heads {
            let what = format!("{k_heads} key heads and {v_heads} value heads");
            return Err(self.graph.differs(node, what));
        }
        Ok(Core {
            q: self.path(self.graph.input(node, 0)?)?,
            k: Some(k),
            v: Some(v),
            query,
            kv: k_heads,
            window: None,
            softcap: None,
        })
    }

    /// The new keys (or values) behind the cache, and how many heads they have.
    fn cached(
        &self,
        index: usize,
        node: &'a Node,
        [new, past]: [usize; 2],
        pattern: &str,
        query: usize,
    ) -> Result<(Path<'a>, usize), EngineError> {
        let value = self.graph.input(node, new)?;
        if node.input(past).is_some() {
            self.check_past(index, node, past, pattern)?;
            return Ok((self.path(value)?, query));
        }
        let mut value = value;
        for _ in 0..MAX_HOPS {
            let step = self.graph.producer(value)?;
            match step.op_type.as_str() {
                "Reshape" | "Transpose" | "Expand" | "Unsqueeze" => {
                    value = self.graph.input(step, 0)?
                }
                "Concat" if step.int("axis") == Some(2) => {
                    self.check_past(index, step, 0, pattern)?;
                    return self.before_cache(self.graph.input(step, 1)?);
                }
                _ => break,
            }
        }
        Err(self
            .graph
            .differs(node, format!("input {new} does not come from the cache")))
    }

    /// `Transpose(Reshape(k, [0, 0, heads, -1]))`.
    fn before_cache(&self, value: &'a str) -> Result<(Path<'a>, usize), EngineError> {
        let transpose = self.graph.producer(value)?;
        let reshape = self.graph.producer(self.graph.input(transpose, 0)?)?;
        let shape = reshape
            .input(1)
            .and_then(|shape| self.graph.integers(shape));
        match (
            transpose.op_type.as_str(),
            reshape.op_type.as_str(),
            shape.as_deref(),
        ) {
            ("Transpose", "Reshape", Some(&[_, _, heads, _])) if heads > 0 => {
                Ok((self.path(self.graph.input(reshape, 0)?)?, heads as usize))
            }
            _ => Err(self
                .graph
                .differs(reshape, "new keys are expected as Transpose(Reshape(k))")),
        }
    }

    /// Whether the attention mask is among what `value` is made from.
    fn depends_on_mask(&self, value: &'a str) -> bool {
        let (mut open, mut seen) = (vec![value], HashSet::new());
        while let Some(value) = open.pop() {
            if value == self.config.decoder.attention_mask {
                return true;
            }
            if seen.insert(value)
                && let Ok(node) = self.graph.producer(value)
            {
                open.extend(node.inputs.iter().map(String::as_str));
            }
        }
        false
    }
}

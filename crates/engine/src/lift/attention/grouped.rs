//! `com.microsoft.GroupQueryAttention`, which every quantised and f32 export for CPU uses: the cache, the mask, the
//! window and mostly the rotary embedding are its own affair.

use inhouse_onnx::Node;

use super::Core;
use crate::error::EngineError;
use crate::lift::Lift;

/// Inputs that change what is computed in ways this engine does not do.
const UNSUPPORTED: [(usize, &str); 4] = [
    (10, "an attention bias"),
    (11, "attention sinks"),
    (12, "a quantised KV cache"),
    (13, "a quantised KV cache"),
];

impl<'a> Lift<'a> {
    pub(super) fn grouped(&self, index: usize, node: &'a Node) -> Result<Core<'a>, EngineError> {
        let names = &self.config.decoder;
        self.check_past(index, node, 3, &names.past_key_names)?;
        self.check_past(index, node, 4, &names.past_value_names)?;
        for (input, what) in UNSUPPORTED {
            if node.input(input).is_some() {
                return Err(self.graph.differs(node, format!("{what} is not supported")));
            }
        }
        if node.int("smooth_softmax").unwrap_or(0) > 0 {
            return Err(self.graph.differs(node, "smooth softmax is not supported"));
        }
        let window = node.int("local_window_size").filter(|&size| size > 0);
        Ok(Core {
            q: self.path(self.graph.input(node, 0)?)?,
            k: node.input(1).map(|value| self.path(value)).transpose()?,
            v: node.input(2).map(|value| self.path(value)).transpose()?,
            query: self.count(node, "num_heads")?,
            kv: self.count(node, "kv_num_heads")?,
            window: window.map(|size| size as usize),
            softcap: node.float("softcap").filter(|&cap| cap > 0.0),
        })
    }

    /// Input `input` must be the past of layer `index`.
    pub(super) fn check_past(
        &self,
        index: usize,
        node: &'a Node,
        input: usize,
        pattern: &str,
    ) -> Result<(), EngineError> {
        let expected = pattern.replace("%d", &index.to_string());
        let found = node.input(input).unwrap_or("");
        if found == expected {
            return Ok(());
        }
        let what = format!("its past is {found:?} where layer {index} has {expected:?}");
        Err(self.graph.differs(node, what))
    }
}

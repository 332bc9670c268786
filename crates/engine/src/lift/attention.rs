//! Attention, read backwards from its output projection: what is behind the operator is the same for both of them.

mod grouped;
mod multi_head;

use inhouse_onnx::Node;

use super::{Heads, Lift};
use crate::decoder::Attention;
use crate::decoder::product::Product;
use crate::error::EngineError;
use crate::weights::Norm;

/// Where one of q, k and v comes from, behind head norms and rotary embedding.
struct Path<'a> {
    value: &'a str,
    norm: Option<Norm>,
    rope: Option<&'a Node>,
}

/// What the two attention operators say in their own ways.
struct Core<'a> {
    q: Path<'a>,
    /// Absent where one projection makes query, key and value.
    k: Option<Path<'a>>,
    v: Option<Path<'a>>,
    query: usize,
    kv: usize,
    window: Option<usize>,
    softcap: Option<f32>,
}

impl<'a> Lift<'a> {
    /// The attention of layer `index` whose projected output is `value`, the value it reads, and its heads.
    pub(super) fn attention(
        &mut self,
        index: usize,
        value: &'a str,
    ) -> Result<(Attention, &'a str, Heads), EngineError> {
        let (output, attended) = self.linear(value)?;
        let node = self.graph.producer(attended)?;
        let core = match node.op_type.as_str() {
            "GroupQueryAttention" => self.grouped(index, node)?,
            "MultiHeadAttention" => self.multi_head(index, node)?,
            _ => {
                let what = "GroupQueryAttention or MultiHeadAttention is expected before the output projection";
                return Err(self.graph.differs(node, what));
            }
        };
        let Core {
            q,
            k,
            v,
            query,
            kv,
            window,
            softcap,
        } = core;
        if query % kv != 0 {
            return Err(self.graph.differs(
                node,
                format!("{query} query heads cannot share {kv} key heads"),
            ));
        }
        let (qkv, input) = self.qkv(node, &q, k.as_ref(), v.as_ref())?;
        let width = match qkv.parts() {
            [packed] => packed.n() / (query + 2 * kv),
            parts => parts[0].n() / query,
        };
        let heads = Heads {
            query,
            kv,
            dim: width,
        };

        let rope = self.rope_of(node, &q, k.as_ref())?;
        let (q_norm, k_norm) = self.head_norms(node, q.norm, k.and_then(|path| path.norm))?;
        let scale = match node.float("scale") {
            Some(scale) if scale != 0.0 => scale,
            _ => 1.0 / (heads.dim as f32).sqrt(),
        };
        Ok((
            Attention {
                qkv,
                q_norm,
                k_norm,
                output: Product::stacked(vec![output]),
                rope,
                scale,
                window,
                softcap,
            },
            input,
            heads,
        ))
    }

    fn count(&self, node: &Node, name: &str) -> Result<usize, EngineError> {
        match node.int(name) {
            Some(count) if (1..=1 << 16).contains(&count) => Ok(count as usize),
            other => Err(self
                .graph
                .differs(node, format!("attribute {name} is {other:?}"))),
        }
    }

    /// Follows q, k or v back through rotary embedding and head norm to its projection.
    fn path(&self, value: &'a str) -> Result<Path<'a>, EngineError> {
        let mut path = Path {
            value: self.graph.peel(value),
            norm: None,
            rope: None,
        };
        loop {
            let node = self.graph.producer(path.value)?;
            match node.op_type.as_str() {
                "Reshape" => {}
                "RotaryEmbedding" if path.rope.is_none() && path.norm.is_none() => {
                    path.rope = Some(node)
                }
                "SimplifiedLayerNormalization" if path.norm.is_none() => {
                    path.norm = Some(self.norm(path.value)?.0)
                }
                _ => return Ok(path),
            }
            path.value = self.graph.peel(self.graph.input(node, 0)?);
        }
    }

    fn qkv(
        &self,
        node: &'a Node,
        q: &Path<'a>,
        k: Option<&Path<'a>>,
        v: Option<&Path<'a>>,
    ) -> Result<(Product, &'a str), EngineError> {
        let (Some(k), Some(v)) = (k, v) else {
            if k.is_some() || v.is_some() {
                return Err(self
                    .graph
                    .differs(node, "only one of key and value is packed with the query"));
            }
            let (linear, input) = self.linear(q.value)?;
            return Ok((Product::stacked(vec![linear]), input));
        };
        let parts = [q, k, v].map(|path| self.split_part(path.value));
        if let [Some((split, 0)), Some((k_split, 1)), Some((v_split, 2))] = parts
            && std::ptr::eq(split, k_split)
            && std::ptr::eq(split, v_split)
        {
            let (linear, input) = self.linear(self.graph.input(split, 0)?)?;
            return Ok((Product::stacked(vec![linear]), input));
        }
        let (q, input) = self.linear(q.value)?;
        let (k, k_input) = self.linear(k.value)?;
        let (v, v_input) = self.linear(v.value)?;
        if [k_input, v_input]
            .iter()
            .any(|other| self.graph.peel(other) != self.graph.peel(input))
        {
            return Err(self
                .graph
                .differs(node, "query, key and value read different values"));
        }
        Ok((Product::stacked(vec![q, k, v]), input))
    }

    /// The rotary tables: inputs of the attention itself, or of `RotaryEmbedding` nodes before it.
    fn rope_of(
        &mut self,
        node: &'a Node,
        q: &Path<'a>,
        k: Option<&Path<'a>>,
    ) -> Result<Option<usize>, EngineError> {
        if node.int("do_rotary").unwrap_or(0) != 0 {
            let (cos, sin) = (self.graph.input(node, 7)?, self.graph.input(node, 8)?);
            let interleaved = node.int("rotary_interleaved").unwrap_or(0) != 0;
            return self.rope(node, cos, sin, interleaved).map(Some);
        }
        let (q, k) = match (q.rope, k.and_then(|path| path.rope)) {
            (None, None) => return Ok(None),
            (Some(q), Some(k)) => (q, k),
            _ => {
                return Err(self
                    .graph
                    .differs(node, "only one of query and key is rotated"));
            }
        };
        let tables = |node: &'a Node| {
            Ok::<_, EngineError>(
                [self.graph.input(node, 2)?, self.graph.input(node, 3)?]
                    .map(|t| self.graph.peel(t)),
            )
        };
        for node in [q, k] {
            let positions = self.graph.peel(self.graph.input(node, 1)?);
            if positions != self.config.decoder.position_ids {
                let what =
                    format!("it rotates by {positions:?}, which is not the input of positions");
                return Err(self.graph.differs(node, what));
            }
        }
        let [cos, sin] = tables(q)?;
        if tables(k)? != [cos, sin] || q.int("interleaved") != k.int("interleaved") {
            return Err(self
                .graph
                .differs(k, "query and key are rotated by different tables"));
        }
        if q.float("scale").is_some_and(|scale| scale != 1.0) {
            return Err(self
                .graph
                .differs(q, "a scaled rotary embedding is not supported"));
        }
        self.rope(q, cos, sin, q.int("interleaved").unwrap_or(0) != 0)
            .map(Some)
    }

    /// Head norms stand before the attention or are inputs of it.
    fn head_norms(
        &self,
        node: &'a Node,
        q: Option<Norm>,
        k: Option<Norm>,
    ) -> Result<(Option<Norm>, Option<Norm>), EngineError> {
        if node.input(14).is_none() && node.input(15).is_none() {
            return Ok((q, k));
        }
        let epsilon = node.float("qk_norm_epsilon").unwrap_or(1e-6);
        let fused = |input| {
            let weight = self.graph.floats(node, self.graph.weight(node, input)?)?;
            Ok::<_, EngineError>(Some(Norm { weight, epsilon }))
        };
        Ok((fused(14)?, fused(15)?))
    }
}

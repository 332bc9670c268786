//! A decoder as typed weights: what the lift makes of a graph, and what a forward pass runs.

pub(crate) mod apply;
pub(crate) mod forward;
pub(crate) mod product;
pub(crate) mod rope;

use crate::weights::{Embedding, Linear, Norm};
use product::Product;
use rope::Rope;

/// A decoder-only transformer of pre-norm blocks with grouped-query attention.
pub(crate) struct Decoder {
    pub(crate) shape: Shape,
    pub(crate) embedding: Embedding,
    pub(crate) layers: Vec<Layer>,
    pub(crate) final_norm: Norm,
    pub(crate) head: Product,
    /// `tanh(logits / cap) * cap` (Gemma 2).
    pub(crate) logit_softcap: Option<f32>,
    /// Rotary tables; a layer names the one it uses (Gemma 3 has one for local and one for global layers).
    pub(crate) ropes: Vec<Rope>,
}

/// The sizes that every layer shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) hidden: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) vocab: usize,
    /// Most positions: the smaller of the configured context and what the rope tables hold.
    pub(crate) context: usize,
}

impl Shape {
    /// Width of q, k and v of one row side by side.
    pub(crate) fn qkv(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_dim
    }
}

/// One block: norm, attention, norm, feed-forward, each branch added to the residual stream.
pub(crate) struct Layer {
    pub(crate) input_norm: Norm,
    pub(crate) attention: Attention,
    /// Norm of the branch before it is added (Gemma 2 and 3).
    pub(crate) attention_branch_norm: Option<Norm>,
    pub(crate) mlp_norm: Norm,
    pub(crate) mlp: Mlp,
    /// Norm of the branch before it is added (Gemma 2 and 3).
    pub(crate) mlp_branch_norm: Option<Norm>,
}

/// Grouped-query attention.
pub(crate) struct Attention {
    /// Query, key and value side by side.
    pub(crate) qkv: Product,
    /// Norm of each query head (Qwen3), or of all heads together where its weight is that long.
    pub(crate) q_norm: Option<Norm>,
    /// Norm of each key head.
    pub(crate) k_norm: Option<Norm>,
    pub(crate) output: Product,
    /// Which of the decoder's tables rotates queries and keys; none in layers without positions (SmolLM3).
    pub(crate) rope: Option<usize>,
    pub(crate) scale: f32,
    /// A row attends to this many positions, itself included.
    pub(crate) window: Option<usize>,
    pub(crate) softcap: Option<f32>,
}

/// The gated feed-forward: `down(act(gate(x)) * up(x))`.
pub(crate) struct Mlp {
    /// Gate and up, joined as such.
    pub(crate) gate_up: Product,
    pub(crate) activation: Activation,
    pub(crate) down: Product,
}

impl Mlp {
    /// Width of the feed-forward.
    pub(crate) fn width(&self) -> usize {
        self.gate_up.n() / 2
    }
}

/// The gate's non-linearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    Silu,
    /// The tanh approximation (Gemma).
    GeluTanh,
}

impl Decoder {
    /// Every product in the order a forward runs them.
    pub(crate) fn products(&self) -> impl Iterator<Item = &Product> {
        let layers = self.layers.iter().flat_map(Layer::products);
        layers.chain([&self.head])
    }

    /// The same with names that say where each is: `layers.3.down`.
    pub(crate) fn products_mut(&mut self) -> impl Iterator<Item = (String, &mut Product)> {
        let layers = self.layers.iter_mut().enumerate().flat_map(|(i, layer)| {
            let names = ["qkv", "output", "gate_up", "down"].into_iter();
            names
                .map(move |name| format!("layers.{i}.{name}"))
                .zip(layer.products_mut())
        });
        layers.chain([("head".into(), &mut self.head)])
    }

    /// Every linear layer in the order a forward runs them.
    pub(crate) fn linears(&self) -> impl Iterator<Item = &Linear> {
        self.products().flat_map(Product::parts)
    }

    /// Bytes of weights that decoding one token reads.
    pub(crate) fn bytes_per_token(&self) -> usize {
        self.products().map(Product::bytes).sum()
    }
}

impl Layer {
    fn products(&self) -> [&Product; 4] {
        let (attention, mlp) = (&self.attention, &self.mlp);
        [&attention.qkv, &attention.output, &mlp.gate_up, &mlp.down]
    }

    fn products_mut(&mut self) -> [&mut Product; 4] {
        let (attention, mlp) = (&mut self.attention, &mut self.mlp);
        [
            &mut attention.qkv,
            &mut attention.output,
            &mut mlp.gate_up,
            &mut mlp.down,
        ]
    }
}

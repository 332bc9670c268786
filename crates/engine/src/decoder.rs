//! A decoder as typed weights: what the lift makes of a graph, and what a forward pass runs.

pub(crate) mod apply;
pub(crate) mod forward;
pub(crate) mod rope;

use crate::weights::{Embedding, Linear, Norm};
use rope::Rope;

/// A decoder-only transformer of pre-norm blocks with grouped-query attention.
pub(crate) struct Decoder {
    pub(crate) shape: Shape,
    pub(crate) embedding: Embedding,
    pub(crate) layers: Vec<Layer>,
    pub(crate) final_norm: Norm,
    pub(crate) head: Linear,
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
    pub(crate) qkv: Qkv,
    /// Norm of each query head (Qwen3), or of all heads together where its weight is that long.
    pub(crate) q_norm: Option<Norm>,
    /// Norm of each key head.
    pub(crate) k_norm: Option<Norm>,
    pub(crate) output: Linear,
    /// Which of the decoder's tables rotates queries and keys; none in layers without positions (SmolLM3).
    pub(crate) rope: Option<usize>,
    pub(crate) scale: f32,
    /// A row attends to this many positions, itself included.
    pub(crate) window: Option<usize>,
    pub(crate) softcap: Option<f32>,
}

/// The projections to queries, keys and values.
pub(crate) enum Qkv {
    Packed(Linear),
    /// Query, key and value.
    Separate(Box<[Linear; 3]>),
}

impl Qkv {
    /// The projections with the widths they must have.
    pub(crate) fn parts(&self, shape: &Shape) -> Vec<(&Linear, usize)> {
        let (query, key) = (
            shape.heads * shape.head_dim,
            shape.kv_heads * shape.head_dim,
        );
        match self {
            Self::Packed(qkv) => vec![(qkv, shape.qkv())],
            Self::Separate(parts) => parts.iter().zip([query, key, key]).collect(),
        }
    }
}

/// The gated feed-forward: `down(act(gate(x)) * up(x))`.
pub(crate) struct Mlp {
    pub(crate) gate_up: GateUp,
    pub(crate) activation: Activation,
    pub(crate) down: Linear,
}

/// The two projections into the feed-forward.
pub(crate) enum GateUp {
    /// Gate in the first half of the output, up in the second.
    Packed(Linear),
    Separate {
        gate: Linear,
        up: Linear,
    },
}

impl GateUp {
    /// Width of the feed-forward.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Packed(linear) => linear.n() / 2,
            Self::Separate { gate, .. } => gate.n(),
        }
    }

    /// The projections with the widths they must have.
    pub(crate) fn parts(&self) -> Vec<(&Linear, usize)> {
        match self {
            Self::Packed(linear) => vec![(linear, 2 * self.width())],
            Self::Separate { gate, up } => vec![(gate, self.width()), (up, self.width())],
        }
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
    /// Every linear layer in the order a forward runs them.
    pub(crate) fn linears(&self) -> impl Iterator<Item = &Linear> {
        self.layers
            .iter()
            .flat_map(|layer| layer.linears(&self.shape))
            .chain([&self.head])
    }

    /// Bytes of weights that decoding one token reads.
    pub(crate) fn bytes_per_token(&self) -> usize {
        self.linears().map(Linear::bytes).sum()
    }
}

impl Layer {
    fn linears(&self, shape: &Shape) -> Vec<&Linear> {
        let qkv = self
            .attention
            .qkv
            .parts(shape)
            .into_iter()
            .map(|(linear, _)| linear);
        let gate_up = self
            .mlp
            .gate_up
            .parts()
            .into_iter()
            .map(|(linear, _)| linear);
        qkv.chain([&self.attention.output])
            .chain(gate_up)
            .chain([&self.mlp.down])
            .collect()
    }
}

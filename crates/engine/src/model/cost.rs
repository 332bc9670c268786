//! What a forward costs at least: the products it multiplies and the bytes it reads, to hold times against a machine's
//! limits.

use inhouse_kernels::Depth;

use super::Model;
use crate::decoder::product::Product;
use crate::decoder::{Decoder, Shape};

/// Multiply-adds and bytes read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Multiply-adds of bytes. Activations of 15 bits count twice, as they are two bytes.
    pub int8_macs: u64,
    /// Multiply-adds in single precision: attention, and linear layers that are not computed in integers.
    pub f32_macs: u64,
    /// Bytes of weights, each counted once, and of keys and values.
    pub bytes: u64,
}

impl Cost {
    /// Seconds that a machine with these limits needs: the longer of multiplying and reading, as the two go on together.
    pub fn seconds(&self, int8_rate: f64, f32_rate: f64, bandwidth: f64) -> f64 {
        let multiplying = self.int8_macs as f64 / int8_rate + self.f32_macs as f64 / f32_rate;
        multiplying.max(self.bytes as f64 / bandwidth)
    }
}

impl Model {
    /// The cost of one decoded token of each of `sequences` sequences in one forward, with `context` tokens before it.
    pub fn decode_cost(&self, context: usize, sequences: usize) -> Cost {
        let inner = &self.0;
        let linear = linear_cost(inner.decoder.products(), inner.machine.exact);
        let attended = Attended::of(&inner.decoder, context..context + 1);
        let kv_bytes = inner.kv.bytes_per_token() as u64 / inner.decoder.layers.len().max(1) as u64;
        let sequences = sequences as u64;
        Cost {
            int8_macs: linear.int8_macs * sequences,
            f32_macs: (linear.f32_macs + attended.macs(&inner.decoder.shape)) * sequences,
            bytes: linear.bytes + attended.0 * kv_bytes * sequences,
        }
    }

    /// The cost of a prompt of `tokens` tokens from an empty cache, without the head.
    ///
    /// Every row of activations meets every weight of the layers, while weights need to be read only once.
    pub fn prefill_cost(&self, tokens: usize) -> Cost {
        let inner = &self.0;
        let count = inner.decoder.products().count();
        let layers = inner.decoder.products().take(count - 1);
        let linear = linear_cost(layers, inner.machine.exact);
        let attended = Attended::of(&inner.decoder, 0..tokens);
        Cost {
            int8_macs: linear.int8_macs * tokens as u64,
            f32_macs: linear.f32_macs * tokens as u64 + attended.macs(&inner.decoder.shape),
            bytes: linear.bytes,
        }
    }
}

/// The cost of one row of activations.
fn linear_cost<'a>(products: impl Iterator<Item = &'a Product>, exact: bool) -> Cost {
    products.fold(Cost::default(), |cost, product| {
        let macs = product.n() as u64 * product.k() as u64;
        let bytes = int8_products(product, exact);
        Cost {
            int8_macs: cost.int8_macs + macs * bytes.unwrap_or(0),
            f32_macs: cost.f32_macs + if bytes.is_none() { macs } else { 0 },
            bytes: cost.bytes + product.bytes() as u64,
        }
    })
}

/// How many products of bytes stand for one of a weight and an activation; `None` where it is made of floats.
fn int8_products(product: &Product, exact: bool) -> Option<u64> {
    match product.depth() {
        Some(Depth::Eight) if !exact => Some(1),
        Some(Depth::Fifteen) if !exact => Some(2),
        _ => None,
    }
}

/// How often a row attends to a position, over all layers.
struct Attended(u64);

impl Attended {
    /// By rows that have so many positions before them.
    fn of(decoder: &Decoder, before: std::ops::Range<usize>) -> Self {
        let windows = decoder.layers.iter().map(|layer| layer.attention.window);
        let layer = |window: Option<usize>| {
            let positions = before.clone().map(|before| before + 1);
            positions
                .map(|positions| positions.min(window.unwrap_or(usize::MAX)) as u64)
                .sum::<u64>()
        };
        Self(windows.map(layer).sum())
    }

    /// Products of queries and keys, and of weights and values.
    fn macs(&self, shape: &Shape) -> u64 {
        2 * self.0 * (shape.heads * shape.head_dim) as u64
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::{LoadOptions, Precision};

    fn zoo(name: &str, precision: Precision) -> Model {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../testdata/zoo")
            .join(name);
        let options = LoadOptions {
            threads: Some(1),
            precision,
            ..LoadOptions::default()
        };
        Model::load(&folder, &options).unwrap()
    }

    #[test]
    fn a_token_meets_every_weight_and_what_came_before() {
        let model = zoo("phi4mini-int4", Precision::Default);
        let info = model.info();
        let (first, later) = (model.decode_cost(0, 1), model.decode_cost(10, 1));
        assert!(first.int8_macs > 0 && first.int8_macs == later.int8_macs);
        let position = (2 * info.heads * info.head_dim * info.layers) as u64;
        assert_eq!((first.f32_macs, later.f32_macs), (position, 11 * position));
        assert_eq!(
            first.bytes,
            (info.bytes_per_token + info.kv_bytes_per_token) as u64
        );
        assert_eq!(
            later.bytes,
            (info.bytes_per_token + 11 * info.kv_bytes_per_token) as u64
        );
        // Weights are read once for all sequences.
        let three = model.decode_cost(10, 3);
        assert_eq!(
            (three.int8_macs, three.f32_macs),
            (3 * later.int8_macs, 3 * later.f32_macs)
        );
        assert_eq!(
            three.bytes,
            (info.bytes_per_token + 33 * info.kv_bytes_per_token) as u64
        );
    }

    #[test]
    fn a_prompt_meets_the_layers_alone() {
        let model = zoo("phi4mini-int4", Precision::Default);
        let info = model.info();
        let (token, prompt) = (model.decode_cost(0, 1), model.prefill_cost(5));
        let head = (info.vocab * info.hidden) as u64;
        assert_eq!(prompt.int8_macs, 5 * (token.int8_macs - head));
        let position = (2 * info.heads * info.head_dim * info.layers) as u64;
        assert_eq!(prompt.f32_macs, (1 + 2 + 3 + 4 + 5) * position);
        assert!(prompt.bytes < token.bytes);
    }

    #[test]
    fn what_is_computed_in_floats_counts_as_such() {
        let check = |name, precision| {
            let cost = zoo(name, precision).prefill_cost(1);
            assert_eq!(cost.int8_macs, 0, "{name}");
            assert!(cost.f32_macs > 0, "{name}");
        };
        check("phi4mini-int4", Precision::Exact);
        check("phi4mini-fp32", Precision::Default);
    }

    #[test]
    fn windows_bound_what_is_attended_to() {
        let model = zoo("../zoo-extra/mistral-int4-window", Precision::Default);
        let info = model.info();
        let without = (info.bytes_per_token + 101 * info.kv_bytes_per_token) as u64;
        let (cost, later) = (model.decode_cost(100, 1), model.decode_cost(101, 1));
        assert!(cost.bytes < without, "{cost:?}");
        assert_eq!(cost, later, "the window is full");
    }

    #[test]
    fn time_is_the_longer_of_multiplying_and_reading() {
        let cost = Cost {
            int8_macs: 100,
            f32_macs: 20,
            bytes: 50,
        };
        assert_eq!(cost.seconds(50.0, 10.0, 1000.0), 4.0);
        assert_eq!(cost.seconds(50.0, 10.0, 10.0), 5.0);
    }
}

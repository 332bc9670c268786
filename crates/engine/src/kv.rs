//! The KV cache: pages of a fixed number of positions, owned together by the sequences that share them.
//!
//! A sequence grows page by page, so nothing is allocated for a context that may never be used. A page holds keys
//! and values of every layer for its positions, each laid out [layer, kv head, position, head_dim]: what
//! one head of one layer reads is contiguous. In the two-byte form keys are 16-bit integers with a scale for each head
//! and position, and values halves: see [`KvPage::Half`] for why. In the one-byte form both are integers with scales.
//! Pages are counted references; writing to one that is shared copies it
//! first, so sequences with a common prefix can hold the same pages.

use std::sync::Arc;

use half::f16;
use inhouse_kernels::{Kernels, KvPage};

/// Positions in a page: small enough that a short chat wastes little, large enough that a page is a long read.
pub(crate) const PAGE_TOKENS: usize = 32;

/// The type that keys and values are kept in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KvType {
    /// Two bytes a value; the default.
    #[default]
    F16,
    /// Four bytes a value.
    F32,
    /// One byte a value: half the memory to keep and to read, and not quite the same answers.
    I8,
}

impl KvType {
    /// Bytes of the key and the value of one head at one position, with their scales.
    pub fn bytes(self, head_dim: usize) -> usize {
        let (values, scales) = match self {
            Self::F16 => (2 * 2, 1),
            Self::F32 => (2 * 4, 0),
            Self::I8 => (2, 2),
        };
        let scales = scales * size_of::<f32>();
        head_dim.saturating_mul(values).saturating_add(scales)
    }
}

/// The sizes that every page of a model shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KvShape {
    pub(crate) layers: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) kind: KvType,
}

impl KvShape {
    /// Bytes that one token takes in all layers.
    pub(crate) fn bytes_per_token(&self) -> usize {
        self.layers * self.kv_heads * self.kind.bytes(self.head_dim)
    }

    /// Heads of one layer times positions in a page.
    fn lines(&self) -> usize {
        self.kv_heads * PAGE_TOKENS
    }

    /// Values of the keys (or values) of one layer in a page.
    fn plane(&self) -> usize {
        self.kv_heads * PAGE_TOKENS * self.head_dim
    }
}

#[derive(Clone)]
enum Page {
    /// Keys [layer, kv head, position, head_dim] with scales [layer, kv head, position], and values like the keys.
    Half {
        keys: Box<[i16]>,
        scales: Box<[f32]>,
        values: Box<[f16]>,
    },
    Single {
        keys: Box<[f32]>,
        values: Box<[f32]>,
    },
    /// Keys and values as above, and their scales like those of `Half`.
    Int8 {
        keys: Box<[i8]>,
        key_scales: Box<[f32]>,
        values: Box<[i8]>,
        value_scales: Box<[f32]>,
    },
}

impl Page {
    fn new(shape: &KvShape) -> Self {
        let (len, lines) = (shape.layers * shape.plane(), shape.layers * shape.lines());
        match shape.kind {
            KvType::F16 => Self::Half {
                keys: vec![0; len].into(),
                scales: vec![0.0; lines].into(),
                values: vec![f16::ZERO; len].into(),
            },
            KvType::F32 => Self::Single {
                keys: vec![0.0; len].into(),
                values: vec![0.0; len].into(),
            },
            KvType::I8 => Self::Int8 {
                keys: vec![0; len].into(),
                key_scales: vec![0.0; lines].into(),
                values: vec![0; len].into(),
                value_scales: vec![0.0; lines].into(),
            },
        }
    }
}

/// The keys and values of one sequence.
pub(crate) struct KvCache {
    shape: KvShape,
    pages: Vec<Arc<Page>>,
    len: usize,
}

impl KvCache {
    pub(crate) fn new(shape: KvShape) -> Self {
        Self {
            shape,
            pages: Vec::new(),
            len: 0,
        }
    }

    /// Positions that are filled.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// A second sequence with the same content; pages are shared until one of the two writes.
    pub(crate) fn fork(&self) -> Self {
        Self {
            shape: self.shape,
            pages: self.pages.clone(),
            len: self.len,
        }
    }

    /// Forgets what is beyond `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.pages.truncate(self.len.div_ceil(PAGE_TOKENS));
    }

    /// Makes room for `count` more positions; they count only after [`Self::commit`].
    pub(crate) fn reserve(&mut self, count: usize) {
        let pages = (self.len + count).div_ceil(PAGE_TOKENS);
        let shape = self.shape;
        self.pages
            .resize_with(pages.max(self.pages.len()), || Arc::new(Page::new(&shape)));
    }

    /// Counts `count` positions that were written.
    pub(crate) fn commit(&mut self, count: usize) {
        self.len += count;
    }

    /// Writes keys and values of one position, each [kv heads, head_dim], into one layer.
    pub(crate) fn write(
        &mut self,
        kernels: Kernels,
        layer: usize,
        position: usize,
        keys: &[f32],
        values: &[f32],
    ) {
        let KvShape {
            kv_heads, head_dim, ..
        } = self.shape;
        let lines = self.shape.lines();
        let page = Arc::make_mut(&mut self.pages[position / PAGE_TOKENS]);
        for head in 0..kv_heads {
            let line = layer * lines + head * PAGE_TOKENS + position % PAGE_TOKENS;
            let (key, value) = (
                &keys[head * head_dim..][..head_dim],
                &values[head * head_dim..][..head_dim],
            );
            let at = line * head_dim..(line + 1) * head_dim;
            match page {
                Page::Half {
                    keys,
                    scales,
                    values,
                } => {
                    scales[line] = kernels.quantize_i16(key, &mut keys[at.clone()]);
                    kernels.f32_to_f16(value, &mut values[at]);
                }
                Page::Single { keys, values } => {
                    keys[at.clone()].copy_from_slice(key);
                    values[at].copy_from_slice(value);
                }
                Page::Int8 {
                    keys,
                    key_scales,
                    values,
                    value_scales,
                } => {
                    key_scales[line] = kernels.quantize_i8(key, &mut keys[at.clone()]);
                    value_scales[line] = kernels.quantize_i8(value, &mut values[at]);
                }
            }
        }
    }

    /// The pages of one layer, as the attention kernel reads them.
    pub(crate) fn layer(&self, layer: usize) -> Vec<KvPage<'_>> {
        let (plane, lines) = (self.shape.plane(), self.shape.lines());
        let at = layer * plane..(layer + 1) * plane;
        let scales_at = layer * lines..(layer + 1) * lines;
        self.pages
            .iter()
            .map(|page| match &**page {
                Page::Half {
                    keys,
                    scales,
                    values,
                } => KvPage::Half {
                    k: &keys[at.clone()],
                    k_scales: &scales[scales_at.clone()],
                    v: &values[at.clone()],
                },
                Page::Single { keys, values } => KvPage::F32 {
                    k: &keys[at.clone()],
                    v: &values[at.clone()],
                },
                Page::Int8 {
                    keys,
                    key_scales,
                    values,
                    value_scales,
                } => KvPage::Int8 {
                    k: &keys[at.clone()],
                    k_scales: &key_scales[scales_at.clone()],
                    v: &values[at.clone()],
                    v_scales: &value_scales[scales_at.clone()],
                },
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: KvShape = KvShape {
        layers: 2,
        kv_heads: 2,
        head_dim: 4,
        kind: KvType::F32,
    };

    fn filled(len: usize) -> KvCache {
        let mut cache = KvCache::new(SHAPE);
        cache.reserve(len);
        for position in 0..len {
            let row: Vec<f32> = (0..8).map(|i| (position * 8 + i) as f32).collect();
            cache.write(Kernels::best(), 1, position, &row, &row);
        }
        cache.commit(len);
        cache
    }

    fn key(cache: &KvCache, position: usize, head: usize) -> f32 {
        let pages = cache.layer(1);
        let KvPage::F32 { k, .. } = &pages[position / PAGE_TOKENS] else {
            panic!("pages are f32")
        };
        k[(head * PAGE_TOKENS + position % PAGE_TOKENS) * 4]
    }

    #[test]
    fn pages_come_only_as_positions_do() {
        let mut cache = filled(PAGE_TOKENS);
        assert_eq!(cache.pages.len(), 1);
        cache.reserve(1);
        assert_eq!((cache.pages.len(), cache.len()), (2, PAGE_TOKENS));
        cache.truncate(3);
        assert_eq!((cache.pages.len(), cache.len()), (1, 3));
    }

    #[test]
    fn a_fork_shares_pages_until_it_writes() {
        let cache = filled(PAGE_TOKENS + 5);
        let mut fork = cache.fork();
        assert!(Arc::ptr_eq(&cache.pages[0], &fork.pages[0]));
        fork.truncate(PAGE_TOKENS + 4);
        fork.reserve(1);
        fork.write(Kernels::best(), 1, PAGE_TOKENS + 4, &[-1.0; 8], &[-1.0; 8]);
        fork.commit(1);
        assert_eq!(key(&fork, PAGE_TOKENS + 4, 1), -1.0);
        assert_eq!(
            key(&cache, PAGE_TOKENS + 4, 1),
            ((PAGE_TOKENS + 4) * 8 + 4) as f32
        );
        assert!(Arc::ptr_eq(&cache.pages[0], &fork.pages[0]));
        assert!(!Arc::ptr_eq(&cache.pages[1], &fork.pages[1]));
    }

    #[test]
    fn keys_and_values_of_one_byte_come_back_with_their_scales() {
        let shape = KvShape {
            kind: KvType::I8,
            ..SHAPE
        };
        let mut cache = KvCache::new(shape);
        cache.reserve(PAGE_TOKENS + 1);
        let keys = [127.0, -64.0, 0.0, 1.0, 0.5, -0.25, 0.125, 0.0];
        let values = keys.map(|x| -4.0 * x);
        cache.write(Kernels::best(), 1, PAGE_TOKENS, &keys, &values);
        cache.commit(PAGE_TOKENS + 1);
        let KvPage::Int8 {
            k,
            k_scales,
            v,
            v_scales,
        } = cache.layer(1)[1]
        else {
            panic!("pages are of one byte a value")
        };
        assert_eq!((&k[..4], k_scales[0]), (&[127, -64, 0, 1][..], 1.0));
        assert_eq!((&v[..4], v_scales[0]), (&[-127, 64, 0, -1][..], 4.0));
        let second = PAGE_TOKENS * 4;
        assert_eq!(&k[second..second + 4], [127, -64, 32, 0]);
        assert_eq!(k_scales[PAGE_TOKENS], 0.5 / 127.0);
        assert_eq!(v_scales[PAGE_TOKENS], 2.0 / 127.0);
    }

    #[test]
    fn a_token_of_phi_4_mini_takes_129_kib_and_66_with_one_byte_a_value() {
        for (kind, kib) in [(KvType::F16, 129), (KvType::I8, 66)] {
            let shape = KvShape {
                layers: 32,
                kv_heads: 8,
                head_dim: 128,
                kind,
            };
            assert_eq!(shape.bytes_per_token(), kib << 10);
        }
    }
}

//! Attention of queries over a cache that lies in pages.

mod block;

use half::f16;

use crate::output::Output;
use crate::{Kernels, Pool};

/// What is the same for all queries of a layer.
#[derive(Clone, Copy, Debug)]
pub struct AttentionShape {
    /// Query heads: a multiple of `kv_heads`, so many of which share one head of keys and values.
    pub heads: usize,
    /// Heads of keys and values.
    pub kv_heads: usize,
    /// Values of a head; any number.
    pub head_dim: usize,
    /// Positions a page has room for.
    pub page_tokens: usize,
    /// What the products of queries and keys are multiplied by.
    pub scale: f32,
    /// Where set, scores become `tanh(score / softcap) * softcap`.
    pub softcap: Option<f32>,
}

/// Which positions the heads of one row of queries attend to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryRow {
    /// Index of its sequence among those given.
    pub sequence: usize,
    /// The first position, above 0 where there is a window.
    pub start: usize,
    /// One past the last position. Where it is not above `start`, the result is 0.
    pub end: usize,
}

/// One layer's keys and values of some positions, each `[kv_heads, page_tokens, head_dim]`.
///
/// Page `p` of a sequence has the positions from `p * page_tokens` on. What lies beyond the positions
/// that are attended to is never read.
#[derive(Clone, Copy, Debug)]
pub enum KvPage<'a> {
    /// Two bytes a value.
    ///
    /// Keys are 16-bit integers with a scale for each head and position, made by
    /// [`Kernels::quantize_i16`]. Errors of keys act on scores, and through the exponential on all
    /// that is attended to; integers keep four bits more of a head than half precision does, in
    /// the same room and for the same work. Errors of values only average out, so these are
    /// halves, which need no scale.
    Half {
        /// Keys.
        k: &'a [i16],
        /// Scales of the keys, `[kv_heads, page_tokens]`.
        k_scales: &'a [f32],
        /// Values.
        v: &'a [f16],
    },
    /// Single precision.
    F32 {
        /// Keys.
        k: &'a [f32],
        /// Values.
        v: &'a [f32],
    },
}

impl KvPage<'_> {
    fn lengths(&self) -> [usize; 2] {
        match self {
            KvPage::Half { k, v, .. } => [k.len(), v.len()],
            KvPage::F32 { k, v } => [k.len(), v.len()],
        }
    }
}

/// Rows of queries whose products are one task: they are of one sequence, so that keys and values
/// are converted once for all of them.
struct RowBlock {
    start: usize,
    len: usize,
}

/// Queries (rows times heads of a group) that a task has at most, unless one row has more.
const QUERIES: usize = 32;

/// See [`Kernels::attention`].
pub(crate) fn attention(
    kernels: Kernels,
    pool: &Pool,
    shape: &AttentionShape,
    q: &[f32],
    rows: &[QueryRow],
    sequences: &[&[KvPage<'_>]],
    out: &mut [f32],
) {
    check(shape, q, rows, sequences);
    let output = Output::new(out, rows.len(), shape.heads * shape.head_dim);
    let blocks = blocks(rows, (QUERIES / (shape.heads / shape.kv_heads)).max(1));
    pool.for_each(blocks.len() * shape.kv_heads, |task| {
        let block = &blocks[task / shape.kv_heads];
        let range = block.start..block.start + block.len;
        let pages = sequences[rows[block.start].sequence];
        kernels.run(block::Task {
            shape,
            q,
            rows,
            range,
            kv_head: task % shape.kv_heads,
            pages,
            output,
        });
    });
}

/// Cuts the rows into blocks of at most so many, each of one sequence.
fn blocks(rows: &[QueryRow], at_most: usize) -> Vec<RowBlock> {
    let mut blocks: Vec<RowBlock> = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        match blocks.last_mut() {
            Some(last) if last.len < at_most && rows[last.start].sequence == row.sequence => {
                last.len += 1
            }
            _ => blocks.push(RowBlock { start: i, len: 1 }),
        }
    }
    blocks
}

#[track_caller]
fn check(shape: &AttentionShape, q: &[f32], rows: &[QueryRow], sequences: &[&[KvPage<'_>]]) {
    let AttentionShape {
        heads,
        kv_heads,
        head_dim,
        page_tokens,
        ..
    } = *shape;
    assert!(
        heads > 0 && kv_heads > 0 && heads.is_multiple_of(kv_heads),
        "{heads} query heads cannot share {kv_heads} heads of keys"
    );
    assert!(
        head_dim > 0 && page_tokens > 0,
        "heads and pages are not empty"
    );
    assert_eq!(
        q.len(),
        rows.len() * heads * head_dim,
        "queries are not {} rows of {heads} x {head_dim}",
        rows.len()
    );
    for row in rows {
        let pages = sequences[row.sequence];
        assert!(
            row.end.div_ceil(page_tokens) <= pages.len(),
            "position {} is beyond {} pages",
            row.end,
            pages.len()
        );
    }
    for page in sequences.iter().flat_map(|pages| pages.iter()) {
        let [k, v] = page.lengths();
        let expected = kv_heads * page_tokens * head_dim;
        assert!(
            k == expected && v == expected,
            "a page has {k} and {v} values, not {expected}"
        );
        if let KvPage::Half { k_scales, .. } = page {
            assert_eq!(
                k_scales.len(),
                kv_heads * page_tokens,
                "a page lacks scales"
            );
        }
    }
}

#[cfg(test)]
mod tests;

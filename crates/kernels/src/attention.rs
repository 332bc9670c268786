//! Attention of queries over a cache that lies in pages.

mod few;
mod form;
mod many;
mod products;
mod weights;

use std::ops::Range;

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

impl AttentionShape {
    /// Query heads that share a head of keys.
    #[inline(always)]
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }
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
/// that are attended to is never read. All pages of a sequence are of one form.
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
    /// One byte a value: integers from -127 to 127 with a scale for each head and position, made by
    /// [`Kernels::quantize_i8`].
    Int8 {
        /// Keys.
        k: &'a [i8],
        /// Scales of the keys, `[kv_heads, page_tokens]`.
        k_scales: &'a [f32],
        /// Values.
        v: &'a [i8],
        /// Scales of the values, like those of the keys.
        v_scales: &'a [f32],
    },
}

impl KvPage<'_> {
    fn lengths(&self) -> [usize; 2] {
        match self {
            KvPage::Half { k, v, .. } => [k.len(), v.len()],
            KvPage::F32 { k, v } => [k.len(), v.len()],
            KvPage::Int8 { k, v, .. } => [k.len(), v.len()],
        }
    }

    /// Whether there are as many scales as the form asks for.
    fn has_scales(&self, lines: usize) -> bool {
        match self {
            KvPage::Half { k_scales, .. } => k_scales.len() == lines,
            KvPage::F32 { .. } => true,
            KvPage::Int8 {
                k_scales, v_scales, ..
            } => k_scales.len() == lines && v_scales.len() == lines,
        }
    }
}

/// Queries (rows times heads of a group) of rows that are few, if they are more than one row.
const FEW_QUERIES: usize = 12;
/// Queries that a task has otherwise, unless one row has more: at most, so that what it works in fits the
/// nearer caches, and at least, so that widening keys and values does not weigh.
const QUERIES: Range<usize> = 24..96;
/// Tasks that there should be for each thread, so that none waits long for another.
const TASKS_PER_THREAD: usize = 4;

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
    let mut few = few::Few::new(shape, q, rows, sequences);
    let mut many = Vec::new();
    for run in runs(rows) {
        if run.len() == 1 || run.len() * shape.group() <= FEW_QUERIES {
            few.add(run);
        } else {
            many.push(run);
        }
    }
    let blocks = blocks(shape, rows, &many, pool.threads() * TASKS_PER_THREAD);
    pool.for_each(blocks.len() * shape.kv_heads, |task| {
        let range = blocks[task / shape.kv_heads].clone();
        kernels.run(many::Task {
            shape,
            q,
            rows,
            pages: sequences[rows[range.start].sequence],
            range,
            kv_head: task % shape.kv_heads,
            output,
        });
    });
    few.run(kernels, pool, output);
}

/// Cuts the rows where the sequence changes.
fn runs(rows: &[QueryRow]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    rows.chunk_by(|a, b| a.sequence == b.sequence)
        .map(move |run| {
            start += run.len();
            start - run.len()..start
        })
}

/// Cuts runs of rows into blocks, those that take longest first. They are as large as still gives the wanted
/// number of tasks.
fn blocks(
    shape: &AttentionShape,
    rows: &[QueryRow],
    runs: &[Range<usize>],
    tasks: usize,
) -> Vec<Range<usize>> {
    let queries = runs.iter().map(Range::len).sum::<usize>() * shape.heads;
    let queries = (queries / tasks).clamp(QUERIES.start, QUERIES.end);
    let len = (queries / shape.group()).max(1);
    let cut = |run: &Range<usize>| {
        let end = run.end;
        run.clone()
            .step_by(len)
            .map(move |start| start..end.min(start + len))
    };
    let mut blocks: Vec<Range<usize>> = runs.iter().flat_map(cut).collect();
    let work = |block: &Range<usize>| -> usize {
        let rows = rows[block.clone()].iter();
        rows.map(|row| row.end.saturating_sub(row.start)).sum()
    };
    blocks.sort_by_cached_key(|block| std::cmp::Reverse(work(block)));
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
    for pages in sequences {
        let form = pages.first().map(std::mem::discriminant);
        assert!(
            pages
                .iter()
                .all(|page| Some(std::mem::discriminant(page)) == form),
            "the pages of a sequence are of several forms"
        );
    }
    for page in sequences.iter().flat_map(|pages| pages.iter()) {
        let [k, v] = page.lengths();
        let expected = kv_heads * page_tokens * head_dim;
        assert!(
            k == expected && v == expected,
            "a page has {k} and {v} values, not {expected}"
        );
        let lines = kv_heads * page_tokens;
        assert!(page.has_scales(lines), "a page has not {lines} scales");
    }
}

#[cfg(test)]
mod tests;

//! Few queries: a decoder's next token. What takes the time is reading keys and values, so they are read
//! once, straight from their pages, and the positions are cut into stretches that threads share.

mod merge;
mod stretch;

use std::cell::Cell;
use std::ops::Range;

use super::form::{Form, with_form};
use super::{AttentionShape, KvPage, QueryRow};
use crate::output::Output;
use crate::simd::MAX_LANES;
use crate::{Kernels, Pool};

/// Positions that a task has. Stretches start at multiples of it, so that results depend neither on
/// the number of threads nor on what is computed along with them.
const STRETCH: usize = 128;
/// The most queries that are worked on at a time. More would convert keys and values less often, but the
/// tiles for them take long to compile and gain little: the memory is waited for.
const TOGETHER: usize = 4;
/// Tasks that there should be for each thread, so that none waits long for another.
const TASKS_PER_THREAD: usize = 4;

thread_local! {
    /// Room for partial results, which a thread keeps.
    static PARTIALS: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// All rows whose queries are few.
pub(super) struct Few<'a> {
    shape: &'a AttentionShape,
    q: &'a [f32],
    rows: &'a [QueryRow],
    sequences: &'a [&'a [KvPage<'a>]],
    blocks: Vec<Block>,
    stretches: usize,
    partials: usize,
}

/// A few rows of one sequence.
struct Block {
    rows: Range<usize>,
    /// Those that some row attends to.
    positions: Range<usize>,
    /// How many stretches the blocks before it have.
    stretches_before: usize,
    /// Where in the buffer of partial results its own start.
    partials: usize,
}

/// A stretch of the positions of a block.
#[derive(Clone, Copy)]
struct Part<'a> {
    few: &'a Few<'a>,
    block: &'a Block,
    /// Its number in the block.
    stretch: usize,
    pages: &'a [KvPage<'a>],
    output: Output<'a>,
    /// Of all blocks, as one row.
    partials: Output<'a>,
}

impl<'a> Few<'a> {
    pub(super) fn new(
        shape: &'a AttentionShape,
        q: &'a [f32],
        rows: &'a [QueryRow],
        sequences: &'a [&'a [KvPage<'a>]],
    ) -> Few<'a> {
        Few {
            shape,
            q,
            rows,
            sequences,
            blocks: Vec::new(),
            stretches: 0,
            partials: 0,
        }
    }

    /// Adds rows, which are of one sequence.
    pub(super) fn add(&mut self, rows: Range<usize>) {
        let all = &self.rows[rows.clone()];
        let attending = || all.iter().filter(|row| row.start < row.end);
        let start = attending().map(|row| row.start).min().unwrap_or(0);
        let end = attending().map(|row| row.end).max().unwrap_or(0);
        let block = Block {
            rows,
            positions: start..end,
            stretches_before: self.stretches,
            partials: self.partials,
        };
        self.stretches += block.stretches();
        if block.stretches() > 1 {
            let queries = block.rows.len() * self.shape.heads;
            self.partials += queries * block.stretches() * self.partial_len();
        }
        self.blocks.push(block);
    }

    pub(super) fn run(&self, kernels: Kernels, pool: &Pool, output: Output<'_>) {
        if self.blocks.is_empty() {
            return;
        }
        let mut room = PARTIALS.take();
        room.resize(room.len().max(self.partials), 0.0);
        let partials = Output::new(&mut room[..self.partials], 1, self.partials);

        // Heads lie one after the other on a page. The more of them a task reads in a row the better, if
        // there are tasks enough.
        let kv_heads = self.shape.kv_heads;
        let wanted = (pool.threads() * TASKS_PER_THREAD).div_ceil(self.stretches);
        let heads = kv_heads.div_ceil(wanted.min(kv_heads));
        let groups = kv_heads.div_ceil(heads);
        pool.for_each(self.stretches * groups, |task| {
            let part = self.part(task / groups, output, partials);
            let first = task % groups * heads;
            let heads = first..kv_heads.min(first + heads);
            with_form!(part.pages.first(), F => part.run::<F>(kernels, heads));
        });
        if self.partials > 0 {
            pool.for_each(self.blocks.len() * kv_heads, |task| {
                let block = &self.blocks[task / kv_heads];
                if block.stretches() > 1 {
                    let part = self.part(block.stretches_before, output, partials);
                    kernels.run(merge::Merge {
                        part,
                        kv_head: task % kv_heads,
                    });
                }
            });
        }
        PARTIALS.set(room);
    }

    fn part<'b>(&'b self, stretch: usize, output: Output<'b>, partials: Output<'b>) -> Part<'b> {
        let after = self
            .blocks
            .partition_point(|block| block.stretches_before <= stretch);
        let block = &self.blocks[after - 1];
        Part {
            few: self,
            block,
            stretch: stretch - block.stretches_before,
            pages: self.sequences[self.rows[block.rows.start].sequence],
            output,
            partials,
        }
    }

    /// The floats of a query's partial result: its sums, the largest score, and the total weight.
    #[inline(always)]
    fn partial_len(&self) -> usize {
        self.shape.head_dim.next_multiple_of(MAX_LANES) + 2
    }
}

impl Block {
    fn first_stretch(&self) -> usize {
        self.positions.start / STRETCH
    }

    fn stretches(&self) -> usize {
        let end = self.positions.end.div_ceil(STRETCH);
        end.saturating_sub(self.first_stretch()).max(1)
    }
}

impl Part<'_> {
    fn run<F: Form>(self, kernels: Kernels, heads: Range<usize>) {
        // Chunks of like sizes: five queries are three and two, not four and one.
        let queries = self.queries();
        match queries.div_ceil(queries.div_ceil(TOGETHER)) {
            1 => kernels.run(stretch::Task::<F, 1>::new(self, heads)),
            2 => kernels.run(stretch::Task::<F, 2>::new(self, heads)),
            3 => kernels.run(stretch::Task::<F, 3>::new(self, heads)),
            _ => kernels.run(stretch::Task::<F, TOGETHER>::new(self, heads)),
        }
    }

    /// Queries that share a head of keys.
    #[inline(always)]
    fn queries(&self) -> usize {
        self.block.rows.len() * self.few.shape.group()
    }

    #[inline(always)]
    fn positions(&self) -> Range<usize> {
        let start = (self.block.first_stretch() + self.stretch) * STRETCH;
        let all = &self.block.positions;
        start.max(all.start)..(start + STRETCH).min(all.end)
    }

    /// The row of a query of a head of keys, and where its own head starts in that row.
    #[inline(always)]
    fn place(&self, kv_head: usize, query: usize) -> (usize, usize) {
        let head = kv_head * self.few.shape.group() + query % self.few.shape.group();
        let row = self.block.rows.start + query / self.few.shape.group();
        (row, head * self.few.shape.head_dim)
    }

    /// The partial result of a query in a stretch of the block: its sums, and the two numbers.
    ///
    /// # Safety
    /// It is in use nowhere else.
    #[inline(always)]
    #[allow(
        clippy::mut_from_ref,
        reason = "parts are disjoint, by the caller's promise"
    )]
    unsafe fn partial(
        &self,
        kv_head: usize,
        stretch: usize,
        query: usize,
    ) -> (&mut [f32], &mut [f32]) {
        let len = self.few.partial_len();
        let index = (kv_head * self.queries() + query) * self.block.stretches() + stretch;
        // SAFETY: passed on.
        let part = unsafe {
            self.partials
                .row_part(0, self.block.partials + index * len, len)
        };
        let (sums, rest) = part.split_at_mut(len - 2);
        (&mut sums[..self.few.shape.head_dim], rest)
    }
}

/// What sums are multiplied by to become means; where nothing was attended to, they are zeros.
#[inline(always)]
fn reciprocal(total: f32) -> f32 {
    if total == 0.0 { 0.0 } else { 1.0 / total }
}

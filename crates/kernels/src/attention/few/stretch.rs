//! A stretch of positions: the scores of all, then their weights, then the values.

use std::marker::PhantomData;
use std::ops::Range;

use super::{Part, STRETCH, reciprocal};
use crate::attention::KvPage;
use crate::attention::form::Form;
use crate::attention::products::{add_values, scores};
use crate::attention::weights::{scale, scale_each, weigh};
use crate::scratch;
use crate::simd::{Op, Simd};

/// Some heads of keys, with all queries, `M` at a time.
pub(super) struct Task<'a, F, const M: usize> {
    part: Part<'a>,
    heads: Range<usize>,
    form: PhantomData<F>,
}

/// What a task works in. Each head of keys has `queries` of them: those that there are, and zeros up to
/// a multiple of `M`. All heads are padded with zeros to whole vectors, `width` values long.
struct Room<'a> {
    width: usize,
    queries: usize,
    /// `[heads, queries, width]`, already scaled.
    q: &'a mut [f32],
    /// `[heads, queries, width]`: the values, weighted.
    sums: &'a mut [f32],
    /// `[heads, queries, STRETCH]`: scores, then weights.
    weights: &'a mut [f32],
    /// `[heads, queries]`
    largest: &'a mut [f32],
    /// `[heads, queries]`
    total: &'a mut [f32],
}

/// Positions of a stretch that lie on one page.
struct Piece<'a> {
    page: &'a KvPage<'a>,
    /// Where on the page they start.
    first: usize,
    /// Where in the stretch they start.
    at: usize,
    len: usize,
}

impl<F: Form, const M: usize> Op for Task<'_, F, M> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.dim().next_multiple_of(S::LANES);
        let queries = self.part.queries().next_multiple_of(M);
        let all = self.heads.len() * queries;
        scratch::with_f32(
            all * (2 * width + STRETCH + 2),
            #[inline(always)]
            |room| {
                let (q, room) = room.split_at_mut(all * width);
                let (sums, room) = room.split_at_mut(all * width);
                let (weights, room) = room.split_at_mut(all * STRETCH);
                let (largest, total) = room.split_at_mut(all);
                let room = Room {
                    width,
                    queries,
                    q,
                    sums,
                    weights,
                    largest,
                    total,
                };
                self.attend(s, room);
            },
        );
    }
}

impl<'a, F: Form, const M: usize> Task<'a, F, M> {
    pub(super) fn new(part: Part<'a>, heads: Range<usize>) -> Self {
        Task {
            part,
            heads,
            form: PhantomData,
        }
    }

    /// Keys and values are gone through as they lie in memory: page by page, and on a page head by head.
    #[inline(always)]
    fn attend<S: Simd>(&self, s: S, mut room: Room<'_>) {
        self.load_queries(s, &mut room);
        let positions = self.part.positions();
        let mut at = positions.start;
        while at < positions.end {
            let piece = self.piece(at, &positions);
            for head in 0..self.heads.len() {
                self.score(s, &mut room, &piece, head);
            }
            at += piece.len;
        }
        self.weigh(s, &mut room, &positions);
        room.sums.fill(0.0);
        let mut at = positions.start;
        while at < positions.end {
            let piece = self.piece(at, &positions);
            for head in 0..self.heads.len() {
                self.add(s, &mut room, &piece, head);
            }
            at += piece.len;
        }
        self.store(s, &room);
    }

    #[inline(always)]
    fn dim(&self) -> usize {
        self.part.few.shape.head_dim
    }

    #[inline(always)]
    fn load_queries<S: Simd>(&self, s: S, room: &mut Room<'_>) {
        let few = self.part.few;
        room.q.fill(0.0);
        for (i, q) in room.q.chunks_exact_mut(room.width).enumerate() {
            let (head, query) = (self.heads.start + i / room.queries, i % room.queries);
            if query < self.part.queries() {
                let (row, at) = self.part.place(head, query);
                let from = row * few.shape.heads * self.dim() + at;
                q[..self.dim()].copy_from_slice(&few.q[from..][..self.dim()]);
                scale(s, q, few.shape.scale);
            }
        }
    }

    /// What is on the page of position `at`, from there on.
    #[inline(always)]
    fn piece(&self, at: usize, positions: &Range<usize>) -> Piece<'_> {
        let page_tokens = self.part.few.shape.page_tokens;
        Piece {
            page: &self.part.pages[at / page_tokens],
            first: at % page_tokens,
            at: at - positions.start,
            len: (page_tokens - at % page_tokens).min(positions.end - at),
        }
    }

    /// The line of a page, one for each head and position, where a piece of our head starts.
    #[inline(always)]
    fn line(&self, piece: &Piece<'_>, head: usize) -> usize {
        (self.heads.start + head) * self.part.few.shape.page_tokens + piece.first
    }

    #[inline(always)]
    fn score<S: Simd>(&self, s: S, room: &mut Room<'_>, piece: &Piece<'_>, head: usize) {
        let line = self.line(piece, head);
        let (keys, scales) = F::keys(piece.page);
        let keys = &keys[line * self.dim()..][..piece.len * self.dim()];
        assert!(room.width >= self.dim() && piece.at + piece.len <= STRETCH);
        for query in (head * room.queries..(head + 1) * room.queries).step_by(M) {
            let q = &room.q[query * room.width..][..M * room.width];
            let to = &mut room.weights[query * STRETCH..][..M * STRETCH];
            // SAFETY: by the lines above; queries are padded with zeros.
            unsafe {
                scores::<S, F::Key, M>(
                    s,
                    q.as_ptr(),
                    room.width,
                    keys.as_ptr(),
                    self.dim(),
                    piece.len,
                    to.as_mut_ptr().add(piece.at),
                    STRETCH,
                );
            }
            if let Some(scales) = scales {
                for scores in to.chunks_exact_mut(STRETCH) {
                    let scores = &mut scores[piece.at..piece.at + piece.len];
                    scale_each(s, scores, &scales[line..line + piece.len]);
                }
            }
        }
    }

    /// Turns scores into weights, 0 where a row does not attend.
    #[inline(always)]
    fn weigh<S: Simd>(&self, s: S, room: &mut Room<'_>, positions: &Range<usize>) {
        let few = self.part.few;
        let weights = room.weights.chunks_exact_mut(STRETCH);
        for (i, weights) in weights.enumerate() {
            let (head, query) = (i / room.queries, i % room.queries);
            let mut seen = 0..0;
            if query < self.part.queries() {
                let row = few.rows[self.part.place(self.heads.start + head, query).0];
                let (start, end) = (row.start.max(positions.start), row.end.min(positions.end));
                if start < end {
                    seen = start - positions.start..end - positions.start;
                }
            }
            weights[..seen.start].fill(0.0);
            weights[seen.end..].fill(0.0);
            let weights = &mut weights[seen];
            let weighed = weigh(s, weights, few.shape.softcap);
            (room.largest[i], room.total[i]) = (weighed.largest, weighed.total);
        }
    }

    #[inline(always)]
    fn add<S: Simd>(&self, s: S, room: &mut Room<'_>, piece: &Piece<'_>, head: usize) {
        let line = self.line(piece, head);
        let (values, scales) = F::values(piece.page);
        let values = &values[line * self.dim()..][..piece.len * self.dim()];
        assert!(room.width >= self.dim() && piece.at + piece.len <= STRETCH);
        for query in (head * room.queries..(head + 1) * room.queries).step_by(M) {
            let sums = &mut room.sums[query * room.width..][..M * room.width];
            let weights = &mut room.weights[query * STRETCH..][..M * STRETCH];
            if let Some(scales) = scales {
                for weights in weights.chunks_exact_mut(STRETCH) {
                    let weights = &mut weights[piece.at..piece.at + piece.len];
                    scale_each(s, weights, &scales[line..line + piece.len]);
                }
            }
            // SAFETY: by the lines above.
            unsafe {
                add_values::<S, F::Value, M, true>(
                    s,
                    values.as_ptr(),
                    self.dim(),
                    self.dim(),
                    piece.len,
                    weights.as_ptr().add(piece.at),
                    [STRETCH, 1],
                    sums.as_mut_ptr(),
                    room.width,
                );
            }
        }
    }

    /// Writes results where they belong if this stretch is all there is, else as partial ones.
    #[inline(always)]
    fn store<S: Simd>(&self, s: S, room: &Room<'_>) {
        let part = self.part;
        for (i, sums) in room.sums.chunks_exact(room.width).enumerate() {
            let (head, query) = (self.heads.start + i / room.queries, i % room.queries);
            let sums = &sums[..self.dim()];
            if query >= part.queries() {
                continue;
            }
            if part.block.stretches() == 1 {
                let (row, at) = part.place(head, query);
                // SAFETY: this row and head are this task's alone.
                let out = unsafe { part.output.row_part(row, at, self.dim()) };
                out.copy_from_slice(sums);
                scale(s, out, reciprocal(room.total[i]));
            } else {
                // SAFETY: this part of the results is this task's alone until all tasks are done.
                let (to, rest) = unsafe { part.partial(head, part.stretch, query) };
                to.copy_from_slice(sums);
                rest.copy_from_slice(&[room.largest[i], room.total[i]]);
            }
        }
    }
}

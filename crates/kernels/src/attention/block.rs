//! Some rows of one sequence with the heads that share one head of keys and values.

use std::ops::Range;

use super::{AttentionShape, KvPage, QueryRow};
use crate::dense::{add_products, dots};
use crate::math::tanh;
use crate::ops::{exp_assign, max, widen};
use crate::output::Output;
use crate::scratch;
use crate::simd::{Element, Op, Simd};

/// Positions whose keys and values are converted and worked on at a time.
const TOKENS: usize = 64;

pub(super) struct Task<'a> {
    pub(super) shape: &'a AttentionShape,
    pub(super) q: &'a [f32],
    pub(super) rows: &'a [QueryRow],
    /// Which rows; no two tasks have a row and a head in common.
    pub(super) range: Range<usize>,
    pub(super) kv_head: usize,
    /// Of the sequence that all these rows are of.
    pub(super) pages: &'a [KvPage<'a>],
    pub(super) output: Output<'a>,
}

/// What a task works in. All heads are padded with zeros to whole vectors, `width` values long.
struct Room<'a> {
    width: usize,
    /// `[queries, width]`, already scaled.
    q: &'a mut [f32],
    /// `[queries, width]`: the values so far, weighted by `exp(score - largest)`.
    sums: &'a mut [f32],
    /// `[TOKENS, width]`, keys and then values.
    kv: &'a mut [f32],
    /// `[queries, TOKENS]`: scores, then weights.
    scores: &'a mut [f32],
    /// Of each query: the largest score so far.
    largest: &'a mut [f32],
    /// Of each query: the sum of the weights so far.
    total: &'a mut [f32],
}

impl Op for Task<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.shape.head_dim.next_multiple_of(S::LANES);
        let queries = self.range.len() * self.group();
        scratch::with_f32(
            (2 * queries + TOKENS) * width + queries * (TOKENS + 2),
            #[inline(always)]
            |room| {
                let (q, room) = room.split_at_mut(queries * width);
                let (sums, room) = room.split_at_mut(queries * width);
                let (kv, room) = room.split_at_mut(TOKENS * width);
                let (scores, room) = room.split_at_mut(queries * TOKENS);
                let (largest, total) = room.split_at_mut(queries);
                self.attend(
                    s,
                    Room {
                        width,
                        q,
                        sums,
                        kv,
                        scores,
                        largest,
                        total,
                    },
                );
            },
        );
    }
}

impl Task<'_> {
    /// Query heads that share our head of keys.
    #[inline(always)]
    fn group(&self) -> usize {
        self.shape.heads / self.shape.kv_heads
    }

    /// The row of a query, and where its head starts in that row.
    #[inline(always)]
    fn place(&self, query: usize) -> (usize, usize) {
        let row = self.range.start + query / self.group();
        (
            row,
            (self.kv_head * self.group() + query % self.group()) * self.shape.head_dim,
        )
    }

    #[inline(always)]
    fn attend<S: Simd>(&self, s: S, mut room: Room<'_>) {
        let dim = self.shape.head_dim;
        for (query, q) in room.q.chunks_exact_mut(room.width).enumerate() {
            let (row, at) = self.place(query);
            q[..dim].copy_from_slice(&self.q[row * self.shape.heads * dim + at..][..dim]);
            q[dim..].fill(0.0);
        }
        room.sums.fill(0.0);
        room.largest.fill(f32::NEG_INFINITY);
        room.total.fill(0.0);

        let rows = &self.rows[self.range.clone()];
        let attending = || rows.iter().filter(|row| row.start < row.end);
        let mut start = attending().map(|row| row.start).min().unwrap_or(0);
        let end = attending().map(|row| row.end).max().unwrap_or(0);
        while start < end {
            let tokens = start..end.min(start + TOKENS);
            self.convert(s, &mut room, tokens.clone(), false);
            self.score(s, &mut room, tokens.clone());
            self.convert(s, &mut room, tokens.clone(), true);
            add_values(s, &mut room, tokens.len());
            start = tokens.end;
        }
        self.store(s, &room);
    }

    /// Makes floats of the keys, or of the values, of these positions.
    #[inline(always)]
    fn convert<S: Simd>(&self, s: S, room: &mut Room<'_>, tokens: Range<usize>, values: bool) {
        let page_tokens = self.shape.page_tokens;
        let mut at = tokens.start;
        while at < tokens.end {
            let first = at % page_tokens;
            let len = (page_tokens - first).min(tokens.end - at);
            let start = (self.kv_head * page_tokens + first) * self.shape.head_dim;
            let range = start..start + len * self.shape.head_dim;
            let to = &mut room.kv[(at - tokens.start) * room.width..][..len * room.width];
            match self.pages[at / page_tokens] {
                KvPage::Half { v, .. } if values => self.convert_part(s, &v[range], to, room.width),
                KvPage::Half { k, k_scales, .. } => {
                    self.convert_part(s, &k[range], to, room.width);
                    let scales = &k_scales[self.kv_head * page_tokens + first..][..len];
                    for (key, &scale) in to.chunks_exact_mut(room.width).zip(scales) {
                        let scale = s.splat(scale);
                        for key in key.chunks_exact_mut(S::LANES) {
                            s.put(s.mul(s.get(key), scale), key);
                        }
                    }
                }
                KvPage::F32 { k, v } => {
                    self.convert_part(s, &if values { v } else { k }[range], to, room.width)
                }
            }
            at += len;
        }
    }

    #[inline(always)]
    fn convert_part<S: Simd, E: Element>(&self, s: S, from: &[E], to: &mut [f32], width: usize) {
        let dim = self.shape.head_dim;
        for (from, to) in from.chunks_exact(dim).zip(to.chunks_exact_mut(width)) {
            widen(s, from, &mut to[..dim]);
            to[dim..].fill(0.0);
        }
    }

    /// Turns queries and keys into weights, and makes the sums so far relative to the new maximum.
    #[inline(always)]
    fn score<S: Simd>(&self, s: S, room: &mut Room<'_>, tokens: Range<usize>) {
        scores(s, room, tokens.len());
        for (query, scores) in room.scores.chunks_exact_mut(TOKENS).enumerate() {
            let row = self.rows[self.place(query).0];
            let (start, end) = (row.start.max(tokens.start), row.end.min(tokens.end));
            if start >= end {
                scores.fill(0.0);
                continue;
            }
            let seen = start - tokens.start..end - tokens.start;
            scores[..seen.start].fill(0.0);
            scores[seen.end..].fill(0.0);
            let scores = &mut scores[seen];
            self.scale(s, scores);

            let before = room.largest[query];
            let largest = before.max(max(s, scores));
            let factor = if before == largest {
                1.0
            } else {
                (before - largest).exp()
            };
            room.largest[query] = largest;
            room.total[query] = room.total[query] * factor + exp_assign(s, scores, largest);
            if factor != 1.0 {
                let factor = s.splat(factor);
                for sums in room.sums[query * room.width..][..room.width].chunks_exact_mut(S::LANES)
                {
                    s.put(s.mul(s.get(sums), factor), sums);
                }
            }
        }
    }

    #[inline(always)]
    fn scale<S: Simd>(&self, s: S, scores: &mut [f32]) {
        let scale = s.splat(self.shape.scale);
        for scores in scores.chunks_mut(S::LANES) {
            let mut x = s.mul(s.get_part(scores, 0.0), scale);
            if let Some(cap) = self.shape.softcap {
                x = s.mul(tanh(s, s.mul(x, s.splat(1.0 / cap))), s.splat(cap));
            }
            s.put_part(x, scores);
        }
    }

    #[inline(always)]
    fn store<S: Simd>(&self, s: S, room: &Room<'_>) {
        for (query, sums) in room.sums.chunks_exact(room.width).enumerate() {
            let (row, at) = self.place(query);
            // SAFETY: this row and head are this task's alone.
            let out = unsafe { self.output.row_part(row, at, self.shape.head_dim) };
            let total = room.total[query];
            // Nothing was attended to: the sums are zeros.
            let factor = s.splat(if total == 0.0 { 0.0 } else { 1.0 / total });
            for (sums, out) in sums.chunks_exact(S::LANES).zip(out.chunks_mut(S::LANES)) {
                s.put_part(s.mul(s.get(sums), factor), out);
            }
        }
    }
}

/// Products of all queries with the keys.
#[inline(always)]
fn scores<S: Simd>(s: S, room: &mut Room<'_>, tokens: usize) {
    let queries = room.largest.len();
    let mut query = 0;
    while query < queries {
        match queries - query {
            1 => scores_of::<S, 1>(s, room, query, tokens),
            2 => scores_of::<S, 2>(s, room, query, tokens),
            3 => scores_of::<S, 3>(s, room, query, tokens),
            _ => scores_of::<S, 4>(s, room, query, tokens),
        }
        query += 4;
    }
}

#[inline(always)]
fn scores_of<S: Simd, const M: usize>(s: S, room: &mut Room<'_>, query: usize, tokens: usize) {
    let width = room.width;
    let q: [*const f32; M] =
        std::array::from_fn(|m| room.q[(query + m) * width..][..width].as_ptr());
    for token in (0..tokens).step_by(2) {
        let keys: [*const f32; 2] = std::array::from_fn(|i| {
            room.kv[(token + i).min(tokens - 1) * width..][..width].as_ptr()
        });
        // SAFETY: there are `width` values at each pointer.
        let dots = unsafe { dots::<S, 2, M>(s, keys, q, width) };
        let scores = room.scores[query * TOKENS..].chunks_exact_mut(TOKENS);
        for (m, scores) in scores.take(M).enumerate() {
            // `TOKENS` is even: where the number of tokens is not, the last score is one nobody reads.
            scores[token..token + 2].copy_from_slice(&[dots[0][m], dots[1][m]]);
        }
    }
}

/// Adds the values times the weights.
#[inline(always)]
fn add_values<S: Simd>(s: S, room: &mut Room<'_>, tokens: usize) {
    let queries = room.largest.len();
    let mut query = 0;
    while query < queries {
        match queries - query {
            1 => add_values_of::<S, 1>(s, room, query, tokens),
            2 => add_values_of::<S, 2>(s, room, query, tokens),
            3 => add_values_of::<S, 3>(s, room, query, tokens),
            _ => add_values_of::<S, 4>(s, room, query, tokens),
        }
        query += 4;
    }
}

#[inline(always)]
fn add_values_of<S: Simd, const M: usize>(s: S, room: &mut Room<'_>, query: usize, tokens: usize) {
    let width = room.width;
    let weights = std::array::from_fn(|m| room.scores[(query + m) * TOKENS..][..tokens].as_ptr());
    let mut rows = room.sums[query * width..].chunks_exact_mut(width);
    let sums: [*mut f32; M] = std::array::from_fn(|_| {
        rows.next()
            .map_or(std::ptr::null_mut(), <[f32]>::as_mut_ptr)
    });
    assert!(!sums.contains(&std::ptr::null_mut()) && room.kv.len() >= tokens * width);
    // SAFETY: weights are `tokens` long, values as many rows of `width`, and each sum is `width` long
    // and another part of a slice that is borrowed mutably.
    unsafe { add_products::<S, f32, M>(s, room.kv.as_ptr(), width, weights, tokens, sums, width) };
}

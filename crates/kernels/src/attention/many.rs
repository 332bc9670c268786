//! Many queries: a prompt. What takes the time is the products, so keys and values are widened once for
//! all queries of a task, and the queries turned over: a vector has the same value of several, so that
//! their scores are sums in registers and their weights need nothing across a vector.

use std::ops::Range;

use super::products::add_values;
use super::weights::scale;
use super::{AttentionShape, KvPage, QueryRow};
use crate::math::{exp, tanh};
use crate::ops::widen;
use crate::output::Output;
use crate::scratch;
use crate::simd::{Element, MAX_LANES, Op, Simd};

/// Positions whose keys and values are widened and worked on at a time. Blocks start at multiples of
/// it, so that a row's result does not depend on what is computed along with it.
const TOKENS: usize = 96;
/// Queries whose weighted values are added up together.
const TILE: usize = 6;

/// Some rows of one sequence, with the heads that share one of keys and values.
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

/// What a task works in. Queries are filled up with zeros to whole tiles and whole vectors, `queries` of
/// them, and heads to whole vectors, `width` values long.
struct Room<'a> {
    width: usize,
    queries: usize,
    /// `[queries / LANES, width, LANES]`, already scaled.
    q: &'a mut [f32],
    /// `[queries, width]`: the values so far, weighted by `exp(score - largest)`.
    sums: &'a mut [f32],
    /// `[TOKENS, queries]`: scores, then weights.
    weights: &'a mut [f32],
    /// `[TOKENS, width]`: keys, then values.
    kv: &'a mut [f32],
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
        let queries = self.queries().next_multiple_of(TILE);
        let queries = queries.next_multiple_of(S::LANES);
        scratch::with_f32(
            queries * (2 * width + TOKENS + 2) + TOKENS * width,
            #[inline(always)]
            |room| {
                let (q, room) = room.split_at_mut(queries * width);
                let (sums, room) = room.split_at_mut(queries * width);
                let (weights, room) = room.split_at_mut(queries * TOKENS);
                let (kv, room) = room.split_at_mut(TOKENS * width);
                let (largest, total) = room.split_at_mut(queries);
                let room = Room {
                    width,
                    queries,
                    q,
                    sums,
                    weights,
                    kv,
                    largest,
                    total,
                };
                self.attend(s, room);
            },
        );
    }
}

impl Task<'_> {
    /// How many queries there are.
    #[inline(always)]
    fn queries(&self) -> usize {
        self.range.len() * self.shape.group()
    }

    /// The row of a query, and where its head starts in that row.
    #[inline(always)]
    fn place(&self, query: usize) -> (usize, usize) {
        let head = self.kv_head * self.shape.group() + query % self.shape.group();
        let row = self.range.start + query / self.shape.group();
        (row, head * self.shape.head_dim)
    }

    #[inline(always)]
    fn attend<S: Simd>(&self, s: S, mut room: Room<'_>) {
        self.load_queries::<S>(&mut room);
        room.sums.fill(0.0);
        room.largest.fill(f32::NEG_INFINITY);
        room.total.fill(0.0);
        let positions = self.positions(0..self.queries());
        let mut at = positions.start / TOKENS * TOKENS;
        while at < positions.end {
            let tokens = at..positions.end.min(at + TOKENS);
            self.widen::<S, false>(s, &mut room, tokens.clone());
            self.score(s, &mut room, &tokens);
            for query in (0..self.queries()).step_by(S::LANES) {
                self.weigh(s, &mut room, query, &tokens);
            }
            self.widen::<S, true>(s, &mut room, tokens.clone());
            for query in (0..self.queries()).step_by(TILE) {
                self.add(s, &mut room, query, &tokens);
            }
            at = tokens.end;
        }
        self.store(s, &room);
    }

    /// From the first position that one of these queries attends to, to the last.
    #[inline(always)]
    fn positions(&self, queries: Range<usize>) -> Range<usize> {
        let (mut start, mut end) = (usize::MAX, 0);
        let last = queries.end.min(self.queries()).saturating_sub(1);
        for row in &self.rows[self.place(queries.start).0..=self.place(last).0] {
            if row.start < row.end {
                start = start.min(row.start);
                end = end.max(row.end);
            }
        }
        start.min(end)..end
    }

    /// Which places among `tokens` some of the queries attend to.
    #[inline(always)]
    fn seen(&self, queries: Range<usize>, tokens: &Range<usize>) -> Range<usize> {
        let positions = self.positions(queries);
        let start = positions.start.clamp(tokens.start, tokens.end);
        let end = positions.end.clamp(start, tokens.end);
        start - tokens.start..end - tokens.start
    }

    #[inline(always)]
    fn load_queries<S: Simd>(&self, room: &mut Room<'_>) {
        let dim = self.shape.head_dim;
        room.q.fill(0.0);
        for query in 0..self.queries() {
            let (row, at) = self.place(query);
            let from = &self.q[row * self.shape.heads * dim + at..][..dim];
            let to = &mut room.q[query / S::LANES * S::LANES * room.width..];
            for (x, to) in from.iter().zip(to.chunks_exact_mut(S::LANES)) {
                to[query % S::LANES] = x * self.shape.scale;
            }
        }
    }

    /// Makes floats of the keys, or of the values, of these positions.
    #[inline(always)]
    fn widen<S: Simd, const VALUES: bool>(&self, s: S, room: &mut Room<'_>, tokens: Range<usize>) {
        let (page_tokens, width) = (self.shape.page_tokens, room.width);
        let mut at = tokens.start;
        while at < tokens.end {
            let first = at % page_tokens;
            let len = (page_tokens - first).min(tokens.end - at);
            let line = self.kv_head * page_tokens + first;
            let lines = line..line + len;
            let to = &mut room.kv[(at - tokens.start) * width..][..len * width];
            match self.pages[at / page_tokens] {
                KvPage::Half { v, .. } if VALUES => self.widen_lines(s, v, None, lines, to, width),
                KvPage::Half { k, k_scales, .. } => {
                    self.widen_lines(s, k, Some(k_scales), lines, to, width);
                }
                KvPage::Int8 { v, v_scales, .. } if VALUES => {
                    self.widen_lines(s, v, Some(v_scales), lines, to, width);
                }
                KvPage::Int8 { k, k_scales, .. } => {
                    self.widen_lines(s, k, Some(k_scales), lines, to, width);
                }
                KvPage::F32 { k, v } => {
                    self.widen_lines(s, if VALUES { v } else { k }, None, lines, to, width);
                }
            }
            at += len;
        }
    }

    /// Some lines of a page, each a head at a position.
    #[inline(always)]
    fn widen_lines<S: Simd, E: Element>(
        &self,
        s: S,
        from: &[E],
        scales: Option<&[f32]>,
        lines: Range<usize>,
        to: &mut [f32],
        width: usize,
    ) {
        let dim = self.shape.head_dim;
        for (line, to) in lines.zip(to.chunks_exact_mut(width)) {
            widen(s, &from[line * dim..][..dim], &mut to[..dim]);
            to[dim..].fill(0.0);
            if let Some(scales) = scales {
                scale(s, to, scales[line]);
            }
        }
    }

    /// The products of all queries and keys that some query near them attends to.
    #[inline(always)]
    fn score<S: Simd>(&self, s: S, room: &mut Room<'_>, tokens: &Range<usize>) {
        let mut query = 0;
        macro_rules! vectors {
            ($($v:literal)*) => {$(
                if const { $v <= vectors_of_queries::<S>() } {
                    while query + ($v - 1) * S::LANES < self.queries() {
                        let queries = query..query + $v * S::LANES;
                        let seen = self.seen(queries, tokens);
                        match S::REGISTERS {
                            32.. => score_tiles::<S, $v, 8>(s, room, query, seen),
                            16.. => score_tiles::<S, $v, 6>(s, room, query, seen),
                            _ => score_tiles::<S, $v, 4>(s, room, query, seen),
                        }
                        query += $v * S::LANES;
                    }
                }
            )*};
        }
        vectors!(3 2 1);
    }

    /// Turns the scores of a vector of queries into weights, and makes the sums so far relative to the new
    /// maximum.
    #[inline(always)]
    fn weigh<S: Simd>(&self, s: S, room: &mut Room<'_>, first: usize, tokens: &Range<usize>) {
        let queries = first..self.queries().min(first + S::LANES);
        let seen = self.seen(queries.clone(), tokens);
        let stride = room.queries;
        if let Some(cap) = self.shape.softcap {
            let (cap, inverse) = (s.splat(cap), s.splat(1.0 / cap));
            for token in seen.clone() {
                let scores = &mut room.weights[token * stride + first..];
                s.put(s.mul(tanh(s, s.mul(s.get(scores), inverse)), cap), scores);
            }
        }
        for query in queries.clone() {
            let own = self.seen(query..query + 1, tokens);
            for token in (seen.start..own.start).chain(own.end.max(seen.start)..seen.end) {
                room.weights[token * stride + query] = f32::NEG_INFINITY;
            }
        }
        let before = s.get(&room.largest[first..]);
        let mut largest = before;
        for token in seen.clone() {
            largest = s.max(s.get(&room.weights[token * stride + first..]), largest);
        }
        // Finite even where nothing was attended to yet, so that what is taken from it is a number.
        let offset = s.max(s.splat(f32::MIN), largest);
        let mut total = s.splat(0.0);
        // A tile of queries may reach into the vector beside this one and attend to more.
        for token in (0..seen.start).chain(seen.end..tokens.len()) {
            s.put(s.splat(0.0), &mut room.weights[token * stride + first..]);
        }
        for token in seen {
            let scores = &mut room.weights[token * stride + first..];
            let weights = exp(s, s.sub(s.get(scores), offset));
            total = s.add(total, weights);
            s.put(weights, scores);
        }
        let factor = exp(s, s.sub(before, offset));
        let total = s.mul_add(s.get(&room.total[first..]), factor, total);
        s.put(total, &mut room.total[first..]);
        s.put(largest, &mut room.largest[first..]);
        let mut factors = [0.0; MAX_LANES];
        s.put(factor, &mut factors);
        for (query, factor) in queries.zip(factors) {
            if factor != 1.0 {
                scale(
                    s,
                    &mut room.sums[query * room.width..][..room.width],
                    factor,
                );
            }
        }
    }

    /// Adds the values times the weights of a tile.
    #[inline(always)]
    fn add<S: Simd>(&self, s: S, room: &mut Room<'_>, tile: usize, tokens: &Range<usize>) {
        let width = room.width;
        let seen = self.seen(tile..tile + TILE, tokens);
        if seen.is_empty() {
            return;
        }
        let values = &room.kv[seen.start * width..][..seen.len() * width];
        let weights = &room.weights[seen.start * room.queries + tile..];
        let sums = &mut room.sums[tile * width..][..TILE * width];
        assert!(tile + TILE <= room.queries && seen.end * room.queries <= room.weights.len());
        // SAFETY: by the lines above.
        unsafe {
            add_values::<S, f32, TILE, false>(
                s,
                values.as_ptr(),
                width,
                width,
                seen.len(),
                weights.as_ptr(),
                [1, room.queries],
                sums.as_mut_ptr(),
                width,
            );
        }
    }

    #[inline(always)]
    fn store<S: Simd>(&self, s: S, room: &Room<'_>) {
        for query in 0..self.queries() {
            let (row, at) = self.place(query);
            // SAFETY: this row and head are this task's alone.
            let out = unsafe { self.output.row_part(row, at, self.shape.head_dim) };
            out.copy_from_slice(&room.sums[query * room.width..][..self.shape.head_dim]);
            let total = room.total[query];
            // Nothing was attended to: the sums are zeros.
            scale(s, out, if total == 0.0 { 0.0 } else { 1.0 / total });
        }
    }
}

/// How many vectors of queries a tile has at most.
const fn vectors_of_queries<S: Simd>() -> usize {
    match S::REGISTERS {
        32.. => 3,
        16.. => 2,
        _ => 1,
    }
}

/// The products of `V` vectors of queries with the keys at these places, and some beside them, as there are
/// always `T` together.
#[inline(always)]
fn score_tiles<S: Simd, const V: usize, const T: usize>(
    s: S,
    room: &mut Room<'_>,
    query: usize,
    seen: Range<usize>,
) {
    const { assert!(TOKENS.is_multiple_of(T)) };
    let width = room.width;
    let q = &room.q[query * width..][..V * S::LANES * width];
    for token in (seen.start / T * T..seen.end).step_by(T) {
        let keys = &room.kv[token * width..][..T * width];
        let scores = &mut room.weights[token * room.queries + query..];
        assert!(scores.len() >= (T - 1) * room.queries + V * S::LANES);
        let mut sums = [[s.splat(0.0); V]; T];
        // SAFETY: all of it is inside by the lines above.
        unsafe {
            for d in 0..width {
                let mut vectors = [s.splat(0.0); V];
                for (v, vector) in vectors.iter_mut().enumerate() {
                    *vector = s.load(q.as_ptr().add((v * width + d) * S::LANES));
                }
                for (t, sums) in sums.iter_mut().enumerate() {
                    let key = s.splat(*keys.as_ptr().add(t * width + d));
                    for (sum, &vector) in sums.iter_mut().zip(&vectors) {
                        *sum = s.mul_add(key, vector, *sum);
                    }
                }
            }
            for (t, sums) in sums.iter().enumerate() {
                for (v, &sum) in sums.iter().enumerate() {
                    let at = t * room.queries + v * S::LANES;
                    s.store(sum, scores.as_mut_ptr().add(at));
                }
            }
        }
    }
}

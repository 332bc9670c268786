//! Products of quantised activations with packed weights.
//!
//! A task has some panels to itself. Its tiles are four rows of activations, or the only one, times as many
//! vectors of output features as there are registers for; sums stay in registers for a stretch of `k` whose
//! weights stay in the nearest cache while all rows meet them.

use std::ops::Range;

use super::ahead::Ahead;
use super::shares::shares;
use super::{Join, Number, Packed, ROWS};
use crate::nbits::Bits;
use crate::ops::{AddAssign, GeluTanhMul, SiluMul};
use crate::output::Output;
use crate::quantized::{GROUP, QuantizedRows, Record, Records};
use crate::scratch;
use crate::simd::{MAX_LANES, Op, Simd};
use crate::{Kernels, Pool};

/// What becomes of the products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// They are the result.
    Store,
    /// They are added to what is there: a branch to its residual stream.
    Add,
    /// `silu(gate) * up` of weights joined as [`Join::Gated`], half as many columns.
    Silu,
    /// `gelu(gate) * up`, with the approximation of GELU by a hyperbolic tangent.
    GeluTanh,
}

impl Then {
    fn is_gated(self) -> bool {
        matches!(self, Then::Silu | Then::GeluTanh)
    }
}

/// Bytes of weights that a tile's stretch of `k` has: about half of the nearest cache.
const STRETCH_BYTES: usize = 16 << 10;
/// The most vectors that are worked on together.
const MOST_VECTORS: usize = 4;
/// Bytes of weights, times tiles of rows, that make a task at least: enough that handing it out costs nothing beside it.
const LEAST_BYTES: usize = 32 << 10;
/// Bytes of activations that meet all weights before the next do, so that they stay in the second-level cache.
const ROWS_BYTES: usize = 1 << 20;
/// Rows that do, at least: it has to be worth reading the weights.
const LEAST_ROWS: usize = 64;
/// Bytes of totals that a task has at most, if it has more than one tile: they stay in the second-level cache.
const TOTALS_BYTES: usize = 256 << 10;

/// See [`Kernels::matmul_packed`].
pub(crate) fn matmul(
    kernels: Kernels,
    pool: &Pool,
    weights: &Packed<'_>,
    x: &QuantizedRows,
    then: Then,
    out: &mut [f32],
) {
    let layout = weights.layout();
    assert_eq!(
        x.k(),
        layout.k,
        "activations have {} columns, weights {}",
        x.k(),
        layout.k
    );
    let gated = then.is_gated();
    assert_eq!(
        gated,
        layout.join == Join::Gated,
        "{then:?} of {:?} weights",
        layout.join
    );
    let columns = if gated { layout.n / 2 } else { layout.n };
    let output = Output::new(out, x.rows(), columns);
    if x.rows() == 0 {
        return;
    }
    // Whole tiles, and whole pairs of a gate and what it opens.
    let tile = if x.rows() == 1 { 1 } else { 3 };
    let step = if gated { 2 * tile } else { tile };
    let block = (ROWS_BYTES / x.bytes_a_row().max(1))
        .next_multiple_of(4)
        .max(LEAST_ROWS);
    for start in (0..x.rows()).step_by(block) {
        let rows = start..x.rows().min(start + block);
        let least = LEAST_BYTES / rows.len().div_ceil(4) / layout.panel_bytes();
        let most = TOTALS_BYTES / size_of::<f32>() / ROWS / rows.len();
        let shares = shares(layout.panels(), pool.threads(), step, least..most);
        pool.for_each(shares.len(), |task| {
            let work = Work {
                weights,
                then,
                rows: rows.clone(),
                panels: shares[task].clone(),
                output,
            };
            match x.records() {
                Records::Single(x) => work.run(kernels, x),
                Records::SingleDeep(x) => work.run(kernels, x),
                Records::Quads(x) => work.run(kernels, x),
                Records::QuadsDeep(x) => work.run(kernels, x),
            }
        });
    }
}

/// Some rows and some panels, and where their products go.
struct Work<'a> {
    weights: &'a Packed<'a>,
    then: Then,
    /// The first is the first of four, if there are more than one.
    rows: Range<usize>,
    /// No two tasks have a panel in common.
    panels: Range<usize>,
    output: Output<'a>,
}

impl Work<'_> {
    /// Every form is an algorithm of its own, compiled apart: together they make functions that compilers take
    /// minutes for. Only the form that most models have has one without zero points; blocks of 16 have a scale for
    /// each half of a group.
    fn run<const M: usize, const P: usize>(self, kernels: Kernels, x: &[Record<M, P>]) {
        let layout = *self.weights.layout();
        let groups = layout.groups();
        let x = &x[self.rows.start / M * groups..self.rows.end.div_ceil(M) * groups];
        let work = self;
        match (layout.bits, layout.block < GROUP, layout.zero_points) {
            (Bits::Four, false, None) => kernels.run(Task::<M, P, false, 1, false> { x, work }),
            (Bits::Four, false, Some(_)) => kernels.run(Task::<M, P, false, 1, true> { x, work }),
            (Bits::Four, true, _) => kernels.run(Task::<M, P, false, 2, true> { x, work }),
            (Bits::Eight, false, _) => kernels.run(Task::<M, P, true, 1, true> { x, work }),
            (Bits::Eight, true, _) => kernels.run(Task::<M, P, true, 2, true> { x, work }),
        }
    }
}

/// `WIDE`: 8 bits; `H`: how many scales 32 values have; `ZP`: zero points are not the middle, or are taken as if
/// they were not.
struct Task<'a, const M: usize, const P: usize, const WIDE: bool, const H: usize, const ZP: bool> {
    x: &'a [Record<M, P>],
    work: Work<'a>,
}

/// `V` vectors of output features: where their parts of the panels begin.
struct Columns<const V: usize> {
    quants: [*const u8; V],
    scales: [*const u8; V],
    zero_points: [*const u8; V],
}

/// The numbers of some blocks as floats, `V` vectors a block.
struct Numbers<'a> {
    scales: &'a mut [f32],
    /// Zero points times scales.
    offsets: &'a mut [f32],
}

/// What a task works in.
struct Room<'a> {
    /// `[rows, width]`
    totals: &'a mut [f32],
    width: usize,
    numbers: Numbers<'a>,
}

impl<const M: usize, const P: usize, const WIDE: bool, const H: usize, const ZP: bool> Op
    for Task<'_, M, P, WIDE, H, ZP>
{
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let layout = self.work.weights.layout();
        let vectors = self.work.panels.len() * (ROWS / S::LANES);
        let width = vectors.max(MOST_VECTORS) * S::LANES;
        let rows = self.x.len() / layout.groups() * M;
        let numbers = layout.blocks() * MOST_VECTORS * S::LANES;
        scratch::with_f32(
            rows * width + 2 * numbers,
            #[inline(always)]
            |room| {
                let (totals, room) = room.split_at_mut(rows * width);
                let (scales, offsets) = room.split_at_mut(numbers);
                let numbers = Numbers { scales, offsets };
                let mut room = Room {
                    totals,
                    width,
                    numbers,
                };
                // One row reads panels as they lie. Four rows times three vectors are as many sums as 32
                // registers have room for, and times one what 16 have.
                match (M, S::LANES, S::REGISTERS) {
                    (1, 4, _) => self.all_columns::<S, 4>(s, vectors, &mut room),
                    (1, 8, _) => self.all_columns::<S, 2>(s, vectors, &mut room),
                    (1, ..) | (_, _, ..32) => self.all_columns::<S, 1>(s, vectors, &mut room),
                    _ => self.all_columns::<S, 3>(s, vectors, &mut room),
                }
                self.finish(s, room.totals, width);
            },
        );
    }
}

impl<const M: usize, const P: usize, const WIDE: bool, const H: usize, const ZP: bool>
    Task<'_, M, P, WIDE, H, ZP>
{
    #[inline(always)]
    fn all_columns<S: Simd, const V: usize>(&self, s: S, vectors: usize, room: &mut Room<'_>) {
        for vector in (0..vectors).step_by(V) {
            // The last ones may be done twice, which leaves the same totals; where there are fewer than `V`,
            // what comes of those beyond is not used.
            self.columns::<S, V>(s, vector.min(vectors.saturating_sub(V)), room);
        }
    }

    /// The totals of `V` vectors of features, for all rows of the task.
    #[inline(always)]
    fn columns<S: Simd, const V: usize>(&self, s: S, vector: usize, room: &mut Room<'_>) {
        let layout = self.work.weights.layout();
        let groups = layout.groups();
        let columns = self.place::<S, V>(vector);
        if M == 1 {
            let totals = &mut room.totals[vector * S::LANES..];
            assert!(totals.len() >= (M - 1) * room.width + V * S::LANES);
            let totals = totals.as_mut_ptr();
            // Weights are met once, so that making floats of their numbers beforehand gains nothing.
            // SAFETY: panels and records have all groups; the totals were just measured.
            unsafe {
                self.tile::<S, V>(
                    s,
                    &columns,
                    0..groups,
                    self.x,
                    &room.numbers,
                    totals,
                    room.width,
                    true,
                );
            }
            return;
        }
        // Whole blocks, so that no stretch starts inside of one.
        let per_group = layout.group_bytes() * S::LANES / ROWS * V;
        let stretch = (STRETCH_BYTES / per_group).next_multiple_of(layout.block.div_ceil(GROUP));
        for start in (0..groups).step_by(stretch) {
            let range = start..groups.min(start + stretch);
            self.numbers::<S, V>(s, &columns, range.clone(), &mut room.numbers);
            for (i, x) in self.x.chunks_exact(groups).enumerate() {
                let totals = &mut room.totals[i * M * room.width + vector * S::LANES..];
                assert!(totals.len() >= (M - 1) * room.width + V * S::LANES);
                let totals = totals.as_mut_ptr();
                // SAFETY: panels and records have all groups of the range, numbers were just made of them;
                // the totals were just measured.
                unsafe {
                    self.tile::<S, V>(
                        s,
                        &columns,
                        range.clone(),
                        x,
                        &room.numbers,
                        totals,
                        room.width,
                        i == 0,
                    );
                }
            }
        }
    }

    #[inline(always)]
    fn place<S: Simd, const V: usize>(&self, vector: usize) -> Columns<V> {
        let layout = self.work.weights.layout();
        let start = [std::ptr::null(); V];
        let mut columns = Columns {
            quants: start,
            scales: start,
            zero_points: start,
        };
        for v in 0..V {
            let lane = ((vector + v) * S::LANES).min(self.work.panels.len() * ROWS - S::LANES);
            let (panel, lane) = (lane / ROWS, lane % ROWS);
            let panel = self.work.weights.panel(self.work.panels.start + panel);
            let (quants, rest) = panel.split_at(layout.quant_bytes());
            let (scales, zero_points) = rest.split_at(layout.scale_bytes());
            columns.quants[v] = quants[4 * lane..].as_ptr();
            columns.scales[v] = scales[lane * layout.scales.bytes()..].as_ptr();
            if let Some(number) = layout.zero_points {
                columns.zero_points[v] = zero_points[lane * number.bytes()..].as_ptr();
            }
        }
        columns
    }

    /// Makes floats of the scales and zero points of these groups, for many rows to use them.
    #[inline(always)]
    fn numbers<S: Simd, const V: usize>(
        &self,
        s: S,
        columns: &Columns<V>,
        groups: Range<usize>,
        out: &mut Numbers<'_>,
    ) {
        let layout = self.work.weights.layout();
        let first = groups.start * GROUP / layout.block;
        let blocks = first
            ..layout
                .blocks()
                .min((groups.end * GROUP).div_ceil(layout.block));
        let step = V * S::LANES;
        for ((block, scales), offsets) in blocks
            .zip(out.scales.chunks_exact_mut(step))
            .zip(out.offsets.chunks_exact_mut(step))
        {
            for v in 0..V {
                // SAFETY: panels have all blocks below `blocks()`.
                let (scale, offset) = unsafe { self.number::<S, V>(s, columns, v, block) };
                s.put(scale, &mut scales[v * S::LANES..]);
                if ZP {
                    s.put(offset, &mut offsets[v * S::LANES..]);
                }
            }
        }
    }

    /// The scales of a block, and its zero points (less what `dot_wide` takes off anyway) times the scales.
    ///
    /// # Safety
    /// The panels that `columns` points into have this block.
    #[inline(always)]
    unsafe fn number<S: Simd, const V: usize>(
        &self,
        s: S,
        columns: &Columns<V>,
        v: usize,
        block: usize,
    ) -> (S::F, S::F) {
        let layout = self.work.weights.layout();
        let at = |number: Number| block * ROWS * number.bytes();
        // SAFETY: the caller vouches for the block, of whose numbers `columns` points to the first.
        let scale = unsafe { number(s, layout.scales, columns.scales[v].add(at(layout.scales))) };
        if !ZP {
            return (scale, scale);
        }
        let bias = s.splat(if WIDE { S::WIDE_BIAS as f32 } else { 0.0 });
        let Some(kind) = layout.zero_points else {
            let middle = s.splat(f32::from(layout.bits.middle()));
            return (scale, s.mul(s.sub(middle, bias), scale));
        };
        // SAFETY: as above.
        let read = unsafe { number(s, kind, columns.zero_points[v].add(at(kind))) };
        let offset = match kind {
            Number::U8 => s.mul(s.sub(read, bias), scale),
            Number::F16 | Number::F32 => s.neg_mul_add(bias, scale, read),
        };
        (scale, offset)
    }

    /// Adds up the products of `M` rows and `V` vectors of features over some groups. `fetch`: asks for the weights
    /// that come after these.
    ///
    /// # Safety
    /// The panels that `columns` points into and `x` have all these groups; unless it is one row, `numbers` has
    /// the blocks of all of them. At `totals` there are `M` times `V` vectors, `width` floats from row to row.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "all of them are the tile")]
    unsafe fn tile<S: Simd, const V: usize>(
        &self,
        s: S,
        columns: &Columns<V>,
        groups: Range<usize>,
        x: &[Record<M, P>],
        numbers: &Numbers<'_>,
        totals: *mut f32,
        width: usize,
        fetch: bool,
    ) {
        let layout = self.work.weights.layout();
        let (group_bytes, block_log) = (layout.group_bytes(), layout.block.ilog2());
        let first_block = (groups.start * GROUP) >> block_log;
        let ahead = Ahead::new::<S, V>(layout);
        let mut sums = [[s.splat(0.0); V]; M];
        if groups.start > 0 {
            for (m, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: inside the totals by the caller's promise.
                    *sum = unsafe { s.load(totals.add(m * width + v * S::LANES)) };
                }
            }
        }
        for g in groups {
            // SAFETY: the caller vouches for the group.
            let x = unsafe { x.get_unchecked(g) };
            if fetch {
                ahead.fetch(s, columns.quants[0], g);
            }
            let quants = columns.quants.map(
                #[inline(always)]
                |quants| quants.wrapping_add(g * group_bytes),
            );
            for half in 0..H {
                let block = ((g * GROUP + half * GROUP / 2) >> block_log) - first_block;
                let mut products = [[s.splat_i(0); V]; M];
                for plane in 0..P {
                    if plane > 0 {
                        for products in &mut products {
                            for product in products {
                                *product = s.times_128(*product);
                            }
                        }
                    }
                    if plane + 1 == P && !ZP {
                        for (products, &bias) in products.iter_mut().zip(&x.bias) {
                            let bias = s.splat_i(bias);
                            for product in products {
                                *product = if P == 1 {
                                    bias
                                } else {
                                    s.add_i(*product, bias)
                                };
                            }
                        }
                    }
                    let values = x.values[plane].as_ptr().cast::<i8>();
                    // SAFETY: the group's units are there by the caller's promise, and eight times four
                    // values of each row.
                    products = unsafe {
                        if H == 1 {
                            s.dot_units::<M, V, WIDE, 0>(products, quants, values)
                        } else if half == 0 {
                            s.dot_units::<M, V, WIDE, 1>(products, quants, values)
                        } else {
                            s.dot_units::<M, V, WIDE, 2>(products, quants, values)
                        }
                    };
                }
                let part = if H == 1 { 0 } else { 1 + half };
                for v in 0..V {
                    let at = (block * V + v) * S::LANES;
                    // SAFETY: the caller vouches for the block.
                    let (scale, offset) = unsafe {
                        if M == 1 {
                            self.number::<S, V>(s, columns, v, first_block + block)
                        } else {
                            let offset = if ZP {
                                numbers.offsets.as_ptr().add(at)
                            } else {
                                numbers.scales.as_ptr()
                            };
                            (s.load(numbers.scales.as_ptr().add(at)), s.load(offset))
                        }
                    };
                    for m in 0..M {
                        let scale = s.mul(scale, s.splat(x.scales[m]));
                        sums[m][v] = s.mul_add(s.to_f32(products[m][v]), scale, sums[m][v]);
                    }
                    if ZP {
                        for (sums, &x) in sums.iter_mut().zip(&x.sums[part]) {
                            sums[v] = s.neg_mul_add(offset, s.splat(x), sums[v]);
                        }
                    }
                }
            }
        }
        for (m, sums) in sums.iter().enumerate() {
            for (v, &sum) in sums.iter().enumerate() {
                // SAFETY: inside the totals by the caller's promise.
                unsafe { s.store(sum, totals.add(m * width + v * S::LANES)) };
            }
        }
    }

    /// Hands out the totals, `width` a row.
    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, totals: &mut [f32], width: usize) {
        let Work {
            then,
            rows,
            panels,
            output,
            ..
        } = &self.work;
        let of_pairs = if then.is_gated() { 2 } else { 1 };
        let start = panels.start / of_pairs * ROWS;
        // The last panel has fewer.
        let len = (panels.len() / of_pairs * ROWS).min(output.columns() - start);
        for (row, totals) in rows.clone().zip(totals.chunks_exact_mut(width)) {
            // SAFETY: these columns are this task's alone.
            let out = unsafe { output.row_part(row, start, len) };
            match then {
                Then::Store => out.copy_from_slice(&totals[..len]),
                Then::Add => {
                    let (x, y) = (out, &totals[..len]);
                    AddAssign { x, y }.run(s);
                }
                Then::Silu | Then::GeluTanh => {
                    for (out, pair) in out.chunks_mut(ROWS).zip(totals.chunks_mut(2 * ROWS)) {
                        let (gate, up) = pair.split_at_mut(ROWS);
                        match then {
                            Then::Silu => SiluMul { gate, up }.run(s),
                            _ => GeluTanhMul { gate, up }.run(s),
                        }
                        // Of a length that is known it is a few moves, and no call.
                        match <&mut [f32; ROWS]>::try_from(&mut *out) {
                            Ok(out) => out.copy_from_slice(gate),
                            Err(_) => out.copy_from_slice(&gate[..out.len()]),
                        }
                    }
                }
            }
        }
    }
}

/// A vector of numbers.
///
/// # Safety
/// There are as many as a vector has lanes at `from`.
#[inline(always)]
unsafe fn number<S: Simd>(s: S, number: Number, from: *const u8) -> S::F {
    // SAFETY: by the caller's promise; loads need no alignment.
    unsafe {
        match number {
            Number::U8 => s.load_u8(from),
            Number::F16 => s.load_f16(from.cast()),
            Number::F32 => s.load(from.cast()),
        }
    }
}

const _: () = assert!(MAX_LANES <= ROWS);

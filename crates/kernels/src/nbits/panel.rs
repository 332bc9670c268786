//! Some rows of weights, as many as a vector has lanes, laid side by side.

use super::{Bits, NBits};
use crate::quantized::GROUP;
use crate::simd::{MAX_LANES, Simd};

/// The weights of `LANES` rows: lane `l` of a vector belongs to row `l`, and holds four values of
/// it. Scales and zero points likewise, one vector for each block.
///
/// Where the matrix ends early its last row stands in; what comes of those lanes is not stored.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a> {
    pub(super) quants: &'a [u8],
    pub(super) scales: &'a [f32],
    pub(super) zero_points: &'a [f32],
}

/// How much room the parts of a panel need.
#[derive(Clone, Copy)]
pub(super) struct PanelSize {
    /// Bytes of each row of weights that count.
    row_bytes: usize,
    /// Vectors read from each row.
    steps: usize,
    quants: usize,
    /// Floats: all blocks, filled up to whole transpositions.
    scales: usize,
}

impl PanelSize {
    #[inline(always)]
    pub(super) fn of<S: Simd>(weights: &NBits<'_>) -> PanelSize {
        let used = weights.k.div_ceil(GROUP) * GROUP * weights.bits.count() / 8;
        let row_bytes = used.min(weights.row_bytes());
        let steps = row_bytes.div_ceil(S::BYTES);
        let quants = steps * S::BYTES * S::LANES * (8 / weights.bits.count());
        PanelSize {
            row_bytes,
            steps,
            quants,
            scales: weights.blocks().next_multiple_of(S::LANES) * S::LANES,
        }
    }

    /// Bytes of scratch: quants, scales, zero points, and zero points row by row.
    pub(super) fn bytes(&self) -> usize {
        self.quants + 3 * self.scales * 4
    }
}

/// Packs the rows from `start` on into `room`.
#[inline(always)]
pub(super) fn pack<'a, S: Simd, const ZP: bool>(
    s: S,
    weights: &NBits<'_>,
    start: usize,
    size: PanelSize,
    room: &'a mut [u8],
) -> Panel<'a> {
    let (quants, rest) = room[..size.bytes()].split_at_mut(size.quants);
    // SAFETY: any bytes make a float; they are initialised, and `align_to_mut` sees to the rest.
    let (unaligned, floats, _) = unsafe { rest.align_to_mut::<f32>() };
    assert!(
        unaligned.is_empty() && floats.len() >= 3 * size.scales,
        "scratch is aligned"
    );
    let (scales, rest) = floats.split_at_mut(size.scales);
    let (zero_points, unpacked) = rest.split_at_mut(size.scales);

    let rows: [usize; MAX_LANES] = std::array::from_fn(|lane| (start + lane).min(weights.n - 1));
    match weights.bits {
        Bits::Four => pack_quants::<S, false>(s, weights, &rows, size, quants),
        Bits::Eight => pack_quants::<S, true>(s, weights, &rows, size, quants),
    }
    let blocks = weights.blocks();
    transpose_floats(s, rows.map(|row| weights.row_scales(row)), scales);
    if ZP {
        let bias = if weights.bits == Bits::Eight {
            S::WIDE_BIAS as f32
        } else {
            0.0
        };
        for (unpacked, &row) in unpacked.chunks_exact_mut(blocks).zip(&rows[..S::LANES]) {
            weights.row_zero_points(row, bias, unpacked);
        }
        let unpacked = &*unpacked;
        let parts = std::array::from_fn(|lane| &unpacked[lane % S::LANES * blocks..][..blocks]);
        transpose_floats(s, parts, zero_points);
    }
    Panel {
        quants,
        scales,
        zero_points,
    }
}

#[inline(always)]
fn pack_quants<S: Simd, const WIDE: bool>(
    s: S,
    weights: &NBits<'_>,
    rows: &[usize; MAX_LANES],
    size: PanelSize,
    quants: &mut [u8],
) {
    let parts = rows.map(|row| &weights.row_quants(row)[..size.row_bytes]);
    let out_bytes = S::BYTES * S::LANES * if WIDE { 1 } else { 2 };
    let mut ends = [[0_u8; MAX_LANES * 4]; MAX_LANES];
    for (step, out) in quants
        .chunks_exact_mut(out_bytes)
        .take(size.steps)
        .enumerate()
    {
        let start = step * S::BYTES;
        let pointers = if start + S::BYTES <= size.row_bytes {
            // SAFETY: inside each part by the condition.
            parts.map(|part| unsafe { part.as_ptr().add(start) })
        } else {
            for (end, part) in ends.iter_mut().zip(&parts) {
                end[..size.row_bytes - start].copy_from_slice(&part[start..]);
            }
            std::array::from_fn(|lane| ends[lane].as_ptr())
        };
        let mut words = [0_u8; MAX_LANES * MAX_LANES * 4];
        // SAFETY: there is a vector at each pointer, and room for `LANES` vectors of the widest kind.
        unsafe { s.transpose(&pointers, words.as_mut_ptr()) };
        // SAFETY: `words` was just filled, and `out` has room for once or twice as many vectors.
        unsafe { split::<S, WIDE>(s, words.as_ptr(), out.as_mut_ptr()) };
    }
}

/// Turns bytes into weights: two vectors of 4 bits into two of low halves and two of high ones.
///
/// # Safety
/// `words` has `LANES` vectors, `out` has room for as many, or for twice as many unless `WIDE`.
#[inline(always)]
unsafe fn split<S: Simd, const WIDE: bool>(s: S, words: *const u8, out: *mut u8) {
    for pair in 0..S::LANES / 2 {
        // SAFETY: `pair` counts the pairs of `LANES` vectors, each written once or twice.
        unsafe {
            let first = s.load_bytes(words.add(pair * 2 * S::BYTES));
            let second = s.load_bytes(words.add((pair * 2 + 1) * S::BYTES));
            if WIDE {
                let out = out.add(pair * 2 * S::BYTES);
                s.store_bytes(s.wide_weights(first), out);
                s.store_bytes(s.wide_weights(second), out.add(S::BYTES));
            } else {
                let out = out.add(pair * 4 * S::BYTES);
                s.store_bytes(s.low_nibbles(first), out);
                s.store_bytes(s.low_nibbles(second), out.add(S::BYTES));
                s.store_bytes(s.high_nibbles(first), out.add(2 * S::BYTES));
                s.store_bytes(s.high_nibbles(second), out.add(3 * S::BYTES));
            }
        }
    }
}

/// `out[i * LANES + lane] = parts[lane][i]`, and 0 beyond the end of the parts.
#[inline(always)]
fn transpose_floats<S: Simd>(s: S, parts: [&[f32]; MAX_LANES], out: &mut [f32]) {
    let len = parts[0].len();
    assert!(parts.iter().all(|part| part.len() == len));
    let mut ends = [[0.0_f32; MAX_LANES]; MAX_LANES];
    for (step, out) in out.chunks_exact_mut(S::LANES * S::LANES).enumerate() {
        let start = step * S::LANES;
        let pointers = if start + S::LANES <= len {
            // SAFETY: inside each part by the condition.
            parts.map(|part| unsafe { part.as_ptr().add(start) }.cast::<u8>())
        } else {
            for (end, part) in ends.iter_mut().zip(&parts) {
                end[..len - start].copy_from_slice(&part[start..]);
            }
            std::array::from_fn(|lane| ends[lane].as_ptr().cast::<u8>())
        };
        // SAFETY: there is a vector at each pointer; `out` has `LANES * LANES` floats.
        unsafe { s.transpose(&pointers, out.as_mut_ptr().cast()) };
    }
}

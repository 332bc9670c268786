//! Rotary position tables, as the graph carries them.
//!
//! Exports hold cosines and sines as constants [positions, rotary/2], scaling (Llama 3, YaRN, LongRoPE) folded in.
//! LongRoPE models hold two pairs and an `If` on the length of the sequence: up to the original length the short
//! pair, beyond it the long one, for every position (Ding et al. 2024, <https://arxiv.org/abs/2402.13753>).

use half::f16;

use bytes::Bytes;

/// The tables of a model.
pub(crate) struct Rope {
    /// The table, up to the original length where there is a second one.
    pub(crate) short: RopeTable,
    /// The table beyond the original length.
    pub(crate) long: Option<LongRope>,
    /// Whether neighbours are rotated together instead of halves.
    pub(crate) interleaved: bool,
}

/// LongRoPE's second table and when it applies.
pub(crate) struct LongRope {
    /// Sequences longer than this use `table`.
    pub(crate) original_length: usize,
    pub(crate) table: RopeTable,
}

/// One pair of tables, left as bytes where they lie: a row is a few hundred bytes and is read once a token, while
/// the whole table of a 131,072-token model has 50 MB.
pub(crate) struct RopeTable {
    pub(crate) cos: Bytes,
    pub(crate) sin: Bytes,
    pub(crate) half: usize,
    pub(crate) positions: usize,
    pub(crate) is_f16: bool,
}

impl Rope {
    /// Which side of the original length a sequence of `length` tokens is on.
    pub(crate) fn is_long(&self, length: usize) -> bool {
        self.long
            .as_ref()
            .is_some_and(|long| length > long.original_length)
    }

    /// The table for one side.
    pub(crate) fn table(&self, long: bool) -> &RopeTable {
        match &self.long {
            Some(side) if long => &side.table,
            _ => &self.short,
        }
    }

    /// Positions that the tables hold.
    pub(crate) fn positions(&self) -> usize {
        self.long
            .as_ref()
            .map_or(self.short.positions, |long| long.table.positions)
    }
}

impl RopeTable {
    /// Copies the cosines and sines of `position`.
    pub(crate) fn row(&self, position: usize, cos: &mut [f32], sin: &mut [f32]) {
        read_row(&self.cos, position, self.is_f16, cos);
        read_row(&self.sin, position, self.is_f16, sin);
    }
}

fn read_row(table: &[u8], row: usize, is_f16: bool, out: &mut [f32]) {
    if is_f16 {
        let bytes = &table[row * out.len() * 2..][..out.len() * 2];
        for (value, raw) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *value = f16::from_le_bytes(*raw).to_f32();
        }
    } else {
        let bytes = &table[row * out.len() * 4..][..out.len() * 4];
        for (value, raw) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *value = f32::from_le_bytes(*raw);
        }
    }
}

//! From the layout of `com.microsoft.MatMulNBits` to panels.

use std::ops::Range;

use half::f16;

use super::{Join, Number, PackedLayout, ROWS};
use crate::Pool;
use crate::nbits::{Bits, NBits, ZeroPoints};
use crate::quantized::GROUP;

impl PackedLayout {
    /// How many panels, the pieces that can be packed apart, there are.
    pub fn pieces(&self) -> usize {
        self.panels()
    }

    /// How many bytes a piece has.
    pub fn piece_bytes(&self) -> usize {
        self.panel_bytes()
    }

    /// Packs some pieces of the matrices that this layout was made [of](PackedLayout::of).
    ///
    /// # Panics
    /// When the matrices are others, a piece is not there, or `out` has another length.
    pub fn pack(&self, pool: &Pool, parts: &[NBits<'_>], pieces: Range<usize>, out: &mut [u8]) {
        parts.iter().for_each(NBits::assert_valid);
        let rows: usize = parts.iter().map(|part| part.n).sum();
        let alike =
            |part: &NBits<'_>| (part.k, part.bits, part.block) == (self.k, self.bits, self.block);
        assert!(
            rows == self.n && parts.iter().all(alike),
            "the matrices are others"
        );
        assert!(
            pieces.end <= self.panels(),
            "there are {} pieces",
            self.panels()
        );
        assert_eq!(
            out.len(),
            pieces.len() * self.panel_bytes(),
            "{} pieces",
            pieces.len()
        );
        pool.chunks_mut(out, self.panel_bytes(), |i, out| {
            self.pack_panel(parts, pieces.start + i, out);
        });
    }

    fn pack_panel(&self, parts: &[NBits<'_>], panel: usize, out: &mut [u8]) {
        out.fill(0);
        let (quants, rest) = out.split_at_mut(self.quant_bytes());
        let (scales, zero_points) = rest.split_at_mut(self.scale_bytes());
        for row in 0..ROWS {
            let Some((part, index)) = self.source(parts, panel, row) else {
                continue;
            };
            self.pack_quants(part.row_quants(index), row, quants);
            put_column(
                scales,
                row,
                self.scales,
                part.row_scales(index).iter().copied(),
            );
            let Some(number) = self.zero_points else {
                continue;
            };
            let blocks = index * part.blocks()..(index + 1) * part.blocks();
            match part.zero_points {
                ZeroPoints::None => {}
                ZeroPoints::Bytes(bytes) => {
                    put_column(
                        zero_points,
                        row,
                        number,
                        bytes[blocks].iter().map(|&x| f32::from(x)),
                    );
                }
                ZeroPoints::Floats(floats) => {
                    let offsets = floats[blocks].iter().zip(part.row_scales(index));
                    put_column(
                        zero_points,
                        row,
                        number,
                        offsets.map(|(x, scale)| x * scale),
                    );
                }
            }
        }
    }

    /// Where a row of a panel comes from; nowhere beyond the last.
    fn source<'p, 'a>(
        &self,
        parts: &'p [NBits<'a>],
        panel: usize,
        row: usize,
    ) -> Option<(&'p NBits<'a>, usize)> {
        match self.join {
            Join::Gated => {
                let index = panel / 2 * ROWS + row;
                parts
                    .get(panel % 2)
                    .filter(|part| index < part.n)
                    .map(|part| (part, index))
            }
            Join::Stacked => {
                let mut index = panel * ROWS + row;
                for part in parts {
                    if index < part.n {
                        return Some((part, index));
                    }
                    index -= part.n;
                }
                None
            }
        }
    }

    /// Spreads a row over its four bytes of every unit.
    fn pack_quants(&self, from: &[u8], row: usize, out: &mut [u8]) {
        let bytes = GROUP * self.bits.count() / 8;
        for (from, out) in from
            .chunks(bytes)
            .zip(out.chunks_exact_mut(self.group_bytes()))
        {
            // A block of 16 may be all that is left.
            let mut group = [0; GROUP];
            group[..from.len()].copy_from_slice(from);
            let words = match self.bits {
                Bits::Four => interleave(&group),
                Bits::Eight => group,
            };
            for (unit, word) in out.chunks_exact_mut(4 * ROWS).zip(words.as_chunks::<4>().0) {
                unit[4 * row..][..4].copy_from_slice(word);
            }
        }
    }
}

/// Of 16 bytes, each two values of which the low half is the first, makes 16 whose low halves are the first
/// 16 values and whose high halves are the others.
fn interleave(group: &[u8; GROUP]) -> [u8; GROUP] {
    let mut out = [0; GROUP];
    let (first, last) = group[..GROUP / 2].split_at(GROUP / 4);
    for (i, (low, high)) in first
        .as_chunks::<4>()
        .0
        .iter()
        .zip(last.as_chunks::<4>().0)
        .enumerate()
    {
        let both = halves(u32::from_le_bytes(*low)) | halves(u32::from_le_bytes(*high)) << 4;
        out[8 * i..][..8].copy_from_slice(&both.to_le_bytes());
    }
    out
}

/// The eight halves of four bytes, each in a byte of its own.
fn halves(x: u32) -> u64 {
    let x = u64::from(x);
    let x = (x | x << 16) & 0x0000_FFFF_0000_FFFF;
    let x = (x | x << 8) & 0x00FF_00FF_00FF_00FF;
    (x | x << 4) & 0x0F0F_0F0F_0F0F_0F0F
}

/// Writes one row's numbers, one a block.
fn put_column(out: &mut [u8], row: usize, number: Number, values: impl Iterator<Item = f32>) {
    let width = number.bytes();
    for (out, value) in out.chunks_exact_mut(ROWS * width).zip(values) {
        let out = &mut out[row * width..][..width];
        match number {
            Number::U8 => out[0] = value as u8,
            Number::F16 => out.copy_from_slice(&f16::from_f32(value).to_le_bytes()),
            Number::F32 => out.copy_from_slice(&value.to_le_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_bytes_come_apart_in_order() {
        assert_eq!(halves(0x8765_4321), 0x0807_0605_0403_0201);
        let group: [u8; GROUP] = std::array::from_fn(|i| if i < 16 { (i * 37) as u8 } else { 0 });
        let value = |k: usize| group[k / 2] >> (k % 2 * 4) & 15;
        let packed = interleave(&group);
        for (k, &packed) in packed[..16].iter().enumerate() {
            assert_eq!(packed, value(k) | value(16 + k) << 4);
        }
        assert_eq!(packed[16..], [0; 16]);
    }
}
